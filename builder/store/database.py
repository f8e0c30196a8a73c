"""The ledger's database: one connection for all threads, its schema, and the steps from older schemas to today's.

Nothing outside of builder/store/ opens it.

What came after what is told by the tables' `rowid`, which grows with each row that is written, also in place of an
earlier one, and which `VACUUM` keeps in order. Times are shown, and compared with ages, but order nothing: a clock that
goes back would turn the newest into the oldest.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from builder.errors import NewerLedgerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SCHEMA_VERSION = 2
"""What `PRAGMA user_version` says of a ledger that has today's tables; ledgers of the first farms say 0."""

LedgerFault = sqlite3.Error
"""What a ledger raises that cannot be read or written: whoever may not open one has no other name for it."""

_BUSY_TIMEOUT_S = 60  # another process only ever holds a transaction for the time of one write

_TABLES = """
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
    added_at REAL NOT NULL, requires TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS places (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS uploads (
    target TEXT NOT NULL, filename TEXT NOT NULL, sha256 TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (target, filename, sha256)
);
CREATE TABLE IF NOT EXISTS channel_changes (
    kind TEXT NOT NULL, at REAL NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL, snapshot TEXT NOT NULL,
    releases TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS verdicts (
    run TEXT NOT NULL, package TEXT NOT NULL, version TEXT NOT NULL, abi TEXT NOT NULL, verdict TEXT NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (run, package, abi)
);
"""

_ADDED_COLUMNS = (
    ("evidence", "asked", "TEXT NOT NULL DEFAULT ''"),
    ("evidence", "facts_version", "INTEGER NOT NULL DEFAULT 1"),
    ("distributions", "requires", "TEXT NOT NULL DEFAULT ''"),
)
"""(table, column, definition) of what came after its table, in the order it came."""


class Database:
    """A connection that threads take turns with."""

    def __init__(self, path: Path) -> None:
        """Open the ledger, and bring it to today's schema.

        Args:
            path: the database file; made where there is none.

        Raises:
            NewerLedgerError: a newer wheelfarm wrote it.
        """
        self.path = path
        self._mutex = threading.RLock()  # statements of a transaction take their turn within it
        self._connection = sqlite3.connect(
            path,
            timeout=_BUSY_TIMEOUT_S,
            check_same_thread=False,
            isolation_level=None,  # transactions begin where `transaction` says so
        )
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._migrate()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def fetch_all(self, query: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Return every row of a query."""
        with self._mutex:
            return self._connection.execute(query, tuple(parameters)).fetchall()

    def fetch_one(self, query: str, parameters: Iterable[Any] = ()) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None where it has no rows."""
        with self._mutex:
            row: tuple[Any, ...] | None = self._connection.execute(
                query, tuple(parameters)
            ).fetchone()
        return row

    def execute(self, statement: str, parameters: Iterable[Any] = ()) -> None:
        """Execute a statement, durably."""
        with self._mutex:
            self._connection.execute(statement, tuple(parameters))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for statements that take effect together, or not at all where the block raises.

        Other threads wait meanwhile.
        """
        with self._mutex:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                # Of a full disk SQLite has rolled back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _migrate(self) -> None:
        """Bring the ledger to today's schema: make the tables and columns that are not there, in one transaction.

        Raises:
            NewerLedgerError: its schema is newer than this farm's.
        """
        version = self._read_version()
        if version > SCHEMA_VERSION:
            raise NewerLedgerError(self.path, version, SCHEMA_VERSION)
        if version == SCHEMA_VERSION:
            return

        with self.transaction() as connection:
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            _add_missing_columns(connection)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _read_version(self) -> int:
        row = self.fetch_one("PRAGMA user_version")
        assert row is not None, "sqlite answers with a number"
        return int(row[0])


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    """Add those columns that the ledger of an older farm may lack."""
    for table, column, definition in _ADDED_COLUMNS:
        rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
        if column not in {row[1] for row in rows}:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {definition}")
