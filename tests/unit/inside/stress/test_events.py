"""Events of one kind, and those that many scenarios share."""

from typing import Any

from builder.inside.stress.events import deduplicate


def test_events_of_one_kind_and_place_are_one():
    events: list[dict[str, Any]] = [
        {"what": "race", "scenario": "a", "places": ["f (x.c)", "g (x.c)"]},
        {"what": "race", "scenario": "b", "places": ["f (x.c)", "g (x.c)"]},
        {"what": "crash", "scenario": "a"},
        {"what": "crash", "scenario": "b"},
    ]
    assert deduplicate(events) == [
        {**events[0], "times": 2},
        {**events[2], "times": 1},
        {**events[3], "times": 1},
    ]
