"""The documentation site: it lists every page, no link is broken, and its reader needs no network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from builder.generate import cli_reference

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
GENERATED = {"findings.md", "cli.md"}
OWN = [page for page in PAGES if page not in GENERATED]
"""Pages that people write."""
FOUND_ELSEWHERE = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\ssrc=\"(?:https?:)?//|<link[^>]*\shref=\"(?:https?:)?//"
)


def listed(nav: Any) -> list[str]:
    """Return the pages of a navigation, however deep."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in listed(part)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make site` does."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(folder),
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_is_listed_once():
    configuration = YAML(typ="safe").load(ROOT / "mkdocs.yml")
    assert sorted(listed(configuration["nav"])) == PAGES


def test_every_page_is_built_and_asks_nothing_of_anyone_else(site: Path):
    for page in PAGES:
        text = (site / page).with_suffix(".html").read_text()
        assert FOUND_ELSEWHERE.search(text) is None, page
    assert FOUND_ELSEWHERE.search('<script src="https://cdn.invalid/x.js"></script>')
    assert FOUND_ELSEWHERE.search('<link rel="stylesheet" href="//fonts.invalid/css">')
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", sheet.read_text()), sheet


def test_search_finds_a_code_and_a_command(site: Path):
    index = json.loads((site / "search/search_index.json").read_text())
    places = {entry["location"] for entry in index["docs"]}
    assert {"findings.html#wf302", "cli.html#wheelfarm-run", "matrix.html"} <= places


def test_the_reference_of_the_command_line_is_current():
    assert (DOCS / "cli.md").read_text() == cli_reference.reference(), "run `make docs`"


@pytest.mark.parametrize("page", [page for page in OWN if not page.startswith("decisions/")])
def test_a_page_begins_with_what_its_reader_can_do_then(page: str):
    title, blank, first, *_ = (DOCS / page).read_text().splitlines()
    assert title.startswith("# ")
    assert blank == ""
    assert first.startswith("After this page you ")


@pytest.mark.parametrize("page", OWN)
def test_a_line_holds_one_sentence(page: str):
    """Semantic line breaks: outside of tables and code no sentence begins in the middle of a line."""
    text = re.sub(r"^```.*?^```", "", (DOCS / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    prose = [line for line in text.splitlines() if not line.startswith(("|", "    "))]
    crowded = [line for line in prose if re.search(r"[a-z0-9)`*][.?!] [A-Z][a-z]", line)]
    assert crowded == []
