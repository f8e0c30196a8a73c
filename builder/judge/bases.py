"""What importing a package's wheels showed on each base, in one word. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from builder.judge import loads as load_rules
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.store.evidence import Evidence


class Outcome(StrEnum):
    """What became of a package on a base; of several wheels the first that applies tells."""

    FAILS = "fails"
    """A wheel that claims to run there does not install or import."""
    UNDETERMINED = "undetermined"
    """The farm could not tell."""
    IMPORTS = "imports"
    NOT_CLAIMED = "not-claimed"
    """Its wheels need a newer system."""
    NO_WHEEL = "no-wheel"


def outcomes(loads: Mapping[tuple[str, str], Evidence], abi: str, name: str) -> dict[str, Outcome]:
    """Return the outcome by base.

    Args:
        loads: evidence by (built on, loaded on).
        abi: the ABI that is asked about.
        name: the package.
    """
    seen: dict[str, list[Outcome]] = {}
    for (_, base), load in loads.items():
        seen.setdefault(base, []).append(_outcome(load, abi, name))
    order = list(Outcome)
    return {base: min(found, key=order.index) for base, found in seen.items()}


def _outcome(load: Evidence, abi: str, name: str) -> Outcome:
    if not load.determined:
        return Outcome.UNDETERMINED
    facts = load.facts["loads"].get(abi)
    if facts is None:
        return Outcome.NO_WHEEL
    if not facts["claimed"]:
        return Outcome.NOT_CLAIMED
    failed = any(
        finding.verdict is Verdict.IMPORT_FAILURE for finding in load_rules.findings(facts, name)
    )
    return Outcome.FAILS if failed else Outcome.IMPORTS
