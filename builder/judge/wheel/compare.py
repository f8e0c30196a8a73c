"""One package built on two bases: what differs?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.judge.findings import Finding
from builder.judge.wheel.floors import newest_needed
from builder.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from builder.judge.wheel.floors import Need
    from builder.judge.wheel.subject import Subject

_SIZE_RATIO = 1.25  # compilers of two bases differ by less; a feature that was left out makes more
_MAX_LISTED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    """A wheel, and the base that it was built on."""

    base: str
    wheel: Subject


def compare_wheels(wheels: Mapping[str, Subject]) -> Iterator[Finding]:
    """Yield one finding for each base whose wheel differs from that of the first base in what it needs or in size.

    Args:
        wheels: by base.
    """
    first, *others = [_Side(base=base, wheel=wheel) for base, wheel in wheels.items()]
    for other in others:
        differences = list(_find_differences(first, other))
        if differences:
            yield Finding(
                code="WF333",
                detail="; ".join(differences),
                where=f"{first.base}/{other.base}",
                bases=(first.base, other.base),
            )


def _find_differences(first: _Side, other: _Side) -> Iterator[str]:
    """Yield a sentence for each difference: newest symbol versions, libraries, symbols, and clearly different sizes."""
    yield from _compare_floors(first, other)
    yield from _compare_needs("libraries", first, other, _libraries)
    yield from _compare_needs("symbols", first, other, _symbols)

    first_size = first.wheel.facts.size
    other_size = other.wheel.facts.size
    if min(first_size, other_size) * _SIZE_RATIO < max(first_size, other_size):
        yield f"{first_size} bytes on {first.base}, {other_size} on {other.base}"


def _compare_floors(first: _Side, other: _Side) -> Iterator[str]:
    """Yield a sentence for each family of symbol versions, such as `GLIBC`, of which the newest needed one differs."""
    first_needs = newest_needed(first.wheel)
    other_needs = newest_needed(other.wheel)

    for family in sorted({*first_needs, *other_needs}):
        first_need = first_needs.get(family)
        other_need = other_needs.get(family)
        if _version(first_need) != _version(other_need):
            first_text = _describe_need(first_need, first.base)
            other_text = _describe_need(other_need, other.base)
            yield f"{first_text}, {other_text}"


def _version(need: Need | None) -> str:
    return need[0] if need else ""


def _describe_need(need: Need | None, base: str) -> str:
    if need is None:
        return f"none on {base}"

    version, symbol, _ = need
    return f"{version} for {symbol} on {base}"


def _compare_needs(
    noun: str, first: _Side, other: _Side, collect: Callable[[Subject], set[str]]
) -> Iterator[str]:
    """Yield a sentence for what only one of the wheels needs; `collect` returns the names that a wheel needs."""
    first_names = collect(first.wheel)
    other_names = collect(other.wheel)

    for base, only_here in (
        (first.base, first_names - other_names),
        (other.base, other_names - first_names),
    ):
        if only_here:
            names = join_names(sorted(only_here), _MAX_LISTED)
            yield f"only the wheel of {base} needs the {noun} {names}"


def _libraries(subject: Subject) -> set[str]:
    """Return the libraries that it needs itself and does not bring along."""
    libraries: set[str] = set()
    for native in subject.objects.values():
        libraries |= {name for name in native.needed if name in native.outside}

    return libraries


def _symbols(subject: Subject) -> set[str]:
    symbols: set[str] = set()
    for native in subject.objects.values():
        symbols |= native.undefined.keys()

    return symbols
