"""Who asks: a session per build, found by its token or by the address it came from, and the record of what it did."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Session:
    """One build's view of the index, as the farm described it, and its record: one line of JSON per event."""

    def __init__(self, description: dict[str, Any], record: Path) -> None:
        """Prepare; nothing is written before the first event.

        Args:
            description: as the farm made it. `locked` has the files that the session may have, by project;
                None allows all.
            record: the file to which events are written.
        """
        self.locked = description["locked"] is not None
        self._locked_files: dict[str, list[dict[str, Any]]] = description["locked"] or {}
        self._record = record
        self._recorded: set[str] = set()
        self._mutex = threading.Lock()

    def locked_files(self, project: str) -> list[dict[str, Any]]:
        """Return the files of a project that a locked session may have.

        Empty where its lock does not have the project; that the session asked for it is recorded.
        """
        if project not in self._locked_files:
            self.record("unlocked", project=project)

        return self._locked_files.get(project, [])

    def record(self, kind: str, **fields: object) -> None:
        """Write an event into the session's record; one that is there already is not written again.

        `record("asked", host="a.invalid")` -> `{"host": "a.invalid", "kind": "asked"}`, as one line
        """
        line = json.dumps({"kind": kind, **fields}, sort_keys=True)
        with self._mutex:
            if line in self._recorded:
                return

            self._recorded.add(line)
            with self._record.open("a") as file:
                file.write(line + "\n")


class Sessions:
    """All sessions; the farm makes one by putting its description into a folder."""

    def __init__(self, descriptions: Path, records: Path) -> None:
        """Prepare; a description is read when its session is first asked for.

        Args:
            descriptions: folder to which the farm puts the description of each session, `TOKEN.json`.
            records: folder of the records, `TOKEN.jsonl`; made here.
        """
        self._descriptions = descriptions
        self._records = records
        self._records.mkdir(exist_ok=True)
        self._by_token: dict[str, Session] = {}
        self._by_address: dict[str, Session] = {}
        self._early_names: dict[str, list[str]] = {}
        self._mutex = threading.Lock()

    def get(self, token: str) -> Session | None:
        """Return the session with a token, or None where the farm described none.

        A token has letters and digits alone, so that no path in its place leads out of the folder.
        """
        with self._mutex:
            if token in self._by_token:
                return self._by_token[token]

            path = self._descriptions / f"{token}.json"
            if not token.isalnum() or not path.is_file():
                return None

            description = json.loads(path.read_text())
            session = Session(description, self._records / f"{token}.jsonl")
            self._by_token[token] = session
            return session

    def get_by_address(self, address: str) -> Session | None:
        """Return the session a client was last seen in, or None."""
        return self._by_address.get(address)

    def note_client(self, address: str, session: Session) -> None:
        """Remember that a client's address belongs to a session.

        Names that it asked the name server for earlier, when nobody knew whose client it was, are recorded now.
        """
        with self._mutex:
            self._by_address[address] = session
            names = self._early_names.pop(address, ())

        for name in names:
            session.record("asked", host=name)

    def note_name(self, address: str, name: str) -> None:
        """Record that a client asked for the address of a host; kept for later where its session is not known yet."""
        with self._mutex:
            session = self._by_address.get(address)
            if session is None:
                self._early_names.setdefault(address, []).append(name)

        if session is not None:
            session.record("asked", host=name)
