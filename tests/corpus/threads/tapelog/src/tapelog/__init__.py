"""An append-only log in memory."""

import threading

from tapelog import _tape

__all__ = ["Tape"]


class Tape:
    """Records of bytes, one after the other."""

    def __init__(self, capacity: int = 1024) -> None:
        self._handle = _tape.create(capacity)
        self._lock = threading.Lock()

    def append(self, record: bytes) -> int:
        """Add a record of at most 65535 bytes; its number."""
        with self._lock:
            return _tape.append(self._handle, record)

    def __getitem__(self, number: int) -> bytes:
        with self._lock:
            return _tape.get(self._handle, number)

    def __len__(self) -> int:
        with self._lock:
            return _tape.count(self._handle)

    def rewind(self) -> None:
        """Drop all records."""
        with self._lock:
            _tape.rewind(self._handle)
