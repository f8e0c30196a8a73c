"""A manifest -> files under the wheelhouse, complete and consistent at every moment.

A page is replaced by renaming, files are there before a page names them and go after no page does. A path never gets
another content, as a client may have read an old page: where a wheel was built again under its old name, it lies in a
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
    CANARY_CHANNEL,
    CHANNELS,
    QUARANTINE_CHANNEL,
    SERVED_CHANNEL,
    project_digests,
    render_listing,
)
from builder.index.pages import PAGES, project_pages, root_pages
from builder.index.verify import explain_unfit
from builder.store.files import atomic_write, replace_text
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.index.manifest import Entry, Manifest
    from builder.store.publications import ChannelChange
    from builder.store.store import Store

_STATE = ".published"

_FOLDER_DIGITS = 16
"""Of a sha256, for a folder's name: 64 bits tell the few builds of one file name apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """What a publication did.

    Attributes:
        snapshot: its id, with which `rollback` returns to it.
        changed_projects: projects whose files changed, by channel.
        served: what `simple/` holds now.
        canary: what `canary/` holds now; None where there is no such channel.
        quarantine: what the quarantine holds now.
        refused: files of the manifests that are not in the index, and why, by name.
    """

    snapshot: str
    changed_projects: Mapping[str, tuple[str, ...]]
    served: Manifest
    canary: Manifest | None
    quarantine: Manifest
    refused: Mapping[str, str]


def publish(
    served: Manifest,
    store: Store,
    quarantine: Manifest | None = None,
    *,
    canary: Manifest | None = None,
    change: ChannelChange | None = None,
    thorough: bool = False,
) -> Publication:
    """Make the channels of the index hold what the manifests say, and record that as a snapshot.

    A file whose content is not what its entry says, or is no wheel of its project, is left out.

    Args:
        served: the content of `simple/`.
        store: has the content of every file; the caller holds its lock.
        quarantine: the content of `quarantine/simple/`.
        canary: the content of `canary/`; None where there is no such channel: its folder is removed.
        change: the promotion or rollback that this is; it is recorded with the snapshot.
        thorough: whether to look at every page and file; otherwise only at those of projects that changed.
    """
    contents = {SERVED_CHANNEL: served, QUARANTINE_CHANNEL: quarantine or {}}
    if canary is not None:
        contents[CANARY_CHANNEL] = canary

    refused: dict[str, str] = {}
    manifests: dict[str, Manifest] = {}
    for channel, content in contents.items():
        manifests[channel] = _select_fit(content, channel, store, refused, thorough=thorough)
    digests = {channel: project_digests(manifest) for channel, manifest in manifests.items()}

    changed: dict[str, tuple[str, ...]] = {}
    for channel in CHANNELS:
        if channel in manifests:
            changed[channel] = _publish_channel(
                manifests[channel], digests[channel], channel, store, thorough=thorough
            )
        else:
            _remove_channel(store.wheelhouse / channel)

    def render_project(channel: str, project: str) -> str:
        return render_listing(manifests[channel][project])

    snapshot = store.publications.add_snapshot(digests, render_project, change)
    return Publication(
        snapshot=snapshot,
        changed_projects=changed,
        served=manifests[SERVED_CHANNEL],
        canary=manifests.get(CANARY_CHANNEL),
        quarantine=manifests[QUARANTINE_CHANNEL],
        refused=refused,
    )


def _select_fit(
    content: Manifest,
    channel: str,
    store: Store,
    refused: dict[str, str],
    *,
    thorough: bool,
) -> Manifest:
    """Return a channel's manifest without the files that must not be in the index.

    Only those of projects that changed are looked at: the others were looked at when they were published.

    Args:
        content: the files of each project.
        channel: the channel's folder under the wheelhouse.
        store: has the content of every file.
        refused: gets the files that are left out, and why.
        thorough: whether to look at every file.
    """
    published = {} if thorough else _read_state(store.wheelhouse / channel)

    fit_by_project: dict[str, tuple[Entry, ...]] = {}
    for project, digest in project_digests(content).items():
        if published.get(project) == digest:
            continue

        fit: list[Entry] = []
        for entry in content[project]:
            reason = explain_unfit(project, entry, store)
            if reason:
                refused[clean_line(entry.filename)] = reason
            else:
                fit.append(entry)
        if len(fit) < len(content[project]):
            fit_by_project[project] = tuple(fit)

    if not fit_by_project:
        return content
    selected = {**content, **fit_by_project}
    return {project: entries for project, entries in selected.items() if entries}


def _publish_channel(
    content: Manifest,
    wanted_digests: Mapping[str, str],
    channel: str,
    store: Store,
    *,
    thorough: bool,
) -> tuple[str, ...]:
    """Make one channel hold what its manifest says.

    The state file, which has the digest of each project, is removed first and written last: after an interruption it is
    missing, and the next publication looks at every project.

    Args:
        content: the channel's manifest: the files of each project.
        wanted_digests: the digest of each project's files.
        channel: the channel's folder under the wheelhouse.
        store: has the content of every file.
        thorough: whether to look at every page and file; otherwise only at those of projects that changed.

    Returns:
        The projects that changed, then those that were removed; none if the channel holds the manifest already.
    """
    root = store.wheelhouse / channel
    root.mkdir(parents=True, exist_ok=True)
    present = _list_projects(root)
    # Empty means that it is not known what the folder holds: then every page and file is looked at.
    published = {} if thorough else _read_state(root)
    is_complete = present == wanted_digests.keys()
    if published and published == wanted_digests and is_complete:
        return ()

    changed: list[str] = []
    for project, digest in wanted_digests.items():
        if published.get(project) != digest or project not in present:
            changed.append(project)
    (root / _STATE).unlink(missing_ok=True)
    if not published:
        _remove_drafts(root)

    entries_by_project = _assign_folders(
        {project: content[project] for project in changed}, channel, store
    )
    for project in changed:
        _write_project(root / project, project, entries_by_project[project], store)

    # An empty channel has its root pages too.
    if not published or wanted_digests.keys() != published.keys():
        for name, text in root_pages(content):
            replace_text(root / name, text)

    removed = sorted((present | published.keys()) - wanted_digests.keys())
    for project in removed:
        _remove_folder(root / project)

    with atomic_write(root / _STATE) as draft:
        draft.write_text(json.dumps(wanted_digests))
    return (*changed, *removed)


def _list_projects(root: Path) -> set[str]:
    """Return the names of the folders of a channel, and remove what is a link: nobody may find there what is elsewhere.

    The folder is listed once, and no file of it is asked for more than the listing says.
    """
    folders: set[str] = set()
    with os.scandir(root) as listing:
        for path in listing:
            if path.is_symlink():
                (root / path.name).unlink()
            elif path.is_dir():
                folders.add(path.name)

    return folders


def _remove_channel(root: Path) -> None:
    """Remove a channel that the index has no more: its root pages first, so that no page names a missing folder."""
    if root.is_symlink():
        root.unlink()
    if not root.is_dir():
        return

    (root / _STATE).unlink(missing_ok=True)
    _remove_folder(root)


def _remove_drafts(folder: Path) -> None:
    """Remove temporary files that a killed farm was about to rename."""
    for path in folder.glob(".*"):
        path.unlink()


def _assign_folders(content: Manifest, channel: str, store: Store) -> Manifest:
    """Return a manifest in which every entry has the folder that its file is put into.

    That is no subfolder for the file that had its path first. A file that was built again has the same path with
    another content; it gets a subfolder named after its sha256, since a client may still have a page with the old hash.
    """
    sha256_by_path: dict[str, str] = {}
    for project, files in content.items():
        for entry in files:
            sha256_by_path[f"{channel}/{project}/{entry.filename}"] = entry.sha256
    first_sha256 = store.publications.claim_paths(sha256_by_path)

    with_folders: dict[str, tuple[Entry, ...]] = {}
    for project, files in content.items():
        entries: list[Entry] = []
        for entry in files:
            path = f"{channel}/{project}/{entry.filename}"
            if first_sha256[path] == entry.sha256:
                entries.append(entry)
            else:
                entries.append(replace(entry, folder=entry.sha256[:_FOLDER_DIGITS]))
        with_folders[project] = tuple(entries)

    return with_folders


def _read_state(root: Path) -> dict[str, str]:
    """Return the digest of each project as it was last published, by project.

    It is empty if that is not known: before the first publication, and after one that was interrupted.
    """
    try:
        state = json.loads((root / _STATE).read_text())
    except (OSError, ValueError):
        return {}

    return state if isinstance(state, dict) else {}


def _write_project(folder: Path, project: str, entries: tuple[Entry, ...], store: Store) -> None:
    """Write a project's files, then the pages that name them, then remove files that no page names any more."""
    folder.mkdir(exist_ok=True)
    wanted_paths: set[str] = set()
    for entry in entries:
        _link_or_copy(store.file(entry.sha256), folder / entry.path)
        wanted_paths.add(entry.path)
        if entry.metadata:
            metadata_path = f"{entry.path}.metadata"
            _link_or_copy(store.file(entry.metadata), folder / metadata_path)
            wanted_paths.add(metadata_path)

    for name, text in project_pages(project, entries):
        replace_text(folder / name, text)

    # Files go after the page that named them.
    _remove_others(folder, wanted_paths, {entry.folder for entry in entries})


def _remove_others(folder: Path, wanted_paths: set[str], subfolders: set[str]) -> None:
    """Remove the files and folders of a project that its page does not name.

    Args:
        folder: the project's folder.
        wanted_paths: paths of the files that stay, relative to this folder; the pages stay too.
        subfolders: names of the subfolders that have some of these files.
    """
    for path in folder.iterdir():
        if path.is_symlink():
            path.unlink()
        elif path.is_dir() and path.name in subfolders:
            _remove_unwanted_files(path, wanted_paths)
        elif path.is_dir():
            shutil.rmtree(path)
        elif path.name not in wanted_paths and path.name not in PAGES:
            path.unlink()


def _remove_unwanted_files(folder: Path, wanted_paths: set[str]) -> None:
    """Remove the files of a project's subfolder whose path `SUBFOLDER/FILE` is not wanted."""
    for path in folder.iterdir():
        is_wanted = f"{folder.name}/{path.name}" in wanted_paths
        if is_wanted and not path.is_symlink():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _remove_folder(folder: Path) -> None:
    """Remove a project: its pages first, so that no page names a missing file."""
    for page in PAGES:
        (folder / page).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    """Put a file of the store into the index by a hard link, or by a copy where the file system has no such links.

    A target that is the same file already is left alone; one that is a link is replaced.
    """
    for path in (target.parent, target):
        if path.is_symlink():
            path.unlink()
    if target.exists() and target.samefile(source):
        return

    target.parent.mkdir(parents=True, exist_ok=True)
    # No wheel's name begins with a dot, so a link that an interruption leaves behind is recognized and removed.
    link = target.with_name(f".{target.name}")
    link.unlink(missing_ok=True)
    try:
        os.link(source, link, follow_symlinks=False)
    except OSError:
        with atomic_write(target) as draft:
            shutil.copyfile(source, draft)
        return

    link.replace(target)
