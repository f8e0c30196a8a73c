"""What a race job hands to the exercise job."""

from __future__ import annotations

import json

from builder.evidence.race import RaceAnswer
from builder.evidence.scenarios import RacePlan
from builder.inside.stress.own_tests.selection import Part, select
from builder.jobs.threads.plan_file import render_plan


def test_the_exercise_job_is_told_which_own_tests_to_run():
    part = Part(file="t.py", name="test_1", seconds=1, opening_s=0, callables=frozenset({"f"}))
    own_code = select([part], [], times=1, wrappers={"pkg.open": ["pkg._core.f"]}).to_json()
    answer = RaceAnswer.check({"preflight": None, "install": None, "own_code": own_code})
    plan = RacePlan.parse(render_plan(answer))
    assert plan.to_json()["own_code"] == own_code


def test_a_plan_of_an_older_version_chooses_no_tests():
    older = RacePlan.parse(json.dumps({"surface": None, "plan": []}).encode())
    assert older.own_code is None
