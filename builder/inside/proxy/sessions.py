"""Who asks: a session per build, found by its token or by the address it came from, and the record of what it did."""

import json
import threading
from pathlib import Path
from typing import Any


class Session:
    """One build's view of the index, as the farm described it, and its record: one line of JSON per event."""

    def __init__(self, described: dict[str, Any], record: Path) -> None:
        self.locked = described["locked"] is not None
        self._locked: dict[str, list[dict[str, Any]]] = described["locked"] or {}
        self._record = record
        self._noted: set[str] = set()
        self._mutex = threading.Lock()

    def locked_to(self, project: str) -> list[dict[str, Any]]:
        """Return the files of a project that a locked session may have; that there are none is noted."""
        if project not in self._locked:
            self.note("unlocked", project=project)
        return self._locked.get(project, [])

    def note(self, kind: str, **fields: object) -> None:
        """Write an event down, once."""
        line = json.dumps({"kind": kind, **fields}, sort_keys=True)
        with self._mutex:
            if line in self._noted:
                return
            self._noted.add(line)
            with self._record.open("a") as file:
                file.write(line + "\n")


class Sessions:
    """All sessions; the farm makes one by putting its description into a folder."""

    def __init__(self, described: Path, records: Path) -> None:
        self._described = described
        self._records = records
        self._records.mkdir(exist_ok=True)
        self._known: dict[str, Session] = {}
        self._clients: dict[str, Session] = {}
        self._names: dict[str, list[str]] = {}
        self._mutex = threading.Lock()

    def get(self, token: str) -> Session | None:
        """Return the session with a token, or None."""
        with self._mutex:
            if token not in self._known:
                path = self._described / f"{token}.json"
                if not token.isalnum() or not path.is_file():
                    return None
                self._known[token] = Session(
                    json.loads(path.read_text()), self._records / f"{token}.jsonl"
                )
            return self._known[token]

    def of(self, address: str) -> Session | None:
        """Return the session a client was last seen in, or None."""
        return self._clients.get(address)

    def seen(self, address: str, session: Session) -> None:
        """Remember which session an address belongs to; names it asked for before that are noted now."""
        with self._mutex:
            self._clients[address] = session
            waiting = self._names.pop(address, ())
        for name in waiting:
            session.note("asked", host=name)

    def asked_name(self, address: str, name: str) -> None:
        """Note that a client wanted to know the address of a host."""
        with self._mutex:
            session = self._clients.get(address)
            if session is None:
                self._names.setdefault(address, []).append(name)
        if session is not None:
            session.note("asked", host=name)
