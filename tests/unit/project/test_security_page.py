"""SECURITY.md names what is there: files that enforce a wall, and tests that show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "SECURITY.md").read_text()
TESTS = sorted(set(re.findall(r"`(test_\w+)`", TEXT)))
FILES = sorted(set(re.findall(r"`((?:builder|images|tests)/[\w./-]+)`", TEXT)))
CORPUS = sorted(
    {
        name
        for names in re.findall(r"corpus packages? ((?:`\w+`(?:, )?)+)", TEXT)
        for name in re.findall(r"\w+", names)
    }
)


@pytest.fixture(scope="module")
def defined() -> set[str]:
    files = [
        path
        for folder in ("unit", "integration", "hostile")
        for path in (ROOT / "tests" / folder).rglob("test_*.py")
    ]
    return {
        name
        for path in files
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }


def test_it_names_tests_files_and_packages():
    assert len(TESTS) > 30
    assert len(FILES) > 20
    assert CORPUS == ["endless", "glutton", "nosy", "rabbits"]


@pytest.mark.parametrize("name", TESTS)
def test_a_named_test_exists(name: str, defined: set[str]):
    assert name in defined


@pytest.mark.parametrize("path", FILES)
def test_a_named_file_exists(path: str):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("name", CORPUS)
def test_a_named_package_of_the_corpus_exists(name: str):
    assert (ROOT / "tests/corpus" / name).is_dir()


def test_every_row_of_a_wall_says_what_enforces_it_and_what_shows_it():
    walls = TEXT[TEXT.index("## Walls") : TEXT.index("## Known gaps")]
    rows = [
        line.split(" | ")
        for line in walls.splitlines()
        if line.startswith("| ") and not line.startswith("| asset")
    ]
    assert len(rows) > 20
    assert all(len(row) == 4 and all(cell.strip(" |") for cell in row) for row in rows)
