"""What one shard of a run leaves, as it was read: nothing of it is believed yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import MergeError
from builder.farm.shard_record import RECORD_FILE, EvidenceRecord, ShardRecord, read_record
from builder.untrusted.folder import UntrustedFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from builder.sources import Pure, Source, Sources
    from builder.store.job_ids import JobId

_RERUN = "run the shard again, with this wheelfarm and on a machine that you trust"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardResults:
    """One shard, as it was read.

    Attributes:
        folder: its wheelhouse.
        record: its record.
        sources: what it says of its packages' sources.
        evidence: what it recorded, by job; that of images among it, which says with what the others were made.
    """

    folder: UntrustedFolder
    record: ShardRecord
    sources: Sources
    evidence: Mapping[JobId, EvidenceRecord]

    def refuse(self, reason: str, remedy: str = _RERUN) -> MergeError:
        """Return the error that refuses the shard."""
        return MergeError(self.folder.path, f"{reason}; {remedy}")


def read_results(wheelhouse: Path) -> ShardResults:
    """Return a shard's record, with its evidence by job.

    Raises:
        MergeError: it has none, or it does not fit the model, or two pieces of evidence are of one job.
    """
    folder = UntrustedFolder(wheelhouse)
    record = read_record(folder)
    evidence: dict[JobId, EvidenceRecord] = {}
    for number, recorded in enumerate(record.evidence):
        if recorded.job in evidence:
            reason = f"{RECORD_FILE}: evidence.{number}.job: {recorded.job} is there twice"
            raise MergeError(wheelhouse, f"{reason}; {_RERUN}")
        evidence[recorded.job] = recorded

    return ShardResults(folder=folder, record=record, sources=record.sources(), evidence=evidence)


def iter_pure(source: Source) -> Iterator[Pure]:
    """Iterate over the pure wheels of a package: those that it needs, and its own if it is one."""
    yield from source.pure
    if source.only_pure is not None:
        yield source.only_pure
