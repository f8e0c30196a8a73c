"""The alert of a night, and the sentences that all kinds of targets say it in. Pure."""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.report.documents.alert import SCHEMA_VERSION, AlertDocument, RegressionPart
from builder.store.hashing import digest
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from builder.config.notify import Trigger
    from builder.report.documents.verdicts_json import Document
    from builder.verdicts import ApplicationVerdict, Verdict

_MAX_REASON = 400
"""Characters of a reason in a message for people: two or three sentences. The document for programs has all of it."""

_MAX_NAME = 100  # characters of a name there; the longest names on the public index have fewer

_ID_DIGITS = 16  # of a hash: enough for the nights of a farm

Place = tuple[str, str, str]
"""What a verdict is about: the name of a package or application, the ABI, and the base, which is empty for packages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a package or application stands now.

    Attributes:
        reason: one sentence for a person, with the way out where there is one.
    """

    verdict: Verdict | ApplicationVerdict
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Night:
    """What targets are told of.

    Attributes:
        alert: the message.
        standings: how everything stands now, by place; for targets that remember what they were told.
    """

    alert: AlertDocument
    standings: Mapping[Place, Standing] = field(default_factory=dict)


def make_alert(
    regressions: Sequence[RegressionPart], matrix: str, generated_at: str, report_url: str
) -> AlertDocument:
    """Return the alert of a night.

    Args:
        regressions: what got worse, the worst first.
        matrix: name of the matrix's file.
        generated_at: when the verdicts were given.
        report_url: where the report is; empty for nowhere.
    """
    records = [regression.model_dump(mode="json") for regression in regressions]
    return AlertDocument(
        schema_version=SCHEMA_VERSION,
        kind="night",
        id=digest(matrix, generated_at, records)[:_ID_DIGITS],
        matrix=matrix,
        generated_at=generated_at,
        summary=summarize(regressions),
        report_url=report_url,
        regressions=list(regressions),
    )


def make_test_alert(matrix: str, report_url: str) -> AlertDocument:
    """Return a test message of this moment; the arguments are those of `make_alert`."""
    now = datetime.datetime.now(datetime.UTC)
    return AlertDocument(
        schema_version=SCHEMA_VERSION,
        kind="test",
        id=digest(matrix, now.isoformat())[:_ID_DIGITS],
        matrix=matrix,
        generated_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        summary="test message: alerts reach this target",
        report_url=report_url,
        regressions=[],
    )


def select_regressions(alert: AlertDocument, triggers: Collection[Trigger]) -> AlertDocument:
    """Return an alert with those regressions alone that a target wants to be told of."""
    selected = [part for part in alert.regressions if part.kind in triggers]
    if alert.kind == "test" or len(selected) == len(alert.regressions):
        return alert

    changes = {"regressions": selected, "summary": summarize(selected)}
    return alert.model_copy(update=changes)


def list_standings(document: Document) -> dict[Place, Standing]:
    """Return how every package and application of a run stands."""
    standings: dict[Place, Standing] = {}
    for package, abi, part in document.iter_verdicts():
        standings[package.name, abi, ""] = Standing(verdict=part.verdict, reason=part.reason)
    for application in document.applications:
        place = (application.name, application.abi, application.base)
        standings[place] = Standing(verdict=application.verdict, reason=application.explain())

    return standings


def summarize(regressions: Sequence[RegressionPart]) -> str:
    """Return what got worse in one line: `lxml on cp314t: racy, was compatible`, or counts where it is more than one.

    `2 verdicts of packages got worse, 1 of an application`
    """
    if not regressions:
        return "nothing got worse"
    if len(regressions) == 1:
        return describe(regressions[0])

    counts = Counter(part.kind for part in regressions)
    texts: list[str] = []
    if counts["worse"]:
        texts.append(f"{_count(counts['worse'], 'verdict')} of packages got worse")
    if counts["undetermined"]:
        texts.append(f"{_count(counts['undetermined'], 'verdict')} of packages became undetermined")
    if counts["application"]:
        texts.append(f"{_count(counts['application'], 'verdict')} of applications got worse")

    return ", ".join(texts)


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


def describe(part: RegressionPart) -> str:
    """Return what is worse in one line, without the reason: `shop on cp314t, debian-12: blocked, was ready`."""
    before = f"was {part.before}" if part.before is not None else "is new"
    return f"{describe_subject(part)}: {part.after}, {before}"


def describe_subject(part: RegressionPart) -> str:
    """Return what a regression is about: `lxml 6.0 on cp314t`, `shop on cp314t, debian-12`."""
    title = clean_line(f"{part.name} {part.version}".strip(), _MAX_NAME)
    place = ", ".join(filter(None, (part.abi, part.base)))
    return f"{title} on {clean_line(place, _MAX_NAME)}"


def explain(part: RegressionPart) -> str:
    """Return why it is worse, on one line of a bounded length, with the way out where one is known."""
    text = f"{part.reason}. Way out: {part.way_out}" if part.way_out else part.reason
    return shorten(text)


def shorten(text: str) -> str:
    """Return a reason on one line of a bounded length."""
    return clean_line(" ".join(text.split()), _MAX_REASON)


def fit_blocks(blocks: Iterable[str], limit: int) -> list[str]:
    """Return the first blocks of text that fit, and where that is not all, a last one that says how many are missing.

    Args:
        blocks: each whole, or not at all.
        limit: characters of all together, a line feed after each.
    """
    all_blocks = list(blocks)
    room = limit - len(_describe_rest(len(all_blocks))) - 1

    shown: list[str] = []
    for block in all_blocks:
        room -= len(block) + 1
        if room < 0:
            break
        shown.append(block)

    hidden = len(all_blocks) - len(shown)
    return [*shown, _describe_rest(hidden)] if hidden else shown


def _describe_rest(number: int) -> str:
    return f"… and {number} more"
