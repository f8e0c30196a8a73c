"""A matrix cut into parts that can run apart. Pure: the same sources give the same parts, on every machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.sources import Source, Sources

MAX_SHARDS = 256
"""How many shards there may be: as many jobs as a matrix of GitHub Actions takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One part of a run.

    Attributes:
        number: from 1.
        total: how many there are.
    """

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def parse_shard(text: str) -> Shard:
    """Read `K/N`.

    Raises:
        ValueError: it is not that, or there is no such shard.
    """
    match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text)
    shard = Shard(number=int(match[1]), total=int(match[2])) if match else None
    if shard is None or not 1 <= shard.number <= shard.total <= MAX_SHARDS:
        raise ValueError(
            f"expected K/N with 1 <= K <= N <= {MAX_SHARDS}, such as 1/3, not {text!r}"
        )
    return shard


def partition(sources: Sources, count: int) -> tuple[tuple[str, ...], ...]:
    """Deal the packages out to shards; those that need one another stay together.

    The largest groups go first, each to the shard with the fewest packages. A shard may be left empty.

    Args:
        sources: the resolved matrix.
        count: how many shards.
    """
    shards: list[list[str]] = [[] for _ in range(count)]
    for group in sorted(_connected_groups(sources), key=lambda names: (-len(names), names)):
        min(shards, key=len).extend(group)
    return tuple(tuple(sorted(names)) for names in shards)


def select_shard(sources: Sources, shard: Shard) -> Sources:
    """Return the sources of one shard."""
    names = frozenset(partition(sources, shard.total)[shard.number - 1])
    return replace(
        sources,
        found={name: source for name, source in sources.found.items() if name in names},
        faults={name: fault for name, fault in sources.faults.items() if name in names},
    )


def _connected_groups(sources: Sources) -> Iterator[tuple[str, ...]]:
    """Give packages in groups: two are in one when one needs the other, directly or by others."""
    joined = _dependency_links(sources.found)
    seen = set[str]()
    for first in sorted({*sources.found, *sources.faults}):
        if first in seen:
            continue
        group, pending = set[str](), {first}
        while pending:
            name = pending.pop()
            group.add(name)
            pending |= joined.get(name, set()) - group
        seen |= group
        yield tuple(sorted(group))


def _dependency_links(found: Mapping[str, Source]) -> dict[str, set[str]]:
    joined: dict[str, set[str]] = {}
    for name, source in found.items():
        for need in (*source.needs, *source.builds_with, *filter(None, (source.needed_by,))):
            if need in found:
                joined.setdefault(name, set()).add(need)
                joined.setdefault(need, set()).add(name)
    return joined
