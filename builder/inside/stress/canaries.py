"""Extension modules of which it is known whether they race, the canaries: a detector has to tell them apart."""

from collections.abc import Iterable
from pathlib import Path

from .events import Event
from .interpreter import SANITIZER_PATIENCE_S, Interpreter
from .player import Player
from .scenarios import Scenario

_CANARIES = "/opt/race/canaries"
"""Where the image has the three modules: see images/canary.c."""

_ITERATIONS = 6000
_ROUNDS = 3
_MOST_S = 30  # most time for each


def check_canaries(python: str, threads: int) -> dict[str, bool]:
    """Check that the sanitizer sees what is known to be there, and nothing in a module that is known to have no race.

    Args:
        python: the interpreter that was compiled with the sanitizer.
        threads: how many threads call the modules, the "canaries".

    Returns:
        `racy_seen` (a counter without protection), `freed_seen` (an object is used that another thread frees: the
        interpreter's allocator has to tell the sanitizer) and `clean_silent`: all are true where the detector works.
    """
    interpreter = Interpreter(python, _CANARIES, race=True, patience_s=SANITIZER_PATIENCE_S)
    racy_events = play_canary(interpreter, "canary_racy", threads)
    freed_events = play_canary(interpreter, "canary_freed", threads)
    clean_events = play_canary(interpreter, "canary_clean", threads)
    seen = {
        "canary_racy": list_places(racy_events),
        "canary_freed": list_places(freed_events),
        "canary_clean": list_places(clean_events),
    }
    print("preflight", seen, flush=True)

    freeing_events = [event for event in freed_events if event.get("freed")]
    return {
        "racy_seen": is_canary_seen(racy_events),
        "freed_seen": is_canary_seen(freeing_events),
        "clean_silent": not clean_events,
    }


def is_canary_seen(events: Iterable[Event]) -> bool:
    """Return whether an event names a function of the canaries."""
    return any(place.startswith("canary_") for place in list_places(events))


def list_places(events: Iterable[Event]) -> list[str]:
    """Return the places of races, and the names of other events, sorted."""
    places: set[str] = set()
    for event in events:
        places.update(event.get("places", [event["what"]]))

    return sorted(places)


def play_canary(interpreter: Interpreter, canary: str, threads: int) -> list[Event]:
    """Have threads call a canary, and return what was seen; a scenario that did not end counts as an event, too.

    Args:
        interpreter: the one that was compiled with the sanitizer.
        canary: the canary's import name.
        threads: how many threads call it.
    """
    scenario: Scenario = {
        "id": canary,
        "kind": "function",
        "process": canary,
        "make": None,
        "argument": None,
        "rows": [[[f"{canary}.step()", None]]],
        "observe": [],
        "sharing": "fresh",
        "iterations": _ITERATIONS,
        "threads": threads,
        "natives": [],
    }
    modules = {path.name for path in Path(_CANARIES).glob("*.so")}
    player = Player(interpreter, [canary], modules, rounds=_ROUNDS, seconds=_MOST_S)
    played = player.play([scenario])
    player.close()

    if canary in played.ended:
        return played.events
    return [*played.events, {"what": "did not end", "scenario": canary}]
