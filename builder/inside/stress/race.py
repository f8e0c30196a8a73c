"""Look for data races: learn how to call a distribution, then let threads do so under ThreadSanitizer.

Usage: python -m inside.stress.race REQUEST.json OUTPUT.json

The request has `python` and `race_python`, `name`, `requirement`, `wheels` (a folder), `race_wheel` (or null: then
nothing is played, and only what learning shows is answered), `sdist` (or null), `recipes`, `seed`, `signs` (see
scenarios.py), `tests` (see owntests.py; or null), `kit` (`requirements` and `deselect` of own tests; null where there
is no pytest) and `effort` (`threads`, `pairs`, `learn_s`, `race_s`, `amplify_s`, `proofs`, `times`).

Facts:

- `preflight` (`racy_seen`, `freed_seen`, `clean_silent`; null without a `race_wheel`): whether the detector works here;
  `install`: what went wrong, or null;
- `surface`: what learn.py wrote, without what only it needs; `plan`;
- `scenarios`, `played`, `late`: how many there are, came to their end, and had no time; `kinds`: of each kind, how many
  there are and came to their end; `gil`, `errors`;
- `under_threads`: native callables that returned in several threads, on one object or without any; `natives`: file
  names of the extension modules;
- `amplified`: what came of own tests and examples whose native calls threads made as well (amplify.py);
- `pairs`: pairs of operations that were tried on one object; `side_by_side`: calls each thread made beside the others'
  in such a trial (the median);
- `own_tests`: what its own tests came to under the sanitizer;
- `unwatched`: native code that the detector does not see, with the reason; `unwatched_dependencies`: names of other
  distributions of which the same is true; `interference`: what shows that the package ended or spoke for the processes
  that called it;
- `races` (by place), `advisory` (races that are not the package's own, or lock-free by design), `harms` (crashes and
  hangs under the sanitizer), each with `sides` and `cause` (causes.py); `unlisted`: how many more there were. What was
  shown again has `script`, `shown`, `ran`; a race that only own tests showed has no script.
  `arms` tells what variants of a scenario showed (arms.py).
"""

import itertools
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..supervise.accounts import supervise
from . import (
    amplify,
    arms,
    installing,
    instrumentation,
    learning,
    owntests,
    reached,
    scenarios,
    speed,
    unpacking,
)
from .amplify import Amplified, Stage
from .answer import write_answer
from .causes import label_causes
from .events import (
    Event,
    deduplicate,
    is_own,
    list_interference,
    name_shared_type,
    print_events,
    rank_events,
)
from .interpreter import Interpreter
from .player import Player, PlayResult, adapt_for_sanitizer
from .reproducer import Predicate, Prover
from .scenarios import Scenario

_SITE = "/tmp/site"
_RACE_SITE = "/tmp/race-site"
_CANARIES = "/opt/race/canaries"
"""Where the image has three extension modules, the canaries: see images/canary.c."""

_PATIENCE_S = 12.0
"""How long a scenario may go on without a sign of life: longer than in exercise.py, for the sanitizer is slow."""

_CANARY_ITERATIONS = 6000
_CANARY_ROUNDS = 3
_CANARY_S = 30  # most time for each

_PLAYED_ROUNDS = 1  # the sanitizer sees accesses that nothing orders, also where they do not happen at the same instant
_PROVED_ROUNDS = 12  # a program of few calls has time for more
_VARIANT_TIMES = 2  # runs of each variant that tells what a harm needs
_GIL_TIMES = 1  # runs with the GIL on, which orders all but what is done without it
_ARMS_SHARE = 0.35
"""Of the time that the plan has: for variants of the scenarios in which a race was seen. Not measured."""

_MOST_LISTED = 40  # events of each sort: one fault may show in many places
_LONGEST_OUTPUT = 3000
"""Characters of a program's output that are kept: its end, which has the stack."""

Effort = dict[str, Any]
"""`threads`, `pairs`, `learn_s`, `race_s`, `amplify_s`, `proofs`, `times`: config/effort.py."""

_RECORDING_SHARE = (
    0.5  # of the time for own tests: they only run, on an interpreter without a sanitizer
)

_LEARNT_FACTS = ("prelude", "failed", "callables", "reached", "fatal", "complete")
"""What of a surface is a fact; the rest is for the plan alone."""


def main() -> None:
    """Check the race detector, install the distribution, look for races, and write the facts."""
    supervise()
    request = json.loads(Path(sys.argv[1]).read_text())
    is_watched = request["race_wheel"] is not None
    threads = request["effort"]["threads"]
    facts: dict[str, Any] = {"preflight": None}
    if is_watched:
        facts["preflight"] = check_canaries(request["race_python"], threads)

    facts["install"] = install_both(request)
    if facts["install"] is None and is_watched:
        facts |= hunt_races(request, _SITE, _RACE_SITE)
    elif facts["install"] is None:
        facts |= learn_alone(request, _SITE)
    write_answer(sys.argv[2], facts)


def install_both(request: dict[str, Any]) -> str | None:
    """Install the distribution twice: as it is, and in a copy with the wheel that was compiled with the sanitizer.

    Without such a wheel it is installed once.

    Returns:
        What went wrong, or None.
    """
    python = request["python"]
    requirements = installing.list_requirements(request)
    failure = installing.install(python, requirements, request["wheels"], _SITE)
    if failure is not None or request["race_wheel"] is None:
        return failure

    return installing.install_beside(_SITE, request["race_wheel"], python, _RACE_SITE)


def check_canaries(python: str, threads: int) -> dict[str, bool]:
    """Check that the sanitizer sees what is known to be there, and nothing in a module that is known to have no race.

    Args:
        python: the interpreter that was compiled with the sanitizer.
        threads: how many threads call the modules, the "canaries".

    Returns:
        `racy_seen` (a counter without protection), `freed_seen` (an object is used that another thread frees: the
        interpreter's allocator has to tell the sanitizer) and `clean_silent`: all are true where the detector works.
    """
    interpreter = Interpreter(python, _CANARIES, race=True, patience_s=_PATIENCE_S)
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
        "iterations": _CANARY_ITERATIONS,
        "threads": threads,
        "natives": [],
    }
    modules = {path.name for path in Path(_CANARIES).glob("*.so")}
    player = Player(interpreter, [canary], modules, rounds=_CANARY_ROUNDS, seconds=_CANARY_S)
    played = player.play([scenario])
    player.close()

    if canary in played.ended:
        return played.events
    return [*played.events, {"what": "did not end", "scenario": canary}]


def hunt_races(request: dict[str, Any], site: str, race_site: str) -> dict[str, Any]:
    """Learn how to call the distribution, let threads do so, and show the races and harms again that were seen.

    Args:
        request: what this program was asked.
        site: where the distribution is installed as it is.
        race_site: where it is installed with the sanitizer.

    Returns:
        `surface` (what was learnt; where that is nothing, None, and the only key), `plan` (the scenarios), what
        `describe_coverage` and `count_trials` return, `natives` (file names of the extension modules), `errors` (how
        often each exception was raised, by text), `unwatched` (native code that the detector does not see),
        `unwatched_dependencies` (names of distributions beside it with native code that the detector does not see),
        `interference` (what `list_interference` returns), `own_tests` (what the distribution's tests came to, or
        None), `races` (of the package), `advisory` (races of other code, or of lock-free code) and `harms` (crashes and
        hangs).
    """
    effort: Effort = request["effort"]
    names, native = installing.find_modules(request["name"], race_site)
    watched = instrumentation.find_watched(request["name"], race_site)
    native |= watched
    plain = Interpreter(request["python"], site)
    dependencies = instrumentation.find_unwatched_dependencies(request["name"], race_site)
    foreign = itertools.chain.from_iterable(dependencies.values())
    race = Interpreter(
        request["race_python"],
        race_site,
        race=True,
        patience_s=_PATIENCE_S,
        unwatched=frozenset({*native, *foreign} - watched),
    )

    folder = unpacking.unpack_sealed(request["sdist"])
    with amplify.open_stage(request, folder) as stage:
        recorded = run_own_code(request, stage, plain, names, native, forks=False)
        surface = learn_surface(plain, names, request, folder, recorded)
        if surface is None:
            return {"surface": None}

        unwatched = instrumentation.find_unwatched(request["name"], site, race_site)
        plan = plan_scenarios(surface, request)
        player = Player(
            race, surface["prelude"], native, rounds=_PLAYED_ROUNDS, seconds=effort["race_s"]
        )
        played = player.play(plan)
        amplified = Amplified()
        if recorded.calls:  # there is something to make by threads as well
            amplified = run_own_code(request, stage, race, names, native, forks=True)

    by_id = {scenario["id"]: scenario for scenario in plan} | amplified.scenarios
    seen = [*played.events, *amplified.events]
    measured = arms.measure_arms(player, seen, by_id, _ARMS_SHARE * effort["race_s"])
    player.close()

    events = [measured.describe(event) for event in deduplicate([*seen, *measured.more_races])]
    for event in events:
        event["shares"] = name_shared_type(by_id[event["scenario"]])
    races = [event for event in events if event["what"] == "race"]
    harms = [event for event in events if event["what"] in {"crash", "hang"}]

    # The time for proofs begins here: own tests, which may take longer than the plan, leave some of it or none.
    deadline = time.monotonic() + effort["race_s"]
    prover = Prover(
        race,
        surface["prelude"],
        native,
        rounds=_PROVED_ROUNDS,
        deadline=deadline,
        companions=installing.list_companions(request, site),
    )

    known_places = {tuple(event["places"]) for event in races}
    tests, races_of_tests = race_own_tests(request, race, native, known_places)
    tested_races = [
        {**event, "calls": None, "arms": None} for event in races_of_tests if is_own(event)
    ]
    foreign_races = [event for event in (*races, *races_of_tests) if not is_own(event)]
    own_races = [event for event in races if is_own(event)]
    label_causes([*own_races, *harms, *tested_races])
    label_causes(foreign_races)
    print_events([*harms, *own_races, *tested_races, *foreign_races])

    # The gravest first, while there is time: a crash, then memory that is given back, then other races.
    ranked_harms = rank_events(harms, by_id)
    ranked_races = rank_events(own_races, by_id)
    proved_harms = prove_events(ranked_harms[:_MOST_LISTED], by_id, prover, effort)
    proved_races = prove_events(ranked_races[:_MOST_LISTED], by_id, prover, effort)
    unlisted = len(own_races[_MOST_LISTED:]) + len(foreign_races[_MOST_LISTED:])
    unlisted += len(harms[_MOST_LISTED:])

    return {
        "surface": describe_surface(surface),
        "plan": plan,
        **describe_coverage(plan, played, surface, amplified),
        "natives": sorted(native),
        "unwatched": unwatched,
        "unwatched_dependencies": sorted(dependencies),
        "interference": list_interference(events, by_id),
        **count_trials(plan, set(played.ended), amplified),
        "amplified": amplified.describe(),
        "errors": played.errors,
        "own_tests": tests,
        "races": [*proved_races, *tested_races],
        "advisory": foreign_races[:_MOST_LISTED],
        "harms": proved_harms,
        "unlisted": unlisted,
    }


def learn_alone(request: dict[str, Any], site: str) -> dict[str, Any]:
    """Learn how to call a distribution of which there is nothing that the sanitizer could watch; play nothing.

    Args:
        request: what this program was asked.
        site: where the distribution is installed.

    Returns:
        What `hunt_races` does where nothing was played; only `surface`, None, where nothing was learnt.
    """
    names, native = installing.find_modules(request["name"], site)
    plain = Interpreter(request["python"], site)
    folder = unpacking.unpack_sealed(request["sdist"])
    with amplify.open_stage(request, folder) as stage:
        recorded = run_own_code(request, stage, plain, names, native, forks=False)
    surface = learn_surface(plain, names, request, folder, recorded)
    if surface is None:
        return {"surface": None}

    plan = plan_scenarios(surface, request)
    return {
        "surface": describe_surface(surface),
        "plan": plan,
        **describe_coverage(plan, PlayResult(), surface, Amplified()),
        "natives": sorted(native),
        "unwatched": {},
        "unwatched_dependencies": [],
        "interference": [],
        **count_trials(plan, set(), Amplified()),
        "amplified": None,
        "errors": {},
        "own_tests": None,
        "races": [],
        "advisory": [],
        "harms": [],
    }


def run_own_code(
    request: dict[str, Any],
    stage: Stage,
    interpreter: Interpreter,
    names: list[str],
    native: set[str],
    *,
    forks: bool,
) -> Amplified:
    """Run the distribution's own tests and examples; with `forks`, let threads make the native calls that they make.

    Args:
        request: what this program was asked.
        stage: has the tests.
        interpreter: what runs them.
        names: import names of the distribution's modules.
        native: file names of its extension modules.
        forks: whether to fork at native calls; else it is only recorded how they are made.
    """
    effort: Effort = request["effort"]
    kit = request.get("kit") or {}
    return amplify.amplify(
        stage,
        interpreter,
        names,
        native,
        after=installing.list_companions(request, interpreter.site),
        threads=effort["threads"],
        seconds=effort["amplify_s"] * (1.0 if forks else _RECORDING_SHARE),
        forks=forks,
        deselect=kit.get("deselect", ()),
    )


def learn_surface(
    plain: Interpreter,
    names: list[str],
    request: dict[str, Any],
    folder: str | None,
    recorded: Amplified,
) -> dict[str, Any] | None:
    """Return what learn.py finds out of the distribution, its "surface"; None where it never found anything.

    Args:
        plain: the interpreter without the sanitizer.
        names: import names of the distribution's modules.
        request: what this program was asked.
        folder: the unpacked sdist; None where there is none.
        recorded: how the distribution's own tests call its native code.
    """
    learn_request = {
        "modules": names,
        "after": installing.list_companions(request, plain.site),
        "folder": folder,
        "recipes": [*request["recipes"], *recorded.makes],
        "recorded": recorded.arguments,
        "seconds": request["effort"]["learn_s"],
    }
    return learning.learn(plain, learn_request)


def plan_scenarios(surface: dict[str, Any], request: dict[str, Any]) -> list[Scenario]:
    """Return the scenarios for a surface, i.e. for what learn.py found out."""
    effort: Effort = request["effort"]
    plan = scenarios.plan(
        surface,
        threads=effort["threads"],
        seed=request["seed"],
        pairs=effort["pairs"],
        signs=request["signs"],
    )

    callables = len(surface["callables"])
    reached = len(surface["reached"])
    print(
        f"{callables} native callables, {reached} can be called, {len(plan)} scenarios", flush=True
    )

    return plan


def describe_surface(surface: dict[str, Any]) -> dict[str, Any]:
    """Return what is reported of a surface, i.e. of what learn.py found out about how to call a distribution.

    Args:
        surface: what learn.py wrote.

    Returns:
        The entries of the surface that `_LEARNT_FACTS` names; `stateful`, how many native callables work on an object;
        and `calls`: calls whose speed is worth measuring.
    """
    facts = {name: surface[name] for name in _LEARNT_FACTS}
    stateful = len(set(surface["callables"]).difference(surface["stateless"]))
    return {**facts, "stateful": stateful, "calls": speed.choose_calls(surface)}


def describe_coverage(
    plan: Sequence[Scenario], played: PlayResult, surface: dict[str, Any], amplified: Amplified
) -> dict[str, Any]:
    """Return how many scenarios were run, and which native callables returned in several threads.

    Args:
        plan: the scenarios that were to be run.
        played: what was seen of those that were run.
        surface: what learn.py wrote.
        amplified: what came of own tests and examples.

    Returns:
        `scenarios` (how many were planned), `played` (how many came to their end), `late` (how many there was no time
        for), `kinds` (the first two, of each kind), `gil` (whether the GIL was ever on) and `under_threads` (names of
        native callables, sorted).
    """
    ended = set(played.ended)
    kinds: dict[str, list[int]] = {}
    for scenario in plan:
        counts = kinds.setdefault(scenario["kind"], [0, 0])
        counts[0] += 1
        counts[1] += scenario["id"] in ended

    natives = reached.find_reached(plan, played.returned, surface)
    return {
        "scenarios": len(plan),
        "played": len(ended),
        "late": played.late,
        "kinds": kinds,
        "gil": played.gil,
        "under_threads": sorted(natives | amplified.returned),
    }


def count_trials(plan: Sequence[Scenario], ended: set[str], amplified: Amplified) -> dict[str, int]:
    """Return how many chances a race had to show itself while several threads made calls under the sanitizer.

    Args:
        plan: the scenarios, each of which says what calls its threads make at the same time.
        ended: ids of the scenarios that came to their end; others may have been cut short, and do not count.
        amplified: what came of own tests and examples.

    Returns:
        `pairs`: in how many scenarios two operations were tried against each other on one object, and how many pairs
        own tests and examples gave.
        `side_by_side`: how many calls one thread made beside the calls of the others, in a typical scenario (the
        median of all that count, the upper one of two; 0 where none counts).
    """
    pairs = 0
    calls_per_thread: list[int] = []  # an entry for each scenario that counts
    for scenario in plan:
        has_ended = scenario["id"] in ended
        is_threaded = scenario["threads"] > 1
        # What is marked `once`, such as the first use of a module, cannot be repeated: it is a single chance.
        is_repeated = not scenario.get("once")
        if not (has_ended and is_threaded and is_repeated):
            continue

        if scenario["kind"] == "pair":
            pairs += 1
        # The sanitizer is slow: scenarios make fewer calls under it than the plan says.
        as_played = adapt_for_sanitizer(scenario)
        calls_per_thread.append(as_played["iterations"])

    calls_per_thread.sort()
    median = calls_per_thread[len(calls_per_thread) // 2] if calls_per_thread else 0
    return {"pairs": pairs + len(amplified.pairs), "side_by_side": median}


def race_own_tests(
    request: dict[str, Any],
    race: Interpreter,
    native: set[str],
    known_places: set[tuple[str, ...]],
) -> tuple[dict[str, Any] | None, list[Event]]:
    """Run the distribution's own tests under the sanitizer.

    Args:
        request: what this program was asked.
        race: the interpreter with the sanitizer.
        native: file names of the distribution's extension modules.
        known_places: of races that the plan has shown.

    Returns:
        What the tests came to, or None where none were asked for; and the races that only they showed, by place.
    """
    if request["tests"] is None:
        return None, []

    tested = owntests.race_tests(
        race, request["python"], request["wheels"], native, request["tests"]
    )
    new_races: dict[tuple[str, ...], Event] = {}
    for event in tested.pop("races"):
        places = tuple(event["places"])
        if places not in known_places:
            new_races[places] = event

    passed = tested.get("passed")
    print(
        f"own tests under the sanitizer: {passed} passed, {len(new_races)} more races",
        flush=True,
    )
    return tested, list(new_races.values())[:_MOST_LISTED]


def prove_events(
    events: Sequence[Event], by_id: dict[str, Scenario], prover: Prover, effort: Effort
) -> list[Event]:
    """Show events again by small programs; return all of them, each with its scenario (`calls`).

    Each cause is shown once, and the first events besides. Those for which there is no time left stay as they were
    seen.

    Args:
        events: what was seen.
        by_id: the scenarios by their ids.
        prover: runs programs.
        effort: has `proofs`, how many events to show again, and `times`, how often to run the program of each.
    """
    entries: list[Event] = []
    proved_causes: set[str] = set()
    for number, event in enumerate(events):
        scenario = by_id[event["scenario"]]
        entry = {"arms": None, **event, "calls": scenario}
        is_live = scenario["kind"] == "live"  # no program can make what it is about
        cause = event.get("cause", "")
        is_new = bool(cause) and cause not in proved_causes
        is_wanted = (number < effort["proofs"] or is_new) and not is_live
        if is_wanted and time.monotonic() < prover.deadline:
            alike = [other for other in events if cause and other.get("cause") == cause]
            entry |= prove_event(event, scenario, prover, effort["times"], alike)
            if entry.get("shown"):
                proved_causes.add(cause)
        entries.append(entry)

    return entries


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
    shown, ran, example = prover.count(small, reproduces, times)
    proof: dict[str, Any] = {"shown": shown, "ran": ran}
    if shown:
        title = describe_event(event)
        script = prover.render_script(small, title)
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

    places = {tuple(other["places"]) for other in (event, *alike)}
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


if __name__ == "__main__":
    main()
