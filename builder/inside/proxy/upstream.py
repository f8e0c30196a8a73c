"""What the index has, asked through the cache beside this program; what the farm holds already stands in for it."""

from __future__ import annotations

import datetime
import json
import re
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from .answers import TRANSFER_ERRORS, MissingError, SilentError, make_opener, read_bounded
from .files import WrongHashError

if TYPE_CHECKING:
    import http.client
    from collections.abc import Mapping
    from pathlib import Path

    from .addresses import AddressRule
    from .files import FileFolders

_ACCEPT = {"Accept": "application/vnd.pypi.simple.v1+json"}
_PAGE_KEYS = ("filename", "hashes", "requires-python", "yanked", "core-metadata")
_MAX_PAGE_BYTES = 32 << 20  # the largest pages of a public index have some 10 MiB
_MAX_PAGES_BYTES = 96 << 20
"""Of all pages that are kept; as objects they take several times as much."""
_MAX_METADATA_BYTES = 4 << 20
_MAX_FILE_BYTES = 8 << 30  # the largest wheels have about 3 GiB

# As in builder/untrusted/names.py.
_PROJECT = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")
_MAX_PROJECT_CHARS = 128
_SEPARATORS = re.compile(r"[-_.]+")  # that the same name is written with (PEP 503)
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]*")
_MAX_FILE_CHARS = 255

_PAGE_FRESH_S = 600.0  # as long as an index lets clients keep a page
_SILENT_FOR_S = 5.0
"""A build asks for many files: not each of them waits for an index that just failed."""
_CACHE_START_S = 60.0
_CACHE_START_PAUSE_S = 0.1
# At least as long as the cache's own limits (builder/proxy/proxy.py), so that it is the cache that gives up.
_PAGE_TIMEOUT_S = 120.0
_FILE_TIMEOUT_S = 1200.0

Entry = dict[str, Any]
"""A file of a project, as a page describes it (PEP 691)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Page:
    """What the index said of a project.

    Attributes:
        asked_at: when, in the seconds of the monotonic clock.
        entries: of its files.
        size: of the text that the index sent, in bytes.
    """

    asked_at: float
    entries: list[Entry]
    size: int


class Upstream:
    """Pages and files of the index."""

    def __init__(
        self,
        url: str,
        files: FileFolders,
        held: dict[str, list[Entry]],
        rule: AddressRule,
        *,
        uploaded_before: Mapping[str, str | None] | None = None,
    ) -> None:
        """Prepare; nothing is asked before a client asks.

        Args:
            url: of the cache.
            files: where files are kept.
            held: what the index said of the files that the farm holds, by project.
            rule: decides where redirects of the cache may lead; the cache itself is one of its services.
            uploaded_before: when files have to have been uploaded at the latest, in ISO 8601, by project; None for any
                time. An empty name stands for every other project.
        """
        self._uploaded_before = uploaded_before or {}
        self._url = url
        self._opener = make_opener(rule)
        self._files = files
        self._held = held
        self._pages: dict[str, _Page] = {}
        self._silent_until = 0.0
        self._began = time.monotonic()
        self._pages_mutex = threading.Lock()

    def page(self, project: str) -> list[Entry]:
        """Return the files of a project; those that the farm holds where the index does not answer.

        What the index said is taken for `_PAGE_FRESH_S` without asking it again.

        Raises:
            MissingError: the index does not know the project.
            SilentError: it did not answer, and the farm holds nothing.
        """
        with self._files.take_turn("page", project):
            known = self._pages.get(project)
            if known is not None and time.monotonic() <= known.asked_at + _PAGE_FRESH_S:
                return known.entries

            try:
                page = self._ask_page(project)
            except SilentError:
                if project not in self._held:
                    raise
                return self._held[project]

        with self._pages_mutex:
            self._pages.pop(project, None)
            self._pages[project] = page
            self._forget_oldest_pages()
        return page.entries

    def _forget_oldest_pages(self) -> None:
        """Forget the pages that were asked for first, until the others fit; `_pages_mutex` is held."""
        total_bytes = sum(page.size for page in self._pages.values())
        for project in list(self._pages):
            if total_bytes <= _MAX_PAGES_BYTES:
                return
            total_bytes -= self._pages.pop(project).size

    def _ask_page(self, project: str) -> _Page:
        """Ask the index for the files of a project, and return of each what `_PAGE_KEYS` names.

        Raises:
            MissingError: the index does not know the project.
            SilentError: it did not answer, or not with a page in JSON.
        """
        try:
            with self._open(_page_path(project), _PAGE_TIMEOUT_S) as answer:
                body = read_bounded(answer, _MAX_PAGE_BYTES)
                files = json.loads(body)["files"]
        except (SilentError, ValueError, *TRANSFER_ERRORS):
            # Its text is what the session's record names as not answered for.
            raise SilentError(project) from None

        cutoff = self._find_cutoff(project)
        entries = []
        for file in files:
            if cutoff is None or _is_older(file, cutoff):
                entries.append({key: file[key] for key in _PAGE_KEYS if key in file})
        return _Page(asked_at=time.monotonic(), entries=entries, size=len(body))

    def _find_cutoff(self, project: str) -> datetime.datetime | None:
        """Return before when the files of a project have to have been uploaded; None where any time will do."""
        name = _SEPARATORS.sub("-", project).lower()
        text = self._uploaded_before.get(name, self._uploaded_before.get(""))
        return None if text is None else datetime.datetime.fromisoformat(text)

    def metadata(self, project: str, filename: str) -> bytes:
        """Return the metadata file that the index offers beside a wheel (PEP 658).

        Raises:
            MissingError: it was not to be had, also because the index is silent: clients read the wheel itself then.
        """
        try:
            with self._open(_file_path(project, filename), _PAGE_TIMEOUT_S) as answer:
                return read_bounded(answer, _MAX_METADATA_BYTES)
        except (SilentError, *TRANSFER_ERRORS):  # the file itself has it too
            raise MissingError from None

    def find_file(self, entry: Entry) -> Path | None:
        """Return the path of a file that is here already, given by the farm or fetched before; otherwise None.

        A file whose entry has no sha256 is not found: files are kept under theirs.
        """
        return self._files.find(str(entry["hashes"].get("sha256", "")))

    def file(self, project: str, entry: Entry) -> tuple[Entry, Path]:
        """Return (entry, path) of a file of a project, fetching it where it is not here yet; the entry has its sha256.

        Clients that want the same file take turns, so that it is fetched once.

        Raises:
            MissingError: the index does not have it.
            SilentError: the index did not give it, or gave something else.
        """
        with self._files.take_turn("file", project, entry["filename"]):
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
        try:
            with self._open(_file_path(project, filename), _FILE_TIMEOUT_S) as answer:
                sha256, path = self._files.receive(
                    answer,
                    most=_MAX_FILE_BYTES,
                    timeout_s=_FILE_TIMEOUT_S,
                    promised=entry["hashes"].get("sha256", ""),
                )
        except (SilentError, *TRANSFER_ERRORS):
            raise SilentError(filename) from None
        except WrongHashError as error:
            raise SilentError(
                f"{filename}: its sha256 is {error.found}, which is not the one that was promised"
            ) from None

        return {**entry, "hashes": {"sha256": sha256}}, path

    def _open(self, path: str, timeout_s: float) -> http.client.HTTPResponse:
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
                answer = self._opener.open(request, timeout=timeout_s)
                return cast("http.client.HTTPResponse", answer)
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


def _is_older(file: Entry, cutoff: datetime.datetime) -> bool:
    """Return whether a file was uploaded before a time; one of which the index does not say when was not."""
    try:
        uploaded = datetime.datetime.fromisoformat(file.get("upload-time") or "")
    except (TypeError, ValueError):
        return False

    if uploaded.tzinfo is None:
        uploaded = uploaded.replace(tzinfo=datetime.UTC)
    return uploaded < cutoff


def _page_path(project: str) -> str:
    """Return the path of a project's page.

    What is no name of a project is not asked for: it would be a part of an address, so that `?` or `..` leads to other
    pages of the index. And an index that answers with an error counts as silent, for the builds beside this one too.

    Raises:
        MissingError: it is no name of a project.
    """
    if not _PROJECT.fullmatch(project) or len(project) > _MAX_PROJECT_CHARS:
        raise MissingError
    return f"{quote(project, safe='')}/"


def _file_path(project: str, filename: str) -> str:
    """Return the path of a file.

    Raises:
        MissingError: it is no name of a project, or no name of a file; for the same reasons.
    """
    if not _FILE.fullmatch(filename) or len(filename) > _MAX_FILE_CHARS:
        raise MissingError
    return f"{_page_path(project)}{quote(filename, safe='')}"
