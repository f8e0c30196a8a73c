"""How safe a package is under threads, in words for its page and for the terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from builder.verdicts.levels import Consequence, Level, Need
from builder.verdicts.wording import join_names, name_types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.report.documents.findings import FindingPart
    from builder.report.documents.packages import AbiPart
    from builder.report.documents.thread_safety import (
        CallablePart,
        QuotePart,
        ThreadSafetyPart,
        UpstreamPart,
    )

MOST_UNFOLDED = 8
"""Names that a page shows at once; more are counted, and listed where they are asked for."""

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
    Consequence.RACE: "data race: it may corrupt memory, no harm was seen",
}
"""What happens then."""


TAKES_WORDS = {
    Need.NOTHING: "nothing that threads share: only calls at the same time",
    Need.READING: "one object that threads share, even if they only read it",
    Need.COMPONENT: "objects of their own, made of one and the same object",
    Need.ARGUMENT: "one argument that threads share, and that one of them changes",
    Need.OBJECT: "one object that threads share, and that one of them changes",
    Need.UNKNOWN: "not settled",
}
"""What threads have to share for a fault to show, for its card."""

_MOST_QUOTES = 2  # sentences of the project on the card of one fault
_SHORTEST_WORD = 4  # letters of a name that is looked for in a sentence: shorter ones are words of English as well


def list_faults(part: AbiPart) -> list[FindingPart]:
    """Return the findings that are faults under threads, which people are told of by a headline, the worst first."""
    faults = [finding for finding in part.findings if finding.headline and finding.needs]
    return sorted(faults, key=_rank_fault, reverse=True)


def _rank_fault(finding: FindingPart) -> tuple[int, int]:
    consequence = -1 if finding.consequence is None else finding.consequence.rank
    return finding.severity.rank, consequence


def list_others(part: AbiPart) -> list[FindingPart]:
    """Return the other findings, in their order."""
    return [finding for finding in part.findings if not (finding.headline and finding.needs)]


def has_replay(finding: FindingPart) -> bool:
    """Return whether a program of its own shows a finding again."""
    return finding.replay == f"wheelfarm replay {finding.id}"


def capitalize(sentence: str) -> str:
    """Return a sentence with its first letter in upper case, and the others as they are."""
    return sentence[:1].upper() + sentence[1:]


def find_quotes(finding: FindingPart, part: ThreadSafetyPart | None) -> list[QuotePart]:
    """Return the sentences of the project that name a type or function which a fault is about."""
    if part is None or part.upstream is None:
        return []

    names: set[str] = set()
    for dotted_name in re.findall(r"[A-Za-z_][\w.]*", finding.where):
        # The first part is the package, which most of its sentences name.
        names.update(dotted_name.split(".")[1:])
    telling_names = {name for name in names if len(name) >= _SHORTEST_WORD}

    quotes: list[QuotePart] = []
    for quote in part.upstream.quotes:
        words = set(re.findall(r"\w+", quote.text))
        if quote.about in names or not telling_names.isdisjoint(words):
            quotes.append(quote)

    return quotes[:_MOST_QUOTES]


def list_broken(part: ThreadSafetyPart) -> list[CallablePart]:
    """Return the callables that threads must not share, the least safe first."""
    return [row for row in part.callables if row.needs is not None]


def is_told_by_card(part: AbiPart) -> bool:
    """Return whether the reason of a verdict is a fault under threads, which its card tells for people."""
    return any(part.reason.startswith(f"{fault.title}: ") for fault in list_faults(part))


def list_shareable(part: ThreadSafetyPart) -> list[str]:
    """Return the callables in which nothing broke."""
    return [row.name for row in part.callables if row.level is Level.SHARED]


def count_by_type(names: Sequence[str]) -> str:
    """Return how many callables there are of which type, for a sentence: `Box (3), Lid, 2 functions`.

    A method is one of its type, and so are a type that is called and its attributes.
    """
    counts: dict[str, int] = {}
    functions = 0
    for name in names:
        owner = name_types([name])[0]
        short = owner.rpartition(".")[2]
        if owner == name and not short.lstrip("_")[:1].isupper():
            functions += 1
        else:
            counts[short] = counts.get(short, 0) + 1

    parts = [f"{name} ({count})" if count > 1 else name for name, count in counts.items()]
    if functions:
        parts.append(f"{functions} function{'s' if functions > 1 else ''}")
    return join_names(parts, MOST_NAMED)


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


def name_list(names: Sequence[str]) -> str:
    """Return names for a sentence, the first of them where they are many."""
    return join_names(names, MOST_NAMED)


def name_not_tried(part: ThreadSafetyPart) -> str:
    """Return the callables that threads did not call, for a sentence; empty where there are none."""
    if not part.not_tried:
        return ""

    listed = part.not_tried[:MOST_NAMED]
    hidden = part.not_tried_count - len(listed)
    names = ", ".join(listed)
    return f"{names} and {hidden} more" if hidden > 0 else names
