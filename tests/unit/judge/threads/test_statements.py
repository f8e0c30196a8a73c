"""What a project says of threads beside what was measured: what its classifier means, and where both disagree."""

from dataclasses import replace
from typing import Any

import pytest

from builder.distributions.thread_statements import Quote, ThreadStatement
from builder.judge.package import Judgement
from builder.judge.threads.statements import UpstreamWords, is_negative
from builder.report.documents.packages import make_abi_part
from tests.unit.judge.test_package import SOURCE
from tests.unit.judge.threads.test_jobs import event, exercise, judged, race

DENIAL = Quote(file="README.md", line=7, text="Boxes are not thread-safe.")
PRIVATE = {"shared": [2, 2], "private": [2, 2]}
SHARED = {"shared": [2, 2], "private": [0, 2]}


def judge(statement: ThreadStatement | None, *harms: dict[str, Any]) -> Judgement:
    source = replace(SOURCE, statement=statement)
    return judged(race(), exercise(harms=list(harms)), source=source)


def words(statement: ThreadStatement | None, *harms: dict[str, Any]) -> UpstreamWords | None:
    safety = judge(statement, *harms).safety
    assert safety is not None
    return safety.upstream


def crash(arms: dict[str, Any]) -> dict[str, Any]:
    return event("crash", signal="SIGSEGV", arms=arms)


@pytest.mark.parametrize(
    ("classifier", "quotes", "arms", "disagreement"),
    [
        # Nothing was shared, and it broke all the same.
        ("3 - Stable", (DENIAL,), PRIVATE, "although threads shared nothing"),
        ("4 - Resilient", (), PRIVATE, "although threads shared nothing"),
        # One object was shared.
        ("4 - Resilient", (DENIAL,), SHARED, "safe without exception, and foo.Box.get broke here"),
        ("3 - Stable", (), SHARED, "no such sentence was found"),
        ("3 - Stable", (DENIAL,), SHARED, ""),
        ("2 - Beta", (), SHARED, ""),
        ("1 - Unstable", (), PRIVATE, ""),
        ("", (DENIAL,), SHARED, ""),
        # Nothing broke.
        ("1 - Unstable", (), None, "nothing broke here"),
        ("", (DENIAL,), None, "(README.md, line 7), and nothing broke here"),
        ("3 - Stable", (), None, ""),
        ("4 - Resilient", (), None, ""),
    ],
)  # fmt: skip
def test_where_words_and_measurement_disagree(
    classifier: str, quotes: tuple[Quote, ...], arms: dict[str, Any] | None, disagreement: str
):
    harms = [] if arms is None else [crash(arms)]
    said = words(ThreadStatement(classifier=classifier, quotes=quotes), *harms)
    assert said is not None
    assert said.quotes == quotes
    assert disagreement in said.disagreement
    assert bool(said.disagreement) == bool(disagreement)


def test_who_says_nothing_is_not_quoted():
    assert words(None) is None
    assert words(ThreadStatement()) is None


def test_words_change_no_verdict():
    silent = judge(None, crash(SHARED))
    loud = judge(ThreadStatement(classifier="4 - Resilient", quotes=(DENIAL,)), crash(SHARED))
    assert silent.verdict is loud.verdict
    assert silent.findings == loud.findings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is not thread-safe.", True),
        ("Boxes are *not* threadsafe", True),
        ("It isn't guaranteed to be thread safe.", True),
        ("Mutating it meanwhile is neither supported nor safe.", True),
        ("A thread-unsafe cache is used.", True),
        ("It is thread-safe.", False),
        ("Do not worry: all of this is, as you would expect of it, thread-safe.", False),
    ],
)
def test_what_denies_safety(text: str, *, expected: bool):
    assert is_negative(text) is expected


def test_the_document_has_it():
    said = ThreadStatement(classifier="3 - Stable", quotes=(DENIAL,))
    part = make_abi_part(judge(said, crash(PRIVATE))).thread_safety
    assert part is not None
    assert part.upstream is not None
    assert part.upstream.meaning.startswith("supported in production")
    (quote,) = part.upstream.quotes
    assert (quote.file, quote.line, quote.text) == ("README.md", 7, DENIAL.text)
