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
    """Both channels as they once were.

    Attributes:
        published_at: when it was first published, in seconds since the epoch.
        is_current: whether it is what the index holds now.
    """

    id: str
    published_at: float
    projects: int
    is_current: bool


def list_snapshots(store: Store) -> tuple[Snapshot, ...]:
    """Return every snapshot that is kept, the newest publication first."""
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
    """Return what the channels hold now; both are empty where nothing was published yet."""
    snapshots = list_snapshots(store)
    if not snapshots:
        return {SERVED_CHANNEL: {}, QUARANTINE_CHANNEL: {}}

    return _load_channels(store, snapshots[0])


def rollback(store: Store, prefix: str = "") -> Publication:
    """Publish a snapshot again.

    Args:
        store: the wheelhouse; the caller holds its lock.
        prefix: the snapshot's id or the beginning of it; empty for the one before the current one.

    Raises:
        UnknownSnapshotError: there is no such snapshot, or its files are no longer there.
    """
    snapshots = list_snapshots(store)
    snapshot = _select_snapshot(snapshots, prefix)
    channels = _load_channels(store, snapshot)
    served = channels[SERVED_CHANNEL]
    quarantine = channels[QUARANTINE_CHANNEL]

    lost = _find_lost_file(store, (*served.values(), *quarantine.values()))
    if lost:
        known_ids = tuple(known.id for known in snapshots)
        raise UnknownSnapshotError(snapshot.id, known_ids, lost=lost)

    published = publish(served, store, quarantine, thorough=True)
    constraints.rewrite(served, quarantine, store.wheelhouse)
    return published


def _select_snapshot(snapshots: Sequence[Snapshot], prefix: str) -> Snapshot:
    if prefix:
        matching = [snapshot for snapshot in snapshots if snapshot.id.startswith(prefix)]
    else:
        matching = list(snapshots[1:2])
    if len(matching) != 1:
        raise UnknownSnapshotError(prefix, tuple(snapshot.id for snapshot in snapshots))

    return matching[0]


def _find_lost_file(store: Store, projects: Iterable[Sequence[Entry]]) -> str:
    """Return the name of a file whose content the store no longer has; empty where it has all."""
    for entries in projects:
        for entry in entries:
            files = {"": entry.sha256}
            if entry.metadata:
                files["metadata"] = entry.metadata
            if not store.has_files(files):
                return entry.filename

    return ""


def _load_channels(store: Store, snapshot: Snapshot) -> dict[str, Manifest]:
    trees = store.publications.snapshot(snapshot.id)
    return {channel: _load_manifest(store, tree) for channel, tree in trees.items()}


def _load_manifest(store: Store, tree: dict[str, str]) -> Manifest:
    texts = store.publications.listings(tree.values())
    return {project: parse_listing(texts[digest]) for project, digest in tree.items()}
