"""Crates that jobs took from a registry by way of the index proxy, and what tells cargo that it is there.

A registry changes from day to day, so what its index said of a crate is kept beside the crate itself: given both again,
cargo comes to the same choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from builder.host import crates as cargo
from builder.proxy.toolchains import Toolchains
from builder.untrusted.names import parse_distribution_name, parse_sha256

CARGO_CONFIGURATION = """\
[source.crates-io]
replace-with = "wheelfarm"

[source.wheelfarm]
registry = "sparse+http://crates.wheelfarm.invalid/"
"""
"""Configuration of cargo in a container. The host is known to the proxy alone (builder/inside/proxy/handler.py), which
cargo finds by `http_proxy`. Lock files go on naming the source that is replaced, so `--locked` holds.

It lies in `/.cargo/`: cargo looks in the folder it runs in and in all folders above, so that a configuration that the
package brings, such as that of crates in its own sdist, counts more than this one."""

_MAX_ITEMS = 10_000  # of a lock; the largest projects have some 1,000 crates


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchedCrate:
    """One crate that a job fetched."""

    name: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """What cargo calls its file."""
        return f"{self.name}-{self.version}.crate"

    def record(self) -> dict[str, str]:
        """Return what the evidence says of it."""
        return {"filename": self.filename, "sha256": self.sha256}


@dataclass(frozen=True, kw_only=True, slots=True)
class CratePage:
    """What the index of a registry said of one crate, by the hash of the text.

    Attributes:
        name: of the crate, in lower case.
        sha256: of the text, which is kept as a file.
    """

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Crates:
    """What one job had of a registry, in the order it asked, and the Rust toolchain that it was built with.

    Attributes:
        files: crates.
        pages: what the index said of them.
        toolchains: of a server of these.
    """

    files: tuple[FetchedCrate, ...] = ()
    pages: tuple[CratePage, ...] = ()
    toolchains: Toolchains = field(default_factory=Toolchains)

    def hashes(self) -> list[str]:
        """Return the sha256 of everything."""
        crates = [crate.sha256 for crate in self.files]
        pages = [page.sha256 for page in self.pages]

        return [*crates, *pages, *self.toolchains.hashes()]

    def merge(self, other: Crates) -> Crates:
        """Return these and others as one; of what has the same name the other's counts."""
        files = {crate.filename: crate for crate in (*self.files, *other.files)}
        pages = {page.name: page for page in (*self.pages, *other.pages)}

        return Crates(
            files=tuple(files.values()),
            pages=tuple(pages.values()),
            toolchains=self.toolchains.merge(other.toolchains),
        )

    def to_json(self) -> dict[str, list[dict[str, str]]]:
        """Return the part of a lock that has them; empty where there are none."""
        toolchains = self.toolchains.to_json()
        if not self.files and not self.pages:
            return toolchains

        files = [
            {"name": crate.name, "version": crate.version, "sha256": crate.sha256}
            for crate in self.files
        ]
        pages = [{"name": page.name, "sha256": page.sha256} for page in self.pages]
        return {"crates": files, "crate-pages": pages, **toolchains}

    @classmethod
    def from_json(cls, lock: Any) -> Crates:  # noqa: ANN401 - JSON
        """Return the crates of a lock, which may be of another machine.

        Raises:
            ValueError: they are no crates, or too many.
        """
        if not isinstance(lock, dict):
            raise ValueError("it is no object")  # noqa: TRY004 - one error for all that is no lock
        files, pages = lock.get("crates", []), lock.get("crate-pages", [])
        if not isinstance(files, list) or not isinstance(pages, list):
            raise ValueError("its crates are no list")  # noqa: TRY004 - one error for all that is no lock
        if len(files) > _MAX_ITEMS or len(pages) > _MAX_ITEMS:
            raise ValueError("it has more crates than it may")

        return cls(
            files=tuple(parse_crate(item) for item in files),
            pages=tuple(parse_page(item) for item in pages),
            toolchains=Toolchains.from_json(lock),
        )


def parse_crate(item: Any) -> FetchedCrate:  # noqa: ANN401 - JSON
    """Return a crate that a container or another machine described.

    Raises:
        ValueError: it is none.
    """
    try:
        crate = FetchedCrate(
            name=item["name"], version=item["version"], sha256=parse_sha256(item["sha256"])
        )
    except (TypeError, KeyError):
        raise ValueError("a crate has a name, a version and a sha256") from None

    parse_distribution_name(crate.name)
    parse_distribution_name(crate.version)
    parse_distribution_name(crate.filename)
    return crate


def parse_page(item: Any) -> CratePage:  # noqa: ANN401 - JSON
    """Return a page of a registry's index that a container or another machine described.

    Raises:
        ValueError: it is none.
    """
    try:
        return CratePage(
            name=parse_distribution_name(item["name"]), sha256=parse_sha256(item["sha256"])
        )
    except (TypeError, KeyError):
        raise ValueError("a page of a crate has a name and a sha256") from None


def registry_settings(held: dict[str, str]) -> dict[str, Any]:
    """Return what builder/inside/proxy/crates.py is told of the registry that this machine has.

    Args:
        held: sha256 of what the index said last, by lower-case name of a crate.
    """
    registry = cargo.find_crate_registry()
    if registry is None:
        return {"url": "", "token": "", "held": held}
    return {"url": registry.url, "token": registry.token, "held": held}
