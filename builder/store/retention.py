"""What `wheelfarm gc` reads of the ledger, and what it deletes from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.store.job_ids import JobId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.store.database import Database

MAX_RESOLUTIONS = 5
"""How many resolutions of a whole matrix are kept whatever their age: with them an unreachable index does no harm."""

_KEPT_RESOLUTIONS = (
    "SELECT query FROM resolutions WHERE recorded_at >= ? OR query LIKE 'build-requires:%' UNION "
    "SELECT query FROM (SELECT query FROM resolutions WHERE answer LIKE '{\"found\"%' "
    "ORDER BY rowid DESC LIMIT ?)"
)
"""Resolutions that stay: young ones, build requirements (their sdists never change), the newest of whole matrices."""

_NAMED_LISTINGS = "SELECT value FROM snapshots, json_tree(channels) WHERE json_tree.type = 'text'"


class Retention:
    """What of the ledger is still referred to, and the removal of the rest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def evidence_rows(self) -> list[tuple[str, JobId, str, str, float]]:
        """Return (key, job, files as JSON, log, when it was recorded) of all evidence, the oldest first.

        Times are in seconds since the epoch.
        """
        rows = self._database.fetch_all(
            "SELECT key, job, files, log, recorded_at FROM evidence ORDER BY rowid"
        )
        return [
            (key, JobId.parse(job), files, log, recorded_at)
            for key, job, files, log, recorded_at in rows
        ]

    def last_evidence_number(self) -> int:
        """Return the number of the piece of evidence that was recorded last; 0 where there is none."""
        row = self._database.fetch_one("SELECT COALESCE(MAX(rowid), 0) FROM evidence")
        assert row is not None, "an aggregate always has a row"
        return int(row[0])

    def referencing_texts(self, since: float) -> list[str]:
        """Return the texts in which a file must be named to stay: listings of snapshots, and resolutions that are kept.

        Args:
            since: seconds since the epoch; older resolutions are not kept, but for those of build requirements and the
                newest of a whole matrix.
        """
        rows = self._database.fetch_all("SELECT content FROM listings")
        rows += self._database.fetch_all(
            f"SELECT answer FROM resolutions WHERE query IN ({_KEPT_RESOLUTIONS})",  # noqa: S608 - a constant
            (since, MAX_RESOLUTIONS),
        )
        return [text for (text,) in rows]

    def delete_old(self, keys: Iterable[str], files: Iterable[str], since: float) -> None:
        """Delete from the ledger what is no longer needed, and shrink its file.

        That is the evidence and the facts about wheels that are named, resolutions that are not kept, and listings that
        no snapshot names.

        Args:
            keys: keys of the evidence to delete.
            files: sha256 of wheels that are gone.
            since: as in `referencing_texts`.
        """
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM evidence WHERE key = ?", [(key,) for key in keys])
            connection.executemany(
                "DELETE FROM distributions WHERE sha256 = ?", [(sha256,) for sha256 in files]
            )
            connection.execute(
                f"DELETE FROM resolutions WHERE query NOT IN ({_KEPT_RESOLUTIONS})",  # noqa: S608 - a constant
                (since, MAX_RESOLUTIONS),
            )
            connection.execute(
                f"DELETE FROM listings WHERE digest NOT IN ({_NAMED_LISTINGS})"  # noqa: S608 - a constant
            )

        # The file itself shrinks only by these two.
        self._database.execute("VACUUM")
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
