"""Ids of the jobs that make images."""

from __future__ import annotations

from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

INTERPRETERS = JobId(JobKind.IMAGE, "interpreters")
COMPARISON_INTERPRETERS = JobId(JobKind.IMAGE, "comparison-interpreters")
RACE_INTERPRETER = JobId(JobKind.IMAGE, "race-interpreter")
INDEX_IMAGE = JobId(JobKind.IMAGE, "index")

ORDER_ONLY = frozenset({INDEX_IMAGE})
"""Jobs that must end before those that need them start, but that count in no key: if such a job has to run again, the
recorded evidence of the others stays valid. The term is GNU make's."""

# Eight digits tell the few sets of system packages of one matrix apart, and keep the name short.
_DIGEST_LENGTH = 8


def base_image_id(base: str) -> JobId:
    """Return the id of the job that makes a base's own image."""
    return JobId(JobKind.IMAGE, base)


def role_image_id(role: str, base: str) -> JobId:
    """Return the id of the job that makes the image for a role on a base.

    Args:
        role: `builder`, `verify`, `measure` or `race`.
        base: the base's name.
    """
    return JobId(JobKind.IMAGE, f"{role}-{base}")


def packages_image_id(base: str, packages: tuple[str, ...], role: str = "builder") -> JobId:
    """Return the id of the job that makes the image for a role on a base with some system packages.

    `('debian-12', ('zlib1g-dev',)) -> 'builder-debian-12+1a2b3c4d'`, where the end is a hash of the packages. Without
    any packages it is the id of the role's own image.

    Args:
        base: the base's name.
        packages: names of system packages.
        role: `builder`, `verify`, `measure` or `race`.
    """
    image = role_image_id(role, base)
    if not packages:
        return image

    return image._replace(name=f"{image.name}+{digest(packages)[:_DIGEST_LENGTH]}")
