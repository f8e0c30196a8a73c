"""What measurements of `canary/` say to the gate `measurement`: `wheelfarm measure --canary` records them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.evidence.base import EvidenceError
from builder.evidence.kinds import is_readable
from builder.evidence.measurement import MeasurementFacts
from builder.index.gates import GateOutcome, GateResult
from builder.judge.measurements.gate import Admission, admit
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.config.values import GateName
    from builder.store.store import Store

MEASUREMENT: GateName = "measurement"
"""Name of the gate."""

_OUTCOMES: Mapping[Admission, GateOutcome] = {
    Admission.WORSE: GateOutcome.FAILED,
    Admission.UNKNOWN: GateOutcome.MISSING,
    Admission.PASSED: GateOutcome.PASSED,
}

_STRICTEST_FIRST = (GateOutcome.FAILED, GateOutcome.MISSING, GateOutcome.PASSED)
"""Of what several applications say about a release, the first of these counts."""


def find_measurement_results(store: Store) -> dict[frozenset[str], GateResult]:
    """Return what was measured of releases that waited, by the hashes of the wheels that waited.

    Each application that was measured with a release has a say; of each its newest measurement with these wheels.

    Args:
        store: has the measurements.
    """
    newest: dict[frozenset[str], dict[JobId, str]] = {}
    measured: dict[str, tuple[JobId, MeasurementFacts]] = {}
    for key, job, facts in _iter_measurements(store):
        measured[key] = (job, facts)
        for pending in facts.pending:
            newest.setdefault(frozenset(pending.hashes), {})[job] = key

    # One measurement is about many releases, and judging it takes a moment.
    judged: dict[str, GateResult] = {}
    results: dict[frozenset[str], GateResult] = {}
    for hashes, keys in newest.items():
        opinions: list[GateResult] = []
        for key in keys.values():
            if key not in judged:
                judged[key] = _judge(*measured[key])
            opinions.append(judged[key])
        results[hashes] = min(opinions, key=lambda one: _STRICTEST_FIRST.index(one.outcome))

    return results


def _iter_measurements(store: Store) -> Iterator[tuple[str, JobId, MeasurementFacts]]:
    """Yield (key, job, facts) of each whole measurement of releases that waited, the oldest first, if it can be read.

    One of some scenarios or interpreters says nothing of the others, and must not hide what an earlier one said.
    """
    for evidence in store.all_evidence_of(JobKind.MEASUREMENT, "*"):
        if not is_readable(evidence):
            continue
        try:
            facts = MeasurementFacts.read(evidence)
        except EvidenceError:
            continue
        if facts.pending and facts.is_whole:
            yield evidence.key, evidence.job, facts


def _judge(job: JobId, facts: MeasurementFacts) -> GateResult:
    opinion = admit(facts)
    reason = f"{job.name} on {job.base}, measured {facts.moment}: {opinion.reason}"
    return GateResult(gate=MEASUREMENT, outcome=_OUTCOMES[opinion.admission], reason=reason)
