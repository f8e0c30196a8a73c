"""What was published before, and the way back to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import UnknownSnapshotError
from builder.index import constraints
from builder.index.manifest import QUARANTINE_CHANNEL, SERVED_CHANNEL, parse_listing
from builder.index.publish import publish

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from builder.index.manifest import Entry, Manifest
    from builder.index.publish import Publication
    from builder.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Both channels of the index as they once were.

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
    """Return the manifest of each channel as it is now, by channel; empty ones before the first publication."""
    newest_first = list_snapshots(store)
    if not newest_first:
        return {SERVED_CHANNEL: {}, QUARANTINE_CHANNEL: {}}

    return _load_channels(store, newest_first[0])


def rollback(store: Store, prefix: str = "") -> Publication:
    """Publish a snapshot again, and write the constraints files that belong to it.

    A snapshot has a manifest (the files of each project) for both channels of the index: the served one, with what
    policy admits, and quarantine, with the rest. All files are looked for first: if one is lost, nothing is changed.

    Args:
        store: the store of the wheelhouse; the caller holds its lock.
        prefix: the snapshot's id or the beginning of it; empty for the snapshot before the current one.

    Raises:
        UnknownSnapshotError: no snapshot or several have this prefix; or there is one, but the store has lost a file
            of it, so that it cannot be published again.

    Returns:
        What the publication changed.
    """
    snapshots = list_snapshots(store)
    snapshot = _select_snapshot(snapshots, prefix)
    channels = _load_channels(store, snapshot)
    served = channels[SERVED_CHANNEL]
    quarantine = channels[QUARANTINE_CHANNEL]

    lost_filename = _find_lost_file(store, (*served.values(), *quarantine.values()))
    if lost_filename:
        raise UnknownSnapshotError.for_lost_file(snapshot.id, lost_filename, _list_ids(snapshots))

    # Thorough: every page and file is looked at, not only those of projects whose manifest differs.
    published = publish(served, store, quarantine, thorough=True)
    constraints.rewrite(published.served, quarantine, store.wheelhouse)
    return published


def _select_snapshot(snapshots: Sequence[Snapshot], prefix: str) -> Snapshot:
    """Return the only snapshot whose id begins with a prefix; without a prefix, the one before the current one.

    Args:
        snapshots: all snapshots, the newest first.
        prefix: the beginning of an id, or nothing.

    Raises:
        UnknownSnapshotError: no snapshot or several match.
    """
    if not prefix:
        if len(snapshots) < 2:  # noqa: PLR2004 - the current one and the one before it
            raise UnknownSnapshotError.for_no_previous(_list_ids(snapshots))
        return snapshots[1]

    matching = [snapshot for snapshot in snapshots if snapshot.id.startswith(prefix)]
    if len(matching) != 1:
        raise UnknownSnapshotError.for_prefix(prefix, _list_ids(snapshots))

    return matching[0]


def _list_ids(snapshots: Iterable[Snapshot]) -> tuple[str, ...]:
    return tuple(snapshot.id for snapshot in snapshots)


def _find_lost_file(store: Store, projects: Iterable[Sequence[Entry]]) -> str:
    """Return the name of the first file whose content or METADATA the store no longer has; empty if it has all."""
    for entries in projects:
        for entry in entries:
            files = {"": entry.sha256}
            if entry.metadata:
                files["metadata"] = entry.metadata
            if not store.has_files(files):
                return entry.filename

    return ""


def _load_channels(store: Store, snapshot: Snapshot) -> dict[str, Manifest]:
    """Return a snapshot's manifest of each channel, by the channel's name, such as `simple`."""
    trees = store.publications.snapshot(snapshot.id)
    return {channel: _load_manifest(store, tree) for channel, tree in trees.items()}


def _load_manifest(store: Store, listing_hashes: dict[str, str]) -> Manifest:
    """Return a channel's manifest from a snapshot's hash of each project's listing, by project."""
    texts = store.publications.listings(listing_hashes.values())
    return {project: parse_listing(texts[digest]) for project, digest in listing_hashes.items()}
