"""What of a wheelhouse nothing refers to any more: `wheelfarm gc` removes that; what is referred to stays at any size.

Referred to is: evidence that a run of the matrix would use, at any effort, and the newest of every job of such a run or
about a package or an application that verdicts.json has; the files and logs of that; wheels and metadata of every
snapshot, and so of the index; sources of the matrix; locks of these jobs, and the files of the package index that they
name; replays of findings in verdicts.json; measurements that later ones are compared with. Of the rest, what is younger
than a number of days stays as well, as far as it fits into a number of bytes. With the evidence of an image goes the
image.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.farm.measurement_history import find_pinned_key
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.store.store import Store

_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")
_DAY_S = 86_400.0

_ABOUT_APPLICATIONS = frozenset({JobKind.APPLICATION, JobKind.MEASUREMENT})
"""Kinds of jobs whose name is that of an application."""

_Row = tuple[str, JobId, str, str, float]
"""Key, job, files as JSON, log, when: a row of `Retention.evidence_rows`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixUsage:
    """What runs of a matrix would use, at any effort level.

    Attributes:
        jobs: ids of the jobs.
        keys: keys of the recorded evidence; a key is the hash of all inputs of a job.
        sdists: sha256 of the sdists to build from.
    """

    jobs: frozenset[JobId]
    keys: frozenset[str]
    sdists: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file of the wheelhouse that may be garbage.

    Attributes:
        path: where it is.
        created_at: when it was made, in seconds since the epoch.
        size: in bytes.
    """

    path: Path
    created_at: float
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Garbage:
    """What `wheelfarm gc` removes, and the size of what stays.

    Attributes:
        keys: keys of the evidence to delete.
        images: tags of the images to remove from the engine, by the key of the image's evidence, which is in `keys`.
        files: files to remove.
        kept_bytes: size of the files that stay.
        referenced_bytes: size of those files that stay because something refers to them.
        cutoff: recorded answers of the resolver before this time are deleted, in seconds since the epoch.
    """

    keys: tuple[str, ...]
    images: Mapping[str, str]
    files: tuple[StoredFile, ...]
    kept_bytes: int
    referenced_bytes: int
    cutoff: float

    @property
    def freed_bytes(self) -> int:
        """Size of the files to remove."""
        return sum(piece.size for piece in self.files)

    def record(self) -> dict[str, object]:
        """Return how many pieces of evidence, images and files are removed, and sizes in bytes, as JSON data."""
        return {
            "evidence": len(self.keys),
            "images": len(self.images),
            "files": len(self.files),
            "freed_bytes": self.freed_bytes,
            "kept_bytes": self.kept_bytes,
            "referenced_bytes": self.referenced_bytes,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class _References:
    """The files that must stay because something refers to them.

    Attributes:
        files: sha256 of files in the store.
        logs: paths of logs.
        findings: ids of the findings in verdicts.json.
    """

    files: frozenset[str]
    logs: frozenset[Path]
    findings: frozenset[str]


def find_garbage(
    store: Store, used: MatrixUsage, *, now: float, keep_days: float, most_bytes: int | None
) -> Garbage:
    """Find the evidence, images and files that nothing refers to and that are too old or do not fit.

    See the top of this module for what counts as a reference. This removes nothing.

    Args:
        store: the store of the wheelhouse; the caller holds its lock.
        used: what runs of the matrix would use.
        now: the time, in seconds since the epoch.
        keep_days: files and evidence younger than this stay, though nothing refers to them.
        most_bytes: size that the wheelhouse may have: unreferenced files beyond it go, whatever their age; None for no
            limit.
    """
    cutoff = now - keep_days * _DAY_S
    document = _read_verdicts(store)
    judged_packages = {package["name"] for package in document["packages"]}
    judged_applications = {part["name"] for part in document.get("applications", ())}
    rows = store.retention.evidence_rows()

    def is_current(job: JobId) -> bool:
        is_about = judged_applications if job.kind in _ABOUT_APPLICATIONS else judged_packages
        return job in used.jobs or job.name in is_about

    wanted_keys = used.keys | _find_newest_keys(rows, is_current) | _find_pinned_keys(store, rows)
    references = _collect_references(store, rows, wanted_keys, document, cutoff)

    unreferenced: list[StoredFile] = []
    referenced_bytes = 0
    for file, is_referenced in _list_files(store, references, _date_files(rows), is_current):
        if is_referenced:
            referenced_bytes += file.size
        else:
            unreferenced.append(file)

    # Referenced files stay at any size; unreferenced ones get the rest of the limit.
    limit_bytes = None
    if most_bytes is not None:
        limit_bytes = max(0, most_bytes - referenced_bytes)

    unreferenced.sort(key=lambda file: file.created_at)
    removed = _select_for_removal(unreferenced, cutoff, limit_bytes)
    unreferenced_kept_bytes = _sum_bytes(unreferenced) - _sum_bytes(removed)

    # Evidence must not name files that are removed: it goes with them, however young it is.
    keys: list[str] = []
    removed_files = set(_evidence_files(removed, store))
    for key, _, files, _, recorded_at in rows:
        is_old = recorded_at < cutoff
        loses_a_file = not removed_files.isdisjoint(json.loads(files).values())
        if key not in wanted_keys and (is_old or loses_a_file):
            keys.append(key)

    return Garbage(
        keys=tuple(keys),
        images=_image_tags(rows, keys, store),
        files=tuple(removed),
        kept_bytes=referenced_bytes + unreferenced_kept_bytes,
        referenced_bytes=referenced_bytes,
        cutoff=cutoff,
    )


def _read_verdicts(store: Store) -> dict[str, Any]:
    """Return the content of verdicts.json; before the first whole run, an equivalent document without packages."""
    path = store.wheelhouse / "verdicts.json"
    if not path.exists():
        return {"packages": []}

    document: dict[str, Any] = json.loads(path.read_text())
    return document


def _find_newest_keys(rows: Iterable[_Row], is_current: Callable[[JobId], bool]) -> set[str]:
    """Return the key of the newest evidence of each current job. Jobs that are not current are skipped."""
    newest: dict[JobId, str] = {}
    for key, job, *_ in rows:  # the oldest first
        if is_current(job):
            newest[job] = key

    return set(newest.values())


def _find_pinned_keys(store: Store, rows: Iterable[_Row]) -> set[str]:
    """Return the keys of the measurements that later ones are compared with."""
    jobs = {job for _, job, *_ in rows if job.kind == JobKind.MEASUREMENT}
    keys = {find_pinned_key(store, job) for job in jobs}
    return {key for key in keys if key is not None}


def _date_files(rows: Iterable[_Row]) -> dict[str, float]:
    """Return the time of the newest evidence that names each file, in seconds since the epoch, by sha256."""
    dates: dict[str, float] = {}
    for _, _, files, _, recorded_at in rows:
        for sha256 in json.loads(files).values():
            dates[sha256] = max(recorded_at, dates.get(sha256, 0.0))

    return dates


def _collect_references(
    store: Store,
    rows: Iterable[_Row],
    wanted_keys: Collection[str],
    document: Mapping[str, Any],
    cutoff: float,
) -> _References:
    """Return the files, logs and findings that must stay because something refers to them.

    References come from wanted evidence, snapshots of the index, recorded answers of the resolver, and verdicts.json.

    Args:
        store: the store of the wheelhouse.
        rows: all recorded evidence.
        wanted_keys: keys of the evidence that stays.
        document: content of verdicts.json.
        cutoff: answers of the resolver before this time count no longer, in seconds since the epoch.
    """
    files: set[str] = set()
    logs: set[Path] = set()
    for key, _, evidence_files, log, _ in rows:
        if key in wanted_keys:
            files.update(json.loads(evidence_files).values())
            logs.add(store.wheelhouse / log)

    # Any hash in these texts may be that of a file: one too many stays rather than one too few.
    for text in (*store.retention.referencing_texts(cutoff), json.dumps(document)):
        files.update(_SHA256.findall(text))

    return _References(
        files=frozenset(files), logs=frozenset(logs), findings=_finding_ids(document)
    )


def _sum_bytes(files: Iterable[StoredFile]) -> int:
    return sum(file.size for file in files)


def remove_garbage(found: Garbage, store: Store, *, images: bool = True) -> None:
    """Remove evidence and files that `find_garbage` selected: evidence first, since it must not name missing files.

    Args:
        found: what to remove.
        store: the store of the wheelhouse.
        images: whether the engine has removed the images; if no engine answered, the evidence of images stays.
    """
    keys = found.keys if images else [key for key in found.keys if key not in found.images]
    store.retention.delete_old(keys, _evidence_files(found.files, store), found.cutoff)
    for file in found.files:
        file.path.unlink(missing_ok=True)


def _image_tags(
    rows: Sequence[_Row], removed_keys: Collection[str], store: Store
) -> dict[str, str]:
    """Return the tags of the images to remove, by the key of the removed evidence that names the image.

    A tag that other evidence names as well is left out: that image is still in use.
    """
    tags: dict[str, str] = {}
    for key, job, *_ in rows:
        if job.kind != JobKind.IMAGE:
            continue
        evidence = store.get(key)
        # Read without the model of an image's facts: that would refuse damaged evidence, and that of a newer farm,
        # which has to be removable too. A job that could not make its image has no tag.
        tag = None if evidence is None else evidence.facts.get("tag")
        if tag is not None:
            tags[key] = tag

    removed = set(removed_keys)
    kept_tags = {tag for key, tag in tags.items() if key not in removed}
    return {key: tag for key, tag in tags.items() if key in removed and tag not in kept_tags}


def _evidence_files(files: Iterable[StoredFile], store: Store) -> list[str]:
    """Return the sha256 of those removed files that evidence can name, i.e. of those in the store's `files/`.

    A file elsewhere, such as in the index proxy's cache, may have the same sha256 as one that stays in the store.
    """
    return [file.path.name for file in files if file.path.is_relative_to(store.folder / "files")]


def _finding_ids(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids of all findings in verdicts.json; a replay is the file `ID.json`."""
    ids: set[str] = set()
    for package in document["packages"]:
        for abi in package["abis"].values():
            ids.update(finding["id"] for finding in abi["findings"])

    return frozenset(ids)


def _list_files(
    store: Store,
    references: _References,
    dates: Mapping[str, float],
    is_current: Callable[[JobId], bool],
) -> Iterator[tuple[StoredFile, bool]]:
    """Iterate over (file, whether something refers to it) for every file that garbage collection may remove.

    These are files of the store, of the index proxy, logs, replays, and two caches.

    Args:
        store: the store of the wheelhouse.
        references: what must stay.
        dates: the time of the newest evidence that names a file, by sha256.
        is_current: whether a job is of the matrix or about a package in verdicts.json.
    """
    for path in _iter_files(store.folder / "files"):
        # A temporary file that a killed farm was about to rename: nothing will ever ask for it.
        is_unfinished = path.name.startswith(".")
        date = 0.0 if is_unfinished else dates.get(path.name)
        yield _stored_file(path, date), path.name in references.files

    yield from _list_index_files(store.folder / "index", is_current)

    for path in _iter_files(store.wheelhouse / "logs"):
        is_replay = path.parent.name == "replay" and path.stem in references.findings
        yield _stored_file(path), path in references.logs or is_replay
    for path in _iter_files(store.wheelhouse / "replays"):
        yield _stored_file(path), path.stem in references.findings

    # Caches of the package index: what is in use is fetched again.
    for name in ("contents", "pages"):
        for path in _iter_files(store.folder / name):
            yield _stored_file(path), False


def _list_index_files(
    folder: Path, is_current: Callable[[JobId], bool]
) -> Iterator[tuple[StoredFile, bool]]:
    """Iterate over (file, whether something refers to it) for the index proxy's cache.

    A lock is the list of files that a job downloaded. The locks of current jobs are referred to, and so are the files
    that these locks name. Other files in the folder are not garbage collection's business and are skipped.
    """
    locks: dict[Path, str] = {}
    for path in _iter_files(folder / "locks"):
        if not path.name.startswith("."):
            locks[path] = path.read_text()

    current_locks: set[Path] = set()
    locked_files: set[str] = set()
    for path, text in locks.items():
        if is_current(JobId.parse(json.loads(text)["job"])):
            current_locks.add(path)
            locked_files.update(_SHA256.findall(text))

    for path in _iter_files(folder):
        if path.name.startswith("."):
            yield _stored_file(path, 0.0), False
        elif path.is_relative_to(folder / "files"):
            yield _stored_file(path), path.name in locked_files
        elif path in locks:
            yield _stored_file(path), path in current_locks


def _iter_files(folder: Path) -> Iterator[Path]:
    """Iterate over all files below a folder in sorted order; over none if the folder does not exist."""
    if not folder.is_dir():
        return

    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path


def _stored_file(path: Path, created_at: float | None = None) -> StoredFile:
    """Return a file with its size and its time; without a given time, that of its last modification."""
    status = path.stat()
    if created_at is None:
        created_at = status.st_mtime
    return StoredFile(path=path, created_at=created_at, size=status.st_size)


def _select_for_removal(
    unreferenced: list[StoredFile], cutoff: float, limit_bytes: int | None
) -> list[StoredFile]:
    """Return the files that are too old and then, oldest first, as many others as exceed the limit.

    Args:
        unreferenced: the files that nothing refers to, sorted by age, the oldest first.
        cutoff: files older than this are removed, in seconds since the epoch.
        limit_bytes: size that the files that stay may have together; None for no limit.
    """
    removed = [file for file in unreferenced if file.created_at < cutoff]
    young = [file for file in unreferenced if file.created_at >= cutoff]
    if limit_bytes is None:
        return removed

    kept_bytes = _sum_bytes(young)
    for file in young:
        if kept_bytes <= limit_bytes:
            break
        removed.append(file)
        kept_bytes -= file.size

    return removed
