"""Content-addressed evidence and files, and the ledger of runs. Nothing else opens the database.

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
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.errors import WheelhouseLockedError
from builder.store.evidence import Evidence, JobOutcome
from builder.store.files import atomic_write, file_sha256, translate_disk_full
from builder.store.publications import Publications
from builder.store.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SCHEMA = """
CREATE TABLE IF NOT EXISTS evidence (
    key TEXT PRIMARY KEY, job TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
    facts TEXT NOT NULL, files TEXT NOT NULL, log TEXT NOT NULL, seconds REAL NOT NULL, recorded_at REAL NOT NULL,
    asked TEXT NOT NULL DEFAULT '', facts_version INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX IF NOT EXISTS evidence_job ON evidence (job, recorded_at);
CREATE TABLE IF NOT EXISTS resolutions (
    query TEXT PRIMARY KEY, answer TEXT NOT NULL, recorded_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, started_at REAL NOT NULL, ended_at REAL, outcome TEXT
);
CREATE TABLE IF NOT EXISTS listings (digest TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS snapshots (id TEXT PRIMARY KEY, published_at REAL NOT NULL, channels TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS distributions (
    sha256 TEXT PRIMARY KEY, metadata TEXT NOT NULL, requires_python TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    added_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS places (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS uploads (
    target TEXT NOT NULL, filename TEXT NOT NULL, sha256 TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (target, filename, sha256)
);
CREATE TABLE IF NOT EXISTS verdicts (
    run TEXT NOT NULL, package TEXT NOT NULL, version TEXT NOT NULL, abi TEXT NOT NULL, verdict TEXT NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (run, package, abi)
);
"""

_LATER_COLUMNS = {
    "asked": "TEXT NOT NULL DEFAULT ''",
    "facts_version": "INTEGER NOT NULL DEFAULT 1",
}
"""Columns of `evidence` that the wheelhouse of an older farm lacks, in the order they came."""

_NO_FILES = "{}"
_COLUMNS = "key, job, outcome, reason, facts, files, log, seconds, asked, facts_version"


class Store(Publications, Retention):
    """The evidence and files of one wheelhouse. Safe to use from several threads."""

    def __init__(self, wheelhouse: Path) -> None:
        self.wheelhouse = wheelhouse.resolve()
        self.folder = self.wheelhouse / "store"
        self._files = self.folder / "files"
        self._scratch = self.folder / "scratch"
        self._files.mkdir(parents=True, exist_ok=True)
        self._mutex = threading.Lock()
        self._database = sqlite3.connect(
            self.folder / "ledger.sqlite", timeout=60, check_same_thread=False, isolation_level=None
        )
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_SCHEMA)
        with self._transaction() as database:
            there = {row[1] for row in database.execute("PRAGMA table_info(evidence)")}
            for column, kind in _LATER_COLUMNS.items():
                if column not in there:
                    database.execute(f"ALTER TABLE evidence ADD COLUMN {column} {kind}")

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @property
    def farm_id(self) -> str:
        """An identity for this wheelhouse, which labels every container its farm starts."""
        path = self.folder / "farm-id"
        if not path.exists():
            with atomic_write(path) as aside:
                aside.write_text(uuid.uuid4().hex)
        return path.read_text()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the wheelhouse for one farm. The lock ends with the process, however it ends.

        Raises:
            WheelhouseLockedError: another farm holds it.
        """
        with (self.folder / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
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

    def get(self, key: str) -> Evidence | None:
        """Return the evidence recorded under a key, if any."""
        with self._mutex:
            row = self._database.execute(
                f"SELECT {_COLUMNS} FROM evidence WHERE key = ?",  # noqa: S608 - a constant
                (key,),
            ).fetchone()
        return None if row is None else _evidence_from_row(row)

    def get_complete(self, key: str) -> Evidence | None:
        """Return the evidence recorded under a key, if its files are there as well."""
        found = self.get(key)
        return found if found is not None and self.has_files(found.files) else None

    def evidence_lookup(self) -> Callable[[str], Evidence | None]:
        """Return what `settled` is, for many thousand keys: all but the facts is read at once, facts when asked for.

        Evidence recorded later, and files that go later, are not noticed. `asked` is left empty.
        """
        with self._mutex:
            rows = self._database.execute(
                "SELECT key, job, files, log, seconds, facts_version FROM evidence"
            ).fetchall()
        by_key = {row[0]: row for row in rows}
        there = self.all_files()

        def lookup(key: str) -> Evidence | None:
            row = by_key.get(key)
            if row is None:
                return None
            files: dict[str, str] = json.loads(row[2]) if row[2] != _NO_FILES else {}
            if not there.issuperset(files.values()):
                return None
            return Evidence(
                key=key,
                job=row[1],
                facts=_LazyFacts(self, key),
                files=files,
                log=row[3],
                seconds=row[4],
                facts_version=row[5],
            )

        return lookup

    def put(self, evidence: Evidence) -> None:
        """Record determined evidence durably; what could not be told is not recorded."""
        if not evidence.is_determined:
            return
        row = (
            evidence.key,
            evidence.job,
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
        with self._mutex, translate_disk_full(self.wheelhouse):
            self._database.execute(
                f"INSERT OR REPLACE INTO evidence ({_COLUMNS}, recorded_at) "  # noqa: S608 - a constant
                "VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                row,
            )

    def newest_evidence_of(self, name: str) -> tuple[Evidence, ...]:
        """Return the newest evidence of every job about a package (`KIND:NAME@…`), in the order it was recorded."""
        with self._mutex:
            rows = self._database.execute(
                f"SELECT {_COLUMNS}, MAX(recorded_at) AS newest FROM evidence "  # noqa: S608 - a constant
                "WHERE substr(job, instr(job, ':') + 1, ?) = ? GROUP BY job ORDER BY newest",
                (len(name) + 1, f"{name}@"),
            ).fetchall()
        return tuple(_evidence_from_row(row[:-1]) for row in rows)

    def last_key_parts(self, jobs: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return what the newest evidence of jobs was asked with, by job id; those without evidence are left out."""
        query = "SELECT asked FROM evidence WHERE job = ? ORDER BY recorded_at DESC LIMIT 1"
        with self._mutex:
            rows = ((job, self._database.execute(query, (job,)).fetchone()) for job in jobs)
            return {job: json.loads(row[0] or "{}") for job, row in rows if row is not None}

    def recorded_durations(self) -> dict[str, float]:
        """Return the last recorded duration of every job, by job id."""
        with self._mutex:
            rows = self._database.execute(
                "SELECT job, seconds FROM evidence ORDER BY recorded_at"
            ).fetchall()
        return dict(rows)

    def memory_peaks(self) -> dict[str, int]:
        """Return the most memory the last build of each job was seen to use, in bytes, by job id."""
        peak = """json_extract(facts, '$.limits."memory-peak-bytes"')"""
        with self._mutex:
            rows = self._database.execute(
                f"SELECT job, {peak} AS peak FROM evidence "  # noqa: S608 - a constant
                "WHERE job LIKE 'build:%' AND peak > 0 ORDER BY recorded_at"
            ).fetchall()
        return dict(rows)

    def get_resolution(self, query: str, max_age_s: float | None) -> Any | None:  # noqa: ANN401 - JSON
        """Return a recorded answer of the index, if it is young enough.

        Args:
            query: what was asked.
            max_age_s: oldest acceptable answer, in seconds; None takes any.
        """
        with self._mutex:
            row = self._database.execute(
                "SELECT answer, recorded_at FROM resolutions WHERE query = ?", (query,)
            ).fetchone()
        if row is None or (max_age_s is not None and time.time() - row[1] > max_age_s):
            return None
        return json.loads(row[0])

    def record_resolution(self, query: str, answer: Any) -> None:  # noqa: ANN401 - JSON
        """Record an answer of the index."""
        with self._mutex:
            self._database.execute(
                "INSERT OR REPLACE INTO resolutions VALUES (?,?,?)",
                (query, json.dumps(answer), time.time()),
            )

    def set_note(self, name: str, content: str) -> None:
        """Keep a note, in place of what was kept under its name."""
        with self._mutex:
            self._database.execute("INSERT OR REPLACE INTO notes VALUES (?,?)", (name, content))

    def get_note(self, name: str) -> str | None:
        """Return the note kept under a name, or None."""
        with self._mutex:
            row = self._database.execute(
                "SELECT content FROM notes WHERE name = ?", (name,)
            ).fetchone()
        return None if row is None else str(row[0])

    def delete_note(self, name: str) -> None:
        """Remove the note kept under a name, if there is one."""
        with self._mutex:
            self._database.execute("DELETE FROM notes WHERE name = ?", (name,))

    def newest_logs(self) -> dict[str, str]:
        """Return the newest log of every job that is recorded, by job."""
        with self._mutex:
            return dict(
                self._database.execute(
                    "SELECT job, log FROM evidence WHERE log != '' ORDER BY recorded_at"
                )
            )

    # --- files -------------------------------------------------------------------------------------------------------

    def add_file(self, source: Path) -> str:
        """Keep a copy of a file and return its sha256."""
        sha256 = file_sha256(source)
        target = self.file(sha256)
        if not target.exists():
            with translate_disk_full(self.wheelhouse), atomic_write(target) as aside:
                shutil.copyfile(source, aside)
        return sha256

    def file(self, sha256: str) -> Path:
        """Return where the file with a sha256 is, or would be."""
        return self._files / sha256[:2] / sha256

    def has_files(self, files: Mapping[str, str]) -> bool:
        """Return whether every one of some files is still there."""
        return all(self.file(sha256).exists() for sha256 in files.values())

    def all_files(self) -> set[str]:
        """Return the sha256 of every file that is there."""
        return {
            entry.name
            for folder in os.scandir(self._files)
            if folder.is_dir()
            for entry in os.scandir(folder)
        }

    def log_path(self, job: str, key: str) -> Path:
        """Return where a job writes its log; the folder exists afterwards."""
        kind, _, subject = job.partition(":")
        path = self.wheelhouse / "logs" / kind / f"{subject.replace('/', '_')}.{key[:8]}.log"
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
        if self._read is None:
            found = self._store.get(self._key)
            assert found is not None, "evidence is not removed while a farm holds the wheelhouse"
            self._read = found.facts
        return self._read

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - JSON
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


def _evidence_from_row(row: tuple[Any, ...]) -> Evidence:
    key, job, outcome, reason, facts, files, log, seconds, asked, facts_version = row
    return Evidence(
        key=key,
        job=job,
        outcome=JobOutcome(outcome),
        reason=reason,
        facts=json.loads(facts),
        files=json.loads(files),
        log=log,
        seconds=seconds,
        asked=asked,
        facts_version=facts_version,
    )
