"""What the exercise job is told of what the race job saw."""

from __future__ import annotations

from typing import Any

import pytest

from builder.evidence.race import RaceFacts
from builder.jobs.threads.exercise import _select_suspects
from tests.unit.facts import RACED, SCENARIO


def crash(name: str, calls: int = 1, alone: list[int] | None = None) -> dict[str, Any]:
    """Return what the race job tells of a crash of the build for the detector."""
    scenario = {**SCENARIO, "id": name, "rows": [[["s.get()", None]] * calls]}
    arms = None if alone is None else {"alone": alone}
    return {
        "what": "crash",
        "scenario": name,
        "calls": scenario,
        "shown": 0,
        "ran": 1,
        "arms": arms,
    }


def race(name: str) -> dict[str, Any]:
    return {**RACED, "calls": {**SCENARIO, "id": name}, "shown": 0, "ran": 0}


def suspects(*, harms: tuple[Any, ...] = (), races: tuple[Any, ...] = ()) -> list[str]:
    facts = RaceFacts.model_validate({"wheel": None, "harms": harms, "races": races})
    return [str(suspect["id"]) for suspect in _select_suspects(facts)]  # type: ignore[index, call-overload]


def test_what_harmed_the_build_for_the_detector_is_tried_with_the_wheel_the_smallest_first():
    harms = (crash("long", 9), crash("short", 2), crash("middle", 4))
    assert suspects(harms=harms, races=(race("raced"),)) == ["short", "raced", "middle", "long"]


@pytest.mark.parametrize(("alone", "expected"), [([0, 2], ["it"]), ([1, 2], [])])
def test_what_one_thread_does_alone_is_no_suspect(alone: list[int], expected: list[str]):
    assert suspects(harms=(crash("it", alone=alone),)) == expected
