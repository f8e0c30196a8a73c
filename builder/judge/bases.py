"""What importing a package's wheels showed on each base, in one word. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from builder.judge.loads import judge_load
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.evidence.load import LoadFacts


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
    loads: Mapping[tuple[str, str], LoadFacts | None], abi: str, name: str
) -> dict[str, BaseOutcome]:
    """Return by base what became of the package's wheels there, for one ABI.

    Wheels built on several bases may be loaded on one base; of their outcomes the first in the order of `BaseOutcome`
    counts, so one failing wheel is not hidden by another that imports.

    Args:
        loads: facts by (built on, loaded on); None where the job could not find them out.
        abi: the ABI that is asked about.
        name: the package.
    """
    outcomes: dict[str, list[BaseOutcome]] = {}
    for (_, base), load in loads.items():
        outcomes.setdefault(base, []).append(_judge_base(load, abi, name))

    order = list(BaseOutcome)
    return {base: min(of_base, key=order.index) for base, of_base in outcomes.items()}


def _judge_base(load: LoadFacts | None, abi: str, name: str) -> BaseOutcome:
    """Return what one wheel showed on one base; UNDETERMINED where the load job has no facts (None).

    A finding counts as a failure only where it forces the verdict `import-failure`.
    """
    if load is None:
        return BaseOutcome.UNDETERMINED

    abi_load = load.loads.get(abi)
    if abi_load is None:
        return BaseOutcome.NO_WHEEL
    if not abi_load.claimed:
        return BaseOutcome.NOT_CLAIMED

    findings = judge_load(abi_load, name)
    if any(finding.verdict is Verdict.IMPORT_FAILURE for finding in findings):
        return BaseOutcome.FAILS

    return BaseOutcome.IMPORTS
