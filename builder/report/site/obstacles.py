"""What blocks applications, gathered over all of them: the page says first what blocks most. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.report.documents.applications import ApplicationPart


@dataclass(kw_only=True, slots=True)
class Obstacle:
    """A package that blocks applications, or an application that blocks itself.

    Attributes:
        title: its name.
        what: what is wrong, each once.
        places: the answers that it blocks, each as `shop on cp314t, debian-12`.
        ways_out: what helps, the shortest way first.
    """

    title: str
    what: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    ways_out: list[str] = field(default_factory=list)


def find_obstacles(applications: Iterable[ApplicationPart]) -> list[Obstacle]:
    """Return what blocks applications; what blocks most of them comes first."""
    obstacles: dict[str, Obstacle] = {}
    for application in applications:
        place = f"{application.name} on {application.abi}, {application.base}"
        for blocker in application.blockers:
            title = f"{blocker.package} {blocker.version}".strip() or application.name
            obstacle = obstacles.setdefault(title, Obstacle(title=title))
            _add_new(obstacle.what, [blocker.what])
            _add_new(obstacle.places, [place])
            _add_new(obstacle.ways_out, blocker.ways_out)

    return sorted(obstacles.values(), key=lambda obstacle: -len(obstacle.places))


def _add_new(lines: list[str], more: Iterable[str]) -> None:
    """Add to some lines those that are not among them."""
    for line in more:
        if line not in lines:
            lines.append(line)
