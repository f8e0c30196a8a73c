"""What the exercise job is told of what the race job saw."""

from __future__ import annotations

from typing import Any

import pytest

from builder.evidence.race import RaceFacts
from builder.jobs.threads.exercise import _select_suspects
from tests.unit.facts import SCENARIO


def crash(*, shown: int, alone: list[int] | None) -> dict[str, Any]:
    """Return what the race job tells of a crash of the build for the detector."""
    arms = None if alone is None else {"alone": alone}
    told = {"what": "crash", "scenario": "pair-7", "calls": {**SCENARIO, "id": "pair-7"}}
    return {**told, "shown": shown, "ran": 7, "arms": arms}


@pytest.mark.parametrize(
    ("harm", "is_suspect"),
    [
        (crash(shown=4, alone=[0, 2]), True),
        (crash(shown=4, alone=[1, 2]), False),
        (crash(shown=0, alone=[0, 2]), False),
        (crash(shown=4, alone=None), False),
    ],
)
def test_what_harms_the_build_for_the_detector_by_threads_is_tried_with_the_wheel_itself(
    *, harm: dict[str, Any], is_suspect: bool
):
    facts = RaceFacts.model_validate({"wheel": None, "harms": [harm]})
    suspects = _select_suspects(facts)
    assert [suspect["id"] for suspect in suspects] == ["pair-7"] * is_suspect  # type: ignore[index, call-overload]
