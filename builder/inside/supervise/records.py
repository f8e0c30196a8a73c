"""Read what a harness says of the package it imports, and see whether somebody else said it.

A record is a line of JSON: `token`, a secret of this one process; `number`, counted from 0; and `record`, what is said.
The last one has `closing` instead. The package in the same process may write to the same pipe, close it or end the
process; it does not know the token, and cannot say that the harness came to its end.
"""

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

MOST_BYTES = 64 << 20
"""Of all records of a process: what is learnt of the largest packages takes a few MB."""

_MOST_LINES = 200_000
_SHOWN = 120  # characters of a line that somebody else wrote

Record = dict[str, Any]


def make_token() -> str:
    """Return a secret that a harness shows with each record."""
    return secrets.token_hex(16)


@dataclass(slots=True)
class Records:
    """What came through the pipe of a process.

    Attributes:
        items: the records, without the closing one, up to the first line that the harness did not write.
        looks: how often the harness has asked to have the state of its GIL looked at.
        is_closed: whether the harness said that it came to its end.
        forgery: what came that the harness cannot have written, in words; empty where there is nothing.
    """

    items: list[Record] = field(default_factory=list)
    looks: int = 0
    is_closed: bool = False
    forgery: str = ""


class RecordReader:
    """Takes what comes through a pipe, piece by piece.

    Attributes:
        records: what was read of it.
    """

    def __init__(self, token: str, most_bytes: int = MOST_BYTES) -> None:
        self.records = Records()
        self._token = token
        self._most_bytes = most_bytes
        self._unread = b""
        self._received = 0
        self._lines = 0

    def feed(self, received: bytes) -> None:
        """Take what was received; nothing is looked at any more after a line that the harness did not write."""
        if self.records.forgery:
            return

        self._received += len(received)
        if self._received > self._most_bytes:
            self.records.forgery = f"more than {self._most_bytes >> 20} MiB of records"
            return

        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            self._read_line(line)
            if self.records.forgery:
                return

    def _read_line(self, line: bytes) -> None:
        """Add the record of a line, or note why it is none of the harness."""
        number = self._lines
        self._lines += 1
        if self.records.is_closed:
            self.records.forgery = f"a record after the closing one: {_show(line)}"
            return
        if number > _MOST_LINES:
            self.records.forgery = f"more than {_MOST_LINES} records"
            return

        try:
            envelope = json.loads(line)
        except (ValueError, RecursionError):
            envelope = None
        is_own = isinstance(envelope, dict) and envelope.get("token") == self._token
        if not is_own:
            self.records.forgery = f"a record without the harness's token: {_show(line)}"
            return
        if envelope.get("number") != number:
            self.records.forgery = f"record {envelope.get('number')!r} in the place of {number}"
            return

        if envelope.get("closing") is True:
            self.records.is_closed = True
            return
        if envelope.get("look") is True:
            self.records.looks += 1
            return
        record = envelope.get("record")
        if not isinstance(record, dict):
            self.records.forgery = f"a record that says nothing: {_show(line)}"
            return
        self.records.items.append(record)


def _show(line: bytes) -> str:
    """Return the beginning of a line that a package wrote, in printable characters."""
    return ascii(line[:_SHOWN].decode(errors="replace"))
