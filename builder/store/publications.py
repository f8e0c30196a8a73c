"""The ledger of runs and of what they published: verdicts, snapshots of the index, its files, uploads.

Promotions and rollbacks are in it as well: who moved what between the channels of the index, when, and why.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from builder.store.database import Database

MAX_SNAPSHOTS = 30
"""How many publications can be returned to."""

MAX_RUNS = 60
"""How many runs the verdicts are kept of: two months of nights."""

_SNAPSHOT_ID_LENGTH = 12  # hexadecimal digits: short enough to type, and no two of 30 alike


ChangeKind = Literal["promotion", "rollback"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelChange:
    """A promotion or a rollback, as the ledger keeps it, without an end.

    Attributes:
        kind: which of both.
        at: when, in seconds since the epoch.
        by: who, by name.
        reason: why, in that person's words; may be empty.
        snapshot: id of the snapshot that it led to; empty until it is recorded.
        releases: what moved, as JSON data (`builder/index/promotion.py` and `rollout.py` say how it is made).
    """

    kind: ChangeKind
    at: float
    by: str
    reason: str = ""
    snapshot: str = ""
    releases: Sequence[Mapping[str, Any]] = ()


class Publications:
    """Runs, their verdicts, and what was published and uploaded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- snapshots of the index ---------------------------------------------------------------------------------------

    def add_snapshot(
        self,
        channels: Mapping[str, Mapping[str, str]],
        listing: Callable[[str, str], str],
        change: ChannelChange | None = None,
    ) -> str:
        """Record what is published now as a snapshot, and return its id; publishing the same again gives the same id.

        A snapshot names a listing, i.e. what a channel of the index has of one project, by its digest. So a listing
        that does not change is kept once. Only the newest `MAX_SNAPSHOTS` snapshots stay.

        Args:
            channels: digest of each project's listing, by project, by channel.
            listing: returns the listing of a channel's project; called only where its digest is new.
            change: the promotion or rollback that led to it, which is recorded with it or not at all; None for a run.
        """
        text = json.dumps(channels, sort_keys=True, separators=(",", ":"))
        identity = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()[:_SNAPSHOT_ID_LENGTH]

        with self._database.transaction() as connection:
            stored_digests = {
                digest for (digest,) in connection.execute("SELECT digest FROM listings")
            }
            for channel, projects in channels.items():
                for project, digest in projects.items():
                    if digest in stored_digests:
                        continue
                    stored_digests.add(digest)
                    connection.execute(
                        "INSERT INTO listings VALUES (?,?)", (digest, listing(channel, project))
                    )
            connection.execute(
                "INSERT OR REPLACE INTO snapshots VALUES (?,?,?)", (identity, time.time(), text)
            )
            connection.execute(
                "DELETE FROM snapshots WHERE id NOT IN "
                "(SELECT id FROM snapshots ORDER BY rowid DESC LIMIT ?)",
                (MAX_SNAPSHOTS,),
            )
            if change is not None:
                releases = json.dumps([dict(release) for release in change.releases])
                connection.execute(
                    "INSERT INTO channel_changes VALUES (?,?,?,?,?,?)",
                    (change.kind, change.at, change.by, change.reason, identity, releases),
                )

        return identity

    def channel_changes(self) -> list[ChannelChange]:
        """Return every promotion and rollback, the newest first."""
        rows = self._database.fetch_all(
            "SELECT kind, at, by, reason, snapshot, releases FROM channel_changes ORDER BY rowid DESC"
        )
        changes: list[ChannelChange] = []
        for kind, at, by, reason, snapshot, releases in rows:
            change = ChannelChange(
                kind=kind,
                at=at,
                by=by,
                reason=reason,
                snapshot=snapshot,
                releases=json.loads(releases),
            )
            changes.append(change)

        return changes

    def snapshot_ids(self) -> list[str]:
        """Return the id of every snapshot, the newest first. It is quick: no snapshot is read for it."""
        rows = self._database.fetch_all("SELECT id FROM snapshots ORDER BY rowid DESC")
        return [identity for (identity,) in rows]

    def snapshots(self) -> list[tuple[str, float, int]]:
        """Return (id, when it was last published, number of projects) of every snapshot, the newest first.

        A project counts once in each channel that has it.
        """
        rows = self._database.fetch_all(
            "SELECT id, published_at, channels FROM snapshots ORDER BY rowid DESC"
        )
        snapshots = []
        for identity, published_at, text in rows:
            channels = json.loads(text).values()
            projects = sum(len(listed) for listed in channels)
            snapshots.append((identity, published_at, projects))

        return snapshots

    def current_snapshot(self) -> str | None:
        """Return the id of the snapshot that was published last; None where nothing was published yet."""
        row = self._database.fetch_one("SELECT id FROM snapshots ORDER BY rowid DESC LIMIT 1")
        return None if row is None else str(row[0])

    def snapshot(self, identity: str) -> dict[str, dict[str, str]]:
        """Return the digest of every project's listing in a snapshot, by channel and project.

        Args:
            identity: id of a snapshot that is in `snapshots()`.
        """
        row = self._database.fetch_one("SELECT channels FROM snapshots WHERE id = ?", (identity,))
        assert row is not None, "the caller has its id from the list of snapshots"
        channels: dict[str, dict[str, str]] = json.loads(row[0])
        return channels

    def listing(self, digest: str) -> str:
        """Return a listing by its digest.

        Args:
            digest: what a snapshot which is kept names.
        """
        row = self._database.fetch_one("SELECT content FROM listings WHERE digest = ?", (digest,))
        assert row is not None, "a snapshot's listings are there as long as it is"
        return str(row[0])

    # --- files of the index -------------------------------------------------------------------------------------------

    def add_distributions(self, wheels: Iterable[tuple[str, str, str, int]]) -> None:
        """Record facts about wheels of the store. Of a wheel that is recorded already the old ones stay.

        All are written in one transaction, because each transaction waits for the disk.

        Args:
            wheels: of each its sha256, sha256 of its METADATA, `requires-python`, size in bytes.
        """
        now = time.time()
        rows = [(*wheel, now) for wheel in wheels]
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO distributions "
                "(sha256, metadata, requires_python, size_bytes, added_at) VALUES (?,?,?,?,?)",
                rows,
            )

    def requirements(self) -> dict[str, str]:
        """Return what wheels require, as JSON text of a list of requirements (PEP 508), by sha256.

        Wheels of which that was never read are left out.
        """
        rows = self._database.fetch_all(
            "SELECT sha256, requires FROM distributions WHERE requires != ''"
        )
        return dict(rows)

    def set_requirements(self, requires: Mapping[str, str]) -> None:
        """Record what wheels require that are recorded already.

        Args:
            requires: JSON text of a list of requirements, by sha256 of the wheel.
        """
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE distributions SET requires = ? WHERE sha256 = ?",
                [(text, sha256) for sha256, text in requires.items()],
            )

    def distributions(self) -> dict[str, tuple[str, str, int, float]]:
        """Return (sha256 of METADATA, requires-python, size in bytes, when it was added) by wheel's sha256."""
        rows = self._database.fetch_all(
            "SELECT sha256, metadata, requires_python, size_bytes, added_at FROM distributions"
        )
        return {
            sha256: (metadata, requires_python, size_bytes, added_at)
            for sha256, metadata, requires_python, size_bytes, added_at in rows
        }

    def claim_paths(self, paths: Mapping[str, str]) -> dict[str, str]:
        """Claim paths of the index for files, and return the sha256 that each path belongs to.

        The file that a path was first claimed for keeps it: for another one the answer is not what was wanted.

        Args:
            paths: the sha256 of the file that is wanted at each path.
        """
        owners = {}
        with self._database.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO places VALUES (?,?)", paths.items())
            for path in paths:
                row = connection.execute(
                    "SELECT sha256 FROM places WHERE path = ?", (path,)
                ).fetchone()
                owners[path] = row[0]

        return owners

    def add_upload(self, target: str, filename: str, sha256: str) -> None:
        """Remember that an index has a file."""
        self._database.execute(
            "INSERT OR REPLACE INTO uploads VALUES (?,?,?,?)",
            (target, filename, sha256, time.time()),
        )

    def uploads(self, target: str) -> frozenset[tuple[str, str]]:
        """Return (file name, sha256) of what an index is known to have."""
        rows = self._database.fetch_all(
            "SELECT filename, sha256 FROM uploads WHERE target = ?", (target,)
        )
        return frozenset((filename, sha256) for filename, sha256 in rows)

    # --- runs and their verdicts --------------------------------------------------------------------------------------

    def begin_run(self) -> str:
        """Enter a run into the ledger and return its id."""
        run = f"{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:6]}"
        self._database.execute("INSERT INTO runs VALUES (?,?,NULL,NULL)", (run, time.time()))
        return run

    def end_run(self, run: str, outcome: str) -> None:
        """Record how a run ended."""
        self._database.execute(
            "UPDATE runs SET ended_at = ?, outcome = ? WHERE id = ?", (time.time(), outcome, run)
        )

    def runs(self) -> list[tuple[str, float, float | None, str | None]]:
        """Return (id, started at, ended at, outcome) of every run, the oldest first; times in seconds since the epoch.

        The last two are None of a run that has not ended, or was killed.
        """
        rows = self._database.fetch_all(
            "SELECT id, started_at, ended_at, outcome FROM runs ORDER BY rowid"
        )
        return [(run, started_at, ended_at, outcome) for run, started_at, ended_at, outcome in rows]

    def add_verdicts(self, run: str, rows: Iterable[tuple[str, str, str, str, str]]) -> None:
        """Record the verdicts of a run, and forget those of all but the newest `MAX_RUNS` runs that have some.

        Args:
            run: id of the run.
            rows: (package, version, abi, verdict, reason) of each.
        """
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO verdicts VALUES (?,?,?,?,?,?)",
                ((run, *row) for row in rows),
            )
            connection.execute(
                "DELETE FROM verdicts WHERE run NOT IN "
                "(SELECT id FROM runs WHERE id IN (SELECT run FROM verdicts) "
                "ORDER BY rowid DESC LIMIT ?)",
                (MAX_RUNS,),
            )

    def verdicts(self) -> list[tuple[str, str, str, str, str, str]]:
        """Return (run, package, version, abi, verdict, reason) of all verdicts that are kept, the oldest run first."""
        rows = self._database.fetch_all(
            "SELECT verdicts.run, package, version, abi, verdict, reason "
            "FROM verdicts JOIN runs ON id = run ORDER BY runs.rowid, verdicts.rowid"
        )
        return [
            (run, package, version, abi, verdict, reason)
            for run, package, version, abi, verdict, reason in rows
        ]
