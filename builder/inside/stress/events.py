"""What is seen while native code runs, as events, and which of them show that the package interfered."""

from collections.abc import Iterable
from typing import Any

from .scenarios import Scenario

Event = dict[str, Any]
"""`what` (race, crash, hang, wrong), `scenario` (its id) and, by what it is: `kind`, what reports.Attribution has and
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
    """Return what tells an event apart from others: its kind and places, or its scenario where it has no places."""
    places = event.get("places") or [event["scenario"]]
    return (event["what"], *places)


def is_own(event: Event) -> bool:
    """Return whether a race counts against the package."""
    return bool(event["owner"] == "package" and not event["lock_free"])


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
