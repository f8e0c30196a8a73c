"""Ids of the jobs that make images."""

from __future__ import annotations

from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

INTERPRETERS = JobId(JobKind.IMAGE, "interpreters")
RACE_INTERPRETER = JobId(JobKind.IMAGE, "race-interpreter")
INDEX_IMAGE = JobId(JobKind.IMAGE, "index")

ORDER_ONLY = frozenset({INDEX_IMAGE})
"""Jobs that have to end before others start, and that count in no key: what is known of those stays known without them.
The term is GNU make's."""

# Eight digits tell the few sets of system packages of one matrix apart, and keep the name short.
_DIGEST_LENGTH = 8


def base_image_id(base: str) -> JobId:
    """Return the id of the job that makes a base's own image."""
    return JobId(JobKind.IMAGE, base)


def role_image_id(role: str, base: str) -> JobId:
    """Return the id of the job that makes the image for a role on a base.

    Args:
        role: `builder`, `verify` or `race`.
        base: the base's name.
    """
    return JobId(JobKind.IMAGE, f"{role}-{base}")


def packages_image_id(base: str, packages: tuple[str, ...], role: str = "builder") -> JobId:
    """Return the id of the job that makes an image with system packages; without any, that of the role's own image.

    Args:
        base: the base's name.
        packages: system packages.
        role: `builder` or `race`.
    """
    image = role_image_id(role, base)
    if not packages:
        return image

    return image._replace(name=f"{image.name}+{digest(packages)[:_DIGEST_LENGTH]}")
