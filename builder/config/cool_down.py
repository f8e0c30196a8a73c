"""How long files have to have been on the index before the farm takes them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.untrusted.package_names import project_of

if TYPE_CHECKING:
    from builder.config.matrix import Matrix


@dataclass(frozen=True, kw_only=True, slots=True)
class CoolDown:
    """How long files have to have been on the index.

    Attributes:
        now: the time that ages are counted to: one for a whole run.
        default: for every package.
        by_name: for projects that have a period of their own, by canonical name.
    """

    now: datetime.datetime
    default: datetime.timedelta = datetime.timedelta()
    by_name: Mapping[str, datetime.timedelta] = field(default_factory=dict)

    @classmethod
    def for_matrix(cls, matrix: Matrix, now: datetime.datetime | None = None) -> CoolDown:
        """Return the cool-down that a matrix asks for, counted to `now`, or to this moment."""
        own = {
            project_of(name)
            for name, package in matrix.packages.items()
            if package.cool_down is not None
        }
        by_name: dict[str, datetime.timedelta] = {}
        for name, package in matrix.packages.items():
            project = project_of(name)
            if project in own:
                period = package.cool_down
                if period is None:
                    period = matrix.farm.cool_down
                # An index is asked about a project, whatever the version: the longest holds, so that nothing slips in.
                by_name[project] = max(period, by_name.get(project, period))

        return cls(
            now=now or datetime.datetime.now(tz=datetime.UTC),
            default=matrix.farm.cool_down,
            by_name=by_name,
        )

    def period(self, name: str) -> datetime.timedelta:
        """Return how long the files of a project have to have been there; zero where any time will do."""
        return self.by_name.get(name, self.default)

    def cutoff(self, name: str) -> datetime.datetime | None:
        """Return before when the files of a project have to have been uploaded; None where any time will do."""
        period = self.period(name)
        return self.now - period if period else None
