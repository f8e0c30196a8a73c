"""What was published before, and the way back to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import UnknownSnapshotError
from builder.index import constraints
from builder.index.manifest import QUARANTINE_CHANNEL, SERVED_CHANNEL, parse_listing
from builder.index.publish import publish

if TYPE_CHECKING:
    from builder.index.manifest import Manifest
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
    rows = store.snapshots()
    return tuple(
        Snapshot(id=identity, published_at=at, projects=projects, is_current=place == 0)
        for place, (identity, at, projects) in enumerate(rows)
    )


def current_manifests(store: Store) -> dict[str, Manifest]:
    """Return what the channels hold now; both are empty where nothing was published yet."""
    kept = store.snapshots()
    if not kept:
        return {SERVED_CHANNEL: {}, QUARANTINE_CHANNEL: {}}
    return {
        channel: _load_manifest(store, tree) for channel, tree in store.snapshot(kept[0][0]).items()
    }


def rollback(store: Store, wanted: str = "") -> Publication:
    """Publish a snapshot again.

    Args:
        store: the wheelhouse; the caller holds its lock.
        wanted: the snapshot's id or the beginning of it; empty for the one before the current one.

    Raises:
        UnknownSnapshotError: there is no such snapshot, or its files are no longer there.
    """
    kept = list_snapshots(store)
    fitting = [one for one in kept if one.id.startswith(wanted)] if wanted else list(kept[1:2])
    if not fitting or (wanted and len(fitting) > 1):
        raise UnknownSnapshotError(wanted, tuple(one.id for one in kept))
    channels = {
        channel: _load_manifest(store, tree)
        for channel, tree in store.snapshot(fitting[0].id).items()
    }
    served, quarantine = channels[SERVED_CHANNEL], channels[QUARANTINE_CHANNEL]
    for entries in (*served.values(), *quarantine.values()):
        for entry in entries:
            if not store.has_files(
                {"": entry.sha256, **({"metadata": entry.metadata} if entry.metadata else {})}
            ):
                raise UnknownSnapshotError(
                    fitting[0].id, tuple(one.id for one in kept), lost=entry.filename
                )
    published = publish(served, store, quarantine, thorough=True)
    constraints.rewrite(served, quarantine, store.wheelhouse)
    return published


def _load_manifest(store: Store, tree: dict[str, str]) -> Manifest:
    texts = store.listings(tree.values())
    return {project: parse_listing(texts[digest]) for project, digest in tree.items()}
