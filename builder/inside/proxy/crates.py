"""Crates of a registry that speaks cargo's sparse protocol: what its index lists with a checksum, and nothing else.

The Cargo Book, "Registry Index", has the protocol. A page of the index has one line of JSON for each release of a
crate, with the sha256 of its file; `config.json` says where the files are. Pages and files are kept by their sha256,
like the files of the package index (upstream.py).
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from .addresses import AddressRule, RefusedError
from .answers import (
    TRANSFER_ERRORS,
    MissingError,
    SilentError,
    copy_bounded,
    make_opener,
    read_bounded,
)

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")  # public registries take 64 characters
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MARKER = re.compile(r"\{(crate|version|prefix|lowerprefix|sha256-checksum)\}")

_MAX_CONFIG_BYTES = 64 << 10
_MAX_PAGE_BYTES = 32 << 20  # the largest pages of the public registry have less than 2 MiB
_MAX_LINES = 20_000  # releases of one crate
_MAX_CRATE_BYTES = 512 << 20  # as much as cargo itself unpacks of one
_MAX_KNOWN_RELEASES = 500_000
"""Of all pages that are kept in memory, each with its checksum; they take some 200 bytes each."""

_FRESH_S = 600.0  # as for pages of the package index
_SILENT_FOR_S = 5.0  # as there
_PAGE_TIMEOUT_S = 120.0
_CRATE_TIMEOUT_S = 600.0
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS})
"""By which a registry says that it does not have a crate (The Cargo Book, "Sparse Protocol")."""


class MismatchError(Exception):
    """A crate is not the one that the index lists; the text says what was found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What the index says of a crate.

    Attributes:
        path: of the text, as it is passed on.
        sha256: of the text.
        checksums: sha256 of the file of each release.
        asked_at: when, in the seconds of the monotonic clock.
    """

    path: Path
    sha256: str
    checksums: Mapping[str, str]
    asked_at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Config:
    """`config.json` of the registry: where its files are, and whether they are for who is known alone."""

    download: str
    needs_token: bool
    asked_at: float


class CrateRegistry:
    """Pages and files of the registry. Safe to use from several threads."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        given: Path,
        fetched: Path,
        rule: AddressRule,
    ) -> None:
        """Prepare; nothing is asked before a client asks.

        Args:
            settings: `url` of the index, with a slash at its end, or an empty text for none; `token` for it; and
                `held`, by lower-case name of a crate, the sha256 of what the index said of it last time.
            given: folder of the files that the farm put there, by their sha256.
            fetched: folder for those that are fetched.
            rule: decides where the registry may lead; it is itself one of the rule's indexes.
        """
        self._url = str(settings["url"])
        self._token = str(settings["token"])
        self._held: Mapping[str, str] = settings["held"]
        self._given = given
        self._fetched = fetched
        self._rule = rule
        self._opener = make_opener(rule)
        self._config: _Config | None = None
        self._pages: dict[str, Page] = {}
        self._silent_until = 0.0
        self._mutex = threading.Lock()
        self._locks: defaultdict[object, threading.Lock] = defaultdict(threading.Lock)

    def page(self, name: str) -> Page:
        """Return what the index says of a crate; what the farm holds of it where the registry does not answer.

        What the index said is taken for `_FRESH_S` without asking it again.

        Raises:
            MissingError: the registry does not have the crate, or there is no registry.
            SilentError: it did not answer, and the farm holds nothing.
        """
        key = parse_name(name).lower()
        with self._locks["page", key]:
            known = self._pages.get(key)
            if known is not None and time.monotonic() <= known.asked_at + _FRESH_S:
                return known

            try:
                page = self._ask_page(key)
            except SilentError:
                held = self.find_page(self._held.get(key, ""))
                if held is None:
                    raise
                return held

        with self._mutex:
            self._pages.pop(key, None)
            self._pages[key] = page
            self._forget_oldest_pages()
        return page

    def find_page(self, sha256: str) -> Page | None:
        """Return the page with a sha256, if it is here; otherwise None."""
        path = self.find_file(sha256)
        if path is None:
            return None
        return Page(path=path, sha256=sha256, checksums=read_checksums(path.read_bytes()))

    def find_file(self, sha256: str) -> Path | None:
        """Return the path of a page or a crate that is here already; otherwise None."""
        if not _SHA256.fullmatch(sha256):
            return None
        for folder in (self._given, self._fetched):
            if (folder / sha256).is_file():
                return folder / sha256
        return None

    def crate(self, name: str, version: str, sha256: str) -> Path:
        """Return the path of a crate's file, fetching it where it is not here yet.

        Raises:
            MissingError: the registry does not have it.
            MismatchError: the registry gave something else.
            SilentError: it did not answer.
        """
        with self._locks["crate", sha256]:
            path = self.find_file(sha256)
            if path is not None:
                return path
            return self._fetch(name, version, sha256)

    def _ask_page(self, key: str) -> Page:
        """Ask the index for what it says of a crate, and keep the lines of it that say what they have to.

        Raises:
            MissingError: it does not have the crate.
            SilentError: it did not answer, or too much.
        """
        with self._open(self._url + index_path(key), _PAGE_TIMEOUT_S, key) as answer:
            body = self._read(answer, _MAX_PAGE_BYTES, key)

        lines = list(_iter_lines(body, key))
        if not lines:
            raise SilentError(f"{key} (its index lists no release with a checksum)")

        content = b"".join(line + b"\n" for line in lines)
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._fetched / sha256
        if not path.exists():
            partial_path = self._fetched / f".page-{threading.get_ident()}"
            partial_path.write_bytes(content)
            partial_path.replace(path)

        return Page(
            path=path,
            sha256=sha256,
            checksums=read_checksums(content),
            asked_at=time.monotonic(),
        )

    def _forget_oldest_pages(self) -> None:
        """Forget the pages that were asked for first, until the others fit; `_mutex` is held."""
        total = sum(len(page.checksums) for page in self._pages.values())
        for key in list(self._pages):
            if total <= _MAX_KNOWN_RELEASES:
                return
            total -= len(self._pages.pop(key).checksums)

    def _fetch(self, name: str, version: str, sha256: str) -> Path:
        """Fetch a crate into the folder of fetched files, and return its path.

        Raises:
            MissingError: the registry does not have it.
            MismatchError: its file has another sha256 than its index lists.
            SilentError: the transfer failed.
        """
        shown = f"{name} {version}"
        config = self._ask_config()
        url = fill_download(config.download, name, version, sha256)
        try:
            self._rule.check_url(url, self._url)
        except RefusedError as error:
            raise SilentError(f"{shown} ({error})") from None

        partial_path = self._fetched / f".crate-{threading.get_ident()}"
        try:
            with (
                self._open(url, _CRATE_TIMEOUT_S, shown, shows_token=config.needs_token) as answer,
                partial_path.open("wb") as file,
            ):
                found = copy_bounded(answer, file, _MAX_CRATE_BYTES, _CRATE_TIMEOUT_S)
        except (SilentError, *TRANSFER_ERRORS) as error:
            partial_path.unlink(missing_ok=True)
            reason = (
                str(error) if isinstance(error, SilentError) else f"{shown} (the transfer failed)"
            )
            raise SilentError(reason) from None

        if found != sha256:
            partial_path.unlink()
            raise MismatchError(
                f"{shown}: the sha256 of what the registry gave is {found}, and its index lists {sha256}"
            )

        target = self._fetched / sha256
        partial_path.replace(target)
        return target

    def _ask_config(self) -> _Config:
        """Return the registry's `config.json`, which is asked for again when it is old.

        Raises:
            MissingError: there is no registry.
            SilentError: it did not answer, or with something else.
        """
        with self._locks["config"]:
            config = self._config
            if config is not None and time.monotonic() <= config.asked_at + _FRESH_S:
                return config

            shown = "config.json"
            try:
                with self._open(f"{self._url}{shown}", _PAGE_TIMEOUT_S, shown) as answer:
                    stated = json.loads(self._read(answer, _MAX_CONFIG_BYTES, shown))
                download = stated["dl"]
                if not isinstance(download, str):
                    raise TypeError  # noqa: TRY301 - one answer for all that is no configuration
            except (MissingError, ValueError, TypeError, KeyError, RecursionError):
                if not self._url:
                    raise MissingError from None
                raise SilentError(f"{shown} (it is none of a sparse registry)") from None

            needs_token = stated.get("auth-required") is True
            self._config = _Config(
                download=download, needs_token=needs_token, asked_at=time.monotonic()
            )
            return self._config

    def _read(self, answer: http.client.HTTPResponse, most: int, shown: str) -> bytes:
        """Return the body of an answer.

        Raises:
            SilentError: the transfer failed, or it is longer than `most` bytes.
        """
        try:
            return read_bounded(answer, most)
        except (SilentError, *TRANSFER_ERRORS):
            raise SilentError(f"{shown} (the answer was cut short, or is too long)") from None

    def _open(
        self, url: str, timeout_s: float, shown: str, *, shows_token: bool = True
    ) -> http.client.HTTPResponse:
        """Ask for a URL and return the open answer.

        After a registry that does not answer, nothing is asked for `_SILENT_FOR_S`: all of it is silent at once.

        Args:
            url: of a page or a file.
            timeout_s: how long a server may say nothing.
            shown: what is asked for, as errors name it.
            shows_token: whether the registry's token is sent along; not on redirects in any case.

        Raises:
            MissingError: the registry does not have it, or there is none.
            SilentError: it did not answer, or with an error.
        """
        if not self._url:
            raise MissingError
        if time.monotonic() < self._silent_until:
            raise SilentError(f"{shown} (the registry did not answer a moment ago)")

        request = urllib.request.Request(url, headers={"User-Agent": "wheelfarm"})
        if self._token and shows_token:
            request.add_unredirected_header("Authorization", self._token)
        try:
            answer = self._opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _GONE:
                raise MissingError from None
            raise SilentError(f"{shown} (the registry answered {error.code})") from None
        except TRANSFER_ERRORS as error:
            reason = getattr(error, "reason", error)
            if not isinstance(reason, RefusedError):
                self._silent_until = time.monotonic() + _SILENT_FOR_S
            raise SilentError(f"{shown} ({reason})") from None

        return cast("http.client.HTTPResponse", answer)


def parse_name(name: str) -> str:
    """Return the name of a crate as it is.

    Raises:
        MissingError: it is no name, so that it could lead to other pages as a part of an address.
    """
    if not _NAME.fullmatch(name):
        raise MissingError
    return name


def index_path(name: str) -> str:
    """Return where an index has a crate: `serde -> se/rd/serde`, `abc -> 3/a/abc`."""
    return f"{_prefix(name.lower())}/{name.lower()}"


def _prefix(name: str) -> str:
    """Return the folders that cargo makes of a name."""
    if len(name) <= 2:  # noqa: PLR2004 - cargo's own rule, as are the lengths below
        return str(len(name))
    if len(name) == 3:  # noqa: PLR2004
        return f"3/{name[0]}"
    return f"{name[:2]}/{name[2:4]}"


def fill_download(template: str, name: str, version: str, sha256: str) -> str:
    """Return the URL of a crate's file, as `dl` of `config.json` describes it.

    `https://c.invalid/{crate}-{version}.crate`, and `https://c.invalid/dl` for `…/dl/NAME/VERSION/download`.
    """
    values = {
        "crate": name,
        "version": version,
        "prefix": _prefix(name),
        "lowerprefix": _prefix(name.lower()),
        "sha256-checksum": sha256,
    }
    if not _MARKER.search(template):
        return f"{template.rstrip('/')}/{name}/{version}/download"
    return _MARKER.sub(lambda marker: values[marker[1]], template)


def _iter_lines(body: bytes, key: str) -> Iterator[bytes]:
    """Give the lines of a page that describe a release of the crate, with a checksum; all others are left out."""
    for line in body.splitlines()[:_MAX_LINES]:
        release = _parse_line(line)
        if release is not None and release[0].lower() == key:
            yield line


def _parse_line(line: bytes) -> tuple[str, str, str] | None:
    """Return (name, version, sha256) of a release, or None where a line is none, or has no checksum."""
    try:
        release = json.loads(line)
        name, version, sha256 = release["name"], release["vers"], release["cksum"]
        is_fit = _NAME.fullmatch(name) and _VERSION.fullmatch(version) and _SHA256.fullmatch(sha256)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return (name, version, sha256) if is_fit else None


def read_checksums(page: bytes) -> dict[str, str]:
    """Return the sha256 of the file of each release, by version."""
    checksums: dict[str, str] = {}
    for line in page.splitlines():
        release = _parse_line(line)
        if release is not None:
            checksums[release[1]] = release[2]
    return checksums
