"""Which wheel is installed on each base, what it brings along, and what it needs there. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from builder.distributions.tags import is_pure_wheel, supported_tags
from builder.judge.parity.model import NOT_RECORDED, NOTHING, Row, Topic, Weight, weigh
from builder.judge.wheel.floors import newest_needed
from builder.judge.wheel.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.tags import Tag

    from builder.config.catalog import Abi, Base
    from builder.judge.interfaces import Policy
    from builder.judge.parity.subject import ComparedPackage, Comparison


_HASH = re.compile(r"-[0-9a-f]{8}(?=[.-])")
"""What auditwheel adds to the names of the libraries that it copies: `libxml2-1a2b3c4d.so.2.9.14`."""


def rank_tags(abi: Abi, base: Base) -> dict[Tag, int]:
    """Return the place of each tag in the order in which pip prefers them on a base (PEP 425)."""
    return {tag: rank for rank, tag in enumerate(supported_tags(abi.name, base))}


def choose_wheel(filenames: Iterable[str], ranks: Mapping[Tag, int]) -> str:
    """Return the wheel of one release that an installer takes; empty where none fits.

    Of two with equally good tags it is the one with the higher build tag (PEP 427).

    Args:
        filenames: of the release.
        ranks: the tags that the interpreter takes on the base, by `rank_tags`.
    """
    chosen = ""
    best_key: tuple[int, tuple[int, str]] | None = None
    for filename in filenames:
        _, _, build, tags = parse_wheel_filename(filename)
        fitting = [ranks[tag] for tag in tags if tag in ranks]
        if not fitting:
            continue

        key = (-min(fitting), build or (0, ""))
        if best_key is None or key > best_key:
            chosen, best_key = filename, key

    return chosen


def compare_wheels(comparison: Comparison) -> Iterator[Row]:
    """Yield for each package which file is installed, what it brings along, and what it needs."""
    for package in comparison.packages:
        yield _compare_files(package)

        native = [base for base in comparison.bases if _is_native(package, base.name)]
        if native:
            yield _compare_grafted(package, native)
            yield _compare_floors(package, native, comparison)


def _compare_files(package: ComparedPackage) -> Row:
    values: dict[str, str] = {}
    for base, filename in package.wheels.items():
        values[base] = filename or "no wheel is served"

    lacks_on_some = "" in package.wheels.values() and any(package.wheels.values())
    weight = Weight.BREAKS if lacks_on_some else weigh(values)
    return Row(
        topic=Topic.WHEEL,
        name=f"{package.name} {package.version}",
        values=values,
        weight=weight,
        abis=(package.abi.name,),
    )


def _is_native(package: ComparedPackage, base: str) -> bool:
    """Return whether what is installed on a base has native code, as its file name says."""
    filename = package.wheels[base]
    return bool(filename) and not is_pure_wheel(filename)


def _compare_grafted(package: ComparedPackage, bases: Iterable[Base]) -> Row:
    """Return the row of the libraries that a repair tool put into the installed wheel, without their hashes."""
    values: dict[str, str] = {}
    for base in bases:
        facts = package.audit_on(base.name)
        if facts is None:
            values[base.name] = NOT_RECORDED
        else:
            names = sorted({_name_library(path) for path in facts.grafted})
            values[base.name] = ", ".join(names) or NOTHING

    return Row(
        topic=Topic.GRAFTED,
        name=package.name,
        values=values,
        weight=weigh(values),
        abis=(package.abi.name,),
    )


def _name_library(path: str) -> str:
    """Return the name of a grafted library without the hash that auditwheel puts in: `libxml2.so.2.9.14`."""
    return _HASH.sub("", PurePosixPath(path).name, count=1)


def _compare_floors(package: ComparedPackage, bases: Iterable[Base], comparison: Comparison) -> Row:
    """Return the row of the newest symbol versions that the installed wheel needs of glibc and of GCC's runtime."""
    values: dict[str, str] = {}
    needs_by_base: dict[str, tuple[str, ...]] = {}
    symbols: dict[str, str] = {}
    short_bases: set[str] = set()
    for base in bases:
        found = _find_needs(package, base, comparison)
        if found is None:
            values[base.name] = NOT_RECORDED
            continue

        shipped = comparison.interfaces.bases.get(base.name)
        needs = tuple(sorted(found))
        lacking = [need for need in needs if shipped is not None and not shipped.has_version(need)]
        if lacking:
            short_bases.add(base.name)
        needs_by_base[base.name] = needs
        symbols |= found
        values[base.name] = _describe_floor(needs, lacking, shipped)

    has_same_needs = len(set(needs_by_base.values())) <= 1
    weight = Weight.DIFFERS
    if short_bases and short_bases != needs_by_base.keys():
        weight = Weight.BREAKS
    elif has_same_needs:
        is_gap = NOT_RECORDED in values.values()
        weight = Weight.NOT_RECORDED if is_gap else Weight.SAME

    return Row(
        topic=Topic.FLOOR,
        name=package.name,
        values=values,
        weight=weight,
        abis=(package.abi.name,),
        detail=", ".join(f"{symbol}@{need}" for need, symbol in sorted(symbols.items())),
    )


def _find_needs(
    package: ComparedPackage, base: Base, comparison: Comparison
) -> dict[str, str] | None:
    """Return the newest version of each family of symbols that the installed wheel needs, with a symbol that does.

    None where nobody audited the wheel.
    """
    facts = package.audit_on(base.name)
    if facts is None:
        return None

    filename = package.wheels[base.name]
    subject = Subject.from_filename(filename, facts, [base], comparison.interfaces)
    newest = newest_needed(subject).values()
    return {version: symbol or "packed relocations" for version, symbol, _ in newest}


def _describe_floor(needs: tuple[str, ...], lacking: list[str], shipped: Policy | None) -> str:
    """Return what a wheel needs beside what a base has: `needs GLIBC_2.17, has 2.36`."""
    if not needs:
        return NOTHING

    parts: list[str] = []
    for need in needs:
        newest = None if shipped is None else shipped.newest.get(need.partition("_")[0])
        number = NOT_RECORDED if newest is None else ".".join(str(part) for part in newest)
        verb = "lacks it: has" if need in lacking else "has"
        parts.append(f"needs {need}, {verb} {number}")

    return "; ".join(parts)
