"""Upstream's own wheels on a real engine: taken as they are, and in the place of a build that fails."""

from __future__ import annotations

import hashlib
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
