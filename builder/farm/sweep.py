"""For `wheelfarm gc`: what a run would use, and what the engine holds that no run does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from builder.config.effort import EffortLevel
from builder.engine import client as engines
from builder.errors import EngineMissingError
from builder.farm.garbage import MatrixUsage
from builder.farm.run import RunRequest, prepare
from builder.jobs.build.build import Build
from builder.jobs.job import recorded_lookup

if TYPE_CHECKING:
    from collections.abc import Collection

    from builder.config.matrix import Matrix
    from builder.execute import Observer
    from builder.store.store import Store


def find_usage(matrix: Matrix, store: Store, observer: Observer) -> MatrixUsage:
    """Find what a run of the matrix would use."""
    jobs: set[str] = set()
    keys: set[str] = set()
    sdists: set[str] = set()
    lookup = recorded_lookup(store)
    for effort in EffortLevel:
        prepared = prepare(
            matrix, store, RunRequest(effort=effort, max_age_s=math.inf, again=True), observer
        )
        jobs |= prepared.plan.jobs.keys()
        keys |= {evidence.key for evidence in prepared.plan.find_evidence(lookup).values()}
        sdists |= {
            job.sdist_sha256 for job in prepared.plan.jobs.values() if isinstance(job, Build)
        }
    return MatrixUsage(jobs=frozenset(jobs), keys=frozenset(keys), sdists=frozenset(sdists))


def sweep_engine(
    store: Store, used: MatrixUsage, images: Collection[str], room: int | None
) -> dict[str, int] | None:
    """Remove from the engine what no run needs: what killed builds left, images, what compilers kept.

    Args:
        store: the wheelhouse; the caller holds its lock.
        used: what a run would use.
        images: tags of images that are to go.
        room: bytes there are for compiler caches; None for any number.

    Returns:
        How many of each there were, or None where no engine answers.
    """
    try:
        found = engines.connect(store.farm_id)
    except EngineMissingError:
        return None
    counts = {
        "containers": found.reap(),
        "images": found.remove_images(images),
        "compiler caches": found.remove_compiler_caches(used.sdists, room),
    }
    return {what: count for what, count in counts.items() if count}
