"""How the race detector's wheel is compiled."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder.config import catalog
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import OwnTests
from builder.jobs.build.build import Build
from builder.jobs.build.rust import RustSupplies
from builder.jobs.threads import sanitizer_build
from builder.jobs.threads.race import Race
from builder.jobs.threads.sanitizer_build import _find_wheel

JUDGED = "foo-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl"
RUST = RustSupplies(has_crates=True, toolchain="1.98.0", program_folders=("/usr/lib/rust/bin",))


def make_race(rust: RustSupplies) -> Race:
    build = Build(
        name="foo",
        version="1.0",
        base="debian-12",
        sdist_filename="foo-1.0.tar.gz",
        sdist_sha256="0" * 64,
        abis=("cp314t",),
        rust=rust,
        environment={},
        config_settings={},
        skip={},
        timeout_s=60,
        memory_bytes=4 << 30,
    )
    effort = EFFORTS[EffortLevel.QUICK]
    assert effort is not None
    return Race(build=build, abi=catalog.load().abis["cp314t"], effort=effort, tests=OwnTests())


def test_it_gets_the_rust_and_the_crates_that_the_build_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The commands run, with a program in the place of the interpreter that says how it is called."""
    inputs, cargo = tmp_path / "inputs", tmp_path / "cargo"
    inputs.mkdir()
    for name, content in RUST.files().items():
        text = content if isinstance(content, bytes) else content.read_bytes()
        (inputs / name).write_bytes(text)
    monkeypatch.setattr(sanitizer_build, "_RUST_INPUTS", str(inputs))
    monkeypatch.setattr(sanitizer_build, "_CARGO_FOLDER", str(cargo))
    job = make_race(RUST)

    script = (
        job._sanitizer_build._prepare_rust().replace(job.abi.python, "echo")
        + "echo $CARGO_HOME $PATH\n"
    )
    ended = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    called, said = ended.stdout.splitlines()
    assert called == f"-I -S {inputs}/toolchain.py 1.98.0 /tmp/wheelfarm-rust"
    assert said.startswith(f"{cargo} /tmp/wheelfarm-rust/bin:/usr/lib/rust/bin:")
    assert "crates.wheelfarm.invalid" in (cargo / "config.toml").read_text()


def test_what_it_gets_counts_in_its_key_and_nothing_where_it_gets_nothing():
    plain = make_race(RustSupplies())
    assert plain._sanitizer_build._prepare_rust() == ""
    assert {"crates", "Rust", "folders of programs"}.isdisjoint(plain.settings())
    assert RUST.settings().items() <= make_race(RUST).settings().items()


def test_nothing_is_compiled_where_the_toolchain_is_refused(monkeypatch: pytest.MonkeyPatch):
    job = make_race(RustSupplies(toolchain="1.98.0"))
    script = (
        job._sanitizer_build._prepare_rust().replace(job.abi.python, "false") + "echo compiled\n"
    )
    ended = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")


def test_it_leaves_a_wheel_of_the_package_or_none():
    build = cast("Any", SimpleNamespace(name="foo", version="1.0"))
    output = {
        "wheel/../../x.whl": b"1",
        "wheel/bar-1.0-py3-none-any.whl": b"2",
        "wheel/foo-1.0-\n-py3-none-any.whl": b"3",
        f"wheel/{JUDGED}": b"4",
    }
    found = _find_wheel(output, build)
    assert found is not None
    assert (found.filename, found.content) == (JUDGED, b"4")
    del output[f"wheel/{JUDGED}"]
    assert _find_wheel(output, build) is None
