"""What importing a package's wheels showed on each base, in one word. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from builder.judge import loads as load_rules
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.store.evidence import Evidence


class BaseOutcome(StrEnum):
    """What became of a package on a base; of several wheels the first that applies tells."""

    FAILS = "fails"
    """A wheel that claims to run there does not install or import."""
    UNDETERMINED = "undetermined"
    """The farm could not tell."""
    IMPORTS = "imports"
    NOT_CLAIMED = "not-claimed"
    """Its wheels need a newer system."""
    NO_WHEEL = "no-wheel"


def judge_bases(
    loads: Mapping[tuple[str, str], Evidence], abi: str, name: str
) -> dict[str, BaseOutcome]:
    """Return the outcome by base.

    Args:
        loads: evidence by (built on, loaded on).
        abi: the ABI that is asked about.
        name: the package.
    """
    seen: dict[str, list[BaseOutcome]] = {}
    for (_, base), load in loads.items():
        seen.setdefault(base, []).append(_judge_base(load, abi, name))
    order = list(BaseOutcome)
    return {base: min(found, key=order.index) for base, found in seen.items()}


def _judge_base(load: Evidence, abi: str, name: str) -> BaseOutcome:
    if not load.is_determined:
        return BaseOutcome.UNDETERMINED
    facts = load.facts["loads"].get(abi)
    if facts is None:
        return BaseOutcome.NO_WHEEL
    if not facts["claimed"]:
        return BaseOutcome.NOT_CLAIMED
    failed = any(
        finding.verdict is Verdict.IMPORT_FAILURE for finding in load_rules.findings(facts, name)
    )
    return BaseOutcome.FAILS if failed else BaseOutcome.IMPORTS
