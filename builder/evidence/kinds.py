"""Which model describes the facts of which kind of job, and in which version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.evidence.application import ApplicationFacts
from builder.evidence.audit import AuditFacts
from builder.evidence.build import BuildFacts
from builder.evidence.exercise import ExerciseFacts
from builder.evidence.image import ImageFacts
from builder.evidence.load import LoadFacts
from builder.evidence.measurement import MeasurementFacts
from builder.evidence.race import RaceFacts
from builder.evidence.remedy import RemedyFacts
from builder.evidence.speed import SpeedFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.evidence.base import Facts
    from builder.store.evidence import Evidence

MODELS: Mapping[str, type[Facts]] = {
    "application": ApplicationFacts,
    "audit": AuditFacts,
    "build": BuildFacts,
    "exercise": ExerciseFacts,
    "image": ImageFacts,
    "load": LoadFacts,
    "measurement": MeasurementFacts,
    "race": RaceFacts,
    "remedy": RemedyFacts,
    "speed": SpeedFacts,
}
"""By the kind in a job's id."""


def is_readable(evidence: Evidence) -> bool:
    """Return whether this farm can read recorded facts: they are not of a newer version than it knows.

    A newer farm may have recorded fields that this one would misread. Such evidence counts as not recorded.
    """
    return evidence.facts_version <= schema_version(evidence.job.kind)


def schema_version(kind: str) -> int:
    """Return the newest version of the facts of a kind of job that this farm knows; 1 for a kind that has no model.

    Args:
        kind: kind of a job, such as `build`.
    """
    model = MODELS.get(kind)
    return 1 if model is None else model.schema_version
