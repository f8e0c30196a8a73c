"""For `wheelfarm gc`: what a run would use, and the removal of what the engine holds beside that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from builder.config.effort import EffortLevel
from builder.engine import connection
from builder.errors import EngineMissingError
from builder.farm.garbage import MatrixUsage
from builder.farm.prepare import RunRequest, prepare
from builder.jobs.build.build import Build
from builder.jobs.job import recorded_lookup

if TYPE_CHECKING:
    from collections.abc import Collection

    from builder.config.matrix import Matrix
    from builder.execute import Observer
    from builder.store.job_ids import JobId
    from builder.store.store import Store


def find_usage(matrix: Matrix, store: Store, observer: Observer) -> MatrixUsage:
    """Return the jobs, evidence and sdists that runs of the matrix would use, all effort levels together.

    `wheelfarm gc` must not remove any of this.

    Args:
        matrix: the packages, bases and ABIs.
        store: the store of the wheelhouse; the caller holds its lock.
        observer: shows the progress of resolving.
    """
    jobs: set[JobId] = set()
    keys: set[str] = set()
    sdists: set[str] = set()
    lookup = recorded_lookup(store)
    for effort in EffortLevel:
        # Garbage is not worth a query of the index: any recorded resolution will do.
        request = RunRequest(effort=effort, max_age_s=math.inf, again=True)
        plan = prepare(matrix, store, request, observer).plan

        jobs.update(plan.jobs)
        for evidence in plan.find_evidence(lookup).values():
            keys.add(evidence.key)
        for job in plan.jobs.values():
            if isinstance(job, Build):
                sdists.add(job.sdist_sha256)

    return MatrixUsage(jobs=frozenset(jobs), keys=frozenset(keys), sdists=frozenset(sdists))


def sweep_engine(
    store: Store, used: MatrixUsage, images: Collection[str], limit_bytes: int | None
) -> dict[str, int] | None:
    """Remove what no run needs from the container engine: leftovers of killed builds, images, compiler caches.

    Args:
        store: the store of the wheelhouse; the caller holds its lock.
        used: what a run of the matrix would use.
        images: tags of the images to remove.
        limit_bytes: size that all compiler caches together may have; None for no limit.

    Returns:
        The number removed of each kind, without kinds of which there was nothing to remove; None if no engine answers.
    """
    try:
        engine = connection.connect(store.farm_id)
    except EngineMissingError:
        return None

    counts = {
        "containers": engine.reap(),
        "images": engine.images.remove(images),
        "compiler caches": engine.remove_compiler_caches(used.sdists, limit_bytes),
    }
    return {kind: count for kind, count in counts.items() if count}
