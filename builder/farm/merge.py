"""Merging the wheelhouses of a run's shards into one store. Each shard leaves `shard.json` in its wheelhouse.

A shard is believed about its own packages and about nothing else: it ran hostile code on another machine. All of it is
read and checked first, beside the store; only when nothing was refused is any of it taken in. Images are never taken
in: this machine makes them, or has them in its engine (docs/decisions/0010-shards-bring-their-evidence.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.config.effort import EffortLevel
from builder.farm.shard_evidence import check_evidence
from builder.farm.shard_intake import Intake
from builder.farm.shard_record import RECORD_FILE, matrix_digest, write_record
from builder.farm.shard_results import read_results
from builder.farm.shard_sources import check_shards, join_sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from builder.config.matrix import Matrix
    from builder.sources import Sources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store

__all__ = ["RECORD_FILE", "MergedShards", "matrix_digest", "merge_shards", "write_record"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedShards:
    """Sources and evidence of all shards, as if one run had found them.

    Attributes:
        sources: the sources of all packages, and the faults of packages without one.
        evidence: the result of every job, by job id.
        effort: how long the shards looked for thread-safety problems.
    """

    sources: Sources
    evidence: Mapping[JobId, Evidence]
    effort: EffortLevel = EffortLevel.QUICK


def merge_shards(wheelhouses: Iterable[Path], matrix: Matrix, store: Store) -> MergedShards:
    """Copy the evidence, files and logs of all shards of a run into one store: all of it, or nothing.

    Args:
        wheelhouses: folders of the shards' results, in any order.
        matrix: the whole matrix, of which each shard is a part.
        store: the store to copy into; the caller holds its lock.

    Returns:
        The sources and evidence of all shards; both are empty if no folder is given.

    Raises:
        MergeError: a shard is missing, damaged, was run with another matrix, or has something that is not its own.
    """
    read_shards = [read_results(wheelhouse) for wheelhouse in wheelhouses]
    in_order = sorted(read_shards, key=lambda shard: shard.record.number)
    check_shards(in_order, matrix)
    sources = join_sources(in_order, matrix)

    with store.scratch_folder() as scratch:
        intake = Intake(scratch, store)
        for shard in in_order:
            check_evidence(shard, matrix)
            intake.take(shard)

        intake.commit()

    effort = in_order[0].record.effort if in_order else EffortLevel.QUICK
    return MergedShards(sources=sources, evidence=intake.evidence, effort=effort)
