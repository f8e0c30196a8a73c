"""What several threads break that make an application's native calls, in sentences."""

from __future__ import annotations

from typing import Any

import pytest

from builder.evidence.application import AmplifiedCommand, AmplifiedEvent, SourceLine
from builder.judge.application_threads import describe_trials, find_harm

BREW = SourceLine(file="shop/main.py", line=12, function="brew")
INNER = SourceLine(file="pantry/cups.py", line=7, function="Shelf.fill")


def event(**different: Any) -> AmplifiedEvent:
    fields: dict[str, Any] = {
        "what": "crash",
        "name": "teacup._core.Cup.fill",
        "distribution": "teacup",
        "kind": "method",
        "shares": True,
        "signal": "SIGSEGV",
        "call": "s.fill(3)",
        "beside": (),
        "sentences": (),
        "shared": (3, 3),
        "alone": (0, 2),
        "line": BREW,
        "caller": BREW,
    }
    return AmplifiedEvent(**{**fields, **different})


def command(*events: AmplifiedEvent, **different: Any) -> AmplifiedCommand:
    fields: dict[str, Any] = {
        "command": "python -m shop",
        "exit_code": 0,
        "seconds": 1.0,
        "processes": 1,
        "trials": 5,
        "callables": 3,
        "returned": 2,
        "pairs": 1,
        "skipped": {},
        "events": events,
        "unexamined": "",
    }
    return AmplifiedCommand(**{**fields, **different})


def test_a_crash_names_the_package_the_callable_the_command_and_the_line():
    (harm,) = find_harm([command(event())])
    assert (harm.package, harm.code) == ("teacup", "WF701")
    assert harm.what == (
        "`python -m shop` calls Cup.fill() (at shop/main.py:12 in brew): when several threads call it on one object at "
        "the same time, the process dies (SIGSEGV); seen in 3 of 3 trials, and in none of 2 with one thread"
    )
    assert "do not share this object between threads" in harm.remedy


@pytest.mark.parametrize(
    "different",
    [
        {"shared": (1, 3)},
        {"shared": (1, 1), "alone": (1, 1)},
        {"alone": (1, 2)},
    ],
    ids=["shown once", "by design", "in one thread too"],
)
def test_what_may_be_chance_or_happens_in_one_thread_too_is_no_harm(different: dict[str, Any]):
    assert find_harm([command(event(**different))]) == []
    assert "nothing broke" in describe_trials([command(event(**different))])


@pytest.mark.parametrize(
    ("different", "code", "words", "remedy"),
    [
        ({"what": "hang", "signal": ""}, "WF702", "they never come back", "do not share"),
        (
            {"what": "wrong", "kind": "function", "shares": False, "sentences": ("f(1) gave 2",)},
            "WF703",
            "each with arguments of its own, they get wrong results: f(1) gave 2",
            "one lock of the whole process",
        ),
        (
            {"kind": "function", "shares": True},
            "WF701",
            "call it with the same arguments",
            "arguments of its own",
        ),
        (
            {"beside": ("teacup._core.Cup.empty",)},
            "WF701",
            "call it, or Cup.empty(), on one object",
            "do not share",
        ),
    ],
)
def test_what_is_said_fits_what_threads_had_in_common(
    different: dict[str, Any], code: str, words: str, remedy: str
):
    (harm,) = find_harm([command(event(**different))])
    assert harm.code == code
    assert words in harm.what
    assert remedy in harm.remedy


def test_the_way_through_a_package_is_named_and_places_are_counted():
    told = [
        command(event(caller=INNER), event(caller=INNER)),
        command(event(), command="python -m desk"),
    ]
    (harm,) = find_harm(told)
    assert "(at shop/main.py:12 in brew, by way of pantry/cups.py:7 in Shelf.fill, and" in harm.what
    assert "and at 1 further place)" in harm.what


def test_text_after_c_is_no_file():
    line = SourceLine(file="<string>", line=1, function="<module>")
    (harm,) = find_harm([command(event(line=line, caller=line))])
    assert "(at `-c`:1)" in harm.what


def test_what_was_tried_and_what_not_is_said_plainly():
    told = [
        command(skipped={"lock": 3, "time": 2, "threads": 0}),
        command(command="echo", processes=0, trials=0, callables=0, unexamined="no Python process"),
    ]
    assert describe_trials(told) == (
        "several threads made 5 native calls of 1 of 2 smoke commands again: nothing broke; `echo`: no Python process; "
        "calls that were not tried: 3 under a lock that protects them, 2 after the time was up"
    )
    assert describe_trials([command(event())]).endswith("what broke is listed")


def test_nothing_is_said_of_what_was_not_to_be_tried_and_little_of_what_has_no_native_calls():
    assert describe_trials([]) == ""
    assert describe_trials([command(trials=0, callables=0)]) == (
        "its smoke commands were not seen to call the native API of a package"
    )
