"""A manifest -> files under the wheelhouse, complete and consistent at every moment.

A page is replaced by renaming, files are there before a page names them and go after no page does. A path never gets
another content, as a client may have read an old page: where a wheel was built anew under its old name, it lies in a
folder named after its sha256. Only projects that changed since the last publication are touched; `.published` in the
channel's folder says what that was, and is missing while one is at work, so that after an interruption everything is
looked at.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.index.manifest import (
    QUARANTINE_CHANNEL,
    SERVED_CHANNEL,
    project_digests,
    render_listing,
)
from builder.index.pages import PAGES, project_pages, root_pages
from builder.store.files import atomic_write, replace_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.index.manifest import Entry, Manifest
    from builder.store.store import Store

_STATE = ".published"
_FOLDER_DIGITS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """What a publication did.

    Attributes:
        snapshot: its id, with which `rollback` returns to it.
        changed_projects: projects whose files changed, by channel.
    """

    snapshot: str
    changed_projects: Mapping[str, tuple[str, ...]]


def publish(
    served: Manifest, store: Store, quarantine: Manifest | None = None, *, thorough: bool = False
) -> Publication:
    """Make the two channels hold exactly what the manifests say, and keep a snapshot of them.

    Args:
        served: what `simple/` holds.
        store: has every file; the caller holds its lock.
        quarantine: what `quarantine/simple/` holds.
        thorough: look at every page and file, not only at those of projects that changed.
    """
    given = {SERVED_CHANNEL: served, QUARANTINE_CHANNEL: quarantine or {}}
    listed = {channel: project_digests(manifest) for channel, manifest in given.items()}
    # Quarantine last: a wheel that is withdrawn is gone from `simple/` before it is anywhere else.
    changed = {
        channel: _publish_channel(
            given[channel], listed[channel], channel, store, thorough=thorough
        )
        for channel in (SERVED_CHANNEL, QUARANTINE_CHANNEL)
    }

    def text_of(channel: str, project: str) -> str:
        return render_listing(given[channel][project])

    return Publication(snapshot=store.add_snapshot(listed, text_of), changed_projects=changed)


def _publish_channel(
    content: Manifest, wanted: Mapping[str, str], channel: str, store: Store, *, thorough: bool
) -> tuple[str, ...]:
    root = store.wheelhouse / channel
    root.mkdir(parents=True, exist_ok=True)
    known = {} if thorough else _read_state(root)
    changed = tuple(project for project, digest in wanted.items() if known.get(project) != digest)
    if known == wanted and known:
        return ()
    (root / _STATE).unlink(missing_ok=True)
    if not known:
        for path in root.glob(".*"):  # what a killed farm was about to rename
            path.unlink()
    placed = _assign_folders({project: content[project] for project in changed}, channel, store)
    for project in changed:
        _write_project(root / project, project, placed[project], store)
    if wanted.keys() != known.keys() or not known:  # an empty channel has its pages too
        for name, text in root_pages(content):
            replace_text(root / name, text)
    gone = (
        known.keys() - wanted.keys()
        if known
        else {path.name for path in root.iterdir() if path.is_dir()} - set(wanted)
    )
    for project in sorted(gone):
        _remove_folder(root / project)
    with atomic_write(root / _STATE) as aside:
        aside.write_text(json.dumps(wanted))
    return (*changed, *sorted(gone))


def _assign_folders(content: Manifest, channel: str, store: Store) -> Manifest:
    """Give every file its folder: none where its path has had no other content yet."""
    paths = {
        f"{channel}/{project}/{entry.filename}": entry.sha256
        for project, files in content.items()
        for entry in files
    }
    first = store.claim_paths(paths)
    return {
        project: tuple(
            entry
            if first[f"{channel}/{project}/{entry.filename}"] == entry.sha256
            else replace(entry, folder=entry.sha256[:_FOLDER_DIGITS])
            for entry in files
        )
        for project, files in content.items()
    }


def _read_state(root: Path) -> dict[str, str]:
    """Return the digest of every project that is published, or nothing where that is not known."""
    try:
        state = json.loads((root / _STATE).read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _write_project(folder: Path, project: str, entries: tuple[Entry, ...], store: Store) -> None:
    folder.mkdir(exist_ok=True)
    for entry in entries:
        _link_or_copy(store.file(entry.sha256), folder / entry.path)
        if entry.metadata:
            _link_or_copy(store.file(entry.metadata), folder / f"{entry.path}.metadata")
    for name, text in project_pages(project, entries):
        replace_text(folder / name, text)
    named = {entry.path for entry in entries}
    named |= {f"{entry.path}.metadata" for entry in entries if entry.metadata}
    folders = {entry.folder for entry in entries}
    for path in folder.iterdir():
        if path.is_dir():
            _prune(path, named) if path.name in folders else shutil.rmtree(path)
        elif path.name not in named and path.name not in PAGES:
            path.unlink()


def _prune(folder: Path, named: set[str]) -> None:
    for path in folder.iterdir():
        if f"{folder.name}/{path.name}" not in named:
            path.unlink()


def _remove_folder(folder: Path) -> None:
    for page in PAGES:
        (folder / page).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    """Put a file of the store into the index: the same bytes on disk where the file system can."""
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(
        f".{target.name}"
    )  # no wheel's name begins so; what an interruption left is cleared away
    aside.unlink(missing_ok=True)
    try:
        os.link(source, aside)
    except OSError:
        with atomic_write(target) as copy:
            shutil.copyfile(source, copy)
        return
    aside.replace(target)
