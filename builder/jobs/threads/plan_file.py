"""The file by which a race job hands its plan (what to call by threads, and how) to the exercise job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from builder.evidence.base import EvidenceError, MalformedFactsError
from builder.evidence.scenarios import RacePlan

if TYPE_CHECKING:
    from builder.evidence.race import RaceAnswer
    from builder.store.evidence import Evidence
    from builder.store.store import Store

PLAN_FILE = "plan.json"
"""Its name among the files of a race job's evidence."""


def render_plan(answer: RaceAnswer) -> bytes:
    """Return the content of the file, from what the search for races answered."""
    plan = RacePlan(surface=answer.surface, plan=answer.plan, own_code=answer.own_code)
    return json.dumps(plan.to_json()).encode()


def read_plan(race: Evidence, store: Store) -> RacePlan:
    """Return the plan that a race job left for the exercise job.

    The plan is empty where the race job did not learn how to call the package.

    Raises:
        EvidenceError: the file with the plan is damaged.
    """
    if PLAN_FILE not in race.files:
        return RacePlan(surface=None, plan=())

    try:
        return RacePlan.parse(store.file(race.files[PLAN_FILE]).read_bytes())
    except MalformedFactsError as error:
        raise EvidenceError(race.job, f"{PLAN_FILE}: {error}") from error
