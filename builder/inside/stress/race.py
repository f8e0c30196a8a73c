"""Look for data races: learn how to call a distribution, then let threads do so under ThreadSanitizer.

Usage: python -m inside.stress.race REQUEST.json OUTPUT.json

The request has `python` and `race_python`, `name`, `requirement`, `wheels` (a folder), `race_wheel` (or null: then
nothing is played, and only what learning shows is answered), `sdist` (or null), `recipes`, `seed`, `signs` (see
scenarios.py), `tests` (see owntests.py; or null), `kit` (`requirements` and `deselect` of own tests; null where there
is no pytest) and `effort` (`threads`, `scenarios`, `pairs`, `learn_s`, `race_s`, `amplify_s`, `proofs`, `times`).

Facts:

- `preflight` (`racy_seen`, `freed_seen`, `clean_silent`; null without a `race_wheel`): whether the detector works here;
  `install`: what went wrong, or null;
- `surface`: what learn.py wrote, without what only it needs; `plan`: the scenarios that were to be played;
- `scenarios`, `played`, `late`: how many there are, came to their end, and were not begun; `kinds`: of each kind, how
  many there are and came to their end; `gil`, `errors`;
- `under_threads`: native callables that returned in several threads, on one object or without any; `unshared`:
  those that returned while threads shared nothing; `natives`: file names of the extension modules;
- `own_code`: which own tests and examples are worth running again with the plain wheel (selection.py);
- `amplified`: what came of own tests and examples whose native calls threads made as well (amplify.py);
- `pairs`: pairs of operations that were tried on one object; `side_by_side`: calls each thread made beside the others'
  in such a trial (the median);
- `own_tests`: what its own tests came to under the sanitizer;
- `phases`: seconds by what was done;
- `unwatched`: native code that the detector does not see, with the reason; `unwatched_dependencies`: names of other
  distributions of which the same is true; `interference`: what shows that the package ended or spoke for the processes
  that called it;
- `races` (by place), `advisory` (races that are not the package's own, or that harm nobody), `harms` (crashes and
  hangs under the sanitizer), each with `sides` and `cause` (causes.py); `unlisted`: how many more there were. What was
  shown again has `script`, `shown`, `ran`; a race that only own tests showed has no script.
  `arms` tells what variants of a scenario showed (arms.py).
"""

import itertools
import json
import sys
from pathlib import Path
from typing import Any

from ..supervise.accounts import supervise
from ..supervise.programs import compile_programs
from ..supervise.work_clock import CLOCK
from . import coverage
from .calls import instrumentation
from .own_tests import owntests
from .own_tests.amplify import Amplified
from .own_tests.selection import select
from .package import installing
from .play import canaries
from .play.events import Event, is_own, list_interference, print_events, rank_events
from .play.player import PlayResult
from .process.answer import write_answer
from .process.interpreter import SANITIZER_PATIENCE_S, Interpreter
from .process.phases import Phases
from .proof.proofs import prove_events
from .proof.reproducer import Prover
from .race_search import (
    TIMES_PLAIN,
    Effort,
    Search,
    choose_scenarios,
    open_learnt,
    plan_scenarios,
    play_all,
)
from .sanitizer.causes import label_causes
from .sanitizer.stores import Stores

_PROVED_ROUNDS = 4
"""Of a program of few calls; settling takes more where these do not show the race each time."""
_MOST_LISTED = 40  # events of each sort: one fault may show in many places


def main() -> None:
    """Check the race detector, install the distribution, look for races, and write the facts."""
    supervise()
    compile_programs()
    request = json.loads(Path(sys.argv[1]).read_text())
    is_watched = request["race_wheel"] is not None
    threads = request["effort"]["threads"]
    phases = Phases()
    facts: dict[str, Any] = {"preflight": None}
    if is_watched:
        with phases.measure("checking the detector"):
            facts["preflight"] = canaries.check_canaries(request["race_python"], threads)

    with phases.measure("installing"):
        facts["install"] = install_both(request)
    if facts["install"] is None and is_watched:
        facts |= hunt_races(request, installing.SITE, installing.RACE_SITE, phases)
    elif facts["install"] is None:
        facts |= learn_alone(request, installing.SITE, phases)
    write_answer(sys.argv[2], {**facts, "phases": phases.describe()})


def install_both(request: dict[str, Any]) -> str | None:
    """Install the distribution twice: as it is, and in a copy with the wheel that was compiled with the sanitizer.

    Without such a wheel it is installed once.

    Returns:
        What went wrong, or None.
    """
    python = request["python"]
    requirements = installing.list_requirements(request)
    failure = installing.install(python, requirements, request["wheels"], installing.SITE)
    if failure is not None or request["race_wheel"] is None:
        return failure

    return installing.install_beside(
        installing.SITE, request["race_wheel"], python, installing.RACE_SITE
    )


def hunt_races(
    request: dict[str, Any], site: str, race_site: str, phases: Phases
) -> dict[str, Any]:
    """Learn how to call the distribution, let threads do so, and show the races and harms again that were seen.

    Args:
        request: what this program was asked.
        site: where the distribution is installed as it is.
        race_site: where it is installed with the sanitizer.
        phases: measures how long each takes.

    Returns:
        `surface` (what was learnt; where that is nothing, None, and the only key), `plan` (the scenarios that were to
        be played), `own_code` (what of own tests and examples is worth running again), what `describe_coverage` and
        `count_trials` return, `natives` (file names of the extension modules), `errors` (how often each exception was
        raised, by text), `unwatched` (native code that the detector does not see), `unwatched_dependencies` (names of
        distributions beside it with native code that the detector does not see), `interference` (what
        `list_interference` returns), `own_tests` (what the distribution's tests came to, or
        None), `races` (of the package), `advisory` (races of other code, or that harm nobody) and `harms` (crashes and
        hangs).
    """
    effort: Effort = request["effort"]
    names, native = installing.find_modules(request["name"], race_site)
    plain = Interpreter(request["python"], site)
    dependencies = instrumentation.find_unwatched_dependencies(request["name"], race_site)
    race, native = open_sanitizer(request, race_site, native, dependencies)

    search = play_all(request, plain, race, names, native, phases)
    if search is None:
        return {"surface": None}

    # The time for proofs begins here: own tests, which may take longer than the plan, leave some of it or none.
    deadline = CLOCK.now() + effort["race_s"]
    prover = Prover(
        race,
        search.surface["prelude"],
        native,
        rounds=_PROVED_ROUNDS,
        deadline=deadline,
        companions=installing.list_companions(request, site),
        player=search.player,
    )
    with phases.measure("own tests"):
        tests, races_of_tests = race_own_tests(request, race, native, search.list_race_places())
    with phases.measure("proving"):
        proved = prove_all(search, races_of_tests, prover, effort)
    search.player.close()

    return {
        "surface": coverage.describe_surface(search.surface),
        "plan": search.chosen,
        "own_code": search.own_code.to_json(),
        **coverage.describe_coverage(
            search.plan,
            search.played,
            search.surface,
            search.amplified,
            left_out=max(0, len(search.plan) - len(search.chosen)),
        ),
        "natives": sorted(native),
        "unwatched": instrumentation.find_unwatched(request["name"], site, race_site),
        "unwatched_dependencies": sorted(dependencies),
        "interference": list_interference(search.events, search.by_id),
        **coverage.count_trials(search.plan, set(search.played.ended), search.amplified),
        "amplified": search.amplified.describe(),
        "errors": search.played.errors,
        "own_tests": tests,
        **proved,
    }


def open_sanitizer(
    request: dict[str, Any], race_site: str, native: set[str], dependencies: dict[str, list[str]]
) -> tuple[Interpreter, set[str]]:
    """Return the interpreter with the sanitizer, and all native files of the distribution, those it watches among them.

    Args:
        request: what this program was asked.
        race_site: where the distribution is installed with the sanitizer.
        native: file names of its extension modules.
        dependencies: native files of other distributions that it does not watch, by distribution.
    """
    watched = instrumentation.find_watched(request["name"], race_site)
    all_native = native | watched
    foreign = itertools.chain.from_iterable(dependencies.values())
    race = Interpreter(
        request["race_python"],
        race_site,
        race=True,
        patience_s=SANITIZER_PATIENCE_S,
        unwatched=frozenset({*all_native, *foreign} - watched),
        stores=Stores.create(),
    )

    return race, all_native


def prove_all(
    search: Search, races_of_tests: list[Event], prover: Prover, effort: Effort
) -> dict[str, Any]:
    """Label what was seen by its cause, and show it again.

    Args:
        search: what was done and seen.
        races_of_tests: races that only own tests under the sanitizer showed.
        prover: runs programs.
        effort: how much to show again.

    Returns:
        `races`, `advisory`, `harms` and `unlisted`, as `hunt_races` does.
    """
    tested_races = [
        {**event, "calls": None, "arms": None} for event in races_of_tests if is_own(event)
    ]
    foreign_races = [event for event in (*search.races, *races_of_tests) if not is_own(event)]
    own_races = [event for event in search.races if is_own(event)]
    label_causes([*own_races, *search.harms, *tested_races])
    label_causes(foreign_races)
    print_events([*search.harms, *own_races, *tested_races, *foreign_races])

    # The gravest first, while there is time: a crash, then memory that is given back, then other races.
    by_id = search.by_id
    harms = rank_events(search.harms, by_id)[:_MOST_LISTED]
    races = rank_events(own_races, by_id)[:_MOST_LISTED]
    proved = prove_events([*harms, *races], by_id, prover, effort)

    unlisted = 0
    for events in (own_races, foreign_races, search.harms):
        unlisted += len(events[_MOST_LISTED:])

    return {
        "races": [*proved[len(harms) :], *tested_races],
        "advisory": foreign_races[:_MOST_LISTED],
        "harms": proved[: len(harms)],
        "unlisted": unlisted,
    }


def learn_alone(request: dict[str, Any], site: str, phases: Phases) -> dict[str, Any]:
    """Learn how to call a distribution of which there is nothing that the sanitizer could watch; play nothing.

    Args:
        request: what this program was asked.
        site: where the distribution is installed.
        phases: measures how long each takes.

    Returns:
        What `hunt_races` does where nothing was played; only `surface`, None, where nothing was learnt.
    """
    names, native = installing.find_modules(request["name"], site)
    plain = Interpreter(request["python"], site)
    with open_learnt(request, plain, names, native, phases, compiles=False) as learnt:
        if learnt is None:
            return {"surface": None}

    surface, recorded = learnt.surface, learnt.recorded
    plan = plan_scenarios(surface, request)
    chosen = choose_scenarios(plan, surface, request["effort"])
    return {
        "surface": coverage.describe_surface(surface),
        "plan": chosen,
        "own_code": select(recorded.parts, recorded.ran, times=TIMES_PLAIN).to_json(),
        **coverage.describe_coverage(plan, PlayResult(), surface, Amplified()),
        "natives": sorted(native),
        "unwatched": {},
        "unwatched_dependencies": [],
        "interference": [],
        **coverage.count_trials(plan, set(), Amplified()),
        "amplified": None,
        "errors": {},
        "own_tests": None,
        "races": [],
        "advisory": [],
        "harms": [],
    }


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


if __name__ == "__main__":
    main()
