"""Resources that a process may leak, and samples of them over time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """Something that a process has more and more of if it leaks.

    Attributes:
        name: `rss`.
        title: for sentences: `resident memory`.
        unit: what one of it is called, in the plural: `bytes`.
    """

    name: str
    title: str
    unit: str


_ALL = (
    Resource(name="rss", title="resident memory", unit="bytes"),
    Resource(name="malloc", title="memory in use by malloc", unit="bytes"),
    Resource(name="python", title="memory in use by Python's own allocator", unit="bytes"),
    Resource(name="tracemalloc", title="memory traced by tracemalloc", unit="bytes"),
    Resource(name="descriptors", title="open file descriptors", unit="descriptors"),
    Resource(name="threads", title="threads", unit="threads"),
    Resource(name="objects", title="objects that the garbage collector tracks", unit="objects"),
    Resource(name="references", title="references", unit="references"),
)

RESOURCES: dict[str, Resource] = {resource.name: resource for resource in _ALL}
"""By name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageSample:
    """What a process had at a moment.

    Attributes:
        calls: how much work was done by then: calls, or requests.
        seconds: when it was, from the start of the run.
        value: how much of the resource it had, in the resource's unit.
    """

    calls: float
    seconds: float
    value: float
