"""What of a wheelhouse nothing refers to any more: `wheelfarm gc` removes that; what is referred to stays at any size.

Referred to is: evidence that a run of the matrix would use, at any effort, and the newest of every job of such a run or
about a package that verdicts.json has; the files and logs of that; wheels and metadata of every snapshot, and so of the
index; sources of the matrix; locks of these jobs, and the files of the package index that they name; replays of
findings in verdicts.json. Of the rest, what is younger than a number of days stays as well, as far as it fits into a
number of bytes. With the evidence of an image goes the image.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.store.job_ids import job_package

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.store.store import Store

_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")
_DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixUsage:
    """What a run of a matrix would use, however hard it looks.

    Attributes:
        jobs: their ids.
        keys: of evidence.
        sdists: sha256 of what it would build.
    """

    jobs: frozenset[str]
    keys: frozenset[str]
    sdists: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file that could go.

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
    """What is to go, and what stays.

    Attributes:
        keys: evidence to forget.
        images: of these the images', each with its tag; the engine has them.
        files: files to remove.
        kept_bytes: size of the files that stay.
        referenced_bytes: size of those among them that are referred to.
        cutoff: resolutions before this go, in seconds since the epoch.
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
        """Return the sums as JSON data."""
        return {
            "evidence": len(self.keys),
            "images": len(self.images),
            "files": len(self.files),
            "freed_bytes": self.freed_bytes,
            "kept_bytes": self.kept_bytes,
            "referenced_bytes": self.referenced_bytes,
        }


def find_garbage(
    store: Store, used: MatrixUsage, *, now: float, keep_days: float, most_bytes: int | None
) -> Garbage:
    """Find what may go.

    Args:
        store: the wheelhouse; the caller holds its lock.
        used: what a run would use.
        now: the time, in seconds since the epoch.
        keep_days: what is younger stays, though nothing refers to it.
        most_bytes: as far as it fits into this; None for no limit.
    """
    since = now - keep_days * _DAY_S
    verdicts = store.wheelhouse / "verdicts.json"
    document = json.loads(verdicts.read_text()) if verdicts.exists() else {"packages": []}
    names = {package["name"] for package in document["packages"]}
    rows = store.retention.evidence_rows()

    def living(job: str) -> bool:
        return job in used.jobs or job_package(job) in names

    newest = {job: key for key, job, *_ in rows if living(job)}
    wanted = used.keys | set(newest.values())
    named: set[str] = set()
    logs: set[Path] = set()
    ages: dict[str, float] = {}
    for key, _, files, log, at in rows:
        for sha256 in json.loads(files).values():
            ages[sha256] = max(at, ages.get(sha256, 0.0))
        if key in wanted:
            named |= set(json.loads(files).values())
            logs.add(store.wheelhouse / log)
    for text in (*store.retention.referencing_texts(since), json.dumps(document)):
        named |= set(_SHA256.findall(text))
    findings = _finding_ids(document)
    pieces = list(_list_files(store, named, logs, findings, ages, living))
    loose = sorted(
        (piece for piece, keep in pieces if not keep), key=lambda piece: piece.created_at
    )
    referenced = sum(piece.size for piece, keep in pieces if keep)
    going = _select_for_removal(
        loose, since, None if most_bytes is None else max(0, most_bytes - referenced)
    )
    gone = set(_evidence_files(going, store))
    keys = tuple(
        key
        for key, _, files, _, at in rows
        if key not in wanted and (at < since or not gone.isdisjoint(json.loads(files).values()))
    )
    staying = sum(piece.size for piece in loose) - sum(piece.size for piece in going)
    return Garbage(
        keys=keys, images=_image_tags(rows, keys, store), files=tuple(going), kept_bytes=referenced + staying,
        referenced_bytes=referenced, cutoff=since,
    )  # fmt: skip


def remove_garbage(found: Garbage, store: Store, *, images: bool = True) -> None:
    """Remove what was found: evidence before the files it names.

    Args:
        found: what it is.
        store: the wheelhouse.
        images: whether the images that go are gone: what is not known to be there is never removed.
    """
    keys = found.keys if images else [key for key in found.keys if key not in found.images]
    store.retention.delete_old(keys, _evidence_files(found.files, store), found.cutoff)
    for piece in found.files:
        piece.path.unlink(missing_ok=True)


def _image_tags(
    rows: Sequence[tuple[str, str, str, str, float]], going: Collection[str], store: Store
) -> dict[str, str]:
    """Return the tags of images whose evidence goes, by its key, but for those that other evidence names as well."""
    tags = {
        key: evidence.facts["tag"]
        for key, job, *_ in rows
        if job.startswith("image:")
        and (evidence := store.get(key)) is not None
        and "tag" in evidence.facts
    }
    gone = set(going)
    staying = {tag for key, tag in tags.items() if key not in gone}
    return {key: tag for key, tag in tags.items() if key in gone and tag not in staying}


def _evidence_files(pieces: Iterable[StoredFile], store: Store) -> list[str]:
    """Return the names of those that evidence can name: a job may have fetched what is in the store as well."""
    return [
        piece.path.name for piece in pieces if piece.path.is_relative_to(store.folder / "files")
    ]


def _finding_ids(
    document: Mapping[str, list[dict[str, dict[str, dict[str, list[dict[str, str]]]]]]],
) -> frozenset[str]:
    return frozenset(
        finding["id"]
        for package in document["packages"]
        for abi in package["abis"].values()
        for finding in abi["findings"]
    )


def _list_files(
    store: Store, named: set[str], logs: set[Path], findings: frozenset[str], ages: Mapping[str, float],
    living: Callable[[str], bool],
) -> Iterator[tuple[StoredFile, bool]]:  # fmt: skip
    """Give every file that is the garbage collector's business, and whether something refers to it."""
    folder = store.wheelhouse
    for path in _iter_files(store.folder / "files"):
        half = path.name.startswith(".")  # what a killed farm was about to rename
        yield _stored_file(path, 0.0 if half else ages.get(path.name)), path.name in named
    index = store.folder / "index"
    locks = {
        path: path.read_text()
        for path in _iter_files(index / "locks")
        if not path.name.startswith(".")
    }
    alive = {path for path, text in locks.items() if living(json.loads(text)["job"])}
    locked = {sha256 for path in alive for sha256 in _SHA256.findall(locks[path])}
    for path in _iter_files(index):
        if path.name.startswith("."):
            yield _stored_file(path, 0.0), False
        elif path.is_relative_to(index / "files"):
            yield _stored_file(path), path.name in locked
        elif path in locks:
            yield _stored_file(path), path in alive
    for path in _iter_files(folder / "logs"):
        yield (
            _stored_file(path),
            path in logs or (path.parent.name == "replay" and path.stem in findings),
        )
    for path in _iter_files(folder / "replays"):
        yield _stored_file(path), path.stem in findings
    for name in ("contents", "pages"):  # what is in use is fetched again
        for path in _iter_files(store.folder / name):
            yield _stored_file(path), False


def _iter_files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file()) if folder.is_dir() else ()


def _stored_file(path: Path, at: float | None = None) -> StoredFile:
    status = path.stat()
    return StoredFile(
        path=path, created_at=status.st_mtime if at is None else at, size=status.st_size
    )


def _select_for_removal(
    loose: list[StoredFile], since: float, room: int | None
) -> list[StoredFile]:
    """Return what is too old and, of the rest, the oldest until it fits.

    Args:
        loose: what nothing refers to, the oldest first.
        since: what is older goes.
        room: bytes there are for what stays; None for any number.
    """
    going = [piece for piece in loose if piece.created_at < since]
    young = [piece for piece in loose if piece.created_at >= since]
    left = sum(piece.size for piece in young)
    for piece in young:
        if room is None or left <= room:
            break
        going.append(piece)
        left -= piece.size
    return going
