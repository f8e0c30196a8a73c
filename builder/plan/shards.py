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
    """One of the parts that a run is divided into.

    Attributes:
        number: which part; the first is 1.
        total: how many parts there are.
    """

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def parse_shard(text: str) -> Shard:
    """Return the shard that `K/N` stands for: `'2/3' -> Shard(number=2, total=3)`.

    Raises:
        ValueError: the text is something else, or there is no such shard.
    """
    match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text)
    if match is not None:
        shard = Shard(number=int(match[1]), total=int(match[2]))
        if 1 <= shard.number <= shard.total <= MAX_SHARDS:
            return shard

    raise ValueError(f"expected K/N with 1 <= K <= N <= {MAX_SHARDS}, such as 1/3, not {text!r}")


def partition(sources: Sources, count: int) -> tuple[tuple[str, ...], ...]:
    """Return the names of the packages of each shard; packages that need one another are in the same shard.

    The largest groups are placed first, each into the shard that has the fewest packages. A shard may stay empty.

    Args:
        sources: the resolved matrix.
        count: how many shards to make.
    """
    groups = sorted(_connected_groups(sources), key=lambda names: (-len(names), names))

    shards: list[list[str]] = [[] for _ in range(count)]
    for group in groups:
        emptiest = min(shards, key=len)
        emptiest.extend(group)

    return tuple(tuple(sorted(names)) for names in shards)


def select_shard(sources: Sources, shard: Shard) -> Sources:
    """Return the sources, and the packages without a source, of one shard; it may have none."""
    names = frozenset(partition(sources, shard.total)[shard.number - 1])
    shard_sources = {name: source for name, source in sources.found.items() if name in names}
    faults = {name: fault for name, fault in sources.faults.items() if name in names}

    return replace(sources, found=shard_sources, faults=faults)


def _connected_groups(sources: Sources) -> Iterator[tuple[str, ...]]:
    """Iterate over groups of packages: two are in the same group if one needs the other, directly or indirectly.

    A package that nothing links to another is a group of its own.
    """
    links = _dependency_links(sources.found)
    grouped: set[str] = set()
    for first in sorted({*sources.found, *sources.faults}):
        if first in grouped:
            continue

        group: set[str] = set()
        pending = {first}
        while pending:
            name = pending.pop()
            group.add(name)
            pending |= links.get(name, set()) - group

        grouped |= group
        yield tuple(sorted(group))


def _dependency_links(sources: Mapping[str, Source]) -> dict[str, set[str]]:
    """Return, by package, the packages that it needs or that need it; one without any has no entry.

    Needs are those at run time, those of the build, and the package because of which it is in the matrix. Needs that
    the farm does not build are skipped. Packages that came out as the same release are linked as well: their jobs have
    the same keys, and one machine gives them one result.
    """
    links: dict[str, set[str]] = {}
    releases: dict[tuple[str, str], str] = {}
    for name, source in sources.items():
        needs = [*source.needs, *source.builds_with]
        if source.needed_by:
            needs.append(source.needed_by)
        same_release = releases.setdefault((source.project, source.version), name)
        if same_release != name:
            needs.append(same_release)

        for need in needs:
            if need in sources:
                links.setdefault(name, set()).add(need)
                links.setdefault(need, set()).add(name)

    return links
