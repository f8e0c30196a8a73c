"""Verdicts -> the channels of the index and the constraints files that belong to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder import index
from builder.config import catalog
from builder.farm import unchanged
from builder.host.actor import find_actor
from builder.index import channels, constraints, policy
from builder.index.closure import close_index
from builder.index.rollout import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.config.matrix import Matrix
    from builder.execute import Observer
    from builder.index import Manifest
    from builder.index.channels import RolledOut
    from builder.index.closure import Closure
    from builder.judge.package import JudgedPackage
    from builder.store.store import Store


def close(judged: Sequence[JudgedPackage], matrix: Matrix) -> Closure:
    """Return judged packages in which what lacks a requirement is held back, by the policy of a matrix."""
    tables = catalog.load()
    return close_index(judged, matrix.farm.publish, [tables.abis[name] for name in matrix.abis])


def publish(
    closure: Closure,
    matrix: Matrix,
    store: Store,
    observer: Observer | None = None,
) -> Manifest:
    """Publish the channels of the index, and the constraints files for what is served.

    The channels are `simple/`, with the wheels that the matrix's policy admits, and the quarantine with the others.
    Where the matrix has a rollout, `canary/` has what policy admits, and `simple/` what of that was promoted.

    Args:
        closure: packages with their verdicts, and what lacks a requirement.
        matrix: its policy says which verdicts are served.
        store: the store of the wheelhouse; the caller holds its lock.
        observer: is told which files are not in the index though they should be; None where nobody is.

    Returns:
        What policy admits and the index has: the content of `simple/`, or of `canary/` where the matrix has a rollout.
    """
    judged, withheld = closure.packages, closure.withheld
    served_files, quarantined_files = policy.assign_channels(judged, matrix.farm.publish, withheld)
    served = index.describe(served_files, store)
    quarantined = index.describe(quarantined_files, store)

    if matrix.rollout is None:
        publication = index.publish(served, store, quarantined)
        messages = []
    else:
        standing = Policy(
            quarantine=quarantined,
            refused=policy.find_refused_releases(judged, matrix.farm.publish),
            projects=frozenset(package.project for package in judged),
            abis=matrix.abis,
        )
        rolled_out = channels.publish_rollout(
            served, served_files, standing, matrix, store, find_actor()
        )
        publication = rolled_out.publication
        messages = list(_describe_rollout(rolled_out))

    if observer is not None:
        for filename, reason in publication.refused.items():
            observer.say(f"not published: {filename}: {reason}")
        for message in messages:
            observer.say(message)
    remarks = policy.collect_remarks(judged, withheld)
    constraints.write_channels(publication, matrix.abis, remarks, store.wheelhouse, withheld)
    return publication.served if publication.canary is None else publication.canary


def _describe_rollout(rolled_out: RolledOut) -> Iterator[str]:
    """Iterate over what a run changed in `simple/`, in sentences."""
    for filename, reason in rolled_out.withdrawn.items():
        yield f"withdrawn from simple/: {filename}: {reason}"
    for candidate in rolled_out.promotion.promoted:
        yield f"promoted: {candidate.release.name}"


def promote_passing(matrix: Matrix, store: Store, observer: Observer) -> None:
    """Promote what has become old enough since the last run, where the matrix asks for it."""
    promoted = channels.promote_passing(store, matrix, find_actor())
    for candidate in promoted:
        observer.say(f"promoted: {candidate.release.name}")
    if promoted:
        unchanged.record_promotion(store)
