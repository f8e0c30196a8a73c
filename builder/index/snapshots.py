"""What was published before, and the way back to it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import UnknownSnapshotError
from builder.index import constraints
from builder.index.manifest import (
    CANARY_CHANNEL,
    CHANNELS,
    QUARANTINE_CHANNEL,
    SERVED_CHANNEL,
    RecordedManifest,
    project_digests,
)
from builder.index.publish import publish
from builder.index.rollout import record_difference
from builder.store.publications import ChannelChange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.index.manifest import Entry, Manifest
    from builder.index.publish import Publication
    from builder.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """All channels of the index as they once were.

    Attributes:
        id: id of the snapshot, for `rollback`.
        published_at: when it was first published, in seconds since the epoch.
        projects: number of projects.
        is_current: whether the index holds this snapshot now.
    """

    id: str
    published_at: float
    projects: int
    is_current: bool


def list_snapshots(store: Store) -> tuple[Snapshot, ...]:
    """Return every snapshot that is kept, in the order of publication, the current one first."""
    snapshots: list[Snapshot] = []
    for position, (snapshot_id, published_at, projects) in enumerate(
        store.publications.snapshots()
    ):
        snapshot = Snapshot(
            id=snapshot_id,
            published_at=published_at,
            projects=projects,
            is_current=position == 0,
        )
        snapshots.append(snapshot)

    return tuple(snapshots)


def current_manifests(store: Store) -> dict[str, Manifest]:
    """Return the manifest of each channel as it is now, by channel; empty ones before the first publication.

    The canary channel is in it where the index has one.
    """
    snapshot_id = store.publications.current_snapshot()
    if snapshot_id is None:
        return {SERVED_CHANNEL: {}, QUARANTINE_CHANNEL: {}}

    return _load_channels(store, [snapshot_id])[0]


def rollback(
    store: Store, prefix: str = "", *, by: str = "", reason: str = "", thorough: bool = False
) -> Publication:
    """Publish a snapshot again, and write the constraints files that belong to it.

    A snapshot has a manifest (the files of each project) for each channel of the index: the served one, quarantine, and
    the canary channel where there was one. What differs from what the index holds is looked at, content included; if a
    file of it is lost, nothing is changed. The rest lies in the index as it did.

    Args:
        store: the store of the wheelhouse; the caller holds its lock.
        prefix: the snapshot's id or the beginning of it; empty for the snapshot before the current one.
        by: who does it, for the ledger.
        reason: why, for the ledger.
        thorough: whether to look at every page and file, for an index that was damaged.

    Raises:
        UnknownSnapshotError: no snapshot or several have this prefix; or there is one, but the store has lost a file
            of it, so that it cannot be published again.

    Returns:
        What the publication changed.
    """
    ids = store.publications.snapshot_ids()
    snapshot_id = _select_snapshot(ids, prefix)
    current, wanted = _load_channels(store, [ids[0], snapshot_id])

    lost_filename = _find_lost_file(store, {} if thorough else current, wanted)
    if lost_filename:
        raise UnknownSnapshotError.for_lost_file(snapshot_id, lost_filename, ids)

    served = wanted[SERVED_CHANNEL]
    change = ChannelChange(
        kind="rollback",
        at=time.time(),
        by=by,
        reason=reason,
        releases=record_difference(current[SERVED_CHANNEL], served),
    )
    published = publish(
        served,
        store,
        wanted[QUARANTINE_CHANNEL],
        canary=wanted.get(CANARY_CHANNEL),
        change=change,
        thorough=thorough,
    )
    constraints.rewrite(published, store.wheelhouse)
    return published


def _select_snapshot(ids: Sequence[str], prefix: str) -> str:
    """Return the only snapshot whose id begins with a prefix; without a prefix, the one before the current one.

    Args:
        ids: of all snapshots, the newest first.
        prefix: the beginning of an id, or nothing.

    Raises:
        UnknownSnapshotError: no snapshot or several match.
    """
    if not prefix:
        if len(ids) < 2:  # noqa: PLR2004 - the current one and the one before it
            raise UnknownSnapshotError.for_no_previous(ids)
        return ids[1]

    matching = [snapshot_id for snapshot_id in ids if snapshot_id.startswith(prefix)]
    if len(matching) != 1:
        raise UnknownSnapshotError.for_prefix(prefix, ids)

    return matching[0]


def _find_lost_file(
    store: Store, current: Mapping[str, Manifest], wanted: Mapping[str, Manifest]
) -> str:
    """Return the name of the first file whose content or METADATA the store no longer has; empty if it has all.

    Projects that the index holds as they are wanted are not looked at: their files are in the index itself.

    Args:
        store: has the content of every file.
        current: what the index holds, by channel.
        wanted: what it is to hold, by channel.
    """
    for channel, content in wanted.items():
        held_digests = project_digests(current.get(channel, {}))
        for project, digest in project_digests(content).items():
            if held_digests.get(project) == digest:
                continue
            for entry in content[project]:
                files = {"": entry.sha256}
                if entry.metadata:
                    files["metadata"] = entry.metadata
                if not store.has_files(files):
                    return entry.filename

    return ""


def _load_channels(store: Store, snapshot_ids: Sequence[str]) -> list[dict[str, Manifest]]:
    """Return the manifests of snapshots, by the channel's name, such as `simple`.

    What several of them have in common is read once.
    """
    parsed: dict[str, tuple[Entry, ...]] = {}
    loaded: list[dict[str, Manifest]] = []
    for snapshot_id in snapshot_ids:
        trees = store.publications.snapshot(snapshot_id)
        channels: dict[str, Manifest] = {}
        for channel in CHANNELS:
            if channel in trees:
                channels[channel] = RecordedManifest(
                    trees[channel], store.publications.listing, parsed
                )
        loaded.append(channels)

    return loaded
