"""What the index has, asked through the cache beside this program; what the farm holds already stands in for it."""

import hashlib
import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote

_ACCEPT = {"Accept": "application/vnd.pypi.simple.v1+json"}
_PAGE_FRESH_S = 600.0
_SILENT_FOR_S = 5.0
_START_S = 60.0
_PAGE_TIMEOUT_S = 120.0
_FILE_TIMEOUT_S = 1200.0
_KEPT = ("filename", "hashes", "requires-python", "yanked", "core-metadata")

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
        """Return the files of a project; where the index is silent, those that the farm holds.

        Raises:
            MissingError: the index does not know the project.
            SilentError: it did not answer, and the farm holds nothing.
        """
        with self._locks[project]:
            asked_at, entries = self._pages.get(project, (0.0, []))
            if not asked_at or time.monotonic() > asked_at + _PAGE_FRESH_S:
                try:
                    entries = self._ask_page(project)
                except SilentError:
                    if project not in self._held:
                        raise
                    return self._held[project]
                self._pages[project] = (time.monotonic(), entries)
            return entries

    def _ask_page(self, project: str) -> list[Entry]:
        try:
            with self._open(f"{quote(project, safe='')}/", _PAGE_TIMEOUT_S) as answer:
                listed = json.load(answer)["files"]
        except (SilentError, OSError, ValueError, http.client.HTTPException):
            raise SilentError(project) from None
        return [{key: entry[key] for key in _KEPT if key in entry} for entry in listed]

    def metadata(self, project: str, filename: str) -> bytes:
        """Return the metadata of a wheel that the index gives beside it (PEP 658)."""
        try:
            with self._open(
                f"{quote(project, safe='')}/{quote(filename)}", _PAGE_TIMEOUT_S
            ) as answer:
                return bytes(answer.read())
        except (SilentError, OSError, http.client.HTTPException):  # the file itself has it too
            raise MissingError from None

    def held(self, entry: Entry) -> Path | None:
        """Return where a file lies that was fetched or given before, or None."""
        sha256 = str(entry["hashes"].get("sha256", ""))
        for folder in (self._given, self._fetched):
            if sha256 and (folder / sha256).is_file():
                return folder / sha256
        return None

    def file(self, project: str, entry: Entry) -> tuple[Entry, Path]:
        """Return a file's entry, with its sha256, and where it lies; fetched where it is not there yet.

        One client at a time fetches a file: the others find it.
        """
        with self._locks[project, entry["filename"]]:
            found = self.held(entry)
            if found is None:
                entry, found = self._fetch(project, entry)
            return entry, found

    def _fetch(self, project: str, entry: Entry) -> tuple[Entry, Path]:
        filename = entry["filename"]
        aside = self._fetched / f".{threading.get_ident()}"
        digest = hashlib.sha256()
        try:
            with (
                self._open(
                    f"{quote(project, safe='')}/{quote(filename)}", _FILE_TIMEOUT_S
                ) as answer,
                aside.open("wb") as file,
            ):
                while chunk := answer.read(1 << 20):
                    digest.update(chunk)
                    file.write(chunk)
        except (SilentError, OSError, http.client.HTTPException):
            raise SilentError(filename) from None
        sha256 = digest.hexdigest()
        if entry["hashes"].get("sha256", sha256) != sha256:
            raise SilentError(
                f"{filename}: its sha256 is {sha256}, which is not the one that was promised"
            )
        aside.replace(self._fetched / sha256)
        return {**entry, "hashes": {"sha256": sha256}}, self._fetched / sha256

    def _open(self, path: str, timeout_s: float) -> IO[bytes]:
        """Ask the cache, which may still be starting."""
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
                starting = (
                    isinstance(error.reason, ConnectionRefusedError)
                    and time.monotonic() < self._began + _START_S
                )
                if not starting:
                    raise SilentError(path) from None
                time.sleep(0.1)
