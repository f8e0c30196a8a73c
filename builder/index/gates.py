"""What a release of `canary/` has to pass before it is promoted. Pure: what is known of it goes in, a result comes out.

A gate that something else measures (`measurement`, `soak`) takes the result that was handed in: measurements by
`measurement_results.py`. One that was asked for and of which nothing is known refuses: what nobody looked at is not
promoted.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from builder.distributions.tags import is_pure_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from builder.config.values import GateName
    from builder.index.rollout import PendingRelease
    from builder.store.publications import ChannelChange

_REMEDIES = {"measurement": "; `wheelfarm measure --canary` gives one"}
"""By gate, how to get a result where there is none."""

ROLLBACK = "rollback"
"""A gate that is always asked: what a rollback took out of `simple/` does not come back by itself."""


class GateOutcome(StrEnum):
    """What a gate says of a release."""

    PASSED = "passed"
    FAILED = "failed"
    MISSING = "missing"
    """It was asked for, and nothing is known: that refuses as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateResult:
    """What a gate says of a release.

    Attributes:
        gate: name of the gate.
        outcome: whether it lets the release pass.
        reason: why, in a sentence.
    """

    gate: str
    outcome: GateOutcome
    reason: str

    @property
    def has_passed(self) -> bool:
        """Whether it lets the release pass."""
        return self.outcome is GateOutcome.PASSED

    def record(self) -> dict[str, str]:
        """Return the fields as JSON data."""
        return {"gate": self.gate, "outcome": self.outcome.value, "reason": self.reason}


HandedResults = dict[str, dict[frozenset[str], GateResult]]
"""By gate, and by the sha256 of the wheels that were looked at, what something else found out about a release.

They are the hashes of the release's pending wheels: a result about other files says nothing.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What a promotion goes by.

    Attributes:
        gates: names of the gates that the matrix asks for.
        age: how long a release has to have been in `canary/`.
        verdicts: those that the gate `verdict` accepts.
        now: the time that ages are counted to.
        results: what was handed in.
        taken_back: by sha256 of a wheel, the rollback that took it out of `simple/`, in a sentence.
    """

    gates: tuple[GateName, ...]
    age: datetime.timedelta
    verdicts: Collection[str]
    now: datetime.datetime
    results: Mapping[str, Mapping[frozenset[str], GateResult]] = field(default_factory=dict)
    taken_back: Mapping[str, str] = field(default_factory=dict)


def ask_gates(release: PendingRelease, rules: Rules) -> tuple[GateResult, ...]:
    """Return what each gate says of a release: those of the matrix, then the one for rollbacks where it refuses."""
    results = [GATES[name](release, rules) for name in rules.gates]
    was_taken_back = not release.hashes.isdisjoint(rules.taken_back)
    if was_taken_back:
        results.append(_refuse_return(release, rules))

    return tuple(results)


def _check_verdict(release: PendingRelease, rules: Rules) -> GateResult:
    """Let a release pass whose wheels have accepted verdicts alone. Pure wheels that come with packages have none."""
    refused: list[str] = []
    for file in release.files:
        stated = parse_verdicts(file.entry.verdicts)
        if not stated and not is_pure_wheel(file.entry.filename):
            reason = f"nothing is known of {file.entry.filename}"
            return GateResult(gate="verdict", outcome=GateOutcome.MISSING, reason=reason)
        for abi, verdict in stated.items():
            if verdict not in rules.verdicts:
                refused.append(f"{verdict} on {abi}")

    if refused:
        reason = f"{', '.join(dict.fromkeys(refused))}: not a verdict that is promoted"
        return GateResult(gate="verdict", outcome=GateOutcome.FAILED, reason=reason)
    return GateResult(
        gate="verdict", outcome=GateOutcome.PASSED, reason="every verdict is accepted"
    )


def parse_verdicts(text: str) -> dict[str, str]:
    """Return verdicts by ABI, from an entry of the index: `cp314 compatible, cp314t distinct`."""
    verdicts: dict[str, str] = {}
    for part in text.split(", "):
        abi, separator, verdict = part.partition(" ")
        if separator:
            verdicts[abi] = verdict

    return verdicts


def _check_age(release: PendingRelease, rules: Rules) -> GateResult:
    """Let a release pass that has been in `canary/` long enough with its verdicts."""
    since = datetime.datetime.fromisoformat(release.since)
    ready_at = since + rules.age
    if rules.now >= ready_at:
        reason = f"in canary since {_format_moment(since)}"
        return GateResult(gate="age", outcome=GateOutcome.PASSED, reason=reason)

    reason = f"in canary since {_format_moment(since)}: old enough at {_format_moment(ready_at)}"
    return GateResult(gate="age", outcome=GateOutcome.FAILED, reason=reason)


def _format_moment(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _take_result(gate: str, release: PendingRelease, rules: Rules) -> GateResult:
    """Return the result that was handed in for exactly the wheels that wait."""
    result = rules.results.get(gate, {}).get(release.hashes)
    if result is None:
        reason = f"no result for these wheels{_REMEDIES.get(gate, '')}"
        return GateResult(gate=gate, outcome=GateOutcome.MISSING, reason=reason)

    return result


def _refuse_return(release: PendingRelease, rules: Rules) -> GateResult:
    reasons = {rules.taken_back[sha256] for sha256 in release.hashes if sha256 in rules.taken_back}
    return GateResult(gate=ROLLBACK, outcome=GateOutcome.FAILED, reason="; ".join(sorted(reasons)))


def find_taken_back(changes: Iterable[ChannelChange]) -> dict[str, str]:
    """Return the rollback that took each wheel out of `simple/`, in a sentence, by sha256.

    A wheel that was promoted after that is left out.

    Args:
        changes: promotions and rollbacks, the newest first.
    """
    decided: set[str] = set()
    taken_back: dict[str, str] = {}
    for change in changes:
        for release in change.releases:
            for file in release["files"]:
                sha256 = file["sha256"]
                if sha256 in decided:
                    continue
                decided.add(sha256)
                if release["moved"] == "out":
                    moment = datetime.datetime.fromtimestamp(change.at, datetime.UTC)
                    why = f": {change.reason}" if change.reason else ""
                    taken_back[sha256] = (
                        f"{change.by} took it back at {_format_moment(moment)}{why}"
                    )

    return taken_back


GATES: dict[GateName, Callable[[PendingRelease, Rules], GateResult]] = {
    "verdict": _check_verdict,
    "age": _check_age,
    "measurement": partial(_take_result, "measurement"),
    "soak": partial(_take_result, "soak"),
}
"""Every gate that a matrix can ask for."""
