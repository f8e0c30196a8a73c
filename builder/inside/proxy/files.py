"""Files by their sha256: where those of the index, of the registry of crates and of Rust toolchains lie."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from .answers import TRANSFER_ERRORS, SilentError, copy_bounded

if TYPE_CHECKING:
    import http.client
    from collections.abc import Hashable, Iterator
    from pathlib import Path

_SHA256 = re.compile(r"[0-9a-f]{64}")


class WrongHashError(Exception):
    """A file is not the one that was promised.

    Attributes:
        found: the sha256 that it has.
    """

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


class FileFolders:
    """Two folders of files: those that the farm put there, and those that were fetched since.

    Safe to use from several threads.
    """

    def __init__(self, given: Path, fetched: Path) -> None:
        """Prepare.

        Args:
            given: folder of the files that the farm put there.
            fetched: folder for those that are fetched; made here.
        """
        self._given = given
        self._fetched = fetched
        self._fetched.mkdir(exist_ok=True)
        self._mutex = threading.Lock()
        self._locks: defaultdict[Hashable, threading.Lock] = defaultdict(threading.Lock)

    @contextlib.contextmanager
    def take_turn(self, *wanted: Hashable) -> Iterator[None]:
        """Have those who want the same thing wait for one another, so that it is fetched once."""
        with self._mutex:
            lock = self._locks[wanted]
        with lock:
            yield

    def find(self, sha256: str) -> Path | None:
        """Return the path of a file that is here already; otherwise None, also for what is no sha256."""
        if not _SHA256.fullmatch(sha256):
            return None

        for folder in (self._given, self._fetched):
            if (folder / sha256).is_file():
                return folder / sha256
        return None

    def keep(self, content: bytes) -> tuple[str, Path]:
        """Keep a text that was read from an answer, and return (sha256, path) of it."""
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._fetched / sha256
        if not path.exists():
            partial_path = self._partial_path
            partial_path.write_bytes(content)
            partial_path.replace(path)

        return sha256, path

    def receive(
        self,
        answer: http.client.HTTPResponse,
        *,
        most: int,
        timeout_s: float,
        promised: str = "",
    ) -> tuple[str, Path]:
        """Copy the body of an answer into the folder of fetched files, and return (sha256, path) of it.

        Nothing stays of a transfer that fails.

        Args:
            answer: an open one.
            most: bytes that it may have.
            timeout_s: how long all of it may take.
            promised: the sha256 that it has to have; empty for any.

        Raises:
            SilentError: the transfer failed, or is too long or too slow.
            WrongHashError: it is something else than was promised.
        """
        partial_path = self._partial_path
        try:
            with partial_path.open("wb") as file:
                sha256 = copy_bounded(answer, file, most, timeout_s)
        except (SilentError, *TRANSFER_ERRORS):
            partial_path.unlink(missing_ok=True)
            raise SilentError("the transfer failed") from None

        if promised and promised != sha256:
            partial_path.unlink()
            raise WrongHashError(sha256)

        path = self._fetched / sha256
        partial_path.replace(path)
        return sha256, path

    @property
    def _partial_path(self) -> Path:
        """Where this thread writes what is not whole yet."""
        return self._fetched / f".{threading.get_ident()}"
