"""What is on record of an application -> the checklist of its move. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.judge.migration.evidence_steps import (
    check_build,
    check_measurement,
    check_survey,
    check_verdict,
)
from builder.judge.migration.model import Checklist, Step
from builder.judge.migration.rollout_steps import check_canary, check_promotion

if TYPE_CHECKING:
    from builder.judge.migration.facts import MoveFacts


def check_move(facts: MoveFacts) -> Checklist:
    """Return which steps of a move are done, by what, and what is to be done for the others."""
    results = (
        check_survey(facts),
        check_build(facts),
        check_verdict(facts),
        check_measurement(Step.MEASURE, facts),
        check_measurement(Step.SOAK, facts),
        check_canary(facts),
        check_promotion(facts),
    )
    return Checklist(application=facts.application, abi=facts.abi, results=results)
