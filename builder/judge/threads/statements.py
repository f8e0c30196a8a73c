"""What a project says itself of threads beside what was measured: what it means, and where both disagree. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.distributions.thread_statements import ThreadStatement
from builder.verdicts.levels import Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.distributions.thread_statements import Quote
    from builder.judge.findings import Finding

_UNSTABLE, _STABLE, _RESILIENT = "1", "3", "4"
"""The grades of the trove classifier of free threading that promise something which can be measured."""

_MEANINGS = {
    _UNSTABLE: "for experiments and feedback only",
    "2": "supported, though what is not safe may not be written down yet",
    _STABLE: "supported in production: use by several threads is tested, and what is not safe is written down",
    _RESILIENT: "fully supported, and safe under threads without exception",
}
"""What the grades mean (the Python Free-Threading Guide, "Define and document thread safety guarantees")."""

_NEGATIVE = re.compile(
    r"\b(?:not|never|neither|nor|no|\w+n['\u2019]t)\W+(?:\w+\W+){0,4}?(?:thread[- ]?safe|safe\b)|\bthread[- ]?unsafe",
    re.IGNORECASE,
)
"""Sentences that deny safety: `are *not* thread-safe`, `isn't guaranteed to be safe`, `thread-unsafe`."""

_BROKEN_ALONE = frozenset({Level.COMPATIBLE, Level.INCOMPATIBLE})
"""Levels of what breaks though threads share nothing that they may not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamWords:
    """What a project says of threads, in a form for people.

    Attributes:
        classifier: the grade in its classifier, such as `3 - Stable`; `stated` without a grade, empty without one.
        meaning: what that grade means; empty where nothing is known of it.
        quotes: sentences of its documents.
        disagreement: where that and what was measured differ, in a sentence; empty where they do not.
    """

    classifier: str = ""
    meaning: str = ""
    quotes: tuple[Quote, ...] = ()
    disagreement: str = ""


def compare_words(
    statement: ThreadStatement | None,
    classifiers: Iterable[str],
    level: Level,
    findings: Iterable[Finding],
) -> UpstreamWords | None:
    """Return what a project says of threads beside its measured level; None where it says nothing.

    Args:
        statement: what its sdist says; None where that was not read.
        classifiers: grades of free threading in the metadata of its wheels, for where the sdist states none.
        level: how safe it was found to be.
        findings: about it, on this ABI.
    """
    statement = statement or ThreadStatement()
    grade = statement.classifier or max(classifiers, default="")
    if not grade and not statement.quotes:
        return None

    broken = _name_broken(findings)
    number = grade.partition(" ")[0]
    return UpstreamWords(
        classifier=grade,
        meaning=_MEANINGS.get(number, ""),
        quotes=statement.quotes,
        disagreement=_find_disagreement(number, grade, statement.quotes, level, broken),
    )


def is_negative(text: str) -> bool:
    """Return whether a sentence says of something that it is not safe."""
    return _NEGATIVE.search(text) is not None


def _find_disagreement(
    number: str, grade: str, quotes: Iterable[Quote], level: Level, broken: str
) -> str:
    """Return where words and measurement differ.

    Args:
        number: of the grade.
        grade: as it is stated.
        quotes: sentences of its documents.
        level: how safe it was found to be.
        broken: a callable that did harm under threads; empty where none did.
    """
    denials = [quote for quote in quotes if is_negative(quote.text)]
    subject = broken or "native code of it"
    if number in {_STABLE, _RESILIENT} and level in _BROKEN_ALONE:
        return f"its classifier says `{grade}`, and {subject} broke here although threads shared nothing"
    if number == _RESILIENT and broken:
        return f"its classifier says `{grade}`, safe without exception, and {subject} broke here under threads"
    if number == _STABLE and broken and not denials:
        return (
            f"its classifier says `{grade}`, which promises that what is not safe is written down:"
            f" {subject} broke here under threads, and no such sentence was found"
        )

    if level is not Level.SHARED:
        return ""
    if number == _UNSTABLE:
        return f"its classifier says `{grade}`, and nothing broke here: nothing was found of what it warns of"
    if denials:
        first = denials[0]
        return (
            f"it says that something is not safe ({_name_place(first)}), and nothing broke here:"
            " it may be what was not tried, or safe in this release only"
        )
    return ""


def _name_broken(findings: Iterable[Finding]) -> str:
    """Return the callable that did the worst under threads; empty where none did harm."""
    harmful = [
        finding.threads
        for finding in findings
        if finding.threads is not None and finding.threads.consequence.is_harm
    ]
    if not harmful:
        return ""

    worst = max(harmful, key=lambda fault: fault.level.rank)
    return worst.names[0] if worst.names else ""


def _name_place(quote: Quote) -> str:
    return f"{quote.file}, line {quote.line}" if quote.line else quote.file
