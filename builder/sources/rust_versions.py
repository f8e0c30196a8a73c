"""Which Rust an sdist asks for: by its Cargo.toml, and by the file that pins a toolchain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from builder.distributions.members import NotAnSdistError, iter_members
from builder.untrusted.reading import parse_toml

if TYPE_CHECKING:
    from pathlib import Path

    from builder.sources.model import Source
    from builder.store.store import Store

_TEXT_BYTES = 1 << 20
"""Most that is read of such a file: they are written by hand, so far above any; not measured."""
_MAX_MANIFESTS = 500  # Cargo.toml files that are looked at; large workspaces have some 100

_OTHER_FOLDERS = frozenset(
    {"test", "tests", "testing", "doc", "docs", "example", "examples", "benches", "benchmarks", "fuzz", "vendor"}
)  # fmt: skip
"""Folders of what is not built into the wheel, or is not the package's own."""
_VENDORED = ".cargo-checksum.json"
"""What `cargo vendor` puts beside each crate that it copies into a project (The Cargo Book, "cargo vendor")."""

_PINS = ("rust-toolchain.toml", "rust-toolchain")
_VERSION = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,4}))?(?:\.([0-9]{1,4}))?")
_EDITIONS = {"2018": "1.31", "2021": "1.56", "2024": "1.85"}
"""The first release that knows an edition (The Rust Edition Guide)."""

RustVersion = tuple[int, int, int]


def cached_rust_version(source: Source, store: Store) -> str:
    """Return the release of Rust that an sdist asks for, from the store's record where it was read before.

    `1.90.0`; empty where it asks for none, or cannot be read.
    """
    query = f"rust-version:{source.sha256}"
    recorded = store.get_resolution(query, None)
    if recorded is not None:
        return str(recorded)

    version = read_rust_version(store.file(source.sha256), source.filename)
    store.record_resolution(query, version)
    return version


def read_rust_version(sdist: Path, filename: str) -> str:
    """Return the oldest release of Rust that fulfils all that an sdist asks for: `1.90.0`; empty where it asks nothing.

    What counts are `rust-version` and `edition` of its own Cargo.toml files, and a release that `rust-toolchain.toml`
    pins. A channel (`stable`, `nightly-2026-01-02`) names no release, and crates that it brings are left to cargo.

    Args:
        sdist: the file.
        filename: what it is called, which tells its format.
    """
    versions: list[RustVersion] = []
    manifests: dict[str, bytes] = {}
    vendored: set[str] = set()
    try:
        for member in iter_members(sdist, filename):
            folder, _, file_name = member.name.rpartition("/")
            if file_name == _VENDORED:
                vendored.add(folder)
            if member.size > _TEXT_BYTES:
                continue
            if file_name == "Cargo.toml" and len(manifests) < _MAX_MANIFESTS:
                manifests[folder] = member.read(_TEXT_BYTES)
            elif any(member.is_top_file(pin) for pin in _PINS):
                versions += _read_pin(member.read(_TEXT_BYTES))
    except NotAnSdistError:
        return ""  # what is wrong with it is a finding of its own

    for folder, content in manifests.items():
        is_other = not _OTHER_FOLDERS.isdisjoint(folder.lower().split("/"))
        if folder not in vendored and not is_other:
            versions += _read_manifest(content)

    return ".".join(map(str, max(versions))) if versions else ""


def parse_rust_version(text: object) -> RustVersion | None:
    """Return a release as three numbers, `"1.90" -> (1, 90, 0)`; None for what is none."""
    match = _VERSION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    major, minor, patch = (int(part or 0) for part in match.groups())
    return major, minor, patch


def _read_pin(content: bytes) -> list[RustVersion]:
    """Return the release that rust-toolchain.toml pins; empty where it names a channel, or nothing.

    The file without the ending may be a single line (The rustup book, "Overrides").
    """
    try:
        document = parse_toml(content, _PINS[0])
    except ValueError:
        document = {"toolchain": {"channel": content.decode("utf-8", "replace").strip()}}

    version = parse_rust_version(_table(document, "toolchain").get("channel"))
    return [] if version is None else [version]


def _read_manifest(content: bytes) -> list[RustVersion]:
    """Return the releases that a Cargo.toml asks for, of its package or of all packages of its workspace."""
    try:
        document = parse_toml(content, "Cargo.toml")
    except ValueError:
        return []  # cargo says more of it than could be said here

    versions: list[RustVersion] = []
    for package in (
        _table(document, "package"),
        _table(_table(document, "workspace"), "package"),
    ):
        edition = package.get("edition")
        needed = _EDITIONS.get(edition) if isinstance(edition, str) else None
        for text in (package.get("rust-version"), needed):
            version = parse_rust_version(text)
            if version is not None:
                versions.append(version)
    return versions


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a table of a document; empty where there is none."""
    table = document.get(name)
    return table if isinstance(table, dict) else {}
