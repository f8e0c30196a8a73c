"""Show races, crashes and hangs again that were seen under the sanitizer, each by a program of few calls."""

from collections.abc import Callable, Sequence
from typing import Any

from ..play.events import Event, name_cause
from ..play.scenarios import Scenario
from . import arms
from .reproducer import Predicate, Prover

_VARIANT_TIMES = 2  # runs of each variant that tells what a harm needs
_GIL_TIMES = 1  # runs with the GIL on, which orders all but what is done without it
_LONGEST_OUTPUT = 3000
"""Characters of a program's output that are kept: its end, which has the stack."""

Prove = Callable[[Event, Scenario], dict[str, Any]]
"""Tries to show an event again that was seen in a scenario; returns what came of it, with `shown` and `ran`."""


def prove_each(
    events: Sequence[Event], by_id: dict[str, Scenario], prover: Prover, proofs: int, prove: Prove
) -> list[Event]:
    """Show events again by small programs; return all of them, each with its scenario (`calls`).

    Each cause is shown once, and the first events besides. The rest, what no program can make, and that for which there
    is no time left, stay as they were seen.

    Args:
        events: what was seen, the gravest first.
        by_id: the scenarios by their ids.
        prover: runs programs.
        proofs: how many events to show again, whatever their causes.
        prove: shows one event again.
    """
    entries: list[Event] = []
    proved_causes: set[str] = set()
    for number, event in enumerate(events):
        scenario = by_id[event["scenario"]]
        entry = {**event, "calls": scenario}
        cause = name_cause(event)
        waiting = {name_cause(other) for other in events[number + 1 :]} - proved_causes - {cause}
        prover.begin_turn(len(waiting))
        is_live = scenario["kind"] == "live"  # no program can make what it is about
        is_wanted = number < proofs or cause not in proved_causes
        if is_wanted and not is_live and not prover.is_late():
            entry |= prove(event, scenario)
            if entry.get("shown"):
                proved_causes.add(cause)
        entries.append(entry)

    return entries


def prove_events(
    events: Sequence[Event], by_id: dict[str, Scenario], prover: Prover, effort: dict[str, Any]
) -> list[Event]:
    """Show what was seen under the sanitizer again, as `prove_each` does.

    Args:
        events: races, crashes and hangs.
        by_id: the scenarios by their ids.
        prover: runs programs.
        effort: has `proofs`, how many events to show again, and `times`, how often to run the program of each.
    """

    def prove(event: Event, scenario: Scenario) -> dict[str, Any]:
        cause = event.get("cause")
        alike = [other for other in events if cause and other.get("cause") == cause]
        return prove_event(event, scenario, prover, effort["times"], alike)

    with_arms = [{"arms": None, **event} for event in events]
    return prove_each(with_arms, by_id, prover, effort["proofs"], prove)


def prove_event(
    event: Event, scenario: Scenario, prover: Prover, times: int, alike: Sequence[Event] = ()
) -> dict[str, Any]:
    """Try to show an event again by a program that makes as few calls as possible.

    Args:
        event: a race, crash or hang that was seen.
        scenario: the scenario in which it was seen.
        prover: writes and runs programs that make the calls of a scenario.
        times: how often to run the program.
        alike: events with the same cause: where the program shows one of these, it shows the cause.

    Returns:
        `shown` (how many runs of the program showed the event) and `ran` (how many runs there were). Where one showed
        it, also `calls` (the smallest scenario that does), `script` (the program's text), `output` (the end of what a
        run printed) and `arms` (`[shown, ran]` for variants, such as one thread alone: they tell what the event
        needs; of a race, those that were measured before, and the program with the GIL on).
    """
    reproduces = make_predicate(event, alike)
    small = prover.shrink(scenario, reproduces, list_functions(event))
    settled = prover.settle(small, reproduces, times)
    if not settled.shown and small["rows"] != scenario["rows"]:  # what is smaller showed it by luck
        settled = prover.settle(scenario, reproduces, times)
    small, shown, ran, example = settled

    proof: dict[str, Any] = {"shown": shown, "ran": ran}
    if shown:
        title = describe_event(event)
        script = prover.render_kept(small, title)
        proof = {"calls": small, "script": script, **proof}
        proof |= prover.try_short(small, title, reproduces)
        measured = event.get("arms") or {}
        is_measured = "private" in measured or arms.shares_nothing(small)
        if event["what"] == "race" and is_measured:
            proof["arms"] = measured | prover.try_with_gil(small, reproduces, _GIL_TIMES)
        else:
            proof["arms"] = prover.variants(small, reproduces, _VARIANT_TIMES, [shown, ran])
        proof["output"] = example.output[-_LONGEST_OUTPUT:] if example else ""

    print(f"{event['what']} {event.get('places', '')}: shown {shown} of {ran}", flush=True)
    return proof


def make_predicate(event: Event, alike: Sequence[Event] = ()) -> Predicate:
    """Return the test whether a run showed an event: the same sort of harm, or a race with the same cause."""
    if event["what"] != "race":
        return lambda run: event["what"] in run.what

    places = {tuple(other["places"]) for other in (event, *alike) if other["what"] == "race"}
    return lambda run: not places.isdisjoint(run.races)


def list_functions(event: Event) -> list[str]:
    """Return the dotted names of the functions behind an event, those that change memory first."""
    sides = sorted(event.get("sides", ()), key=lambda side: side["access"] == "read")
    return list(dict.fromkeys(side["function"] for side in sides))


def describe_event(event: Event) -> str:
    """Say in a line what a program shows."""
    names = " and ".join(list_functions(event))
    if event["what"] == "race":
        between = " and ".join(event["places"])
        about = f" of {names}" if names else ""
        return f"A data race{about}, between {between}: ThreadSanitizer reports it."

    where = f" in {names}" if names else ""
    return f"A {event['what']}{where} when threads share an object."
