"""Rust toolchains that jobs took by way of the index proxy: the sha256 of each file and of the release's manifest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from builder.host.toolchains import find_toolchain_server
from builder.untrusted.names import parse_distribution_name, parse_sha256

_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}")
_MAX_ITEMS = 100  # of a lock: a build takes three files of one release


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolchainFile:
    """The archive of one component that a job fetched."""

    version: str
    filename: str
    sha256: str

    def record(self) -> dict[str, str]:
        """Return what the evidence says of it."""
        return {"filename": self.filename, "sha256": self.sha256}


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolchainManifest:
    """What a server said of one release of Rust, by the hash of the text."""

    version: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Toolchains:
    """What one job had of a server of Rust toolchains, in the order it asked."""

    files: tuple[ToolchainFile, ...] = ()
    manifests: tuple[ToolchainManifest, ...] = ()

    @property
    def version(self) -> str:
        """The release that files were taken of; empty where none were."""
        return self.files[-1].version if self.files else ""

    def hashes(self) -> list[str]:
        """Return the sha256 of everything."""
        files = [file.sha256 for file in self.files]
        manifests = [manifest.sha256 for manifest in self.manifests]

        return [*files, *manifests]

    def merge(self, other: Toolchains) -> Toolchains:
        """Return these and others as one; of what has the same name the other's counts."""
        files = {file.filename: file for file in (*self.files, *other.files)}
        manifests = {manifest.version: manifest for manifest in (*self.manifests, *other.manifests)}

        return Toolchains(files=tuple(files.values()), manifests=tuple(manifests.values()))

    def to_json(self) -> dict[str, list[dict[str, str]]]:
        """Return the part of a lock that has them; empty where there are none."""
        if not self.files and not self.manifests:
            return {}

        files = [{"version": file.version, **file.record()} for file in self.files]
        manifests = [
            {"version": manifest.version, "sha256": manifest.sha256} for manifest in self.manifests
        ]
        return {"toolchain-files": files, "toolchains": manifests}

    @classmethod
    def from_json(cls, lock: dict[str, Any]) -> Toolchains:
        """Return the toolchains of a lock, which may be of another machine.

        Raises:
            ValueError: they are none, or too many.
        """
        files, manifests = lock.get("toolchain-files", []), lock.get("toolchains", [])
        if not isinstance(files, list) or not isinstance(manifests, list):
            raise ValueError("its Rust toolchains are no list")  # noqa: TRY004 - one error for all that is no lock
        if len(files) > _MAX_ITEMS or len(manifests) > _MAX_ITEMS:
            raise ValueError("it has more Rust toolchains than it may")

        return cls(
            files=tuple(parse_toolchain_file(item) for item in files),
            manifests=tuple(parse_toolchain(item) for item in manifests),
        )


def parse_toolchain_file(item: Any) -> ToolchainFile:  # noqa: ANN401 - JSON
    """Return a file of a toolchain that a container or another machine described.

    Raises:
        ValueError: it is none.
    """
    try:
        return ToolchainFile(
            version=_parse_version(item["version"]),
            filename=parse_distribution_name(item["filename"]),
            sha256=parse_sha256(item["sha256"]),
        )
    except (TypeError, KeyError):
        raise ValueError("a file of a Rust toolchain has a version, a name and a sha256") from None


def parse_toolchain(item: Any) -> ToolchainManifest:  # noqa: ANN401 - JSON
    """Return the manifest of a toolchain that a container or another machine described.

    Raises:
        ValueError: it is none.
    """
    try:
        return ToolchainManifest(
            version=_parse_version(item["version"]), sha256=parse_sha256(item["sha256"])
        )
    except (TypeError, KeyError):
        raise ValueError("a Rust toolchain has a version and a sha256") from None


def toolchain_settings(held: dict[str, str]) -> dict[str, Any]:
    """Return what builder/inside/proxy/toolchains.py is told of the server that this machine has.

    Args:
        held: sha256 of the manifest that the server gave last, by version.
    """
    server = find_toolchain_server()
    if server is None:
        return {"url": "", "authorization": "", "held": held}
    return {"url": server.url, "authorization": server.authorization, "held": held}


def _parse_version(text: object) -> str:
    """Return the version of a release of Rust: `1.90.0`.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(text, str) or not _VERSION.fullmatch(text):
        raise ValueError("the version of a Rust toolchain has three numbers")
    return text
