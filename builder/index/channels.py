"""The channels of an index with a rollout: what a run leaves in them, and what a promotion moves.

A run publishes all channels at once, and so does a promotion: files before pages, each project by its own, and a wheel
that is promoted is in `canary/` all the while (`builder/index/publish.py`).
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from builder.config import catalog
from builder.errors import PromotionError
from builder.index import constraints
from builder.index.gates import HandedResults, Rules, find_taken_back
from builder.index.manifest import CANARY_CHANNEL, QUARANTINE_CHANNEL, SERVED_CHANNEL
from builder.index.measurement_results import MEASUREMENT, find_measurement_results
from builder.index.promotion import list_candidates, plan_promotion
from builder.index.publish import publish
from builder.index.requirements import read_requirements
from builder.index.rollout import carry_over, stamp_entries, version_of
from builder.index.snapshots import current_manifests
from builder.store.publications import ChannelChange
from builder.untrusted.names import UntrustedNameError
from builder.untrusted.package_names import (
    parse_package_name,
    project_of,
)
from builder.untrusted.package_names import (
    version_of as stated_version,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from builder.config.matrix import Matrix
    from builder.index.manifest import Manifest, ServedFile
    from builder.index.promotion import Candidate, Promotion
    from builder.index.publish import Publication
    from builder.index.rollout import Policy
    from builder.store.store import Store

_AUTOMATIC = "every gate passed (automatic = true)"
"""The reason of a promotion that nobody asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromotionRequest:
    """What somebody wants to be promoted.

    Attributes:
        names: projects, or releases as `numpy==2.4.0`; empty for everything that is pending.
        by: who wants it.
        reason: why.
        forced: whether gates that refuse are passed over.
        results: what other programs found out for gates, in place of what is recorded.
    """

    names: Sequence[str] = ()
    by: str
    reason: str = ""
    forced: bool = False
    results: HandedResults | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RolledOut:
    """What a run published.

    Attributes:
        publication: the channels.
        promotion: what it promoted.
        withdrawn: files that `simple/` had and no longer has, and why, by name.
    """

    publication: Publication
    promotion: Promotion
    withdrawn: Mapping[str, str]


def make_rules(matrix: Matrix, store: Store, results: HandedResults | None = None) -> Rules:
    """Return what promotions go by: the rollout of a matrix, the time, and what the ledger has for gates.

    That is rollbacks, and the newest measurements where the rollout asks for them.

    Args:
        matrix: it has a rollout.
        store: the store of the wheelhouse.
        results: what other programs found out for gates, in place of what is recorded.

    Raises:
        PromotionError: the matrix has no rollout.
    """
    rollout = matrix.rollout
    if rollout is None:
        raise PromotionError.for_no_rollout(matrix.file)

    recorded: HandedResults = {}
    if MEASUREMENT in rollout.gates:
        recorded = {MEASUREMENT: find_measurement_results(store)}

    return Rules(
        gates=rollout.gates,
        age=rollout.age,
        verdicts=rollout.verdicts or matrix.farm.publish,
        now=datetime.datetime.now(datetime.UTC),
        results={**recorded, **(results or {})},
        taken_back=find_taken_back(store.publications.channel_changes()),
    )


def publish_rollout(
    admitted: Manifest,
    files: Iterable[ServedFile],
    policy: Policy,
    matrix: Matrix,
    store: Store,
    by: str,
) -> RolledOut:
    """Publish what a run admits in `canary/`, and in `simple/` what of that was promoted, or passes now.

    Args:
        admitted: what policy admits.
        files: the same files, with their verdicts.
        policy: what the run says of the others.
        matrix: it has a rollout.
        store: the store of the wheelhouse; the caller holds its lock.
        by: who started the run.
    """
    assert matrix.rollout is not None, "the caller has looked"
    rules = make_rules(matrix, store)
    held = current_manifests(store)
    canary = stamp_entries(
        admitted,
        _collect_verdicts(files),
        held.get(CANARY_CHANNEL, {}),
        rules.now.isoformat(timespec="seconds"),
    )
    abis = _list_abis(matrix)
    requirements = read_requirements((held[SERVED_CHANNEL], canary), store, abis)
    carried = carry_over(held[SERVED_CHANNEL], canary, policy, requirements)

    candidates = list_candidates(carried.served, canary, rules)
    wanted: set[str] = set()
    if matrix.rollout.automatic:
        wanted = {candidate.release.name for candidate in candidates if candidate.has_passed}
    promotion = plan_promotion(candidates, wanted, carried.served, canary, requirements)

    change = _make_change(promotion, by, _AUTOMATIC) if promotion.promoted else None
    publication = publish(promotion.served, store, policy.quarantine, canary=canary, change=change)
    return RolledOut(publication=publication, promotion=promotion, withdrawn=carried.withdrawn)


def _collect_verdicts(files: Iterable[ServedFile]) -> dict[tuple[str, str], str]:
    """Return the verdicts of each file, by name and sha256; of a pure wheel, those of its own package, if any."""
    verdicts: dict[tuple[str, str], str] = {}
    for file in files:
        key = (file.filename, file.sha256)
        verdicts[key] = verdicts.get(key) or file.verdicts

    return verdicts


def list_pending(store: Store, matrix: Matrix) -> tuple[Candidate, ...]:
    """Return what waits for its promotion, with what each gate says.

    Raises:
        PromotionError: the matrix has no rollout, or the index no canary channel.
    """
    rules = make_rules(matrix, store)
    manifests = current_manifests(store)
    if CANARY_CHANNEL not in manifests:
        raise PromotionError.for_no_canary(store.wheelhouse)

    return list_candidates(manifests[SERVED_CHANNEL], manifests[CANARY_CHANNEL], rules)


def promote(store: Store, matrix: Matrix, request: PromotionRequest) -> Promotion:
    """Promote releases from `canary/` to `simple/`, record that, and write the constraints files that belong to it.

    Args:
        store: the store of the wheelhouse; the caller holds its lock.
        matrix: its rollout has the gates.
        request: what to promote, and for whom.

    Raises:
        PromotionError: the matrix has no rollout, the index no canary channel, or the channel not what was named.

    Returns:
        What was promoted and what was refused.
    """
    rules = make_rules(matrix, store, request.results)
    manifests = current_manifests(store)
    if CANARY_CHANNEL not in manifests:
        raise PromotionError.for_no_canary(store.wheelhouse)

    served, canary = manifests[SERVED_CHANNEL], manifests[CANARY_CHANNEL]
    candidates = list_candidates(served, canary, rules)
    wanted = _select_names(request.names, candidates, canary)
    requirements = read_requirements((served, canary), store, _list_abis(matrix))
    promotion = plan_promotion(
        candidates, wanted, served, canary, requirements, forced=request.forced
    )
    if promotion.promoted:
        publication = publish(
            promotion.served,
            store,
            manifests[QUARANTINE_CHANNEL],
            canary=canary,
            change=_make_change(promotion, request.by, request.reason),
        )
        constraints.rewrite(publication, store.wheelhouse)

    return promotion


def promote_passing(store: Store, matrix: Matrix, by: str) -> tuple[Candidate, ...]:
    """Promote what passes every gate, without a run: time alone may have made it old enough.

    Args:
        store: the store of the wheelhouse; the caller holds its lock.
        matrix: its rollout has the gates.
        by: who started it.

    Returns:
        What was promoted; nothing where the matrix does not ask for it, or the index has no canary channel.
    """
    if matrix.rollout is None or not matrix.rollout.automatic:
        return ()
    if CANARY_CHANNEL not in current_manifests(store):
        return ()

    passing = [item.release.name for item in list_pending(store, matrix) if item.has_passed]
    if not passing:
        return ()
    return promote(
        store, matrix, PromotionRequest(names=passing, by=by, reason=_AUTOMATIC)
    ).promoted


def _list_abis(matrix: Matrix) -> list[catalog.Abi]:
    tables = catalog.load()
    return [tables.abis[name] for name in matrix.abis]


def _make_change(promotion: Promotion, by: str, reason: str) -> ChannelChange:
    releases = [candidate.record() for candidate in promotion.promoted]
    return ChannelChange(kind="promotion", at=time.time(), by=by, reason=reason, releases=releases)


def _select_names(
    names: Sequence[str], candidates: Iterable[Candidate], canary: Manifest
) -> set[str]:
    """Return the pending releases that somebody names: all without a name.

    Raises:
        PromotionError: the canary channel does not have what is named.
    """
    releases = [candidate.release for candidate in candidates]
    if not names:
        return {release.name for release in releases}

    wanted: set[str] = set()
    for text in names:
        project, version = _parse_name(text)
        versions = {version_of(entry) for entry in canary.get(project, ())}
        if version is not None:
            versions = {known for known in versions if Version(known) == version}
        if not versions:
            raise PromotionError.for_unknown(text)
        for release in releases:
            if release.project == project and release.version in versions:
                wanted.add(release.name)

    return wanted


def _parse_name(text: str) -> tuple[str, Version | None]:
    """Return the project and the version that a person means; the version is None for any.

    Raises:
        PromotionError: it is no name of a package.
    """
    try:
        name = parse_package_name(text)
    except UntrustedNameError:
        raise PromotionError.for_unknown(text) from None

    version = stated_version(name)
    return project_of(name), Version(version) if version else None
