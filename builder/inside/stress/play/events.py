"""What is seen while native code runs, as events: which are told first, and which show that the package interfered."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .scenario import REPEATED, Scenario, count_calls

Event = dict[str, Any]
"""`what` (race, crash, hang, wrong), `scenario` (its id) and, by what it is: `kind`, what an Attribution has and
`report`; `signal`, `stack`; `idle`, `stack`; `sentences`. Beside these, what shows that the package interfered: `end`
(a process that ended early by none of these; `exit_code`), `forged` (`words`: a record that the harness did not write)
and `lost` (reports of the sanitizer that did not arrive)."""

_INTERFERENCE = frozenset({"end", "forged", "lost"})
_MOST_INTERFERENCE = 20  # of one package: one is enough for the verdict


def deduplicate(events: Iterable[Event]) -> list[Event]:
    """Return one event of each kind and place, the one seen first, with the number of such events in `times`.

    Events without places, such as a crash, count as the same where they are of the same scenario.
    """
    by_key: dict[tuple[Any, ...], Event] = {}
    for event in events:
        key = name_event(event)
        if key in by_key:
            by_key[key]["times"] += 1
        else:
            by_key[key] = {**event, "times": 1}

    return list(by_key.values())


def name_event(event: Event) -> tuple[Any, ...]:
    """Return what tells an event apart from others: its kind and places, or its scenario where it has no places.

    A scenario that was played several times is one.
    """
    places = event.get("places") or [event["scenario"].partition(REPEATED)[0]]
    # One that harms nobody must not stand for one between the same functions that may.
    effect = event.get("effect")
    return (event["what"], *places, effect) if effect else (event["what"], *places)


def is_own(event: Event) -> bool:
    """Return whether a race counts against the package."""
    is_harmless = event["lock_free"] or event["effect"]
    return bool(event["owner"] == "package" and not is_harmless)


_GRAVITY = {"crash": 0, "wrong": 1, "hang": 2}
"""What is told and shown again before all else. Races come after harm, those on memory that is given back first."""
_RACES_GRAVITY = 3

_WRONG = re.compile(r" gave (?P<got>.*), alone it gives (?P<alone>.*)$", re.DOTALL)
"""As harness.describe_wrong says it."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")

_SHARED_TYPES = (("bytearray", "bytearray"), ("[", "list"), ("{", "dict"))
"""Types of arguments that threads share, by how the expression that makes one begins (values.py)."""


def rank_events(events: Iterable[Event], by_id: dict[str, Scenario]) -> list[Event]:
    """Return events in the order in which they are to be shown again.

    The gravest come first, but of each cause only one before those of other causes; of two that are as grave, the one
    that was seen with fewer calls.

    Args:
        events: what was seen, with their `cause`.
        by_id: the scenarios by their ids.
    """
    gravest_first = sorted(events, key=lambda event: _rank_event(event, by_id))

    earlier: Counter[str] = Counter()  # how many of each cause came before
    turns: list[tuple[int, Event]] = []
    for event in gravest_first:
        cause = name_cause(event)
        turns.append((earlier[cause], event))
        earlier[cause] += 1

    # Sorting is stable: in each turn the gravest stay first.
    turns.sort(key=lambda turn: turn[0])
    return [event for _, event in turns]


def _rank_event(event: Event, by_id: dict[str, Scenario]) -> tuple[int, bool, bool, int]:
    """Return what orders events by how grave they are: the lowest comes first."""
    gravity = _GRAVITY.get(event["what"], _RACES_GRAVITY)
    is_grave = bool(event.get("freed")) or is_garbage(event)
    arms = event.get("arms") or {}
    shown_private, _ = arms.get("private", (0, 0))
    calls = count_calls(by_id[event["scenario"]])

    return gravity, not is_grave, not shown_private, calls


def name_cause(event: Event) -> str:
    """Return what tells the cause of an event: its name, else the call that gave a wrong result, else its scenario."""
    wrong_call = "".join(event.get("sentences", ())[:1]).partition("(")[0]
    return str(event.get("cause") or wrong_call or event["scenario"])


def print_events(events: Iterable[Event]) -> None:
    """Write what is known of each event into the log: the sanitizer's report, or the stacks after a crash or a hang."""
    for event in events:
        about = event.get("cause") or event.get("scenario") or "own tests"
        print(f"--- {event['what']}: {about} ({', '.join(event.get('lines', ()))})", flush=True)
        print(event.get("report") or event.get("stack", ""), flush=True)


def is_garbage(event: Event) -> bool:
    """Return whether a wrong result is more than another number: a value that the call never gives alone.

    Numbers may be a counter's or a clock's, however steady they seemed; a text with other letters in it is not.
    """
    for sentence in event.get("sentences", ()):
        match = _WRONG.search(sentence)
        if match is None:
            continue
        got, alone = (_NUMBER.sub("0", match[name]) for name in ("got", "alone"))
        if got != alone:
            return True

    return False


def name_shared_type(scenario: Scenario) -> str:
    """Return the builtin type of the argument that threads share and change; empty where they share none."""
    argument: str = scenario["argument"] or ""
    for beginning, name in _SHARED_TYPES:
        if argument.startswith(beginning):
            is_set = name == "dict" and ":" not in argument and argument != "{}"
            return "set" if is_set else name

    return ""


def list_interference(events: Iterable[Event], by_id: dict[str, Scenario]) -> list[dict[str, Any]]:
    """Return the events that show that the package interfered with the processes that called it.

    Args:
        events: what was seen, without repetitions.
        by_id: the scenarios by their ids.

    Returns:
        Of each `what` (`end`, `forged` or `lost`), `calls` (the scenario), `detail` (what came) and `times`.
    """
    interference: list[dict[str, Any]] = []
    for event in events:
        if event["what"] not in _INTERFERENCE:
            continue

        detail = event.get("words", "")
        if event["what"] == "end":
            detail = f"ended with exit code {event['exit_code']}"
            if event["exit_code"] < 0:
                detail = f"was ended by signal {-event['exit_code']}"
        interference.append(
            {
                "what": event["what"],
                "calls": by_id[event["scenario"]],
                "detail": detail,
                "times": event["times"],
            }
        )

    return interference[:_MOST_INTERFERENCE]
