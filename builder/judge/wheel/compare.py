"""One package built on two bases: what differs?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.judge.findings import Finding
from builder.judge.wheel import floors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.judge.wheel.subject import Subject

_SIZE_RATIO = 1.25


def findings(subjects: Mapping[str, Subject]) -> Iterator[Finding]:
    """Compare the wheels that bases made with that of the first one.

    Args:
        subjects: by base.
    """
    first, *others = subjects
    for other in others:
        if differences := list(_differences(subjects[first], subjects[other], first, other)):
            yield Finding(
                code="WF333",
                detail="; ".join(differences),
                where=f"{first}/{other}",
                bases=(first, other),
            )


def _differences(one: Subject, two: Subject, first: str, second: str) -> Iterator[str]:
    yield from _floors(one, two, first, second)
    for what, sides in (
        ("libraries", (_libraries(one), _libraries(two))),
        ("symbols", (_symbols(one), _symbols(two))),
    ):
        for base, more in ((first, sides[0] - sides[1]), (second, sides[1] - sides[0])):
            if more:
                named = ", ".join(sorted(more)[:5])
                rest = f" and {len(more) - 5} more" if len(more) > 5 else ""  # noqa: PLR2004
                yield f"only the wheel of {base} needs the {what} {named}{rest}"
    sizes = sorted((one.facts["size"], two.facts["size"]))
    if sizes[0] * _SIZE_RATIO < sizes[1]:
        yield f"{one.facts['size']} bytes on {first}, {two.facts['size']} on {second}"


def _floors(one: Subject, two: Subject, first: str, second: str) -> Iterator[str]:
    mine, theirs = floors.newest_needed(one), floors.newest_needed(two)
    for family in sorted({*mine, *theirs}):
        left, right = mine.get(family), theirs.get(family)
        if (left and left[0]) != (right and right[0]):
            yield f"{_describe_need(left, first)}, {_describe_need(right, second)}"


def _describe_need(need: tuple[str, str, str] | None, base: str) -> str:
    return f"{need[0]} for {need[1]} on {base}" if need else f"none on {base}"


def _libraries(subject: Subject) -> set[str]:
    return {
        name for _, facts in subject.objects for name in facts["needed"] if name in facts["outside"]
    }


def _symbols(subject: Subject) -> set[str]:
    return {name for _, facts in subject.objects for name in facts["undefined"]}
