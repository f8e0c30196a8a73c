"""Extension modules of which it is known whether they race, the canaries: a detector has to tell them apart."""

from collections.abc import Iterable
from pathlib import Path

from ..process.interpreter import SANITIZER_PATIENCE_S, Interpreter
from ..sanitizer.native_names import NativeNames
from .events import Event
from .player import Player
from .scenarios import Scenario

_CANARIES = "/opt/race/canaries"
"""Where the image has the three modules: see images/canary.c."""

_NAMES = ("canary_racy", "canary_freed", "canary_clean")

_ITERATIONS = 3000
_ROUNDS = 2
_MOST_S = 90  # most time for all of them
_MOST_TRIES = 3
"""On a busy machine the threads of a short search may run one after the other: then it is made again."""


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
    racy_seen, freed_seen, clean_silent = False, False, True
    for _ in range(_MOST_TRIES):
        events = play_canaries(interpreter, threads)
        print("preflight", {name: list_places(events[name]) for name in _NAMES}, flush=True)

        freeing_events = [event for event in events["canary_freed"] if event.get("freed")]
        racy_seen = racy_seen or is_canary_seen(events["canary_racy"])
        freed_seen = freed_seen or is_canary_seen(freeing_events)
        clean_silent = clean_silent and not events["canary_clean"]
        if racy_seen and freed_seen:
            break

    return {"racy_seen": racy_seen, "freed_seen": freed_seen, "clean_silent": clean_silent}


def is_canary_seen(events: Iterable[Event]) -> bool:
    """Return whether an event names a function of the canaries."""
    return any(place.startswith("canary_") for place in list_places(events))


def list_places(events: Iterable[Event]) -> list[str]:
    """Return the places of races, and the names of other events, sorted."""
    places: set[str] = set()
    for event in events:
        places.update(event.get("places", [event["what"]]))

    return sorted(places)


def play_canaries(interpreter: Interpreter, threads: int) -> dict[str, list[Event]]:
    """Have threads call each canary in a process of its own; return what was seen, by its name.

    A scenario that did not end counts as an event, too.

    Args:
        interpreter: the one that was compiled with the sanitizer.
        threads: how many threads call a canary.
    """
    modules = {path.name for path in Path(_CANARIES).glob("*.so")}
    player = Player(
        interpreter,
        list(_NAMES),
        modules,
        rounds=_ROUNDS,
        seconds=_MOST_S,
        names=NativeNames([]),  # what its functions are in Python does not matter
    )
    played = player.play([_make_scenario(name, threads) for name in _NAMES])
    player.close()

    events: dict[str, list[Event]] = {name: [] for name in _NAMES}
    for event in played.events:
        events[event["scenario"]].append(event)
    for name in _NAMES:
        if name not in played.ended:
            events[name].append({"what": "did not end", "scenario": name})

    return events


def _make_scenario(canary: str, threads: int) -> Scenario:
    return {
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
