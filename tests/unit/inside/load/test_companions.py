"""A module that can be imported after another package only is imported after it, by every program that imports it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from builder.inside.load import imports, load
from builder.inside.load.probe_process import run_probe

LATE = "import sys\nif 'early' not in sys.modules:\n    raise ImportError('the early package should be imported before late')\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "early.py").write_text("")
    (tmp_path / "late.py").write_text(LATE)
    for name in ("early", "late"):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")
    return tmp_path


def ask(site: Path, *after: str) -> dict[str, Any]:
    request: dict[str, Any] = {"site": str(site), "tops": ["late"], "natives": []}
    if after:
        request["after"] = load.list_companions(list(after), str(site))
    return request


def test_alone_it_fails_and_says_why(site: Path):
    facts = imports.probe_module(sys.executable, ask(site), "late", native=False)
    assert facts["error"] == "ImportError: the early package should be imported before late"


def test_after_its_companion_it_works(site: Path):
    facts = imports.probe_module(sys.executable, ask(site, "early"), "late", native=False)
    assert "error" not in facts


@pytest.mark.parametrize("program", ["walk", "threads", "again"])
def test_under_every_condition_its_companion_comes_first(site: Path, program: str):
    facts = run_probe(sys.executable, f"inside.load.{program}", ask(site, "early"), ())
    assert not any("error" in line for line in facts["lines"])
    assert "fault" not in facts
