"""Operations after which others end the process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from builder.inside.stress.learn.evaluator import Evaluator
from builder.inside.stress.learn.spoilers import find_spoilers
from builder.inside.stress.process.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

    from builder.inside.stress.calls.learnt import Operation

MODULE = """
import ctypes

class Page:
    torn = False
    def tear(self): self.torn = True
    def read(self): self.torn and ctypes.string_at(0)
    def number(self): return 3
    def leave(self): raise SystemExit(3)
"""


@pytest.fixture
def evaluator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluator:
    (tmp_path / "wheelfarm_pages.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("wheelfarm_pages")
    return Evaluator(
        ["wheelfarm_pages"],
        [],
        Journal(str(tmp_path / "journal")),
        deadline=time.monotonic() + 60,
    )


def operation(text: str) -> Operation:
    name = text.partition("(")[0].removeprefix("s.")
    return {
        "text": text,
        "native": [f"pages.Page.{name}"],
        "direct": True,
        "result": None,
        "changes": True,
        "us": 1.0,
    }


READ, NUMBER, TEAR, LEAVE = (
    operation(text) for text in ("s.read()", "s.number()", "s.tear()", "s.leave()")
)
MAKE = "wheelfarm_pages.Page()"


@pytest.mark.parametrize(
    "operations",
    [[TEAR, READ, NUMBER], [READ, NUMBER, TEAR], [NUMBER, TEAR, LEAVE, READ]],
    ids=["first", "last", "between"],
)
def test_what_makes_others_end_the_process_is_found_wherever_it_stands(
    evaluator: Evaluator, operations: list[Operation]
):
    assert find_spoilers(evaluator, MAKE, operations) == [TEAR]


def test_all_operations_that_reach_the_same_callable_spoil(evaluator: Evaluator):
    other = operation("s.tear(*())")
    assert find_spoilers(evaluator, MAKE, [NUMBER, TEAR, READ, other]) == [TEAR, other]


@pytest.mark.parametrize(
    "operations", [[], [TEAR], [READ, NUMBER, LEAVE]], ids=["none", "one", "sound"]
)
def test_operations_that_leave_the_object_whole_spoil_nothing(
    evaluator: Evaluator, operations: list[Operation]
):
    assert find_spoilers(evaluator, MAKE, operations) == []
