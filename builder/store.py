"""Content-addressed evidence and files, and the ledger of runs. Nothing else opens the database.

Layout under the wheelhouse:

    store/ledger.sqlite     evidence by key, resolutions, runs
    store/files/ab/abcd…    files by sha256, never changed once there
    store/lock              held by the farm at work
    logs/KIND/NAME.log      one log per job, named after its subject and key
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from builder.errors import WheelhouseHeldError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

SNAPSHOTS_KEPT = 30
"""How many publications can be returned to."""
RUNS_KEPT = 60
"""How many runs the verdicts of are remembered."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS evidence (
    key TEXT PRIMARY KEY, job TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
    facts TEXT NOT NULL, files TEXT NOT NULL, log TEXT NOT NULL, seconds REAL NOT NULL, recorded_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS evidence_job ON evidence (job, recorded_at);
CREATE TABLE IF NOT EXISTS resolutions (
    query TEXT PRIMARY KEY, answer TEXT NOT NULL, recorded_at REAL NOT NULL
);
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


class Outcome(StrEnum):
    """How a job ended."""

    DONE = "done"
    """It found out what it was asked; the facts may be bad news."""
    UNDETERMINED = "undetermined"
    """It could not find out. Never reused: the next run asks again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What one job recorded.

    Attributes:
        key: hash of everything that could change it.
        job: the job's id, such as `build:lxml@debian-12`.
        facts: JSON data; each kind of job documents its own. Of what is undetermined, the finding's `code`.
        files: sha256 by file name.
        log: the job's log, relative to the wheelhouse, or empty.
        seconds: how long the job took.
    """

    key: str
    job: str
    outcome: Outcome = Outcome.DONE
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    log: str = ""
    seconds: float = 0.0

    @property
    def determined(self) -> bool:
        """Whether the job found out what it was asked."""
        return self.outcome is Outcome.DONE


def digest(*parts: object) -> str:
    """Hash JSON-able values into a key, independent of the order of mappings."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_text(text: str) -> str:
    """Hash text into 32 hexadecimal digits, for values that are compared by the ten thousand."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def file_sha256(path: Path) -> str:
    """Return a file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`, and rename it there when the block succeeds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    aside = target.parent / name
    try:
        yield aside
        aside.chmod(0o644)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def replace_text(target: Path, text: str) -> None:
    """Make a file hold a text: replaced whole, and not touched where it holds it already."""
    if not target.exists() or target.read_text(encoding="utf-8", errors="replace") != text:
        with written_aside(target) as aside:
            aside.write_text(text, encoding="utf-8", errors="replace")


class Store:
    """The evidence and files of one wheelhouse. Safe to use from several threads."""

    def __init__(self, wheelhouse: Path) -> None:
        self.wheelhouse = wheelhouse.resolve()
        self.folder = self.wheelhouse / "store"
        self._files = self.folder / "files"
        self._files.mkdir(parents=True, exist_ok=True)
        self._mutex = threading.Lock()
        self._database = sqlite3.connect(
            self.folder / "ledger.sqlite", timeout=60, check_same_thread=False, isolation_level=None
        )
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @property
    def farm_id(self) -> str:
        """An identity for this wheelhouse, which labels every container its farm starts."""
        path = self.folder / "farm-id"
        if not path.exists():
            with written_aside(path) as aside:
                aside.write_text(uuid.uuid4().hex)
        return path.read_text()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the wheelhouse for one farm. The lock ends with the process, however it ends.

        Raises:
            WheelhouseHeldError: another farm holds it.
        """
        with (self.folder / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise WheelhouseHeldError(self.wheelhouse, lock.read().strip() or "unknown") from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
            lock.flush()
            yield

    def get(self, key: str) -> Evidence | None:
        """Return the evidence recorded under a key, if any."""
        with self._mutex:
            row = self._database.execute(
                "SELECT key, job, outcome, reason, facts, files, log, seconds FROM evidence WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else _evidence(row)

    def put(self, evidence: Evidence) -> None:
        """Record determined evidence durably; what could not be told is not recorded."""
        if not evidence.determined:
            return
        row = (
            evidence.key,
            evidence.job,
            evidence.outcome.value,
            evidence.reason,
            json.dumps(evidence.facts),
            json.dumps(evidence.files),
            evidence.log,
            evidence.seconds,
            time.time(),
        )
        with self._mutex:
            self._database.execute("INSERT OR REPLACE INTO evidence VALUES (?,?,?,?,?,?,?,?,?)", row)

    def newest_of(self, name: str) -> tuple[Evidence, ...]:
        """Return the newest evidence of every job about a package (`KIND:NAME@…`), in the order it was recorded."""
        columns = "key, job, outcome, reason, facts, files, log, seconds"
        with self._mutex:
            rows = self._database.execute(
                f"SELECT {columns}, MAX(recorded_at) AS newest FROM evidence "  # noqa: S608 - columns are a constant
                "WHERE substr(job, instr(job, ':') + 1, ?) = ? GROUP BY job ORDER BY newest",
                (len(name) + 1, f"{name}@"),
            ).fetchall()
        return tuple(_evidence(row[:-1]) for row in rows)

    def seconds_of(self) -> dict[str, float]:
        """Return the last recorded duration of every job, by job id."""
        with self._mutex:
            rows = self._database.execute("SELECT job, seconds FROM evidence ORDER BY recorded_at").fetchall()
        return dict(rows)

    def resolution(self, query: str, max_age_s: float | None) -> Any | None:  # noqa: ANN401 - JSON
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
                "INSERT OR REPLACE INTO resolutions VALUES (?,?,?)", (query, json.dumps(answer), time.time())
            )

    def begin_run(self) -> str:
        """Enter a run into the ledger and return its id."""
        run = f"{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:6]}"
        with self._mutex:
            self._database.execute("INSERT INTO runs VALUES (?,?,NULL,NULL)", (run, time.time()))
        return run

    def end_run(self, run: str, outcome: str) -> None:
        """Note how a run ended."""
        with self._mutex:
            self._database.execute(
                "UPDATE runs SET ended_at = ?, outcome = ? WHERE id = ?", (time.time(), outcome, run)
            )

    # --- what was published ------------------------------------------------------------------------------------------

    def add_snapshot(self, channels: Mapping[str, Mapping[str, tuple[str, str]]]) -> str:
        """Keep what is published and return its id. The oldest beyond `SNAPSHOTS_KEPT` goes.

        Args:
            channels: (digest, listing) by project, by channel.
        """
        trees = {name: {project: key for project, (key, _) in listed.items()} for name, listed in channels.items()}
        text = json.dumps(trees, sort_keys=True, separators=(",", ":"))
        identity = digest_text(text)[:12]
        pairs = {pair for listed in channels.values() for pair in listed.values()}
        with self._mutex, self._transaction() as database:
            known = {key for (key,) in database.execute("SELECT digest FROM listings")}
            database.executemany("INSERT INTO listings VALUES (?,?)", (pair for pair in pairs if pair[0] not in known))
            database.execute("INSERT OR REPLACE INTO snapshots VALUES (?,?,?)", (identity, time.time(), text))
            database.execute(
                "DELETE FROM snapshots WHERE id NOT IN (SELECT id FROM snapshots ORDER BY published_at DESC LIMIT ?)",
                (SNAPSHOTS_KEPT,),
            )
        return identity

    def snapshots(self) -> list[tuple[str, float, int]]:
        """Return (id, when it was last published, number of projects) of every snapshot, the newest first."""
        with self._mutex:
            rows = self._database.execute(
                "SELECT id, published_at, channels FROM snapshots ORDER BY published_at DESC"
            ).fetchall()
        return [(key, at, sum(len(tree) for tree in json.loads(text).values())) for key, at, text in rows]

    def snapshot(self, identity: str) -> dict[str, dict[str, str]]:
        """Return the digest of every project's listing, by channel, of a snapshot that is there."""
        with self._mutex:
            (text,) = self._database.execute("SELECT channels FROM snapshots WHERE id = ?", (identity,)).fetchone()
        channels: dict[str, dict[str, str]] = json.loads(text)
        return channels

    def listings(self, digests: Iterable[str]) -> dict[str, str]:
        """Return listings by their digests."""
        with self._mutex:
            return {
                key: self._database.execute("SELECT content FROM listings WHERE digest = ?", (key,)).fetchone()[0]
                for key in digests
            }

    def add_distributions(self, facts: Iterable[tuple[str, str, str]]) -> None:
        """Record facts about wheels of the store: of each sha256, sha256 of its METADATA, and `requires-python`."""
        rows = [(sha256, *told, self.file(sha256).stat().st_size, time.time()) for sha256, *told in facts]
        with self._mutex, self._transaction() as database:  # a transaction for each would wait for the disk each time
            database.executemany("INSERT OR IGNORE INTO distributions VALUES (?,?,?,?,?)", rows)

    def distributions(self) -> dict[str, tuple[str, str, int, float]]:
        """Return (sha256 of METADATA, requires-python, size in bytes, when it was added) by wheel's sha256."""
        with self._mutex:
            rows = self._database.execute("SELECT * FROM distributions").fetchall()
        return {row[0]: row[1:] for row in rows}

    def first_at(self, paths: Mapping[str, str]) -> dict[str, str]:
        """Return the sha256 that each path of the index had first; what is new to it is remembered.

        Args:
            paths: the sha256 that is wanted there, by path.
        """
        with self._mutex, self._transaction() as database:
            known: dict[str, str] = dict(database.execute("SELECT path, sha256 FROM places"))
            fresh = [pair for pair in paths.items() if pair[0] not in known]
            database.executemany("INSERT INTO places VALUES (?,?)", fresh)
        return {**paths, **known}

    def add_upload(self, target: str, filename: str, sha256: str) -> None:
        """Remember that an index has a file."""
        with self._mutex:
            self._database.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?,?,?,?)", (target, filename, sha256, time.time())
            )

    def uploads(self, target: str) -> frozenset[tuple[str, str]]:
        """Return (file name, sha256) of what an index is known to have."""
        with self._mutex:
            return frozenset(
                self._database.execute("SELECT filename, sha256 FROM uploads WHERE target = ?", (target,)).fetchall()
            )

    # --- verdicts across runs ----------------------------------------------------------------------------------------

    def add_verdicts(self, run: str, rows: Iterable[tuple[str, str, str, str, str]]) -> None:
        """Record the verdicts of a whole run as (package, version, abi, verdict, reason); keep `RUNS_KEPT` runs."""
        with self._mutex, self._transaction() as database:
            database.executemany("INSERT OR REPLACE INTO verdicts VALUES (?,?,?,?,?,?)", ((run, *row) for row in rows))
            database.execute(
                "DELETE FROM verdicts WHERE run NOT IN "
                "(SELECT id FROM runs WHERE id IN (SELECT run FROM verdicts) ORDER BY started_at DESC LIMIT ?)",
                (RUNS_KEPT,),
            )

    def verdicts(self) -> list[tuple[str, str, str, str, str, str]]:
        """Return (run, package, version, abi, verdict, reason) of every run that is kept, the oldest run first."""
        with self._mutex:
            return self._database.execute(
                "SELECT verdicts.* FROM verdicts JOIN runs ON id = run ORDER BY started_at, run, verdicts.rowid"
            ).fetchall()

    def logs(self) -> dict[str, str]:
        """Return the newest log of every job that is recorded, by job."""
        with self._mutex:
            return dict(self._database.execute("SELECT job, log FROM evidence WHERE log != '' ORDER BY recorded_at"))

    def runs(self) -> list[tuple[str, float, float | None, str | None]]:
        """Return (id, started at, ended at, outcome) of every run, the oldest first; times since the epoch."""
        with self._mutex:
            return self._database.execute(
                "SELECT id, started_at, ended_at, outcome FROM runs ORDER BY started_at"
            ).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    # --- files -------------------------------------------------------------------------------------------------------

    def add_file(self, source: Path) -> str:
        """Keep a copy of a file and return its sha256."""
        sha256 = file_sha256(source)
        target = self.file(sha256)
        if not target.exists():
            with written_aside(target) as aside:
                shutil.copyfile(source, aside)
        return sha256

    def file(self, sha256: str) -> Path:
        """Return where the file with a sha256 is, or would be."""
        return self._files / sha256[:2] / sha256

    def has_files(self, files: Mapping[str, str]) -> bool:
        """Return whether every one of some files is still there."""
        return all(self.file(sha256).exists() for sha256 in files.values())

    def log_path(self, job: str, key: str) -> Path:
        """Return where a job writes its log; the folder exists afterwards."""
        kind, _, subject = job.partition(":")
        path = self.wheelhouse / "logs" / kind / f"{subject.replace('/', '_')}.{key[:8]}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _evidence(row: tuple[Any, ...]) -> Evidence:
    key, job, outcome, reason, facts, files, log, seconds = row
    return Evidence(
        key=key,
        job=job,
        outcome=Outcome(outcome),
        reason=reason,
        facts=json.loads(facts),
        files=json.loads(files),
        log=log,
        seconds=seconds,
    )
