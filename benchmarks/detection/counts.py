"""Counts what a way of looking found, missed and blamed wrongly: one count for wheelfarm's methods and other tools."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.detection.labels import GIL

if TYPE_CHECKING:
    from benchmarks.detection.labels import Label

_NAMES_GIL = re.compile(r"\bgil\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a way of looking came to for one package.

    Attributes:
        label: what is known of the package.
        is_blamed: whether it reported a fault.
        names_fault: whether what it reported names the fault: one of the functions, or the GIL.
        seconds: what it took.
    """

    label: Label
    is_blamed: bool
    names_fault: bool
    seconds: float


def names_fault(label: Label, text: str) -> bool:
    """Return whether a text names the fault of a package.

    That is one of its functions, or the GIL where importing the package turns it on. Without either, any text does.
    """
    if label.expected == GIL:
        return _NAMES_GIL.search(text) is not None

    return contains_function(label.functions, text)


def contains_function(functions: tuple[str, ...], text: str) -> bool:
    """Return whether a text names one of some functions; true where there is none to be named.

    Native and Python names are one: `memo_get` is `Memo.get`.
    """
    if not functions:
        return True

    for function in functions:
        name = re.escape(function.lower()).replace("_", "[._]")
        is_named = re.search(rf"(?<![a-z0-9]){name}(?![a-z0-9_])", text.lower())
        if is_named:
            return True

    return False


def count_outcomes(outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the counts of a way of looking.

    Returns:
        `blamed`: of the packages with a fault, those of which a fault was reported, in whatever function.
        `right`: those of which the report names the fault.
        `faulty`: all packages with a fault.
        `unfound`: the names of the other packages with a fault.
        `condemned`: the names of packages without a fault that were blamed.
        `safe`: how many packages have no fault.
        `faults`: by kind of fault, [right, all].
        `seconds`: of all packages.
    """
    blamed = 0
    right = 0
    safe = 0
    unfound: list[str] = []
    condemned: list[str] = []
    faults: dict[str, list[int]] = {}
    for outcome in outcomes:
        label = outcome.label
        name = f"{label.package} {label.version}".strip()
        if not label.is_faulty:
            safe += 1
            if outcome.is_blamed:
                condemned.append(name)
            continue

        is_right = outcome.is_blamed and outcome.names_fault
        blamed += outcome.is_blamed
        right += is_right
        if not is_right:
            unfound.append(name)

        counted = faults.setdefault(label.kind, [0, 0])
        counted[0] += is_right
        counted[1] += 1

    return {
        "blamed": blamed,
        "right": right,
        "faulty": len(outcomes) - safe,
        "unfound": unfound,
        "condemned": condemned,
        "safe": safe,
        "faults": faults,
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
    }
