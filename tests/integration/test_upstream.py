"""Upstream's own wheels on a real engine: taken as they are, and in the place of a build that fails."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Workshop
from tests.unit.local_index import LocalIndex, archive, serving

MATRIX = """
[farm]
bases = ["debian-12", "debian-13"]
build-on = ["debian-12"]
[packages.steady]
from = "TAKE"
"""

# An sdist that does not compile and needs nothing of an index: it is its own build backend.
PYPROJECT = """
[build-system]
requires = []
build-backend = "broken"
backend-path = ["."]
"""
BACKEND = """
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    print("src/steady.c:7:3: error: unknown type name 'PyNothing'", flush=True)
    raise SystemExit(1)
"""


SLOW = """
import time
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    time.sleep(600)
"""
GREEDY = """
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return b"x" * (8 << 30)
"""


@pytest.fixture
def upstream(
    request: pytest.FixtureRequest, images: Workshop, tmp_path: Path
) -> Iterator[tuple[LocalIndex, str]]:
    """Serve a release on the loopback interface: wheels that somebody built, and an sdist that cannot be built.

    Its build backend is the parameter; without one it does not compile.
    """
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (index, settings):
        for wheel in sorted((images.wheelhouse / "simple/steady").rglob("*.whl")):
            index.add("steady", wheel.name, wheel.read_bytes())
        files = {
            "steady-1.0/PKG-INFO": b"Metadata-Version: 2.2\nName: steady\nVersion: 1.0\n",
            "steady-1.0/pyproject.toml": PYPROJECT.encode(),
            "steady-1.0/broken.py": getattr(request, "param", BACKEND).encode(),
        }
        index.add("steady", "steady-1.0.tar.gz", archive("tar.gz", files))
        yield index, settings.url


def check_served(workshop: Workshop, index: LocalIndex, abis: dict[str, Any]) -> None:
    """Check that the wheels of both ABIs were judged, imported on both bases, and are served byte for byte."""
    for abi, verdict in (("cp314", "compatible"), ("cp314t", "unproven")):
        assert abis[abi]["verdict"] == verdict, abis[abi]["reason"]
        assert abis[abi]["reason"].startswith("upstream's wheel for manylinux_2_")
        assert abis[abi]["loaded_on"] == ["debian-12", "debian-13"]
        (wheel,) = abis[abi]["wheels"]
        assert wheel["origin"] == "upstream"

        original = (index.root / "steady" / wheel["filename"]).read_bytes()
        assert wheel["sha256"] == hashlib.sha256(original).hexdigest()
        served = list((workshop.wheelhouse / "simple").rglob(wheel["filename"]))
        assert [path.read_bytes() for path in served] == [original]


def test_a_wheel_of_upstreams_is_judged_and_served_as_it_is(
    workshop: Workshop, upstream: tuple[LocalIndex, str]
):
    index, url = upstream
    workshop.write(MATRIX.replace("TAKE", "wheel"))
    done = workshop.run(PIP_INDEX_URL=url)
    assert done.returncode == 0, done.stdout + done.stderr
    abis = workshop.verdicts()["steady"]["abis"]
    check_served(workshop, index, abis)
    assert not [one for one in abis["cp314"]["findings"] if one["code"].startswith("WF22")]


def test_where_the_sdist_does_not_compile_upstreams_wheel_is_taken_and_that_is_said(
    workshop: Workshop, upstream: tuple[LocalIndex, str]
):
    index, url = upstream
    workshop.write(MATRIX.replace("TAKE", "either"))
    done = workshop.run(PIP_INDEX_URL=url)
    assert done.returncode == 0, done.stdout + done.stderr
    abis = workshop.verdicts()["steady"]["abis"]
    check_served(workshop, index, abis)
    for part in abis.values():
        (finding,) = [one for one in part["findings"] if one["code"] == "WF221"]
        assert "unknown type name 'PyNothing'" in finding["detail"]
        assert finding["bases"] == ["debian-12"]

    workshop.write(MATRIX.replace("TAKE", "sdist"))
    workshop.run(PIP_INDEX_URL=url)
    abis = workshop.verdicts()["steady"]["abis"]
    assert {part["verdict"] for part in abis.values()} == {"build-failure"}


@pytest.mark.parametrize(
    ("upstream", "setting", "words"),
    [
        (SLOW, "timeout_s = 10", "10 s"),
        (GREEDY, 'memory = "512m"', "memory"),
    ],
    indirect=["upstream"],
)
def test_where_the_build_takes_more_than_it_may_upstreams_wheel_is_taken(
    workshop: Workshop, upstream: tuple[LocalIndex, str], setting: str, words: str
):
    index, url = upstream
    workshop.write(f"{MATRIX.replace('TAKE', 'either')}{setting}\n")
    done = workshop.run(PIP_INDEX_URL=url)
    assert done.returncode == 0, done.stdout + done.stderr
    abis = workshop.verdicts()["steady"]["abis"]
    check_served(workshop, index, abis)
    for part in abis.values():
        (finding,) = [one for one in part["findings"] if one["code"] == "WF221"]
        assert words in finding["detail"]


# --- a wheel without native code, for an ABI whose native one is at fault ------------------------------------------------


def pack_wheel(filename: str, files: dict[str, bytes]) -> bytes:
    """Return a wheel with a list of its files (PEP 427)."""
    name, version, *_, python, abi, platform = filename.removesuffix(".whl").split("-")
    folder = f"{name}-{version}.dist-info"
    tags = "".join(f"Tag: {python}-{abi}-{one}\n" for one in platform.split("."))
    whole = {
        **files,
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{folder}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n{tags}".encode(),
    }
    rows: list[str] = []
    for path, content in whole.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(content)}\n")
    whole[f"{folder}/RECORD"] = "".join([*rows, f"{folder}/RECORD,,\n"]).encode()

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, content in whole.items():
            packed.writestr(path, content)
    return buffer.getvalue()


NATIVE = "brittle-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl"
PURE = "brittle-1.0-py3-none-any.whl"


def test_in_place_of_a_native_wheel_that_fails_the_one_without_native_code_is_served(
    images: Workshop, workshop: Workshop, tmp_path: Path
):
    """The way out that the finding names is followed, and works."""
    assert images
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (index, settings):
        broken = b"raise ImportError('an extension module that is not there')\n"
        index.add("brittle", NATIVE, pack_wheel(NATIVE, {"brittle.py": broken}))
        index.add("brittle", PURE, pack_wheel(PURE, {"brittle.py": b"ANSWER = 42\n"}))
        matrix = MATRIX.replace("steady", "brittle").replace("TAKE", "wheel")
        workshop.write(matrix)
        workshop.run(PIP_INDEX_URL=settings.url)
        part = workshop.verdicts()["brittle"]["abis"]["cp314t"]
        assert part["verdict"] == "import-failure", part["reason"]
        (finding,) = [one for one in part["findings"] if one["code"] == "WF227"]
        key = 'pure = ["cp314t"]'
        assert key in finding["remedy"]

        workshop.write(f"{matrix}{key}\n")
        done = workshop.run(PIP_INDEX_URL=settings.url)
        assert done.returncode == 0, done.stdout + done.stderr

    part = workshop.verdicts()["brittle"]["abis"]["cp314t"]
    assert part["verdict"] == "compatible", part["reason"]
    assert part["reason"].startswith("upstream's wheel for any platform, imports on debian-12")
    assert "WF224" in [one["code"] for one in part["findings"]]
    served = [path.name for path in (workshop.wheelhouse / "simple").rglob("*.whl")]
    assert served == [PURE]


# --- built, and upstream's wheel beside it ------------------------------------------------------------------------------

COMPILING = """
import base64, hashlib, os, subprocess, sysconfig, zipfile

SOURCE = r'''
#include <Python.h>
static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, 0}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "ours", 0, 0, 0, slots, 0, 0, 0};
PyMODINIT_FUNC PyInit_ours(void) { return PyModuleDef_Init(&module); }
'''

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with open("ours.c", "w") as file:
        file.write(SOURCE)
    module = "ours" + sysconfig.get_config_var("EXT_SUFFIX")
    include = sysconfig.get_path("include")
    subprocess.run(["cc", "-shared", "-fPIC", "-I", include, "ours.c", "-o", module], check=True)
    abi = "cp314t" if sysconfig.get_config_var("Py_GIL_DISABLED") else "cp314"
    tag = f"cp314-{abi}-linux_x86_64"
    folder = "steady-1.0.dist-info"
    files = {
        module: open(module, "rb").read(),
        f"{folder}/METADATA": b"Metadata-Version: 2.2\\nName: steady\\nVersion: 1.0\\n",
        f"{folder}/WHEEL": f"Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: {tag}\\n".encode(),
    }
    rows = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(content)}\\n")
    files[f"{folder}/RECORD"] = "".join([*rows, f"{folder}/RECORD,,\\n"]).encode()
    name = f"steady-1.0-{tag}.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as packed:
        for path, content in files.items():
            packed.writestr(path, content)
    return name
"""


def add_padding(index: LocalIndex) -> None:
    """Make upstream's wheels clearly larger, by a file that no archive makes smaller."""
    index.links["steady"].clear()
    folder = index.root / "steady"
    for path in [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]:
        content = path.read_bytes()
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as packed:
                files = {name: packed.read(name) for name in packed.namelist()}
            own = {name: text for name, text in files.items() if ".dist-info/" not in name}
            own["steady-data.bin"] = os.urandom(1 << 20)
            content = pack_wheel(path.name, own)
        index.add("steady", path.name, content)


@pytest.mark.parametrize("upstream", [COMPILING], indirect=True)
def test_what_ours_lacks_of_upstreams_wheel_is_told_and_a_build_tag_is_in_its_name(
    workshop: Workshop, upstream: tuple[LocalIndex, str]
):
    index, url = upstream
    add_padding(index)
    workshop.write(MATRIX.replace("TAKE", "either") + "build-tag = 7\n")
    done = workshop.run(PIP_INDEX_URL=url)
    abis = workshop.verdicts()["steady"]["abis"]
    for abi, part in abis.items():
        assert [wheel["origin"] for wheel in part["wheels"]] == ["built"], done.stdout + done.stderr
        found = {one["code"]: one["detail"] for one in part["findings"]}
        assert "has the native modules" in found["WF222"]
        assert "steady" in found["WF222"]
        assert "ours has not" in found["WF222"]
        assert " bytes, upstream's " in found["WF223"]
        (wheel,) = part["wheels"]
        assert wheel["filename"].startswith(f"steady-1.0-7-cp314-{abi}-manylinux")
        served = list((workshop.wheelhouse / "simple").rglob(wheel["filename"]))
        assert len(served) == 1, json.dumps(part)
