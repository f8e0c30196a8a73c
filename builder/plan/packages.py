"""Which jobs of a plan are about which package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageJobs:
    """The jobs about one package.

    Attributes:
        builds: by the base that is built on, as are all other kinds but loads.
        loads: by (base built on, base loaded on).
    """

    builds: dict[str, JobId] = field(default_factory=dict)
    audits: dict[str, JobId] = field(default_factory=dict)
    remedies: dict[str, JobId] = field(default_factory=dict)
    races: dict[str, JobId] = field(default_factory=dict)
    exercises: dict[str, JobId] = field(default_factory=dict)
    speeds: dict[str, JobId] = field(default_factory=dict)
    loads: dict[tuple[str, str], JobId] = field(default_factory=dict)

    def add(self, job: JobId) -> None:
        """File a job about the package under its kind and its base; an image job is about no package.

        Raises:
            KeyError: it is an image job.
        """
        if job.kind == JobKind.LOAD:
            self.loads[job.base, job.loaded_on] = job
            return

        by_base = {
            JobKind.BUILD: self.builds,
            JobKind.AUDIT: self.audits,
            JobKind.REMEDY: self.remedies,
            JobKind.RACE: self.races,
            JobKind.EXERCISE: self.exercises,
            JobKind.SPEED: self.speeds,
        }
        by_base[JobKind(job.kind)][job.base] = job


def group_by_package(jobs: Iterable[JobId]) -> dict[str, PackageJobs]:
    """Return the jobs about each package, by the package's name.

    Image jobs are left out: they are about no package.

    Args:
        jobs: ids of the jobs of a plan, or of the evidence that a run returned.
    """
    packages: dict[str, PackageJobs] = {}
    for job in jobs:
        if job.kind != JobKind.IMAGE:
            packages.setdefault(job.name, PackageJobs()).add(job)

    return packages
