"""Every example loads, is planned, and names files that are there."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from builder import sources
from builder.config import catalog, matrix
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import Matrix, Package
from builder.host.settings import IndexSettings
from builder.inside.stress.package import sdists
from builder.plan import graph
from builder.sources import Source
from builder.sources.client import Index
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from tests.examples import EXAMPLES, NAMES, SOURCES, copy_example

SITUATIONS = {
    "apt": {"apt", "version"},
    "bases": set(),
    "data-job": {"sha256", "version"},
    "dependency-file": {"version"},
    "heavy": {"apt", "memory", "timeout_s"},
    "limits": {"timeout_s", "memory", "env", "skip"},
    "local-sdist": {"sdist"},
    "patch": {"sdist", "patches"},
    "threads": {"recipes"},
    "upstream": {"take_from", "build_tag"},
    "versions": {"version"},
    "web-api": {"sha256", "version"},
    "worker": {"sha256", "version"},
}
"""By example, the keys of a package that it is there to show."""


def planned(loaded: Matrix, patches: dict[str, tuple[str, ...]]) -> graph.Plan:
    """Plan a matrix as if the index had version 1.0 of everything."""
    found = {
        name: Source(
            name=name, version="1.0", kind="index", filename=f"{name}-1.0.tar.gz", sha256="0" * 64
        )
        for name in loaded.packages
    }
    return graph.make_plan(
        loaded, found, patches, catalog.load(), Package(), EFFORTS[EffortLevel.STANDARD]
    )


def test_each_situation_has_an_example_and_a_line():
    assert sorted(SITUATIONS) == NAMES
    lines = re.findall(
        r"^\| \[([\w-]+)\]\(([\w./-]+)\) \| .+ \|$",
        (EXAMPLES / "README.md").read_text(),
        re.MULTILINE,
    )
    assert sorted(lines) == [(name, f"{name}/matrix.toml") for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_shows_its_keys_and_is_planned(name: str, tmp_path: Path):
    loaded = matrix.load(copy_example(name, tmp_path))
    shown = {key for package in loaded.packages.values() for key in package.model_fields_set}
    assert shown == SITUATIONS[name]
    patches = {
        package: tuple(read(loaded, path) for path in table.patches)
        for package, table in loaded.packages.items()
    }
    jobs = planned(loaded, patches).jobs
    for package in loaded.packages:
        for base in loaded.build_on:
            assert JobId(JobKind.BUILD, package, base) in jobs


def read(loaded: Matrix, path: str) -> str:
    return (loaded.root / path).read_text()


@pytest.mark.parametrize("name", [name for name in NAMES if "sdist" in SITUATIONS[name]])
def test_a_local_example_is_resolved_without_an_index(name: str, tmp_path: Path):
    loaded = matrix.load(copy_example(name, tmp_path))
    with contextlib.closing(Store(tmp_path / "wheelhouse")) as store:
        nowhere = Index(IndexSettings(url="http://index.invalid/simple/"), store)
        names = loaded.packages
        answer = sources.resolve(
            loaded, store, nowhere, Version("3.14"), names=names, fresh_s=0, say=lambda _: None
        )
        assert answer.faults == {}
        assert {source.kind for source in answer.found.values()} == {"local"}
        patches, faults = sources.read_patches(loaded, answer.found)
    assert faults == {}
    assert {package: len(texts) for package, texts in patches.items() if texts} == (
        {"tally": 1} if name == "patch" else {}
    )


def test_the_patch_applies_to_the_sdist_and_only_once(tmp_path: Path):
    copy_example("patch", tmp_path)
    project = sdists.unpack(str(tmp_path / "tally-1.0.tar.gz"), tmp_path / "out")
    command = ["patch", "-p1", "--batch", "--forward", "-i", str(tmp_path / "no-gil.patch")]
    assert subprocess.run(command, cwd=project, capture_output=True, check=False).returncode == 0
    assert "Py_MOD_GIL_NOT_USED" in (project / "src/tally.c").read_text()
    assert subprocess.run(command, cwd=project, capture_output=True, check=False).returncode != 0
    assert "Py_MOD_GIL_NOT_USED" not in (SOURCES / "tally/src/tally.c").read_text()


def test_the_matrix_of_the_dependency_file_has_its_pins():
    folder = EXAMPLES / "dependency-file"
    lines = (folder / "requirements.txt").read_text().splitlines()
    stated = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pins = {str(canonicalize_name(one.name)): str(one.specifier) for one in stated}
    taken = {
        name: package.version
        for name, package in matrix.load(folder / "matrix.toml").packages.items()
    }
    assert taken
    assert taken.items() <= pins.items()
    assert pins.keys() - taken.keys() == {"requests", "yarl"}, (
        "pure, and with a pure wheel beside: `add` leaves them out"
    )


def test_limits_and_bases_are_what_they_say():
    limits = matrix.load(EXAMPLES / "limits/matrix.toml")
    assert limits.packages["kiwisolver"].memory == 6 << 30
    assert limits.packages["regex"].timeout_s == 300
    assert list(limits.packages["simplejson"].skip) == ["cp314t"]
    bases = matrix.load(EXAMPLES / "bases/matrix.toml")
    assert (bases.bases, bases.build_on, bases.abis) == (
        ("debian-13", "ubuntu-26.04"),
        ("debian-13",),
        ("cp314t",),
    )
    assert "gil-required" not in bases.farm.publish
