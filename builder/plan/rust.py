"""Which Rust a build gets: that of its base, or a newer one that the package asks for and a server has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.jobs.build.rust import RustSupplies
from builder.sources.rust_versions import parse_rust_version

if TYPE_CHECKING:
    from builder.config.catalog import Base, Rust
    from builder.config.matrix import Package
    from builder.sources import Source

_RUST_PACKAGES = ("cargo", "rustc", "rustup")
"""How the names of system packages with a Rust begin: a matrix that names one has chosen."""


def find_rust(package: Package, source: Source, base: Base) -> Rust | None:
    """Return the Rust that a base has for a package; None where it needs none, or the matrix names one itself."""
    if not source.uses_rust or _names_rust(package, base):
        return None
    return base.rust


def supply_rust(package: Package, source: Source, base: Base) -> RustSupplies:
    """Return what a build gets for Rust, beside the system packages of its base.

    Where the base's own is older than the package asks for, that is the very release it asks for
    (docs/decisions/0026-rust-toolchains.md), if this machine has a server of toolchains.
    """
    rust = find_rust(package, source, base)
    is_fetched = (
        source.has_toolchains
        and not _names_rust(package, base)
        and _is_too_old(rust, source.rust_version)
    )

    return RustSupplies(
        has_crates=source.has_crates,
        toolchain=source.rust_version if is_fetched else "",
        program_folders=(rust.folder,) if rust is not None and rust.folder else (),
    )


def _is_too_old(rust: Rust | None, wanted_version: str) -> bool:
    """Return whether a base's Rust is older than a release; one that it does not have is, and nothing wanted is not."""
    wanted = parse_rust_version(wanted_version)
    if wanted is None:
        return False

    base_has = None if rust is None else parse_rust_version(rust.version)
    # The table of bases says `1.96`: which patch release the archive has does not count.
    return base_has is None or wanted[:2] > base_has[:2]


def _names_rust(package: Package, base: Base) -> bool:
    """Return whether the matrix names a system package with a Rust for a package."""
    return any(name.startswith(_RUST_PACKAGES) for name in package.apt_packages(base))
