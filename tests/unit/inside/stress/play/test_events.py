"""Events of one kind, and those that many scenarios share."""

from typing import Any

import pytest

from builder.inside.stress.play.events import deduplicate, is_garbage, name_shared_type, rank_events


def test_events_of_one_kind_and_place_are_one():
    events: list[dict[str, Any]] = [
        {"what": "race", "scenario": "a", "places": ["f (x.c)", "g (x.c)"]},
        {"what": "race", "scenario": "b", "places": ["f (x.c)", "g (x.c)"]},
        {"what": "crash", "scenario": "a"},
        {"what": "crash", "scenario": "b"},
        {"what": "crash", "scenario": "a+1"},  # the same, played again
    ]
    assert deduplicate(events) == [
        {**events[0], "times": 2},
        {**events[2], "times": 2},
        {**events[3], "times": 1},
    ]


def test_the_gravest_comes_first_and_each_cause_once_before_any_again():
    by_id = {str(number): {"rows": [[["s.a()", None]] * number]} for number in range(1, 6)}
    events: list[dict[str, Any]] = [
        {"what": "race", "scenario": "1", "cause": "p.a", "freed": False},
        {"what": "race", "scenario": "2", "cause": "p.b", "freed": True},
        {"what": "race", "scenario": "1", "cause": "p.b", "freed": True},
        {"what": "hang", "scenario": "1"},
        {"what": "wrong", "scenario": "5", "sentences": ["p.f() gave 'x', alone it gives 'y'"]},
        {"what": "wrong", "scenario": "1", "sentences": ["p.g() gave 2, alone it gives 1"]},
        {"what": "crash", "scenario": "4", "cause": "p.c"},
    ]
    ranked = rank_events(events, by_id)
    assert [events.index(event) for event in ranked] == [6, 4, 5, 3, 2, 0, 1]


@pytest.mark.parametrize(
    ("sentence", "garbage"),
    [
        ("p.f() gave [1, 2.5], alone it gives [7, 2]", False),
        ("p.f() gave [1], alone it gives [1, 2]", True),
        ("p.f() gave mountpoint='oc/sys', alone it gives mountpoint='/proc'", True),
        ("p.f() gave -3e-05, alone it gives 14", False),
        ("afterwards the subject shows [1], after the same calls alone [2]", False),
    ],
)
def test_garbage_is_more_than_another_number(sentence: str, *, garbage: bool):
    assert is_garbage({"what": "wrong", "sentences": [sentence]}) is garbage


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("[1, 2, 3]", "list"),
        ("{'a': 1}", "dict"),
        ("{1, 2}", "set"),
        ("bytearray(4096)", "bytearray"),
        ("values.Meeting()", ""),
        (None, ""),
    ],
)
def test_what_threads_share(argument: str | None, name: str):
    assert name_shared_type({"argument": argument}) == name
