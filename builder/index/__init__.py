"""Wheels -> a package index: static files that pip and uv take as `--index-url`, over HTTP or from disk."""

from builder.index.describe import described
from builder.index.manifest import QUARANTINE, SERVED, Entry, Manifest, Served, manifest
from builder.index.pages import pages
from builder.index.publish import Published, publish
from builder.index.snapshots import Snapshot, current, rollback, snapshots

__all__ = [
    "QUARANTINE",
    "SERVED",
    "Entry",
    "Manifest",
    "Published",
    "Served",
    "Snapshot",
    "current",
    "described",
    "manifest",
    "pages",
    "publish",
    "rollback",
    "snapshots",
]
