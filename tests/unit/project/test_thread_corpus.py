"""The thread-safety corpus and its table of labels agree, and the packages do not give their labels away."""

from __future__ import annotations

import csv
import re
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.corpus import THREADS, make_sdist

LABELS = Path(__file__).parents[3] / "benchmarks/corpus.tsv"
PACKAGES = sorted(folder.name for folder in THREADS.iterdir() if folder.is_dir())
VERDICTS = {"compatible", "distinct", "racy", "thread-unsafe", "gil-required"}
TELLTALE = re.compile(
    r"\b(data )?rac(e|es|y)\b|\bunsafe\b|\bbugs?\b|\bbuggy\b|thread[- ]?safe|\bguarded\b|\bunguarded\b|\bunlocked\b"
    r"|deadlock|\bGIL\b(?!_)|concurren|\bfault|\bnot safe\b|\bcorrupt|lock missing|missing lock",
    re.IGNORECASE,
)


def _labels() -> list[dict[str, str]]:
    with LABELS.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _sources(name: str) -> dict[str, str]:
    files = [
        file
        for file in sorted((THREADS / name).rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    ]
    return {str(file.relative_to(THREADS)): file.read_text() for file in files}


def test_every_package_has_one_label_and_the_reverse():
    assert sorted(row["package"] for row in _labels()) == PACKAGES


def test_labels_are_complete():
    for row in _labels():
        assert None not in row, row["package"]
        assert row["expect_cp314t"] in VERDICTS, row["package"]
        assert row["language"] in {"C", "C++", "Cython"}
        assert row["note"]
        assert bool(row["fault"]) == (row["expect_cp314t"] != "compatible"), row["package"]
        assert not row["function"] or row["fault"], row["package"]


def test_enough_of_each_kind():
    rows = _labels()
    faulty = [row for row in rows if row["fault"]]
    assert len(faulty) >= 26
    assert len(rows) - len(faulty) >= 10
    assert sum(row["language"] == "C++" for row in rows) >= 5
    assert sum(row["language"] == "Cython" for row in rows) >= 5


@pytest.mark.parametrize(
    "row", [row for row in _labels() if row["function"]], ids=lambda row: row["package"]
)
def test_the_functions_exist(row):
    text = "\n".join(_sources(row["package"]).values())
    missing = []
    for name in row["function"].split(","):
        written = name.partition("___")[0]  # of `Type___slot__`, as Python calls it, the type
        if not re.search(rf"\b{re.escape(written)}\b", text):
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("name", PACKAGES)
def test_builds_an_sdist(name, tmp_path):
    project = tomllib.loads((THREADS / name / "pyproject.toml").read_text())
    assert set(project) <= {"build-system", "project", "dependency-groups", "tool"}
    assert project["project"]["name"] == name
    for requirement in project["build-system"]["requires"]:
        Requirement(requirement)
    with tarfile.open(make_sdist(name, tmp_path)) as archive:
        names = archive.getnames()
    root = f"{name}-{project['project']['version']}"
    assert f"{root}/PKG-INFO" in names
    assert any(Path(file).suffix in {".c", ".cc", ".cpp", ".pyx"} for file in names)


@pytest.mark.parametrize("name", PACKAGES)
def test_gives_nothing_away(name):
    found = {
        file: TELLTALE.findall(text)
        for file, text in _sources(name).items()
        if TELLTALE.search(text)
    }
    assert found == {}
    assert not TELLTALE.search(name)
