"""What the jobs of a shard may take of its record: one package's answers may not keep all others from being merged.

A reader takes no record above its limits (builder/farm/shard_record.py), and refuses the whole of one in which a single
answer does not fit. So what a reader would refuse is left out before the record is written, with all that was found out
on top of it: that package alone is undetermined where the shards are merged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.evidence.base import UndeterminedFacts
from builder.farm.shard_record import UnfitEvidenceError, encode_evidence
from builder.store.evidence import Evidence, JobOutcome
from builder.store.job_ids import JobKind
from builder.untrusted.text import count_item_marks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.plan.graph import Plan
    from builder.store.job_ids import JobId


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordRoom:
    """How much room there is in a record, or how much of it something takes.

    Attributes:
        bytes: of JSON.
        items: values in it, as a reader counts them before it makes anything of them.
    """

    bytes: int
    items: int

    def __sub__(self, other: RecordRoom) -> RecordRoom:
        return RecordRoom(bytes=self.bytes - other.bytes, items=self.items - other.items)

    @property
    def is_exceeded(self) -> bool:
        """Whether more was taken from it than there was."""
        return self.bytes < 0 or self.items < 0


EVIDENCE_ROOM = RecordRoom(bytes=192 << 20, items=15_000_000)
"""For the evidence of a record: three quarters of what a reader takes. The rest is for the packages' sources."""


def fit_evidence(
    evidence: Mapping[JobId, Evidence], plan: Plan, room: RecordRoom = EVIDENCE_ROOM
) -> dict[JobId, Evidence]:
    """Return the evidence of a shard's jobs as it goes into the record; what does not fit is undetermined.

    Where all of it together takes more room than there is, the package that takes the most loses its largest answer,
    until the rest fits. What stands on a lost answer is lost as well.

    Args:
        evidence: by job.
        plan: which job stands on which.
        room: how much there is for all of them.
    """
    sizes: dict[JobId, RecordRoom] = {}
    lost: dict[JobId, str] = {}
    for job, recorded in evidence.items():
        try:
            sizes[job] = _measure(job, recorded)
        except UnfitEvidenceError as error:
            lost[job] = f"its answer does not fit into the record of a shard: {error}"

    left = room
    for size in sizes.values():
        left -= size

    while left.is_exceeded:
        largest = _find_largest(sizes)
        if largest is None:
            break  # images alone, which are the farm's own
        size = sizes.pop(largest)
        left = RecordRoom(bytes=left.bytes + size.bytes, items=left.items + size.items)
        lost[largest] = (
            f"its answer takes {size.bytes:,} bytes and {size.items:,} items, "
            "which leaves no room for other packages in the record of a shard"
        )

    return _lose(evidence, plan, lost)


def _measure(job: JobId, recorded: Evidence) -> RecordRoom:
    content = encode_evidence(job, recorded)
    return RecordRoom(bytes=len(content), items=count_item_marks(content))


def _find_largest(sizes: Mapping[JobId, RecordRoom]) -> JobId | None:
    """Return the job with the largest answer of the package that takes the most; None where only images are left."""
    totals: dict[str, int] = {}
    for job, size in sizes.items():
        if job.kind != JobKind.IMAGE:
            totals[job.name] = totals.get(job.name, 0) + _weigh(size)
    if not totals:
        return None

    name = max(totals, key=lambda name: totals[name])
    own = [job for job in sizes if job.kind != JobKind.IMAGE and job.name == name]
    return max(own, key=lambda job: _weigh(sizes[job]))


def _weigh(size: RecordRoom) -> int:
    """Return a size as one number: a reader takes some 100 bytes of memory for an item, and one for a byte."""
    return size.bytes + 100 * size.items


def _lose(
    evidence: Mapping[JobId, Evidence], plan: Plan, lost: Mapping[JobId, str]
) -> dict[JobId, Evidence]:
    """Return evidence in which some jobs have no result, and neither have those that stand on one of them.

    Args:
        evidence: by job.
        plan: which job stands on which.
        lost: why the result of a job is lost.
    """
    if not lost:
        return dict(evidence)

    reasons = dict(lost)
    # Each job of a plan comes after those it needs.
    for job in plan.jobs.values():
        for need in job.needs.values():
            if need in reasons and job.id not in reasons:
                reasons[job.id] = f"{need} has no result: {reasons[need]}"

    kept: dict[JobId, Evidence] = {}
    for job_id, recorded in evidence.items():
        reason = reasons.get(job_id)
        if reason is None:
            kept[job_id] = recorded
            continue
        kept[job_id] = Evidence(
            key="",
            job=job_id,
            outcome=JobOutcome.UNDETERMINED,
            reason=reason,
            facts=UndeterminedFacts(code="WF904").to_json(),
        )

    return kept
