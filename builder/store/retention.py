"""What the ledger can tell `wheelfarm gc`, and what it can be told to forget."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import contextlib
    import sqlite3
    import threading
    from collections.abc import Iterable

MAX_RESOLUTIONS = 5
"""How many resolutions of a whole matrix are kept whatever their age: with them a silent index does no harm."""


class Retention:
    """The part of the store that is about forgetting."""

    _mutex: threading.Lock
    _database: sqlite3.Connection

    def _transaction(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        raise NotImplementedError

    def evidence_rows(self) -> list[tuple[str, str, str, str, float]]:
        """Return (key, job, files as JSON, log, when) of all evidence, the oldest first; times since the epoch."""
        with self._mutex:
            return self._database.execute(
                "SELECT key, job, files, log, recorded_at FROM evidence ORDER BY recorded_at"
            ).fetchall()

    def last_evidence_number(self) -> int:
        """Return the number of the piece of evidence that was recorded last; 0 where there is none."""
        with self._mutex:
            return int(
                self._database.execute("SELECT COALESCE(MAX(rowid), 0) FROM evidence").fetchone()[0]
            )

    def referencing_texts(self, since: float) -> list[str]:
        """Return every text that names files which have to stay: listings of snapshots, and resolutions that are kept.

        Args:
            since: resolutions before this are not kept, but for the newest of a whole matrix; since the epoch.
        """
        kept = f"SELECT answer FROM resolutions WHERE query IN ({_KEPT_RESOLUTIONS})"  # noqa: S608 - a constant
        with self._mutex:
            rows = self._database.execute("SELECT content FROM listings").fetchall()
            rows += self._database.execute(kept, (since, MAX_RESOLUTIONS)).fetchall()
        return [text for (text,) in rows]

    def delete_old(self, keys: Iterable[str], files: Iterable[str], since: float) -> None:
        """Forget evidence, facts about wheels that are gone, resolutions, and listings that no snapshot names.

        Args:
            keys: of the evidence.
            files: sha256 of wheels that are gone.
            since: as `referencing_texts` has it.
        """
        with self._mutex, self._transaction() as database:
            database.executemany("DELETE FROM evidence WHERE key = ?", ((key,) for key in keys))
            database.executemany(
                "DELETE FROM distributions WHERE sha256 = ?", ((sha256,) for sha256 in files)
            )
            database.execute(
                f"DELETE FROM resolutions WHERE query NOT IN ({_KEPT_RESOLUTIONS})",  # noqa: S608 - a constant
                (since, MAX_RESOLUTIONS),
            )
            named = "SELECT value FROM snapshots, json_tree(channels) WHERE json_tree.type = 'text'"
            database.execute(f"DELETE FROM listings WHERE digest NOT IN ({named})")  # noqa: S608 - a constant
        with self._mutex:
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


_KEPT_RESOLUTIONS = (
    "SELECT query FROM resolutions WHERE recorded_at >= ? OR query LIKE 'build-requires:%' UNION "
    "SELECT query FROM (SELECT query FROM resolutions WHERE answer LIKE '{\"found\"%' "
    "ORDER BY recorded_at DESC LIMIT ?)"
)
