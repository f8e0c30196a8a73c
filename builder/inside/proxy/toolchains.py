"""Rust toolchains of a server in rustup's format: what a release's manifest lists with a sha256, and nothing else.

A release has a manifest, `dist/channel-rust-1.90.0.toml`, and beside it a file with the manifest's sha256. The manifest
has, for each component and target, where its archive is and which sha256 that has. Manifests and archives are kept by
their sha256, like the files of the package index (files.py).
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .answers import MismatchError, MissingError, SilentError
from .files import WrongHashError
from .remote import Remote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .addresses import AddressRule
    from .files import FileFolders

_TARGET = "x86_64-unknown-linux-gnu"
_COMPONENTS = (
    "rustc",
    "cargo",
    "rust-std",
)  # what maturin, setuptools-rust and cargo itself call or link
_MANIFEST_VERSION = "2"
_FORMATS = (("xz_url", "xz_hash"), ("url", "hash"))  # the smaller archive first

_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DISTRIBUTION = "/dist/"
_PATH = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9._+-]*/){0,4}[A-Za-z0-9_][A-Za-z0-9._+-]*\.tar\.(?:xz|gz)"
)
"""Of an archive below `dist/`: `2026-01-02/rustc-1.93.0-x86_64-unknown-linux-gnu.tar.xz`. No part begins with a dot."""

_MAX_MANIFEST_BYTES = 8 << 20  # those of the public server have about 1 MiB
_MAX_URL_CHARS = 1000
_MAX_HASH_BYTES = 4 << 10
_MAX_ARCHIVE_BYTES = 1 << 30  # rustc's has less than 100 MiB
_MANIFEST_TIMEOUT_S = 120.0
_ARCHIVE_TIMEOUT_S = 600.0


class UnfitManifestError(Exception):
    """A text is no manifest of the release; this says in what."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """The archive of one component.

    Attributes:
        path: below `dist/` of the server.
        sha256: of the file.
    """

    path: str
    sha256: str

    @property
    def filename(self) -> str:
        """Its name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What a server says of a release.

    Attributes:
        version: of the release.
        sha256: of the text, which is kept as a file.
        archives: one for each component that is needed.
    """

    version: str
    sha256: str
    archives: tuple[Archive, ...]

    def find(self, filename: str) -> Archive:
        """Return the archive with a name.

        Raises:
            MissingError: it is none of the release.
        """
        for archive in self.archives:
            if archive.filename == filename:
                return archive
        raise MissingError

    def listing(self) -> bytes:
        """Return what a container is told of it (builder/inside/rust/toolchain.py)."""
        files = [
            {"filename": archive.filename, "sha256": archive.sha256} for archive in self.archives
        ]
        return json.dumps({"version": self.version, "files": files}).encode()


class ToolchainServer:
    """Manifests and archives of the server. Safe to use from several threads."""

    def __init__(self, settings: Mapping[str, Any], files: FileFolders, rule: AddressRule) -> None:
        """Prepare; nothing is asked before a client asks.

        Args:
            settings: `url` of the server, with a slash at its end, or an empty text for none; `authorization` for it;
                and `held`, by version, the sha256 of the manifest that it gave last time.
            files: where manifests and archives are kept.
            rule: decides where the server may lead; it is itself one of the rule's indexes.
        """
        self._remote = Remote(
            "the server of Rust toolchains",
            str(settings["url"]),
            str(settings["authorization"]),
            rule,
        )
        self._held: Mapping[str, str] = settings["held"]
        self._files = files
        self._manifests: dict[str, Manifest] = {}

    def manifest(self, version: str) -> Manifest:
        """Return the manifest of a release; what the farm holds of it where the server does not answer.

        The manifest of a release does not change, so that one that was read is not asked for again.

        Raises:
            MissingError: the server does not have the release, or there is no server; the text says what was asked.
            MismatchError: its manifest is not the one that it names, or none of the release.
            SilentError: it did not answer, and the farm holds nothing.
        """
        if not _VERSION.fullmatch(version):
            raise MissingError

        with self._files.take_turn("manifest", version):
            known = self._manifests.get(version)
            if known is not None:
                return known

            try:
                manifest = self._ask(version)
            except SilentError:
                held = self.find_manifest(version, self._held.get(version, ""))
                if held is None:
                    raise
                return held

            self._manifests[version] = manifest
            return manifest

    def find_manifest(self, version: str, sha256: str) -> Manifest | None:
        """Return the manifest of a release with a sha256, if it is here; otherwise None."""
        path = self._files.find(sha256)
        if path is None:
            return None

        try:
            archives = parse_manifest(path.read_bytes(), version)
        except UnfitManifestError:
            return None
        return Manifest(version=version, sha256=sha256, archives=archives)

    def archive(self, archive: Archive) -> Path:
        """Return the path of an archive that a manifest lists, fetching it where it is not here yet.

        Raises:
            MismatchError: the server gave something else.
            SilentError: it did not answer, or does not have what its manifest lists.
        """
        with self._files.take_turn("archive", archive.sha256):
            path = self._files.find(archive.sha256)
            if path is not None:
                return path
            return self._fetch(archive)

    def _ask(self, version: str) -> Manifest:
        """Ask the server for the manifest of a release, and check it against the sha256 beside it.

        Raises:
            MissingError: the server does not have it.
            MismatchError: it is another one than the sha256 says, or none of the release.
            SilentError: the server did not answer, or not with both.
        """
        if not self._remote.url:
            raise MissingError("no server of Rust toolchains is set")

        url = f"{self._remote.url}dist/channel-rust-{version}.toml"
        try:
            content = self._remote.read(url, _MANIFEST_TIMEOUT_S, url, _MAX_MANIFEST_BYTES)
        except MissingError as error:
            raise MissingError(f"{url} answered {error}") from None

        url_of_hash = f"{url}.sha256"
        try:
            stated = self._remote.read(
                url_of_hash, _MANIFEST_TIMEOUT_S, url_of_hash, _MAX_HASH_BYTES
            )
        except MissingError:
            raise SilentError(f"{url_of_hash} (the server has none)") from None

        words = stated.decode("ascii", "replace").split()
        promised = words[0].lower() if words else ""
        if not _SHA256.fullmatch(promised):
            raise MismatchError(f"{url_of_hash} has no sha256")
        try:
            archives = parse_manifest(content, version)
        except UnfitManifestError as error:
            raise MismatchError(f"{url} {error}") from None

        sha256, _ = self._files.keep(content)
        if sha256 != promised:
            raise MismatchError(f"{url}: its sha256 is {sha256}, and {url_of_hash} says {promised}")
        return Manifest(version=version, sha256=sha256, archives=archives)

    def _fetch(self, archive: Archive) -> Path:
        """Fetch an archive into the folder of fetched files, and return its path.

        It is asked for at this server, whatever host the manifest names: a mirror passes on the manifests of another.

        Raises:
            MismatchError: it has another sha256 than the manifest lists.
            SilentError: the server did not give it.
        """
        url = f"{self._remote.url}dist/{archive.path}"
        try:
            with self._remote.open(url, _ARCHIVE_TIMEOUT_S, url) as answer:
                _, path = self._files.receive(
                    answer,
                    most=_MAX_ARCHIVE_BYTES,
                    timeout_s=_ARCHIVE_TIMEOUT_S,
                    promised=archive.sha256,
                )
        except MissingError as error:
            raise SilentError(f"{url} (which the manifest lists, answered {error})") from None
        except SilentError as error:
            shown = str(error)
            raise SilentError(shown if url in shown else f"{url} ({shown})") from None
        except WrongHashError as error:
            raise MismatchError(
                f"{archive.filename}: the sha256 of what the server gave is {error.found}, "
                f"and its manifest lists {archive.sha256}"
            ) from None

        return path


def parse_manifest(content: bytes, version: str) -> tuple[Archive, ...]:
    """Return the archives that a manifest lists of the components that builds need.

    Args:
        content: the manifest.
        version: the release that it has to be of.

    Raises:
        UnfitManifestError: it is no manifest of the release, or lacks a component for this machine.
    """
    try:
        manifest = tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        raise UnfitManifestError("is no TOML") from None

    if manifest.get("manifest-version") != _MANIFEST_VERSION:
        raise UnfitManifestError("is no manifest of version 2")
    stated = _find(manifest, "pkg", "rustc", "version")
    words = stated.split() if isinstance(stated, str) else []
    if not words or words[0] != version:
        raise UnfitManifestError(f"is no manifest of Rust {version}")

    return tuple(_iter_archives(manifest))


def _iter_archives(manifest: Mapping[str, Any]) -> Iterator[Archive]:
    """Give the archive of each component.

    Raises:
        UnfitManifestError: a component is not there for this machine, or without a sha256 or a usable path.
    """
    for component in _COMPONENTS:
        listed = _find(manifest, "pkg", component, "target", _TARGET)
        if not isinstance(listed, dict) or listed.get("available") is not True:
            raise UnfitManifestError(f"has no {component} for {_TARGET}")

        for url_key, hash_key in _FORMATS:
            archive = _read_archive(listed.get(url_key), listed.get(hash_key))
            if archive is not None:
                yield archive
                break
        else:
            raise UnfitManifestError(
                f"has no usable address and sha256 of {component} for {_TARGET}"
            )


def _read_archive(url: object, sha256: object) -> Archive | None:
    """Return the archive at an address, or None where either of the two is nothing of the kind."""
    if not isinstance(url, str) or not isinstance(sha256, str) or len(url) > _MAX_URL_CHARS:
        return None
    try:
        _, marker, path = urlsplit(url).path.rpartition(_DISTRIBUTION)
    except ValueError:
        return None

    if not marker or not _PATH.fullmatch(path) or not _SHA256.fullmatch(sha256):
        return None
    return Archive(path=path, sha256=sha256)


def _find(table: object, *names: str) -> object:
    """Return what stands in tables within tables; None where one of them is none."""
    value = table
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
