"""Wheels -> a package index: static files that pip and uv take as `--index-url`, over HTTP or from disk."""

from builder.index.describe import describe
from builder.index.manifest import (
    CANARY_CHANNEL,
    CHANNELS,
    QUARANTINE_CHANNEL,
    SERVED_CHANNEL,
    Entry,
    Manifest,
    ServedFile,
    make_manifest,
)
from builder.index.pages import render_pages
from builder.index.publish import Publication, publish
from builder.index.snapshots import Snapshot, current_manifests, list_snapshots, rollback

__all__ = [
    "CANARY_CHANNEL",
    "CHANNELS",
    "QUARANTINE_CHANNEL",
    "SERVED_CHANNEL",
    "Entry",
    "Manifest",
    "Publication",
    "ServedFile",
    "Snapshot",
    "current_manifests",
    "describe",
    "list_snapshots",
    "make_manifest",
    "publish",
    "render_pages",
    "rollback",
]
