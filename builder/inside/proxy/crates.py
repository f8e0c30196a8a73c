"""Crates of a registry that speaks cargo's sparse protocol: what its index lists with a checksum, and nothing else.

The Cargo Book, "Registry Index", has the protocol. A page of the index has one line of JSON for each release of a
crate, with the sha256 of its file; `config.json` says where the files are. Pages and files are kept by their sha256,
like the files of the package index (upstream.py).
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .answers import MismatchError, MissingError, SilentError
from .files import WrongHashError
from .remote import Remote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .addresses import AddressRule
    from .files import FileFolders

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
_PAGE_TIMEOUT_S = 120.0
_CRATE_TIMEOUT_S = 600.0


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

    def __init__(self, settings: Mapping[str, Any], files: FileFolders, rule: AddressRule) -> None:
        """Prepare; nothing is asked before a client asks.

        Args:
            settings: `url` of the index, with a slash at its end, or an empty text for none; `token` for it; and
                `held`, by lower-case name of a crate, the sha256 of what the index said of it last time.
            files: where pages and crates are kept.
            rule: decides where the registry may lead; it is itself one of the rule's indexes.
        """
        self._remote = Remote("the registry", str(settings["url"]), str(settings["token"]), rule)
        self._held: Mapping[str, str] = settings["held"]
        self._files = files
        self._config: _Config | None = None
        self._pages: dict[str, Page] = {}
        self._mutex = threading.Lock()

    def page(self, name: str) -> Page:
        """Return what the index says of a crate; what the farm holds of it where the registry does not answer.

        What the index said is taken for `_FRESH_S` without asking it again.

        Raises:
            MissingError: the registry does not have the crate, or there is no registry.
            SilentError: it did not answer, and the farm holds nothing.
        """
        key = parse_name(name).lower()
        with self._files.take_turn("crate page", key):
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
        path = self._files.find(sha256)
        if path is None:
            return None
        return Page(path=path, sha256=sha256, checksums=read_checksums(path.read_bytes()))

    def crate(self, name: str, version: str, sha256: str) -> Path:
        """Return the path of a crate's file, fetching it where it is not here yet.

        Raises:
            MissingError: the registry does not have it.
            MismatchError: the registry gave something else.
            SilentError: it did not answer.
        """
        with self._files.take_turn("crate", sha256):
            path = self._files.find(sha256)
            if path is not None:
                return path
            return self._fetch(name, version, sha256)

    def _ask_page(self, key: str) -> Page:
        """Ask the index for what it says of a crate, and keep the lines of it that say what they have to.

        Raises:
            MissingError: it does not have the crate.
            SilentError: it did not answer, or too much.
        """
        url = self._remote.url + index_path(key)
        body = self._remote.read(url, _PAGE_TIMEOUT_S, key, _MAX_PAGE_BYTES)

        lines = list(_iter_lines(body, key))
        if not lines:
            raise SilentError(f"{key} (its index lists no release with a checksum)")

        content = b"".join(line + b"\n" for line in lines)
        sha256, path = self._files.keep(content)
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
        self._remote.check_link(url, shown)

        with self._remote.open(url, _CRATE_TIMEOUT_S, shown, is_known=config.needs_token) as answer:
            try:
                _, path = self._files.receive(
                    answer, most=_MAX_CRATE_BYTES, timeout_s=_CRATE_TIMEOUT_S, promised=sha256
                )
            except SilentError as error:
                raise SilentError(f"{shown} ({error})") from None
            except WrongHashError as error:
                reason = f"the sha256 of what the registry gave is {error.found}, and its index lists {sha256}"
                raise MismatchError(f"{shown}: {reason}") from None

        return path

    def _ask_config(self) -> _Config:
        """Return the registry's `config.json`, which is asked for again when it is old.

        Raises:
            MissingError: there is no registry.
            SilentError: it did not answer, or with something else.
        """
        with self._files.take_turn("crates"):
            config = self._config
            if config is not None and time.monotonic() <= config.asked_at + _FRESH_S:
                return config

            shown = "config.json"
            try:
                url = f"{self._remote.url}{shown}"
                body = self._remote.read(url, _PAGE_TIMEOUT_S, shown, _MAX_CONFIG_BYTES)
                stated = json.loads(body)
                download = stated["dl"]
                if not isinstance(download, str):
                    raise TypeError  # noqa: TRY301 - one answer for all that is no configuration
            except (MissingError, ValueError, TypeError, KeyError, RecursionError):
                if not self._remote.url:
                    raise MissingError from None
                raise SilentError(f"{shown} (it is none of a sparse registry)") from None

            needs_token = stated.get("auth-required") is True
            self._config = _Config(
                download=download, needs_token=needs_token, asked_at=time.monotonic()
            )
            return self._config


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
