"""How safe a package is under threads, and how much of it was tried, as verdicts.json has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from builder.report.documents.part import CleanLine, CleanText, Part
from builder.verdicts.levels import Consequence, Level, Need

if TYPE_CHECKING:
    from builder.judge.threads.coverage import ThreadCoverage
    from builder.judge.threads.safety import ThreadSafety
    from builder.judge.threads.statements import UpstreamWords


_RARITY = 100
"""`ExercisedPart.missed` is about a race that shows in one of so many concurrent calls: a round number, for people."""

_MISSED_DIGITS = 4
"""Decimal places of a probability: more would claim an accuracy that the estimate does not have."""

_MAX_NOT_TRIED = 100
"""Names of callables that threads did not call: enough to see what kind is missing."""


class PlayedPart(Part):
    """How many scenarios of a kind there are, and how many were played to their end."""

    planned: int
    """How many there are."""

    played: int
    """How many were played to their end."""


class ExercisedPart(Part):
    """How much native code was exercised under threads."""

    native_callables: int

    called_alone: int
    """How many of them could be called at all."""

    under_threads: int

    pairs: int
    """Pairs of operations that threads ran on one object."""

    missed: float
    """Probability that one trial misses a race that shows in one of 100 concurrent calls."""

    race_detector: bool

    scenarios: dict[CleanLine, PlayedPart] = Field(default_factory=dict)
    """Of each kind of scenario, how many there are, and how many the race detector watched to their end."""

    amplified: int = 0
    """Native calls of own tests and examples that threads of a forked process made as well."""


class CallablePart(Part):
    """How safe a native callable is, or a type where a fault is only known to be of that."""

    name: CleanLine
    level: Level

    needs: Need | None
    """What threads have to share for its faults to show; null where none was seen."""

    consequence: Consequence | None
    """The worst that its faults do; null where none was seen."""

    findings: list[str]
    """Ids of the findings about it."""


class QuotePart(Part):
    """A sentence of a project about threads."""

    file: CleanLine
    """Where it stands: a path in the sdist, or `METADATA` of the wheel."""

    line: int | None
    """From 1; null where it is not known."""

    text: CleanLine
    """The sentence, without markup."""

    about: CleanLine = ""
    """The class or function in whose docstring it stands; empty elsewhere."""


class UpstreamPart(Part):
    """What the project says of threads itself."""

    classifier: CleanLine
    """The grade in its trove classifier of free threading, such as `3 - Stable`; `stated` where it has no grade, empty
    where there is no such classifier."""

    meaning: CleanText
    """What that grade means; empty where nothing is known of it."""

    quotes: list[QuotePart]
    """Sentences of its README, documents and docstrings, those that say most first."""

    disagreement: CleanText
    """Where that and what was measured differ, in a sentence; empty where they do not."""


class ThreadSafetyPart(Part):
    """How safe a package is under threads, in CPython's terms (its documentation, "Thread Safety Guarantees")."""

    level: Level
    """`shared`: threads may share its objects; `distinct`: if each thread has objects of its own; `compatible`: if a
    lock is round every call; `incompatible`: not even then; `unknown`: too little was tried, or not settled."""

    sentence: CleanText
    """What that means, for someone who knows no C."""

    callables: list[CallablePart]
    """What is known of each native callable that threads called, the least safe first."""

    not_tried: list[CleanLine]
    """Native callables that threads did not call: the first of them."""

    not_tried_count: int
    """How many these are in all."""

    upstream: UpstreamPart | None = None
    """What the project says of it itself; null where it says nothing."""


def make_exercised_part(coverage: ThreadCoverage) -> ExercisedPart:
    """Return how much native code the thread tests exercised, and how likely they miss a rare race."""
    return ExercisedPart(
        native_callables=coverage.callables,
        called_alone=coverage.alone,
        under_threads=coverage.under_threads,
        pairs=coverage.pairs,
        missed=round(coverage.miss_probability(_RARITY), _MISSED_DIGITS),
        race_detector=coverage.detector,
        scenarios={
            kind: PlayedPart(planned=planned, played=played)
            for kind, (planned, played) in sorted(coverage.kinds.items())
        },
        amplified=coverage.amplified,
    )


def make_safety_part(safety: ThreadSafety) -> ThreadSafetyPart:
    """Return how safe a package is under threads, in the form of verdicts.json."""
    callables = [
        CallablePart(
            name=row.name,
            level=row.level,
            needs=row.needs,
            consequence=row.consequence,
            findings=list(row.findings),
        )
        for row in safety.callables
    ]

    return ThreadSafetyPart(
        level=safety.level,
        sentence=safety.sentence,
        callables=callables,
        not_tried=list(safety.not_tried[:_MAX_NOT_TRIED]),
        not_tried_count=len(safety.not_tried),
        upstream=None if safety.upstream is None else _upstream_part(safety.upstream),
    )


def _upstream_part(words: UpstreamWords) -> UpstreamPart:
    """Return what a project says of threads, in the form of verdicts.json."""
    quotes = [
        QuotePart(file=quote.file, line=quote.line or None, text=quote.text, about=quote.about)
        for quote in words.quotes
    ]

    return UpstreamPart(
        classifier=words.classifier,
        meaning=words.meaning,
        quotes=quotes,
        disagreement=words.disagreement,
    )
