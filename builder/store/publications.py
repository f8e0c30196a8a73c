"""What the ledger keeps of runs and of what they published: verdicts, snapshots of the index, its files, uploads."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

MAX_SNAPSHOTS = 30
"""How many publications can be returned to."""

MAX_RUNS = 60
"""How many runs the verdicts of are remembered."""


class Publications:
    """The part of the store that is about runs and publications."""

    _mutex: threading.Lock
    _database: sqlite3.Connection

    def file(self, sha256: str) -> Path:
        """Return where the file with a sha256 is, or would be."""
        raise NotImplementedError

    def add_snapshot(
        self, channels: Mapping[str, Mapping[str, str]], listing: Callable[[str, str], str]
    ) -> str:
        """Keep what is published and return its id. The oldest beyond `MAX_SNAPSHOTS` goes.

        Args:
            channels: digest by project, by channel.
            listing: gives the listing of a channel's project, which is asked for where its digest is new.
        """
        text = json.dumps(channels, sort_keys=True, separators=(",", ":"))
        identity = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()[:12]
        places = {
            key: (name, project)
            for name, listed in channels.items()
            for project, key in listed.items()
        }
        with self._mutex, self._transaction() as database:
            known = {key for (key,) in database.execute("SELECT digest FROM listings")}
            fresh = ((key, listing(*place)) for key, place in places.items() if key not in known)
            database.executemany("INSERT INTO listings VALUES (?,?)", fresh)
            database.execute(
                "INSERT OR REPLACE INTO snapshots VALUES (?,?,?)", (identity, time.time(), text)
            )
            database.execute(
                "DELETE FROM snapshots WHERE id NOT IN (SELECT id FROM snapshots ORDER BY published_at DESC LIMIT ?)",
                (MAX_SNAPSHOTS,),
            )
        return identity

    def snapshots(self) -> list[tuple[str, float, int]]:
        """Return (id, when it was last published, number of projects) of every snapshot, the newest first."""
        with self._mutex:
            rows = self._database.execute(
                "SELECT id, published_at, channels FROM snapshots ORDER BY published_at DESC"
            ).fetchall()
        return [
            (key, at, sum(len(tree) for tree in json.loads(text).values()))
            for key, at, text in rows
        ]

    def current_snapshot(self) -> str | None:
        """Return the id of what was published last, or None."""
        query = "SELECT id FROM snapshots ORDER BY published_at DESC LIMIT 1"
        with self._mutex:
            row = self._database.execute(query).fetchone()
        return None if row is None else str(row[0])

    def snapshot(self, identity: str) -> dict[str, dict[str, str]]:
        """Return the digest of every project's listing, by channel, of a snapshot that is there."""
        with self._mutex:
            (text,) = self._database.execute(
                "SELECT channels FROM snapshots WHERE id = ?", (identity,)
            ).fetchone()
        channels: dict[str, dict[str, str]] = json.loads(text)
        return channels

    def listings(self, digests: Iterable[str]) -> dict[str, str]:
        """Return listings by their digests."""
        with self._mutex:
            return {
                key: self._database.execute(
                    "SELECT content FROM listings WHERE digest = ?", (key,)
                ).fetchone()[0]
                for key in digests
            }

    def add_distributions(self, facts: Iterable[tuple[str, str, str]]) -> None:
        """Record facts about wheels of the store: of each sha256, sha256 of its METADATA, and `requires-python`."""
        rows = [
            (sha256, *told, self.file(sha256).stat().st_size, time.time())
            for sha256, *told in facts
        ]
        with (
            self._mutex,
            self._transaction() as database,
        ):  # a transaction for each would wait for the disk each time
            database.executemany("INSERT OR IGNORE INTO distributions VALUES (?,?,?,?,?)", rows)

    def distributions(self) -> dict[str, tuple[str, str, int, float]]:
        """Return (sha256 of METADATA, requires-python, size in bytes, when it was added) by wheel's sha256."""
        with self._mutex:
            rows = self._database.execute("SELECT * FROM distributions").fetchall()
        return {row[0]: row[1:] for row in rows}

    def claim_paths(self, paths: Mapping[str, str]) -> dict[str, str]:
        """Return the sha256 that each path of the index had first; what is new to it is remembered.

        Args:
            paths: the sha256 that is wanted there, by path.
        """
        with self._mutex, self._transaction() as database:
            database.executemany("INSERT OR IGNORE INTO places VALUES (?,?)", paths.items())
            ask = "SELECT sha256 FROM places WHERE path = ?"
            return {path: database.execute(ask, (path,)).fetchone()[0] for path in paths}

    def add_upload(self, target: str, filename: str, sha256: str) -> None:
        """Remember that an index has a file."""
        with self._mutex:
            self._database.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?,?,?,?)",
                (target, filename, sha256, time.time()),
            )

    def uploads(self, target: str) -> frozenset[tuple[str, str]]:
        """Return (file name, sha256) of what an index is known to have."""
        with self._mutex:
            return frozenset(
                self._database.execute(
                    "SELECT filename, sha256 FROM uploads WHERE target = ?", (target,)
                ).fetchall()
            )

    def add_verdicts(self, run: str, rows: Iterable[tuple[str, str, str, str, str]]) -> None:
        """Record the verdicts of a whole run as (package, version, abi, verdict, reason); keep `MAX_RUNS` runs."""
        with self._mutex, self._transaction() as database:
            database.executemany(
                "INSERT OR REPLACE INTO verdicts VALUES (?,?,?,?,?,?)",
                ((run, *row) for row in rows),
            )
            database.execute(
                "DELETE FROM verdicts WHERE run NOT IN "
                "(SELECT id FROM runs WHERE id IN (SELECT run FROM verdicts) ORDER BY started_at DESC LIMIT ?)",
                (MAX_RUNS,),
            )

    def verdicts(self) -> list[tuple[str, str, str, str, str, str]]:
        """Return (run, package, version, abi, verdict, reason) of every run that is kept, the oldest run first."""
        with self._mutex:
            return self._database.execute(
                "SELECT verdicts.* FROM verdicts JOIN runs ON id = run ORDER BY started_at, run, verdicts.rowid"
            ).fetchall()

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
                "UPDATE runs SET ended_at = ?, outcome = ? WHERE id = ?",
                (time.time(), outcome, run),
            )

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
