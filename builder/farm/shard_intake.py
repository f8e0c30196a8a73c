"""What shards bring: copied beside the store, compared with its hash, and taken in at the very end."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.distributions.identity import explain_file_mismatch
from builder.farm.shard_lock import LOCK_LIMIT_BYTES, parse_lock
from builder.farm.shard_record import RECORD_FILE, EvidenceRecord
from builder.farm.shard_results import ShardResults, iter_pure
from builder.proxy.cache import FetchedFile, IndexCache
from builder.proxy.crates import Crates
from builder.store.evidence import JobOutcome
from builder.store.job_ids import JobId, JobKind
from builder.untrusted.folder import MissingFileError, UnfitFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.store.evidence import Evidence
    from builder.store.store import Store

_FILE_LIMIT_BYTES = 4 << 30
"""Of a wheel, an sdist or a file of the index: what an sdist may unpack to. The largest wheels have 1 GiB."""

_LOG_LIMIT_BYTES = 256 << 20
"""Of a log: a build has several calls of cibuildwheel, each of which writes some 32 MiB at most (log_file.py)."""

_LOG_NAME = re.compile(r"(?P<name>.+)\.(?P<key>[0-9a-f]{8})\.log")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wheel:
    """A wheel, and the release that it has to be of."""

    name: str
    version: str
    filename: str
    sha256: str


class Intake:
    """What of the shards is to be taken in: until the end, nothing of it is in the store.

    Attributes:
        evidence: what was taken of the shards' evidence, by job.
    """

    def __init__(self, scratch: Path, store: Store) -> None:
        """Prepare.

        Args:
            scratch: folder for copies of what comes in, on the store's file system.
            store: the store to take it into; the caller holds its lock.
        """
        self.evidence: dict[JobId, Evidence] = {}
        self._scratch = scratch
        self._store = store
        self._index_cache = IndexCache(store.folder / "index")
        self._numbers = itertools.count()

        # Copies that go into the store and into the index cache, by sha256.
        self._files: dict[str, Path] = {}
        self._index_files: dict[str, Path] = {}
        # Copies of logs, by path below the wheelhouse.
        self._logs: dict[str, Path] = {}
        # Which files of the index a job fetched.
        self._locks: dict[JobId, tuple[list[FetchedFile], Crates]] = {}
        # The evidence under each key, of whichever shard.
        self._keys: dict[str, EvidenceRecord] = {}

    def take(self, shard: ShardResults) -> None:
        """Check what a shard brings, and copy it beside the store.

        Args:
            shard: the shard; what it says of its jobs was checked.

        Raises:
            MergeError: a file, a wheel, a log or a lock is not what it has to be, or a key has two results.
        """
        self._check_keys_once(shard)
        self._take_files(shard)
        self._check_wheels(shard)
        self._take_logs(shard)
        self._take_index_cache(shard)
        for job, recorded in shard.evidence.items():
            if job.kind != JobKind.IMAGE:
                self.evidence[job] = recorded.to_evidence()

    def commit(self) -> None:
        """Take in what was checked: files, then logs and locks, and last, in one step, the evidence that names them.

        Raises:
            NoSpaceError: the disk is full.
        """
        for sha256, copy in self._files.items():
            self._store.adopt_file(copy, self._store.file(sha256))
        for sha256, copy in self._index_files.items():
            self._store.adopt_file(copy, self._index_cache.file(sha256))
        for log, copy in self._logs.items():
            self._store.adopt_file(copy, self._store.wheelhouse / log)
        for job, (fetched, crates) in self._locks.items():
            self._index_cache.write_lock(job, fetched, crates)

        self._store.put_all(self.evidence.values())

    def _check_keys_once(self, shard: ShardResults) -> None:
        """Check that no key has two different results, neither in the shards nor in the ledger of this machine.

        Jobs of two packages may have the same key where neither has anything to do; then their results are equal. A job
        of the ledger that is run again may give another result than before, which takes its place.

        Raises:
            MergeError: it has.
        """
        for job, recorded in shard.evidence.items():
            if job.kind == JobKind.IMAGE or recorded.outcome is JobOutcome.UNDETERMINED:
                continue

            other = self._keys.setdefault(recorded.key, recorded)
            if not _has_same_result(recorded, other):
                reason = f"{RECORD_FILE}: {job} and {other.job} have one key and different results"
                raise shard.refuse(reason)

            here = self._store.get(recorded.key)
            if here is None or here.job.name == job.name:
                continue
            if here.facts != recorded.facts or here.files != recorded.files:
                reason = f"{RECORD_FILE}: {job}: this wheelhouse has another result of {here.job} under its key"
                raise shard.refuse(reason)

    def _take_files(self, shard: ShardResults) -> None:
        """Copy each file that the shard's evidence and sources name beside the store, and compare its sha256.

        Files that the store has already are skipped.

        Raises:
            MergeError: a file is missing, damaged, too large or no regular file.
        """
        for sha256 in dict.fromkeys(_iter_file_hashes(shard)):
            if sha256 in self._files or self._store.file(sha256).exists():
                continue

            copy = self._next_path()
            try:
                copied = shard.folder.copy(
                    f"store/files/{sha256[:2]}/{sha256}", copy, _FILE_LIMIT_BYTES
                )
            except UnfitFileError as error:
                reason = f"the file {sha256} is missing or damaged: {error}"
                raise shard.refuse(reason) from None  # the message has the cause
            if copied != sha256:
                reason = f"the file {sha256} is missing or damaged: its sha256 is {copied}"
                raise shard.refuse(reason)
            self._files[sha256] = copy

    def _check_wheels(self, shard: ShardResults) -> None:
        """Check that every wheel that may be served or installed says inside what its name says.

        Raises:
            MergeError: one is of another package.
        """
        for wheel in dict.fromkeys(_iter_wheels(shard)):
            path = self._files.get(wheel.sha256) or self._store.file(wheel.sha256)
            mismatch = explain_file_mismatch(wheel.name, wheel.version, wheel.filename, path)
            if mismatch:
                raise shard.refuse(f"{wheel.filename}: {mismatch}")

    def _take_logs(self, shard: ShardResults) -> None:
        """Copy the logs that the shard's evidence names beside the store.

        One that is missing, or here already, is skipped.

        Raises:
            MergeError: a log is not one of the shard's jobs, too large, or no regular file.
        """
        job_names = {(str(job.kind), job.filename) for job in shard.evidence}
        for job, recorded in shard.evidence.items():
            log = recorded.log
            is_known = not log or log in self._logs or (self._store.wheelhouse / log).exists()
            if job.kind == JobKind.IMAGE or is_known:
                continue

            _check_log(shard, recorded, job_names)
            copy = self._next_path()
            try:
                shard.folder.copy(log, copy, _LOG_LIMIT_BYTES)
            except MissingFileError:
                continue
            except UnfitFileError as error:
                reason = f"the log of {job}: {error}"
                raise shard.refuse(reason) from None  # the message has the cause
            self._logs[log] = copy

    def _take_index_cache(self, shard: ShardResults) -> None:
        """Copy the locks of the shard's jobs, and the files of the package index that they name, beside the store.

        A lock lists the files that one job fetched: `run --locked` gives it these. What the shard remembers of the
        index beyond that would be given to other packages, and stays behind. What the shard lacks is left to the index:
        the lock has its hash.

        Raises:
            MergeError: a lock cannot be read, or is of another job.
        """
        for job in shard.evidence:
            if job.kind == JobKind.IMAGE:
                continue

            inner = f"store/index/locks/{job.kind}/{job.filename}.json"
            try:
                content = shard.folder.read(inner, LOCK_LIMIT_BYTES)
                fetched, crates = parse_lock(str(job), content)
            except MissingFileError:
                continue
            except ValueError as error:  # among them all that the doors of builder/untrusted/ raise
                raise shard.refuse(f"{inner}: {error}") from None  # the message has the cause

            self._locks[job] = fetched, crates
            for sha256 in [*(file.sha256 for file in fetched), *crates.hashes()]:
                self._take_index_file(shard, sha256)

    def _take_index_file(self, shard: ShardResults, sha256: str) -> None:
        """Copy a file of the index beside the store, unless it is here.

        Raises:
            MergeError: it is not what its name says, too large, or no regular file.
        """
        if sha256 in self._index_files or self._index_cache.file(sha256).exists():
            return

        inner = f"store/index/files/{sha256[:2]}/{sha256}"
        copy = self._next_path()
        try:
            copied = shard.folder.copy(inner, copy, _FILE_LIMIT_BYTES)
        except MissingFileError:
            return
        except UnfitFileError as error:
            raise shard.refuse(str(error)) from None  # the message has the cause
        if copied != sha256:
            raise shard.refuse(f"{inner} is damaged: its sha256 is {copied}")
        self._index_files[sha256] = copy

    def _next_path(self) -> Path:
        """Return a path for one more copy."""
        return self._scratch / str(next(self._numbers))


def _check_log(
    shard: ShardResults, recorded: EvidenceRecord, job_names: set[tuple[str, str]]
) -> None:
    """Check that a log is one of the shard's jobs, and where its job has a result, that it is the log of its key.

    Args:
        shard: the shard.
        recorded: the job's evidence, which names the log.
        job_names: (kind, name in file names) of every job of the shard.

    Raises:
        MergeError: it is another.
    """
    where = f"{RECORD_FILE}: {recorded.job}: log: {recorded.log}"
    _, kind, filename = recorded.log.split("/")
    match = _LOG_NAME.fullmatch(filename)
    if match is None or (kind, match["name"]) not in job_names:
        raise shard.refuse(f"{where} is no log of this shard's jobs")

    has_result = recorded.outcome is not JobOutcome.UNDETERMINED
    is_own_key = kind == recorded.job.kind and recorded.key.startswith(match["key"])
    if recorded.key and has_result and not is_own_key:
        raise shard.refuse(f"{where} is no log of its key")


def _has_same_result(recorded: EvidenceRecord, other: EvidenceRecord) -> bool:
    return recorded.facts == other.facts and recorded.files == other.files


def _iter_wheels(shard: ShardResults) -> Iterator[_Wheel]:
    """Iterate over the pure wheels that a shard's packages need, and those that it built. One may come twice."""
    for source in shard.sources.found.values():
        for pure in iter_pure(source):
            yield _Wheel(
                name=pure.name,
                version=pure.version,
                filename=pure.filename,
                sha256=pure.sha256,
            )

    for job, recorded in shard.evidence.items():
        if job.kind != JobKind.BUILD:
            continue
        source = shard.sources.found[job.name]
        for filename, sha256 in recorded.files.items():
            yield _Wheel(
                name=source.project,
                version=source.version,
                filename=filename,
                sha256=sha256,
            )


def _iter_file_hashes(shard: ShardResults) -> Iterator[str]:
    """Iterate over the sha256 of every file to copy: outputs of jobs, sdists, wheels of others. One may come twice."""
    for job, recorded in shard.evidence.items():
        if job.kind != JobKind.IMAGE:
            yield from recorded.files.values()

    for source in shard.sources.found.values():
        if source.sha256:
            yield source.sha256
        for wheel in source.wheels:
            yield wheel.sha256
        for pure in iter_pure(source):
            yield pure.sha256
