"""System packages and shared libraries of the system, on each base. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from builder.judge.bases import BaseOutcome
from builder.judge.parity.model import NOT_RECORDED, NOTHING, Row, Topic, Weight, weigh
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.config.catalog import Base
    from builder.judge.interfaces import Policy
    from builder.judge.parity.subject import ComparedPackage, Comparison

_GLIBC = frozenset(
    {
        *("ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libm.so.6", "libmvec.so.1"),
        *("libpthread.so.0", "libresolv.so.2", "librt.so.1", "libutil.so.1"),
    }
)
"""Libraries of glibc: one package has them all, and they have one version."""

_GLIBC_PACKAGE = "libc6"

_FAMILIES = {
    "libstdc++.so.6": ("GLIBCXX", "CXXABI"),
    "libgcc_s.so.1": ("GCC",),
    "libz.so.1": ("ZLIB",),
    "libatomic.so.1": ("LIBATOMIC",),
}
"""Symbol versions that tell how new a library is, where the tables of the bases have them."""

_SONAME = re.compile(r"(?P<name>.+)\.so\.(?P<version>[\w.+-]+)")

_SUFFIXES = ("", "g", "t64")
"""What names of packages of libraries end with beside the version: `zlib1g`, and Debian's 64-bit `time_t`."""

_NO_LIBRARY = re.compile(
    r"(?P<soname>[\w.+-]{1,80}\.so[\w.]{0,20}): cannot open shared object file"
)
"""What glibc's dynamic linker says where a library is missing."""

_MOST_USERS = 4
"""Packages that a row names as users of a library: the audit of each has the rest."""


def compare_system_packages(comparison: Comparison) -> Iterator[Row]:
    """Yield a row for each system package that is needed at run time on some base, with its version where known."""
    reasons: dict[str, dict[str, None]] = {}
    for system in comparison.system.values():
        for name, needers in system.needed.items():
            reasons.setdefault(name, {}).update(dict.fromkeys(needers))

    for name, all_needers in sorted(reasons.items()):
        values: dict[str, str] = {}
        for base, system in comparison.system.items():
            is_needed = name in system.needed
            values[base] = _describe_version(name, system.installed) if is_needed else NOTHING

        is_everywhere = NOTHING not in values.values()
        yield Row(
            topic=Topic.SYSTEM_PACKAGE,
            name=name,
            values=values,
            weight=weigh(values) if is_everywhere else Weight.INSTALL,
            detail=f"for {join_names(list(all_needers), _MOST_USERS)}",
        )


def _describe_version(name: str, installed: Mapping[str, str] | None) -> str:
    """Return the recorded version of a system package that has to be installed."""
    if installed is None:
        return f"to install, version {NOT_RECORDED}"
    return installed.get(name, f"to install, version {NOT_RECORDED}")


def compare_build_packages(comparison: Comparison) -> Iterator[Row]:
    """Yield a row for each system package that builds need, of the bases on which something is built."""
    reasons: dict[str, dict[str, None]] = {}
    builders: dict[str, Mapping[str, tuple[str, ...]]] = {}
    for base, system in comparison.system.items():
        if system.for_builds is None:
            continue
        builders[base] = system.for_builds
        for name, needers in system.for_builds.items():
            reasons.setdefault(name, {}).update(dict.fromkeys(needers))

    for name, all_needers in sorted(reasons.items()):
        values = {base: "needed" if name in names else NOTHING for base, names in builders.items()}
        yield Row(
            topic=Topic.BUILD_PACKAGE,
            name=name,
            values=values,
            weight=weigh(values),
            detail=f"to build {join_names(list(all_needers), _MOST_USERS)}",
        )


# --- shared libraries -------------------------------------------------------------------------------------------------


def compare_libraries(comparison: Comparison) -> Iterator[Row]:
    """Yield a row for each shared library of the system that installed wheels are linked to, or asked for in vain."""
    users = _find_users(comparison)
    for soname, of_soname in sorted(users.items()):
        values = {
            base.name: _describe_library(soname, base, comparison) for base in comparison.bases
        }
        yield Row(
            topic=Topic.LIBRARY,
            name=soname,
            values=values,
            weight=_weigh_library(values, of_soname, comparison),
            detail=f"for {join_names(sorted(of_soname), _MOST_USERS)}",
        )


def _find_users(comparison: Comparison) -> dict[str, set[str]]:
    """Return by library who needs it; all of glibc's are one."""
    users: dict[str, set[str]] = {}
    for package in comparison.packages:
        for base in comparison.bases:
            for soname in _iter_sonames(package, base.name):
                library = "glibc" if soname in _GLIBC else soname
                users.setdefault(library, set()).add(package.name)

    return users


def _iter_sonames(package: ComparedPackage, base: str) -> Iterator[str]:
    """Iterate over the libraries outside of it that a package is linked to, and that its imports did not find."""
    facts = package.audit_on(base)
    if facts is not None:
        for native in facts.native_objects.values():
            yield from native.outside

    load = package.loads.get(base)
    if load is not None:
        for probe in load.modules:
            yield from find_missing_libraries(probe.error or "")


def find_missing_libraries(error: str) -> list[str]:
    """Return the shared libraries that an exception says could not be opened.

    `ImportError: libodbc.so.2: cannot open shared object file: No such file or directory` -> `libodbc.so.2`
    """
    return [match["soname"] for match in _NO_LIBRARY.finditer(error)]


def _describe_library(soname: str, base: Base, comparison: Comparison) -> str:
    """Return what a base has of a shared library: package and version where recorded, else what its symbols tell."""
    installed = comparison.system[base.name].installed
    if soname == "glibc":
        version = (installed or {}).get(_GLIBC_PACKAGE)
        return f"{_GLIBC_PACKAGE} {version}" if version else f"glibc {base.glibc}"

    owner = find_owner(soname, installed or {})
    if owner:
        return f"{owner} {(installed or {})[owner]}"

    shipped = comparison.interfaces.bases.get(base.name)
    if shipped is None:
        return NOT_RECORDED
    if soname not in shipped.libraries:
        return "not in the base image"
    return f"there{_describe_symbols(soname, shipped)}, version {NOT_RECORDED}"


def _describe_symbols(soname: str, shipped: Policy) -> str:
    """Return the newest symbol versions of a library: ` with GLIBCXX_3.4.30`; nothing where none are counted."""
    newest: list[str] = []
    for family in _FAMILIES.get(soname, ()):
        version = shipped.newest.get(family)
        if version is not None:
            newest.append(f"{family}_{'.'.join(str(part) for part in version)}")

    return f" with {', '.join(newest)}" if newest else ""


def find_owner(soname: str, installed: Mapping[str, str]) -> str:
    """Return the installed system package that has a shared library, by its name; empty where none is called so.

    Debian names the package of a library after its soname (Debian Policy 8.1): `libssl.so.3` -> `libssl3`, with a dash
    where the name ends in a digit: `libsqlite3.so.0` -> `libsqlite3-0`.

    Args:
        soname: such as `libssl.so.3`.
        installed: the packages of the base.
    """
    match = _SONAME.fullmatch(soname)
    if match is None:
        return ""

    name = match["name"].lower().replace("_", "-")
    stems = [f"{name}-{match['version']}"]
    if not name[-1].isdigit():
        stems.insert(0, f"{name}{match['version']}")
    # zlib is the one library of a base whose package has no `lib` in front.
    stems += [stem.replace("libz", "zlib", 1) for stem in stems if stem.startswith("libz")]

    for stem in stems:
        for suffix in _SUFFIXES:
            if f"{stem}{suffix}" in installed:
                return f"{stem}{suffix}"

    return ""


def _weigh_library(values: Mapping[str, str], users: set[str], comparison: Comparison) -> Weight:
    """Return what a library weighs: a base that lacks it breaks nothing where all that needs it was imported there."""
    lacking = {base for base, value in values.items() if value == "not in the base image"}
    is_somewhere = len(lacking) < len(values)
    if not lacking or not is_somewhere:
        return weigh(values)

    for package in comparison.packages:
        if package.name not in users:
            continue
        for base in lacking:
            if package.outcomes.get(base) is not BaseOutcome.IMPORTS:
                return Weight.BREAKS

    return Weight.DIFFERS
