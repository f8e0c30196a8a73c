"""The real command ends with each exit code of docs/exit-codes.md, by the outcome that the page names."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from base64 import urlsafe_b64encode
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from builder.errors import ExitCode
from builder.store.store import Store

ROOT = Path(__file__).parents[3]
FAILING = """
import sys
from builder import errors
from builder.farm import doctor

def fail(*arguments):
    raise {exception}

doctor.run_checks = fail
sys.argv = ["wheelfarm", "doctor"]
from builder.cli.main import main
main()
"""


def wheelfarm(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "builder", *map(str, arguments), **environment)


def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def run_failing(exception: str) -> subprocess.CompletedProcess[str]:
    """Run the real command with a core function that raises."""
    return run_python("-c", FAILING.format(exception=exception))


def write_wheel(folder: Path, filename: str, files: dict[str, str], *, tag: str) -> Path:
    """Write a wheel whose RECORD is right."""
    name, version = filename.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    members = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    lines = []
    for member, text in members.items():
        digest = urlsafe_b64encode(sha256(text.encode()).digest()).decode().rstrip("=")
        lines.append(f"{member},sha256={digest},{len(text)}\n")
    record = "".join([*lines, f"{info}/RECORD,,\n"])
    path = folder / filename
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**members, f"{info}/RECORD": record}.items():
            archive.writestr(member, text)

    return path


def test_0_a_command_that_found_nothing_wrong(tmp_path: Path):
    done = wheelfarm("rollback", "--list", "--wheelhouse", tmp_path / "wheelhouse")
    assert done.returncode == ExitCode.ADMISSIBLE, done.stderr


def test_1_a_wheel_with_a_fault(tmp_path: Path):
    wheel = tmp_path / "pebble-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
    wheel.write_bytes(b"this is no archive")
    done = wheelfarm("check", wheel, "--static")
    assert done.returncode == ExitCode.FAULTS, done.stderr


def test_2_a_matrix_that_is_wrong(tmp_path: Path):
    (tmp_path / "matrix.toml").write_text("[packages.x]\ncolour = 1\n")
    done = wheelfarm("run", "--matrix", tmp_path / "matrix.toml", "--wheelhouse", tmp_path / "w")
    assert done.returncode == ExitCode.USAGE
    assert "packages.x.colour" in done.stderr
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("arguments", [("run", "--colour"), ("fly",), ("merge",)])
def test_2_a_command_line_that_is_wrong(arguments: tuple[str, ...]):
    assert wheelfarm(*arguments).returncode == ExitCode.USAGE


def test_3_a_package_index_that_does_not_answer(tmp_path: Path):
    (tmp_path / "requirements.txt").write_text("markupsafe\n")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]  # nobody listens on it once it is closed
    done = wheelfarm(
        "survey",
        tmp_path / "requirements.txt",
        "--wheelhouse",
        tmp_path / "wheelhouse",
        PIP_INDEX_URL=f"http://127.0.0.1:{port}/simple/",
        PIP_EXTRA_INDEX_URL="",
        no_proxy="127.0.0.1",
    )
    assert done.returncode == ExitCode.UNDETERMINED, done.stderr
    assert "wheelfarm doctor" in done.stderr


def test_3_infrastructure_that_failed_outside_of_a_job():
    done = run_failing("errors.InfrastructureError('the container gave no answer')")
    assert done.returncode == ExitCode.UNDETERMINED
    assert "wheelfarm: the container gave no answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_3_a_full_disk():
    done = run_failing("OSError(28, 'No space left on device')")
    assert done.returncode == ExitCode.UNDETERMINED
    assert "wheelfarm gc" in done.stderr


def test_4_no_container_engine(tmp_path: Path):
    done = wheelfarm("engine", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.returncode == ExitCode.ENGINE
    assert "there is no such socket" in done.stderr
    assert "make engine" in done.stderr


def test_5_a_wheelhouse_that_is_locked(tmp_path: Path):
    (tmp_path / "matrix.toml").write_text("[packages.x]\n")
    with closing(Store(tmp_path / "wheelhouse")) as store, store.lock():
        done = wheelfarm(
            "gc", "--matrix", tmp_path / "matrix.toml", "--wheelhouse", tmp_path / "wheelhouse"
        )
    assert done.returncode == ExitCode.LOCKED, done.stderr
    assert "is locked by another wheelfarm process" in done.stderr


def test_6_a_wheel_with_warnings_alone(tmp_path: Path):
    tag = "cp314-cp314-manylinux_2_17_x86_64"  # which promises native code
    wheel = write_wheel(tmp_path, f"pebble-1.0-{tag}.whl", {"pebble.py": ""}, tag=tag)
    done = wheelfarm("check", wheel, "--static")
    assert done.returncode == ExitCode.WARNINGS, done.stdout + done.stderr


@pytest.mark.parametrize(
    "exception",
    ["KeyError('abis')", "UnicodeEncodeError('utf-8', '\\udc80', 0, 1, 'why')", "RecursionError"],
)
def test_70_an_exception_that_nobody_foresaw(exception: str):
    done = run_failing(exception)
    assert done.returncode == ExitCode.INTERNAL
    assert "Traceback" in done.stderr
    assert "this is a bug in wheelfarm" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_130_a_command_that_is_interrupted(tmp_path: Path, number: signal.Signals):
    (tmp_path / "requirements.txt").write_text("markupsafe\n")
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "builder", "survey", tmp_path / "requirements.txt",
             "--wheelhouse", tmp_path / "wheelhouse"],
            cwd=ROOT,
            env={
                **os.environ,
                "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple/",
                "PIP_EXTRA_INDEX_URL": "",
                "no_proxy": "127.0.0.1",
            },
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        silent.settimeout(60)
        connection, _ = silent.accept()  # it asks now, and waits for an answer
        with closing(connection):
            time.sleep(0.2)
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)

    assert process.returncode == ExitCode.INTERRUPTED
    assert "interrupted" in errors


def test_every_code_is_documented_and_ended_with_here():
    page = (ROOT / "docs" / "exit-codes.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    tested = {int(name.split("_")[1]) for name in globals() if re.match(r"test_\d+_", name)}
    assert documented == set(ExitCode) == tested
