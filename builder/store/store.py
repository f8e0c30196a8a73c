"""Evidence by key and files by hash: the store of one wheelhouse.

Layout under the wheelhouse:

    store/ledger.sqlite     evidence by key, resolutions, runs
    store/files/ab/abcd…    files by sha256, never changed once there
    store/lock              held by the farm at work
    store/scratch/          of jobs at work
    logs/KIND/NAME.log      one log per job, named after its subject and key
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from builder.errors import WheelhouseLockedError
from builder.store.database import Database
from builder.store.evidence import Evidence, JobOutcome
from builder.store.files import atomic_write, file_sha256, flush_to_disk, translate_disk_full
from builder.store.job_ids import JobId, JobKind
from builder.store.publications import Publications
from builder.store.retention import Retention
from builder.untrusted.names import Sha256, parse_sha256
from builder.untrusted.text import parse_recorded_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_CLOCK_TOLERANCE_S = 60
"""How far clocks are corrected all the time, and machines that share a wheelhouse differ."""

_Value = TypeVar("_Value")

_NO_FILES = "{}"
"""The files of evidence that has none, as the ledger has them."""

_COLUMNS = "key, job, outcome, reason, facts, files, log, seconds, asked, facts_version"


class Store:
    """The evidence and files of one wheelhouse. Safe to use from several threads.

    Attributes:
        wheelhouse: the folder of everything a farm leaves.
        folder: the store's own folder in it.
        database: the ledger.
        publications: runs, and what they published.
        retention: what is still referred to, for `wheelfarm gc`.
    """

    def __init__(self, wheelhouse: Path) -> None:
        """Open a wheelhouse, or make one.

        Args:
            wheelhouse: its folder.

        Raises:
            NewerLedgerError: a newer wheelfarm wrote its ledger.
        """
        self.wheelhouse = wheelhouse.resolve()
        self.folder = self.wheelhouse / "store"
        self._files = self.folder / "files"
        self._scratch = self.folder / "scratch"
        self._files.mkdir(parents=True, exist_ok=True)
        self.database = Database(self.folder / "ledger.sqlite")
        self.publications = Publications(self.database)
        self.retention = Retention(self.database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the ledger."""
        self.database.close()

    @property
    def farm_id(self) -> str:
        """The id of this wheelhouse's farm, which labels every container it starts; made when it is first asked for."""
        path = self.folder / "farm-id"
        if not path.exists():
            with atomic_write(path) as temporary_path:
                temporary_path.write_text(uuid.uuid4().hex)
        return path.read_text()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the wheelhouse for one farm during the block. The lock ends with the process, however that ends.

        Scratch folders that a killed farm left are removed.

        Raises:
            WheelhouseLockedError: another farm holds it.
        """
        with (self.folder / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # The other farm wrote into the file who it is.
                lock.seek(0)
                raise WheelhouseLockedError(
                    self.wheelhouse, lock.read().strip() or "unknown"
                ) from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
            lock.flush()
            shutil.rmtree(self._scratch, ignore_errors=True)  # of a farm that was killed
            yield

    @contextlib.contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """Give a folder that is removed afterwards: by the next farm, should this one be killed."""
        self._scratch.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            yield Path(folder)

    # --- evidence -----------------------------------------------------------------------------------------------------

    def get(self, key: str) -> Evidence | None:
        """Return the evidence recorded under a key, if any."""
        row = self.database.fetch_one(
            f"SELECT {_COLUMNS} FROM evidence WHERE key = ?",  # noqa: S608 - a constant
            (key,),
        )
        return None if row is None else _evidence_from_row(row)

    def get_complete(self, key: str) -> Evidence | None:
        """Return the evidence recorded under a key.

        None where there is none, or where one of its files is gone: the job has to run again then.
        """
        evidence = self.get(key)
        if evidence is None or not self.has_files(evidence.files):
            return None
        return evidence

    def evidence_lookup(self) -> Callable[[str], Evidence | None]:
        """Return a function that does what `get_complete` does, for many thousand keys.

        The ledger is read once, now; only facts are read when somebody asks for them. So evidence that is recorded
        later, and files that are removed later, are not noticed. The evidence has no `asked`.
        """
        rows = self.database.fetch_all(
            "SELECT key, job, files, log, seconds, facts_version FROM evidence"
        )
        rows_by_key = {row[0]: row for row in rows}
        present_files = self.all_files()

        def lookup(key: str) -> Evidence | None:
            """Return the evidence recorded under a key; None where there is none, or where one of its files is gone."""
            row = rows_by_key.get(key)
            if row is None:
                return None

            _, job, files_text, log, seconds, facts_version = row
            # Most evidence has no files, and parsing ten thousand empty objects takes a noticeable time.
            files: dict[str, str] = json.loads(files_text) if files_text != _NO_FILES else {}
            if not present_files.issuperset(files.values()):
                return None

            return Evidence(
                key=key,
                job=JobId.parse(job),
                facts=_LazyFacts(self, key),
                files=files,
                log=log,
                seconds=seconds,
                facts_version=facts_version,
            )

        return lookup

    def put(self, evidence: Evidence) -> None:
        """Record evidence durably, in place of what its key had.

        Undetermined evidence is skipped, so that the next run asks again.

        Raises:
            NoSpaceError: the disk is full.
        """
        self.put_all([evidence])

    def put_all(self, pieces: Iterable[Evidence]) -> None:
        """Record several pieces of evidence as `put` does: all of them, or none.

        Raises:
            NoSpaceError: the disk is full.
        """
        rows = [_row_of_evidence(evidence) for evidence in pieces if evidence.is_determined]
        if not rows:
            return

        placeholders = ",".join("?" * len(rows[0]))
        with translate_disk_full(self.wheelhouse), self.database.transaction() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO evidence ({_COLUMNS}, recorded_at) VALUES ({placeholders})",  # noqa: S608 - constants
                rows,
            )

    def newest_evidence(self, job: JobId) -> Evidence | None:
        """Return the newest evidence of a job, whatever its key was; None where there is none."""
        row = self.database.fetch_one(
            f"SELECT {_COLUMNS} FROM evidence WHERE job = ? ORDER BY rowid DESC LIMIT 1",  # noqa: S608 - a constant
            (str(job),),
        )
        return None if row is None else _evidence_from_row(row)

    def newest_evidence_of(self, name: str) -> tuple[Evidence, ...]:
        """Return the newest evidence of each job about a package, in the order it was recorded; empty without any."""
        job_pattern = str(JobId("*", name, "*"))
        rows = self.database.fetch_all(
            f"SELECT {_COLUMNS}, MAX(rowid) AS newest FROM evidence "  # noqa: S608 - a constant
            "WHERE job GLOB ? GROUP BY job ORDER BY newest",
            (job_pattern,),
        )
        return tuple(_evidence_from_row(row[:-1]) for row in rows)

    def all_evidence_of(self, kind: JobKind, name: str) -> tuple[Evidence, ...]:
        """Return all evidence of one kind of job about a package, in the order it was recorded; empty without any."""
        rows = self.database.fetch_all(
            f"SELECT {_COLUMNS} FROM evidence WHERE job GLOB ? ORDER BY rowid",  # noqa: S608 - a constant
            (str(JobId(kind, name, "*")),),
        )
        return tuple(_evidence_from_row(row) for row in rows)

    def last_key_parts(self, jobs: Iterable[JobId]) -> dict[JobId, dict[str, str]]:
        """Return what the key of each job's newest evidence was made of: short hashes by name.

        Jobs without evidence are left out. A job has no parts where an older farm recorded none.
        """
        query = "SELECT asked FROM evidence WHERE job = ? ORDER BY rowid DESC LIMIT 1"
        parts: dict[JobId, dict[str, str]] = {}
        for job in jobs:
            row = self.database.fetch_one(query, (str(job),))
            if row is not None:
                parts[job] = json.loads(row[0] or "{}")

        return parts

    def recorded_durations(self) -> dict[JobId, float]:
        """Return the last recorded duration of every job, in seconds, by job id."""
        rows = self.database.fetch_all("SELECT job, seconds FROM evidence ORDER BY rowid")
        return _by_job_id(rows)

    def memory_peaks(self) -> dict[JobId, int]:
        """Return the most memory that the last measured build of each job used, in bytes.

        Builds of which no peak was recorded are left out.
        """
        job_pattern = str(JobId(JobKind.BUILD, "*", "*"))
        peak_expression = """json_extract(facts, '$.limits."memory-peak-bytes"')"""
        rows = self.database.fetch_all(
            f"SELECT job, {peak_expression} AS peak FROM evidence "  # noqa: S608 - a constant
            "WHERE job GLOB ? AND peak > 0 ORDER BY rowid",
            (job_pattern,),
        )
        return _by_job_id(rows)

    def newest_logs(self) -> dict[JobId, str]:
        """Return the path of the newest log of each job that has one, relative to the wheelhouse."""
        rows = self.database.fetch_all(
            "SELECT job, log FROM evidence WHERE log != '' ORDER BY rowid"
        )
        return _by_job_id(rows)

    # --- answers of the index, and notes ------------------------------------------------------------------------------

    def get_resolution(self, query: str, max_age_s: float | None) -> Any | None:  # noqa: ANN401 - JSON
        """Return a recorded answer of the index; None where there is none, or where it is too old.

        Args:
            query: what was asked, as `record_resolution` had it.
            max_age_s: oldest acceptable answer, in seconds; None takes any.
        """
        row = self.database.fetch_one(
            "SELECT answer, recorded_at FROM resolutions WHERE query = ?", (query,)
        )
        if row is None:
            return None

        answer, recorded_at = row
        if max_age_s is not None:
            age_s = time.time() - recorded_at
            # From the future, so the clock was set back: nobody knows how old it is.
            is_from_future = age_s < -_CLOCK_TOLERANCE_S
            if is_from_future or age_s > max_age_s:
                return None
        return json.loads(answer)

    def record_resolution(self, query: str, answer: Any) -> None:  # noqa: ANN401 - JSON
        """Record an answer of the index."""
        self.database.execute(
            "INSERT OR REPLACE INTO resolutions VALUES (?,?,?)",
            (query, json.dumps(answer), time.time()),
        )

    def set_note(self, name: str, content: str) -> None:
        """Keep a note, in place of what was kept under its name."""
        self.database.execute("INSERT OR REPLACE INTO notes VALUES (?,?)", (name, content))

    def get_note(self, name: str) -> str | None:
        """Return the note kept under a name, or None."""
        row = self.database.fetch_one("SELECT content FROM notes WHERE name = ?", (name,))
        return None if row is None else str(row[0])

    def delete_note(self, name: str) -> None:
        """Remove the note kept under a name, if there is one."""
        self.database.execute("DELETE FROM notes WHERE name = ?", (name,))

    # --- files -------------------------------------------------------------------------------------------------------

    def add_file(self, source: Path) -> Sha256:
        """Keep a copy of a file and return its sha256. A file that is there already is not copied again.

        Raises:
            NoSpaceError: the disk is full.
        """
        sha256 = file_sha256(source)
        target = self.file(sha256)
        if not target.exists():
            with translate_disk_full(self.wheelhouse), atomic_write(target) as temporary_path:
                shutil.copyfile(source, temporary_path)
        return sha256

    def adopt_file(self, source: Path, target: Path) -> None:
        """Move a file of a scratch folder to its place in the wheelhouse; one that is there already stays.

        Args:
            source: in a folder of `scratch_folder`; whoever calls has compared its content with its hash.
            target: where it belongs.

        Raises:
            NoSpaceError: the disk is full.
        """
        if target.exists():
            return

        with translate_disk_full(self.wheelhouse):
            target.parent.mkdir(parents=True, exist_ok=True)
            source.chmod(0o644)
            flush_to_disk(source)
            source.replace(target)

    def file(self, sha256: str) -> Path:
        """Return where the file with a sha256 is, or would be.

        Raises:
            UntrustedNameError: it is no sha256: what is none leads to files of the host.
        """
        checked = parse_sha256(sha256)
        return self._files / checked[:2] / checked

    def has_files(self, files: Mapping[str, str]) -> bool:
        """Return whether every one of some files is still there."""
        return all(self.file(sha256).exists() for sha256 in files.values())

    def all_files(self) -> set[str]:
        """Return the sha256 of every file that is there."""
        names: set[str] = set()
        for folder in os.scandir(self._files):
            if folder.is_dir():
                names.update(entry.name for entry in os.scandir(folder))

        return names

    def log_path(self, job: JobId, key: str) -> Path:
        """Return where a job writes its log; the folder exists afterwards."""
        path = self.wheelhouse / "logs" / job.kind / f"{job.filename}.{key[:8]}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class _LazyFacts(Mapping[str, Any]):
    """Facts that are read from the ledger when somebody wants to know them."""

    __slots__ = ("_key", "_read", "_store")

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._read: Mapping[str, Any] | None = None

    def _load(self) -> Mapping[str, Any]:
        """Return the facts, and read them from the ledger the first time."""
        if self._read is None:
            evidence = self._store.get(self._key)
            assert evidence is not None, "evidence is not removed while a farm holds the wheelhouse"
            self._read = evidence.facts
        return self._read

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - JSON
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


def _by_job_id(rows: Iterable[tuple[str, _Value]]) -> dict[JobId, _Value]:
    """Return one value for each job: of several rows about the same job, the last row's."""
    return {JobId.parse(job): value for job, value in dict(rows).items()}


def _row_of_evidence(evidence: Evidence) -> tuple[Any, ...]:
    """Return evidence as a row of the ledger that has the columns `_COLUMNS` and the time."""
    return (
        evidence.key,
        str(evidence.job),
        evidence.outcome.value,
        evidence.reason,
        json.dumps(dict(evidence.facts)),
        json.dumps(evidence.files),
        evidence.log,
        evidence.seconds,
        evidence.asked,
        evidence.facts_version,
        time.time(),
    )


def _evidence_from_row(row: tuple[Any, ...]) -> Evidence:
    """Return the evidence in a row of the ledger that has the columns `_COLUMNS`."""
    key, job, outcome, reason, facts, files, log, seconds, asked, facts_version = row
    return Evidence(
        key=key,
        job=JobId.parse(job),
        outcome=JobOutcome(outcome),
        reason=reason,
        facts=parse_recorded_json(facts),
        files=json.loads(files),
        log=log,
        seconds=seconds,
        asked=asked,
        facts_version=facts_version,
    )
