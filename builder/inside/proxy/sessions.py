"""Who asks: a session per build, on a network of its own, and the record of what it did.

A session is worth something while it lasts, and to clients on its own network alone: a token that got elsewhere opens
nothing, and neither does an address that belonged to an earlier session.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_MAX_REQUESTS = 20_000  # a large project's lock file has some 500 files, each asked for a few times
_MAX_FILE_BYTES = 16 << 30
"""Of all files together; the largest known set of requirements takes about 5 GiB."""
_MAX_EVENTS = {
    "asked": 500,  # hosts; who asks for more of them does not mean to reach them
    "no-crate": 500,
    "no-toolchain": 10,
    "lacks-toolchain": 10,
    "toolchain": 10,
    "toolchain-file": 50,  # three for each release
    "crate": 4000,  # the largest projects have some 1,000
    "crate-page": 4000,
}
_MAX_EVENTS_OF_OTHER_KINDS = 10_000
_MAX_RECORD_BYTES = 16 << 20  # of a session; a line of a file has less than 1 KiB
_MAX_TOKEN_CHARS = 64  # it is a part of file names
_SHOWN_CHARS = 300  # of a name: the longest a name server knows has 253


class ExhaustedError(Exception):
    """A session has asked for more than any build does."""


class Session:
    """One build's view of the index, as the farm described it, and its record: one line of JSON per event."""

    def __init__(self, description: dict[str, Any], record: Path) -> None:
        """Prepare; nothing is written before the first event.

        Args:
            description: as the farm made it. `network` is the session's own, such as `172.16.0.16/28`; `locked` has
                the files that the session may have, by project, and None allows all. `locked_pages` has then what the
                index of crates said, as the sha256 of it by name of a crate, `locked_crates` the sha256 of crates, and
                `locked_manifests` that of the manifests of Rust toolchains by version.
            record: the file to which events are written.
        """
        self.network = IPv4Network(description["network"])
        self.locked = description["locked"] is not None
        self._locked_files: dict[str, list[dict[str, Any]]] = description["locked"] or {}
        self._locked_pages: dict[str, str] = description.get("locked_pages") or {}
        self._locked_crates = frozenset(description.get("locked_crates") or ())
        self._locked_manifests: dict[str, str] = description.get("locked_manifests") or {}
        self._record = record
        self._recorded: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._requests = 0
        self._file_bytes = 0
        self._record_bytes = 0
        self._mutex = threading.Lock()

    def locked_files(self, project: str) -> list[dict[str, Any]]:
        """Return the files of a project that a locked session may have.

        Empty where its lock does not have the project; that the session asked for it is recorded.
        """
        if project not in self._locked_files:
            self.record("unlocked", project=project[:_SHOWN_CHARS])

        return self._locked_files.get(project, [])

    def locked_page(self, name: str) -> str:
        """Return the sha256 of what the index of crates said of one when the session's lock was recorded.

        Empty where the lock does not have the crate; that the session asked for it is recorded.
        """
        if name not in self._locked_pages:
            self.record("unlocked", project=f"the crate {name[:_SHOWN_CHARS]}")

        return self._locked_pages.get(name, "")

    def locked_manifest(self, version: str) -> str:
        """Return the sha256 of the manifest of a Rust toolchain that the session had when its lock was recorded.

        Empty where the lock does not have the release; that the session asked for it is recorded.
        """
        if version not in self._locked_manifests:
            self.record("unlocked", project=f"Rust {version[:_SHOWN_CHARS]}")

        return self._locked_manifests.get(version, "")

    def allows_crate(self, name: str, sha256: str) -> bool:
        """Return whether the session may have a crate; that it asked for one that it may not have is recorded."""
        if not self.locked or sha256 in self._locked_crates:
            return True

        self.record("unlocked", project=f"the crate {name[:_SHOWN_CHARS]}")
        return False

    def admit_request(self) -> None:
        """Count a request.

        Raises:
            ExhaustedError: the session's requests or bytes are used up.
        """
        with self._mutex:
            self._requests += 1
            if self._requests > _MAX_REQUESTS or self._file_bytes > _MAX_FILE_BYTES:
                raise ExhaustedError

    def require_record(self, kind: str, **fields: object) -> None:
        """Write an event without which nothing may be sent.

        Raises:
            ExhaustedError: the record is full.
        """
        if not self.record(kind, **fields):
            raise ExhaustedError

    def add_file(self, size: int) -> None:
        """Count a file that the session gets, by its size in bytes."""
        with self._mutex:
            self._file_bytes += size

    def record_host(self, host: str) -> None:
        """Record a host that the session wants to reach, with what cannot be printed made visible."""
        printable = host[:_SHOWN_CHARS].encode("unicode_escape").decode()
        self.record("asked", host=printable)

    def record(self, kind: str, **fields: object) -> bool:
        """Write an event into the session's record, and return whether it is there.

        One that is there already is not written again, nor one of a kind of which there are too many already, nor one
        that makes the record too long.

        `record("asked", host="a.invalid")` -> `{"host": "a.invalid", "kind": "asked"}`, as one line
        """
        line = json.dumps({"kind": kind, **fields}, sort_keys=True)
        most = _MAX_EVENTS.get(kind, _MAX_EVENTS_OF_OTHER_KINDS)
        with self._mutex:
            if line in self._recorded:
                return True
            is_too_long = self._record_bytes + len(line) >= _MAX_RECORD_BYTES  # ASCII
            if is_too_long or self._counts[kind] >= most:
                return False

            self._record_bytes += len(line) + 1
            self._recorded.add(line)
            self._counts[kind] += 1
            with self._record.open("a") as file:
                file.write(line + "\n")
        return True


class Sessions:
    """All sessions; the farm opens and ends one by putting a file into a folder."""

    def __init__(self, descriptions: Path, records: Path) -> None:
        """Prepare; a description is read when its session is first asked for.

        Args:
            descriptions: folder to which the farm puts the description of each session, `TOKEN.json`, and, when the
                session has ended, `TOKEN.ended`.
            records: folder of the records, `TOKEN.jsonl`; made here.
        """
        self._descriptions = descriptions
        self._records = records
        self._records.mkdir(exist_ok=True)
        self._by_token: dict[str, Session] = {}
        self._ended: set[str] = set()
        self._mutex = threading.Lock()

    def get(self, token: str, address: str) -> Session | None:
        """Return the session with a token, for a client on its network.

        None where the farm described none, where it has ended, and where the client is on another network.

        Args:
            token: it has letters and digits alone, so that no path in its place leads out of the folder.
            address: of the client.
        """
        is_plain = token.isascii() and token.isalnum()
        if not is_plain or len(token) > _MAX_TOKEN_CHARS:
            return None

        with self._mutex:
            session = self._read(token)
        if session is None or not _is_on(session.network, address):
            return None

        return session

    def get_by_address(self, address: str) -> Session | None:
        """Return the session on whose network a client is, or None where there is none that has not ended."""
        with self._mutex:
            for token in [*self._by_token, *self._list_new_tokens()]:
                session = self._read(token)
                if session is not None and _is_on(session.network, address):
                    return session

        return None

    def note_name(self, address: str, name: str) -> None:
        """Record that a client asked for the address of a host; of a client without a session nothing is recorded."""
        session = self.get_by_address(address)
        if session is not None:
            session.record_host(name)

    def _read(self, token: str) -> Session | None:
        """Return the session with a token, or None where it was never described or has ended. `_mutex` is held."""
        if token in self._ended:
            return None
        if (self._descriptions / f"{token}.ended").exists():
            self._ended.add(token)
            self._by_token.pop(token, None)
            return None
        if token in self._by_token:
            return self._by_token[token]

        try:
            description = json.loads((self._descriptions / f"{token}.json").read_text())
        except (OSError, ValueError):
            # There is none, or it is just being written: then nobody knows the token yet.
            return None

        session = Session(description, self._records / f"{token}.jsonl")
        self._by_token[token] = session
        return session

    def _list_new_tokens(self) -> list[str]:
        """Return the tokens of sessions that were described since anybody asked."""
        tokens = [path.stem for path in self._descriptions.glob("*.json")]
        return [
            token for token in tokens if token not in self._by_token and token not in self._ended
        ]


def _is_on(network: IPv4Network, address: str) -> bool:
    """Return whether an address is one of a network; what is no address is on none."""
    try:
        return IPv4Address(address) in network
    except AddressValueError:
        return False
