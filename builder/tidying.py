"""For `wheelfarm gc`: what a run would use, and what the engine holds that no run does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import engine as engines
from builder.effort import Level
from builder.errors import EngineMissingError
from builder.farm import Request, prepare
from builder.jobs import all_recorded
from builder.jobs.build import Build

if TYPE_CHECKING:
    from builder.execute import Observer
    from builder.matrix import Matrix
    from builder.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Used:
    """What a run of a matrix would use, however hard it looks.

    Attributes:
        keys: of evidence.
        sdists: sha256 of what it would build.
    """

    keys: frozenset[str]
    sdists: frozenset[str]


def used(matrix: Matrix, store: Store, observer: Observer) -> Used:
    """Find what a run of the matrix would use."""
    keys: set[str] = set()
    sdists: set[str] = set()
    lookup = all_recorded(store)
    for effort in Level:
        prepared = prepare(matrix, store, Request(effort=effort, fresh_s=math.inf, again=True), observer)
        keys |= {evidence.key for evidence in prepared.plan.outlook(lookup).values()}
        sdists |= {job.sdist_sha256 for job in prepared.plan.jobs.values() if isinstance(job, Build)}
    return Used(keys=frozenset(keys), sdists=frozenset(sdists))


def sweep(store: Store, sdists: frozenset[str]) -> dict[str, int]:
    """Remove from the engine, by the farm's labels, what killed builds left and compilers no longer need.

    Args:
        store: the wheelhouse; the caller holds its lock.
        sdists: sha256 of those whose compiler caches stay.

    Returns:
        How many of each there were.
    """
    try:
        found = engines.connect(store.farm_id)
    except EngineMissingError:
        return {}
    counts = {
        "containers": found.reap(),
        "images": found.remove_stray_images(),
        "compiler caches": found.remove_compiler_caches(sdists),
    }
    return {what: count for what, count in counts.items() if count}
