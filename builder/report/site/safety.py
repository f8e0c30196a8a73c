"""How safe a package is under threads, in words for its page and for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.verdicts.levels import Consequence, Level, Need
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from builder.report.document import CallablePart, QuotePart, ThreadSafetyPart, UpstreamPart

MOST_NAMED = 40
"""Names in a list: about what fits on a screen; verdicts.json has more."""

LEVEL_WORDS = {
    Level.SHARED: "yes",
    Level.DISTINCT: "no: one for each thread",
    Level.UNKNOWN: "not known",
    Level.COMPATIBLE: "no, and each call needs a lock",
    Level.INCOMPATIBLE: "no, and a lock does not help",
}
"""Whether several threads may use it at the same time."""

NEED_WORDS = {
    Need.NOTHING: "nothing",
    Need.READING: "an object, even if they only read it",
    Need.COMPONENT: "what their objects are made of",
    Need.ARGUMENT: "an argument",
    Need.OBJECT: "an object",
    Need.UNKNOWN: "not known",
}
"""What threads share when it breaks."""

CONSEQUENCE_WORDS = {
    Consequence.CRASH: "crash",
    Consequence.FREED: "use of freed memory",
    Consequence.WRONG: "wrong results",
    Consequence.HANG: "threads wait for ever",
    Consequence.RACE: "data race, no harm seen",
}
"""What happens then."""


def list_broken(part: ThreadSafetyPart) -> list[CallablePart]:
    """Return the callables that threads must not share, the least safe first."""
    return [row for row in part.callables if row.needs is not None]


def name_shareable(part: ThreadSafetyPart) -> str:
    """Return the callables in which nothing broke, for a sentence; empty where there are none."""
    names = [row.name for row in part.callables if row.level is Level.SHARED]
    return join_names(names, MOST_NAMED) if names else ""


def place_of(quote: QuotePart) -> str:
    """Return where a sentence of the project stands: `README.md, line 12`, `pkg/core.py, line 3 (Box)`."""
    place = quote.file if quote.line is None else f"{quote.file}, line {quote.line}"
    return f"{place} ({quote.about})" if quote.about else place


def explain_classifier(upstream: UpstreamPart) -> str:
    """Return what the classifier of free threading says, in words; empty without one."""
    if not upstream.classifier:
        return ""
    if not upstream.meaning:
        return "its classifier states support of free threading, without a grade"
    return f"its classifier is `{upstream.classifier}`: {upstream.meaning}"


def name_not_tried(part: ThreadSafetyPart) -> str:
    """Return the callables that threads did not call, for a sentence; empty where there are none."""
    if not part.not_tried:
        return ""

    listed = part.not_tried[:MOST_NAMED]
    hidden = part.not_tried_count - len(listed)
    names = ", ".join(listed)
    return f"{names} and {hidden} more" if hidden > 0 else names
