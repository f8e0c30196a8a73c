"""One package built on two bases: what differs?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.judge.findings import Finding
from builder.judge.wheel import floors
from builder.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.judge.wheel.floors import Need
    from builder.judge.wheel.subject import Subject

_SIZE_RATIO = 1.25  # compilers of two bases differ by less; a feature that was left out makes more
_MAX_LISTED = 5


def findings(subjects: Mapping[str, Subject]) -> Iterator[Finding]:
    """Compare the wheels that bases made with that of the first one.

    Args:
        subjects: by base.
    """
    first, *others = subjects
    for other in others:
        differences = list(_differences(subjects[first], subjects[other], first, other))
        if differences:
            yield Finding(
                code="WF333",
                detail="; ".join(differences),
                where=f"{first}/{other}",
                bases=(first, other),
            )


def _differences(one: Subject, two: Subject, first: str, second: str) -> Iterator[str]:
    yield from _compare_floors(one, two, first, second)
    yield from _compare_needs("libraries", _libraries(one), _libraries(two), first, second)
    yield from _compare_needs("symbols", _symbols(one), _symbols(two), first, second)

    smaller, larger = sorted((one.facts.size, two.facts.size))
    if smaller * _SIZE_RATIO < larger:
        yield f"{one.facts.size} bytes on {first}, {two.facts.size} on {second}"


def _compare_floors(one: Subject, two: Subject, first: str, second: str) -> Iterator[str]:
    ours = floors.newest_needed(one)
    theirs = floors.newest_needed(two)

    for family in sorted({*ours, *theirs}):
        our_need = ours.get(family)
        their_need = theirs.get(family)
        our_version = our_need[0] if our_need else None
        their_version = their_need[0] if their_need else None
        if our_version != their_version:
            yield f"{_describe_need(our_need, first)}, {_describe_need(their_need, second)}"


def _describe_need(need: Need | None, base: str) -> str:
    if need is None:
        return f"none on {base}"

    version, symbol, _ = need
    return f"{version} for {symbol} on {base}"


def _compare_needs(
    what: str, ours: set[str], theirs: set[str], first: str, second: str
) -> Iterator[str]:
    for base, only_here in ((first, ours - theirs), (second, theirs - ours)):
        if only_here:
            names = join_names(sorted(only_here), _MAX_LISTED)
            yield f"only the wheel of {base} needs the {what} {names}"


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
