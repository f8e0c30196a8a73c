"""The corpus can be packed for another detector, and what one answers is scored: benchmarks/corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.corpus.__main__ import pack, read_answers
from benchmarks.corpus.scoring import Answer, score_answers
from benchmarks.detection.labels import Label

if TYPE_CHECKING:
    from pathlib import Path


def label(package: str, expected: str, *functions: str) -> Label:
    return Label(package=package, version="", expected=expected, fault="", functions=functions)


def test_it_packs_an_sdist_for_each_label(tmp_path: Path):
    pack(tmp_path)

    labels = (tmp_path / "labels.tsv").read_text().splitlines()
    sdists = list(tmp_path.glob("*.tar.gz"))
    assert len(sdists) == len(labels) - 1 > 50


def test_answers_are_scored_by_function():
    labels = [
        label("cache", "thread-unsafe", "fill"),
        label("stack", "distinct", "Stack_push"),
        label("idle", "distinct", "wait"),
        label("safe", "compatible"),
        label("calm", "compatible"),
    ]
    answers = {
        "cache": Answer(is_blamed=True, where="refill in cache.c"),
        "stack": Answer(is_blamed=True, where="Stack.push()"),
        "safe": Answer(is_blamed=True, where=""),
        "calm": Answer(is_blamed=False, where=""),
    }

    lines = score_answers(labels, answers)
    assert lines[0].startswith("found: 2 of 3,")
    assert lines[1].startswith("in the right function: 1 of 3,")
    assert lines[2:] == ["blamed without a fault: 1 of 2", "  safe", "without an answer: idle"]


def test_answers_are_read(tmp_path: Path):
    path = tmp_path / "answers.tsv"
    path.write_text("package\tblamed\twhere\ncache\tyes\tfill\nsafe\tno\t\n")
    answers = read_answers(path)
    assert answers == {
        "cache": Answer(is_blamed=True, where="fill"),
        "safe": Answer(is_blamed=False, where=""),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("package\tblamed\ncache\tyes\n", "no column where"),
        (
            "package\tblamed\twhere\ncache\tmaybe\tfill\n",
            "line 2: blamed is 'maybe', not yes or no",
        ),
    ],
)
def test_answers_that_cannot_be_read_are_refused(tmp_path: Path, text: str, message: str):
    path = tmp_path / "answers.tsv"
    path.write_text(text)
    with pytest.raises(SystemExit, match=message):
        read_answers(path)
