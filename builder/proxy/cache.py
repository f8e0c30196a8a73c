"""What builds fetched from the package index: the files, what the index said of them, and which build had which.

Layout under the wheelhouse; the folder may be copied to another machine's wheelhouse as it is:

    store/index/files/ab/abcd…             files by sha256
    store/index/projects/NAME.json         what the index said of the files of a project, as it said it (PEP 691)
    store/index/locks/KIND/NAME@BASE.json  the files one job fetched: with `run --locked` it gets these and no others
    store/index/crates.json                what the index of crates said last, by crate: the sha256 of it as a file
    store/index/toolchains.json            the manifests of Rust toolchains, by version: the sha256 of each as a file
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.errors import InfrastructureError
from builder.proxy.crates import Crates
from builder.store.files import atomic_write, file_sha256, translate_disk_full

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from builder.proxy.crates import CratePage
    from builder.proxy.toolchains import ToolchainManifest
    from builder.store.job_ids import JobId

_SHA256 = re.compile("[0-9a-f]{64}")

Entries = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchedFile:
    """One file that a job fetched.

    Attributes:
        project: whose file it is.
        entry: what the index said of it (PEP 691), its sha256 among it.
    """

    project: str
    entry: dict[str, Any]

    @property
    def filename(self) -> str:
        """Its name."""
        return str(self.entry["filename"])

    @property
    def sha256(self) -> str:
        """Its sha256."""
        return str(self.entry["hashes"]["sha256"])

    def record(self) -> dict[str, str]:
        """Return what the evidence says of it."""
        return {"filename": self.filename, "sha256": self.sha256}


class IndexCache:
    """The folder. Safe to use from several threads of the farm that holds the wheelhouse.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mutex = threading.Lock()

    def file(self, sha256: str) -> Path:
        """Return the path of the file with a sha256, whether it is there or not.

        Raises:
            ValueError: that is no sha256.
        """
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is no sha256")
        return self.folder / "files" / sha256[:2] / sha256

    def add(self, fetched: FetchedFile, write_content: Callable[[Path], object]) -> None:
        """Keep a file, and what the index said of it. Nothing is kept where the content has another sha256.

        Args:
            fetched: the file.
            write_content: called with a path, to which it writes the content.

        Raises:
            InfrastructureError: the content is not what it should be.
            NoSpaceError: the disk is full.
        """
        self.add_content(fetched.sha256, fetched.filename, write_content)
        self._add_entry(fetched.project, fetched.entry)

    def add_content(self, sha256: str, name: str, write_content: Callable[[Path], object]) -> None:
        """Keep a file by its sha256 alone. Nothing is kept where the content has another one.

        Args:
            sha256: of the file.
            name: of the file, for the error.
            write_content: called with a path, to which it writes the content.

        Raises:
            InfrastructureError: the content is not what it should be.
            NoSpaceError: the disk is full.
        """
        with (
            translate_disk_full(self.folder),
            atomic_write(self.file(sha256)) as temporary_path,
        ):
            write_content(temporary_path)
            if file_sha256(temporary_path) != sha256:
                raise InfrastructureError(f"{name} was damaged on its way out of the index proxy")

    def note_crate_pages(self, pages: Iterable[CratePage]) -> None:
        """Record what the index of crates said last of some."""
        self._note("crates.json", {page.name: page.sha256 for page in pages})

    def crate_pages(self) -> dict[str, str]:
        """Return the sha256 of what the index of crates said last, by crate, where that is here."""
        return self._read_notes("crates.json")

    def note_toolchain_manifests(self, manifests: Iterable[ToolchainManifest]) -> None:
        """Record the manifests of some Rust toolchains."""
        self._note("toolchains.json", {manifest.version: manifest.sha256 for manifest in manifests})

    def toolchain_manifests(self) -> dict[str, str]:
        """Return the sha256 of the manifests of Rust toolchains, by version, where they are here."""
        return self._read_notes("toolchains.json")

    def _note(self, filename: str, hashes: dict[str, str]) -> None:
        """Add hashes, by name of what each is of, to a file of them."""
        path = self.folder / filename
        with self._mutex:
            recorded: dict[str, str] = _read(path, {})
            current = recorded | hashes
            if current != recorded:
                _write(path, current)

    def _read_notes(self, filename: str) -> dict[str, str]:
        """Return the hashes of such a file whose files are here, by name."""
        recorded: dict[str, str] = _read(self.folder / filename, {})
        return {name: sha256 for name, sha256 in recorded.items() if self.file(sha256).exists()}

    def _add_entry(self, project: str, entry: dict[str, Any]) -> None:
        """Record what the index said of one file of a project, in place of what was recorded of that file before."""
        page = self.folder / "projects" / f"{project}.json"
        with self._mutex:
            recorded: list[dict[str, Any]] = _read(page, [])
            entries = [other for other in recorded if other["filename"] != entry["filename"]]
            entries.append(_without_metadata_link(entry))
            entries.sort(key=lambda other: str(other["filename"]))
            _write(page, entries)

    def entries(self) -> Entries:
        """Return what the index said of the files that are here, by project.

        Entries of files that are gone are left out; a project may have none left.
        """
        entries: Entries = {}
        for page in sorted((self.folder / "projects").glob("*.json")):
            recorded: list[dict[str, Any]] = _read(page, [])
            entries[page.stem] = [entry for entry in recorded if self._has_file(entry)]

        return entries

    def newest_files(self, limit_bytes: int) -> Iterator[str]:
        """Give the sha256 of the files added last, the newest first, until the next one would exceed a total size.

        Files older than the first that does not fit are left out, even if they are small enough.

        Args:
            limit_bytes: the most that the given files take together.
        """
        # A file that is still being written has another name than a sha256.
        paths = [
            path for path in (self.folder / "files").glob("??/*") if _SHA256.fullmatch(path.name)
        ]
        status = {path: path.stat() for path in paths}
        newest_first = sorted(paths, key=lambda path: status[path].st_mtime, reverse=True)

        total_bytes = 0
        for path in newest_first:
            total_bytes += status[path].st_size
            if total_bytes > limit_bytes:
                return
            yield path.name

    def read_lock(self, job: JobId) -> Entries | None:
        """Return the lock of a job, i.e. the files of the index that it fetched when it was recorded, by project.

        None where no lock of it was recorded.
        """
        recorded = _read(self._lock_path(job), None)
        if recorded is None:
            return None
        files: Entries = {}
        for item in recorded["files"]:
            files.setdefault(item["project"], []).append(item["entry"])
        return files

    def read_crate_lock(self, job: JobId) -> Crates:
        """Return what a job had of the registry of crates when its lock was recorded."""
        return Crates.from_json(_read(self._lock_path(job), {}))

    def write_lock(
        self, job: JobId, fetched: Iterable[FetchedFile], crates: Crates | None = None
    ) -> None:
        """Record which files of the index a job fetched, and which crates: its lock. It replaces the earlier one."""
        files: list[dict[str, Any]] = []
        for file in fetched:
            files.append({"project": file.project, "entry": _without_metadata_link(file.entry)})

        files.sort(key=lambda item: (item["project"], item["entry"]["filename"]))
        described_crates = {} if crates is None else crates.to_json()
        _write(self._lock_path(job), {"job": str(job), "files": files, **described_crates})

    def _lock_path(self, job: JobId) -> Path:
        return self.folder / "locks" / job.kind / f"{job.filename}.json"

    def _has_file(self, entry: dict[str, Any]) -> bool:
        return self.file(entry["hashes"]["sha256"]).exists()


def _without_metadata_link(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry without `core-metadata`, by which the index offers a file's metadata as a file of its own.

    The cache has no such files; who needs the metadata reads it from the file itself.
    """
    return {key: value for key, value in entry.items() if key != "core-metadata"}


def _read(path: Path, default: object) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON data in a file, or a default where there is no such file."""
    if not path.exists():
        return default

    return json.loads(path.read_text())


def _write(path: Path, content: object) -> None:
    with translate_disk_full(path.parent), atomic_write(path) as temporary_path:
        temporary_path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
