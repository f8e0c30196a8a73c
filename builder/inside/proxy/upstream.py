"""What the index has, asked through the cache beside this program; what the farm holds already stands in for it."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path

_ACCEPT = {"Accept": "application/vnd.pypi.simple.v1+json"}
_PAGE_KEYS = ("filename", "hashes", "requires-python", "yanked", "core-metadata")
_CHUNK_BYTES = 1 << 20

_PAGE_FRESH_S = 600.0  # as long as an index lets clients keep a page
_SILENT_FOR_S = (
    5.0  # a build asks for many files: not each of them waits for an index that just failed
)
_CACHE_START_S = 60.0
_CACHE_START_PAUSE_S = 0.1
# At least as long as the cache's own limits (builder/proxy/proxy.py), so that it is the cache that gives up.
_PAGE_TIMEOUT_S = 120.0
_FILE_TIMEOUT_S = 1200.0

_TRANSFER_ERRORS = (OSError, http.client.HTTPException)

Entry = dict[str, Any]
"""A file of a project, as a page describes it (PEP 691)."""


class MissingError(Exception):
    """The index answered, and does not have it."""


class SilentError(Exception):
    """The index did not answer, or not with what it promised."""


class Upstream:
    """Pages and files of the index.

    Files lie in two folders by their sha256: those the farm put there, and those that were fetched since.
    """

    def __init__(self, url: str, given: Path, fetched: Path, held: dict[str, list[Entry]]) -> None:
        """Prepare; nothing is asked before a client asks.

        Args:
            url: of the cache.
            given: folder of the files that the farm put there.
            fetched: folder for those that are fetched.
            held: what the index said of the files that the farm holds, by project.
        """
        self._url = url
        self._given = given
        self._fetched = fetched
        self._fetched.mkdir(exist_ok=True)
        self._held = held
        self._pages: dict[str, tuple[float, list[Entry]]] = {}
        self._silent_until = 0.0
        self._began = time.monotonic()
        self._locks: defaultdict[object, threading.Lock] = defaultdict(threading.Lock)

    def page(self, project: str) -> list[Entry]:
        """Return the files of a project; those that the farm holds where the index does not answer.

        What the index said is taken for `_PAGE_FRESH_S` without asking it again.

        Raises:
            MissingError: the index does not know the project.
            SilentError: it did not answer, and the farm holds nothing.
        """
        with self._locks[project]:
            if project in self._pages:
                asked_at, entries = self._pages[project]
                if time.monotonic() <= asked_at + _PAGE_FRESH_S:
                    return entries

            try:
                entries = self._ask_page(project)
            except SilentError:
                if project not in self._held:
                    raise
                return self._held[project]

            self._pages[project] = (time.monotonic(), entries)
            return entries

    def _ask_page(self, project: str) -> list[Entry]:
        """Ask the index for the files of a project, and return of each what `_PAGE_KEYS` names.

        Raises:
            MissingError: the index does not know the project.
            SilentError: it did not answer, or not with a page in JSON.
        """
        try:
            with self._open(_page_path(project), _PAGE_TIMEOUT_S) as answer:
                files = json.load(answer)["files"]
        except (SilentError, ValueError, *_TRANSFER_ERRORS):
            # Its text is what the session's record names as not answered for.
            raise SilentError(project) from None

        entries = []
        for file in files:
            entries.append({key: file[key] for key in _PAGE_KEYS if key in file})
        return entries

    def metadata(self, project: str, filename: str) -> bytes:
        """Return the metadata file that the index offers beside a wheel (PEP 658).

        Raises:
            MissingError: it was not to be had, also because the index is silent: clients read the wheel itself then.
        """
        try:
            with self._open(_file_path(project, filename), _PAGE_TIMEOUT_S) as answer:
                return bytes(answer.read())
        except (SilentError, *_TRANSFER_ERRORS):  # the file itself has it too
            raise MissingError from None

    def find_file(self, entry: Entry) -> Path | None:
        """Return the path of a file that is here already, given by the farm or fetched before; otherwise None.

        A file whose entry has no sha256 is not found: files are kept under theirs.
        """
        sha256 = str(entry["hashes"].get("sha256", ""))
        if not sha256:
            return None

        for folder in (self._given, self._fetched):
            if (folder / sha256).is_file():
                return folder / sha256
        return None

    def file(self, project: str, entry: Entry) -> tuple[Entry, Path]:
        """Return (entry, path) of a file of a project, fetching it where it is not here yet; the entry has its sha256.

        Clients that want the same file take turns, so that it is fetched once.

        Raises:
            MissingError: the index does not have it.
            SilentError: the index did not give it, or gave something else.
        """
        with self._locks[project, entry["filename"]]:
            path = self.find_file(entry)
            if path is not None:
                return entry, path

            return self._fetch(project, entry)

    def _fetch(self, project: str, entry: Entry) -> tuple[Entry, Path]:
        """Fetch a file into the folder of fetched files, and return (entry with its sha256, path).

        Raises:
            MissingError: the index does not have it.
            SilentError: the transfer failed, or the file has another sha256 than the one its entry names.
        """
        filename = entry["filename"]
        partial_path = self._fetched / f".{threading.get_ident()}"
        digest = hashlib.sha256()

        try:
            with (
                self._open(_file_path(project, filename), _FILE_TIMEOUT_S) as answer,
                partial_path.open("wb") as file,
            ):
                while chunk := answer.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
        except (SilentError, *_TRANSFER_ERRORS):
            raise SilentError(filename) from None

        sha256 = digest.hexdigest()
        promised = entry["hashes"].get("sha256", sha256)
        if promised != sha256:
            raise SilentError(
                f"{filename}: its sha256 is {sha256}, which is not the one that was promised"
            )

        target = self._fetched / sha256
        partial_path.replace(target)
        return {**entry, "hashes": {"sha256": sha256}}, target

    def _open(self, path: str, timeout_s: float) -> IO[bytes]:
        """Ask the cache for a path and return the open answer; wait while the cache is starting.

        After an error of the cache nothing is asked for `_SILENT_FOR_S`: every path is silent at once.

        Raises:
            MissingError: the index does not have it.
            SilentError: the index, or the cache, did not give it.
        """
        while True:
            if time.monotonic() < self._silent_until:
                raise SilentError(path)

            try:
                request = urllib.request.Request(self._url + path, headers=_ACCEPT)
                return cast("IO[bytes]", urllib.request.urlopen(request, timeout=timeout_s))
            except urllib.error.HTTPError as error:
                if error.code == HTTPStatus.NOT_FOUND:
                    raise MissingError from None
                self._silent_until = time.monotonic() + _SILENT_FOR_S
                raise SilentError(path) from None
            except urllib.error.URLError as error:
                if not self._may_be_starting(error):
                    raise SilentError(path) from None
                time.sleep(_CACHE_START_PAUSE_S)

    def _may_be_starting(self, error: urllib.error.URLError) -> bool:
        """Return whether a failure means that the cache, started together with this program, does not listen yet."""
        is_refused = isinstance(error.reason, ConnectionRefusedError)
        return is_refused and time.monotonic() < self._began + _CACHE_START_S


def _page_path(project: str) -> str:
    return f"{quote(project, safe='')}/"


def _file_path(project: str, filename: str) -> str:
    return f"{quote(project, safe='')}/{quote(filename)}"
