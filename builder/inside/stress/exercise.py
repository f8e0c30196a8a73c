"""Put a distribution under threads with the plain interpreter, and see what harm is done.

Usage: python -m inside.stress.exercise REQUEST.json OUTPUT.json

The request has `python`, `name`, `requirement`, `wheels` (a folder), `surface`, `plan` and `own_code` (what race.py
made of them; without the last, all own tests and examples are run), `suspects` (scenarios that race), `sdist` (or
null), `tests` (see owntests.py; or null), `kit` (see race.py) and `effort` (`threads`, `plain_s`, `amplify_s`,
`proofs`, `times`).

Facts:

- `install`: what went wrong, or null;
- `played`, `late`: how many scenarios came to their end, and had no time; `gil`, `errors`;
- `harms`: crashes, hangs and wrong results, each with `steered` (whether a race pointed there); what was shown again
  has `script`, `shown`, `ran` and `arms`; what was found by steering has `malloc`;
- `interference`: what shows that the package ended or spoke for the processes that called it;
- `amplified`: what came of own tests and examples whose native calls threads made as well (amplify.py);
- `phases`: seconds by what was done;
- `own_tests`: what owntests.py answers.
"""

import contextlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..supervise.accounts import supervise
from ..supervise.programs import compile_programs
from ..supervise.work_clock import CLOCK
from .own_tests import amplify, owntests
from .own_tests.amplify import Amplified
from .own_tests.stage import open_stage
from .package import installing, unpacking
from .play.events import (
    Event,
    deduplicate,
    is_garbage,
    list_interference,
    name_shared_type,
    print_events,
    rank_events,
)
from .play.player import Player, PlayResult
from .play.scenarios import Scenario
from .process.answer import write_answer
from .process.interpreter import Interpreter
from .process.phases import Phases
from .proof import schedule_search
from .proof.proofs import prove_each
from .proof.reproducer import Predicate, Prover
from .sanitizer.causes import label_causes

_PATIENCE_S = 6.0
"""How long a scenario may go on without a sign of life."""
_PROOF_PATIENCE_S = 5.0
"""The same for a program that shows again what was seen: each run of one that hangs takes as long."""

# Harm is rare where a race is not: what is played takes more rounds than under the sanitizer, and a program still more.
_PLAYED_ROUNDS = 4
_MORE_ROUNDS = 4  # times as many in each further pass through the plan
_PROVED_ROUNDS = 16
_SHOWING_RUNS = 2  # of a whole scenario in which harm was seen
_MORE_CALLS = 20  # times as many where these did not show it
_MORE_ITERATIONS = 4  # times as many where a race was seen

_PROVING_SHARE = 2.0
"""Of the time that the plan has: for shrinking, counting and variants of what was seen."""
_LEAST_S = 1.0  # for a pass through the plan that began just in time
_VARIANT_TIMES = 2  # runs of each variant that tells what a harm needs

_HARM = frozenset({"crash", "hang", "wrong"})
_MOST_LISTED = 20  # harms: one fault may show in many scenarios

# How many characters of a program's output are kept: its end, which has the stack.
_LONGEST_OUTPUT = 4000
_LONGEST_STACK = 3000

_TITLES = {
    "crash": "Threads that make these calls crash the interpreter.",
    "hang": "Threads that make these calls wait for ever.",
    "wrong": "Threads that make these calls get wrong results.",
}
"""What a program shows, by what was seen."""

Effort = dict[str, Any]
"""`threads`, `plain_s`, `amplify_s`, `proofs`, `times`: config/effort.py."""


def main() -> None:
    """Read the request, install the distribution, look for harm, and write the facts."""
    supervise()
    compile_programs()
    request = json.loads(Path(sys.argv[1]).read_text())
    requirements = installing.list_requirements(request)
    phases = Phases()
    with phases.measure("installing"):
        failure = installing.install(
            request["python"], requirements, request["wheels"], installing.SITE
        )

    facts: dict[str, Any] = {"install": failure}
    if failure is None:
        facts |= look_for_harm(request, installing.SITE, phases)
    write_answer(sys.argv[2], {**facts, "phases": phases.describe()})


def look_for_harm(request: dict[str, Any], site: str, phases: Phases) -> dict[str, Any]:
    """Run the planned scenarios and the package's own tests, and return the facts (see the top of this file).

    Scenarios are left out where nothing was learnt of the package, tests where none were asked for.

    Args:
        request: what this program was asked.
        site: where the distribution is installed.
        phases: measures how long each takes.
    """
    names, native = installing.find_modules(request["name"], site)
    plain = Interpreter(request["python"], site, patience_s=_PATIENCE_S)

    facts: dict[str, Any] = {"harms": [], "played": 0, "late": 0, "gil": False, "errors": {}}
    facts["interference"] = []
    if request["surface"] is not None:
        amplified = amplify_own_code(request, plain, names, native, phases)
        facts |= exercise_plan(request, plain, native, amplified, phases)
        facts["amplified"] = amplified.describe()
    if request["tests"] is not None:
        with phases.measure("own tests"):
            facts["own_tests"] = owntests.run_tests(plain, request["wheels"], request["tests"])

    return facts


def amplify_own_code(
    request: dict[str, Any],
    plain: Interpreter,
    names: list[str],
    native: set[str],
    phases: Phases,
) -> Amplified:
    """Run the distribution's own tests and examples, and let threads make the native calls that they make.

    Args:
        request: what this program was asked.
        plain: the interpreter without a sanitizer.
        names: import names of the distribution's modules.
        native: file names of its extension modules.
        phases: measures how long each takes.
    """
    effort: Effort = request["effort"]
    kit = request.get("kit") or {}
    folder = unpacking.unpack_sealed(request["sdist"])
    with contextlib.ExitStack() as stack:
        with phases.measure("installing for own code"):
            stage = stack.enter_context(open_stage(request, folder, compiles=False))
        stack.enter_context(phases.measure("amplifying own code"))
        return amplify.amplify(
            stage,
            plain,
            names,
            native,
            after=installing.list_companions(request, plain.site),
            threads=effort["threads"],
            seconds=effort["amplify_s"],
            forks=True,
            deselect=kit.get("deselect", ()),
            selection=request.get("own_code"),
            runs_rest=True,
        )


def exercise_plan(
    request: dict[str, Any],
    plain: Interpreter,
    native: set[str],
    amplified: Amplified,
    phases: Phases,
) -> dict[str, Any]:
    """Run the planned scenarios, and show the harm that was seen (a crash, a hang, a wrong result) again.

    Where none could be shown again, the suspects (scenarios with a data race) are run longer.

    Args:
        request: what this program was asked.
        plain: the interpreter without a sanitizer.
        native: file names of the package's extension modules.
        amplified: what came of own tests and examples.
        phases: measures how long each takes.

    Returns:
        Facts: `harms`, `played`, `late`, `gil`, `errors` and `interference`.
    """
    effort: Effort = request["effort"]
    plan: list[Scenario] = request["plan"]
    prelude: list[str] = request["surface"]["prelude"]
    with phases.measure("playing"):
        played, seen = play_until_harm(plain, native, plan, prelude, effort["plain_s"])
    by_id = {scenario["id"]: scenario for scenario in plan} | amplified.scenarios
    seen += deduplicate(amplified.events)

    for event in seen:
        event["shares"] = name_shared_type(by_id[event["scenario"]])
        event["garbage"] = is_garbage(event)
    label_causes(seen)
    seen = rank_events(seen, by_id)
    print_events(event for event in seen if event["what"] != "wrong")

    deadline = CLOCK.now() + _PROVING_SHARE * effort["plain_s"]
    prover = Prover(
        replace(plain, patience_s=_PROOF_PATIENCE_S),
        prelude,
        native,
        rounds=_PROVED_ROUNDS,
        deadline=deadline,
        companions=installing.list_companions(request, plain.site),
    )
    with phases.measure("proving"):
        harms = prove_harms(seen[:_MOST_LISTED], by_id, prover, effort)
        if not any(harm.get("shown") for harm in harms):
            harms += exercise_suspects(request["suspects"], prover, effort)

    return {
        "harms": harms,
        "played": len(played.ended),
        "late": played.late,
        "gil": played.gil,
        "errors": played.errors,
        "interference": list_interference(deduplicate(played.events), by_id),
    }


def prove_harms(
    seen: Sequence[Event], by_id: dict[str, Scenario], prover: Prover, effort: Effort
) -> list[Event]:
    """Show harm again that was seen, as `prove_each` does.

    Args:
        seen: the events, the gravest first.
        by_id: the scenarios by their ids.
        prover: runs programs.
        effort: has `proofs`, how many events to show again, and `times`, how often to run the program of each.
    """

    def prove(event: Event, scenario: Scenario) -> dict[str, Any]:
        return show_again(event, scenario, prover, effort["times"])

    unsteered = [{**event, "steered": False} for event in seen]
    return prove_each(unsteered, by_id, prover, effort["proofs"], prove)


def play_until_harm(
    plain: Interpreter,
    native: set[str],
    plan: list[Scenario],
    prelude: list[str],
    seconds: float,
) -> tuple[PlayResult, list[Event]]:
    """Run all planned scenarios; while no harm was seen and time is left, run them again with more rounds.

    Args:
        plain: the interpreter without a sanitizer.
        native: file names of the package's extension modules.
        plan: the scenarios.
        prelude: modules of the package.
        seconds: most time for all of it.

    Returns:
        What the first pass through the scenarios came to, and the harm that the last pass showed; empty where there was
        none.
    """
    began = CLOCK.now()
    rounds = _PLAYED_ROUNDS
    first: PlayResult | None = None
    while True:
        remaining_s = seconds - (CLOCK.now() - began)
        player = Player(plain, prelude, native, rounds=rounds, seconds=max(_LEAST_S, remaining_s))
        played = player.play(plan)
        player.close()

        # The facts `played`, `late`, `gil` and `errors` are about the first pass.
        first = first or played
        seen = [event for event in deduplicate(played.events) if event["what"] in _HARM]
        if seen or not plan:
            return first, seen

        # Another pass would take longer than this one.
        if CLOCK.now() - began > seconds / 2:
            return first, seen
        rounds *= _MORE_ROUNDS


def show_again(event: Event, scenario: Scenario, prover: Prover, times: int) -> dict[str, Any]:
    """Show a harm again by a small program, and find out what the harm needs.

    Args:
        event: the harm that was seen.
        scenario: the scenario in which it was seen.
        prover: runs programs.
        times: how often to run the small program.

    Returns:
        What `prove_harm` does; only `shown` (0) and `ran` where two runs of the whole scenario did not show the harm,
        nor did delays of its threads, nor many more calls.
    """
    reproduces = make_predicate(event["what"])
    longer = {**scenario, "iterations": scenario["iterations"] * _MORE_CALLS}
    showing = find_showing(prover, scenario, reproduces) or find_showing(prover, longer, reproduces)
    if showing is None:
        return {"shown": 0, "ran": _SHOWING_RUNS}

    functions = [side["function"] for side in event.get("sides", ())]
    small = prover.shrink(showing, reproduces, functions)
    return prove_harm(small, event["what"], prover, times)


def find_showing(prover: Prover, scenario: Scenario, reproduces: Predicate) -> Scenario | None:
    """Return a scenario if a run of it shows a harm, or else with delays that show it; None where nothing does."""
    for _ in range(_SHOWING_RUNS):
        if reproduces(prover.run(scenario)):
            return scenario

    return schedule_search.find_showing(prover, scenario, reproduces)


def make_predicate(what: str) -> Predicate:
    """Return the test whether a run showed a harm of some sort.

    Args:
        what: `crash`, `hang` or `wrong`.
    """
    return lambda run: what in run.what


def prove_harm(scenario: Scenario, what: str, prover: Prover, times: int) -> dict[str, Any]:
    """Run a scenario's program several times, with delays if that shows more, and find out what the harm needs.

    Args:
        scenario: the scenario that shows it.
        what: the harm: `crash`, `hang` or `wrong`.
        prover: runs programs.
        times: how often to run the program.

    Returns:
        `calls`, `shown` (how often the harm came) and `ran` (how often the program was run); where it came at least
        once also `script`, `arms` (the same counts for variants, such as one thread alone), `output` and `signal`.
    """
    reproduces = make_predicate(what)
    scenario, shown, ran, example = schedule_search.settle(prover, scenario, reproduces, times)
    proof: dict[str, Any] = {"calls": scenario, "shown": shown, "ran": ran}
    print(f"{what}: shown {shown} of {ran}", flush=True)
    if shown and example is not None:
        proof["script"] = prover.render_kept(scenario, _TITLES[what])
        proof |= prover.try_short(scenario, _TITLES[what], reproduces)
        proof["arms"] = prover.variants(scenario, reproduces, _VARIANT_TIMES, [shown, ran])
        proof["output"] = example.output[-_LONGEST_OUTPUT:]
        proof["signal"] = example.signal

    return proof


def exercise_suspects(suspects: Sequence[Scenario], prover: Prover, effort: Effort) -> list[Event]:
    """Run scenarios in which a race was seen with many more calls, and return the harm that they do.

    Each is run with the usual allocator and, where that shows no harm, with the debug allocator, which notices damaged
    memory. What does no harm then is run with its threads delayed. Empty where no harm came; what there is no time for
    is skipped.
    """
    harms: list[Event] = []
    harmless: list[Scenario] = []
    for scenario in suspects[: effort["proofs"]]:
        more = {**scenario, "iterations": scenario["iterations"] * _MORE_ITERATIONS}
        harm = exercise_suspect([(more, ""), (more, "debug")], prover, effort)
        if harm is None:
            harmless.append(scenario)
        else:
            harms.append(harm)

    for scenario in harmless:
        trials = ((trial, "") for trial in schedule_search.iter_delayed(prover, scenario))
        harm = exercise_suspect(trials, prover, effort)
        if harm is not None:
            harms.append(harm)

    return harms


def exercise_suspect(
    trials: Iterable[tuple[Scenario, str]], prover: Prover, effort: Effort
) -> Event | None:
    """Run variants of a suspect until one does harm; return that, None where none does.

    Args:
        trials: scenarios, each with the allocator that it is run with (see `find_harm`).
        prover: runs programs.
        effort: has `times`, how often to run the program of a harm.
    """
    for trial, malloc in trials:
        if prover.is_late():
            return None

        harm = find_harm(trial, prover, malloc)
        if harm is not None:
            return {**harm, **prove_harm(trial, harm["what"], prover, effort["times"])}

    return None


def find_harm(scenario: Scenario, prover: Prover, malloc: str) -> Event | None:
    """Run the program of a scenario once and return the harm that came, as an event; None where none did.

    Args:
        scenario: a scenario in which a race was seen.
        prover: runs programs.
        malloc: the allocator, as PYTHONMALLOC names it; empty for the interpreter's own.
    """
    environment = {"PYTHONMALLOC": malloc} if malloc else {}
    run = prover.run(scenario, **environment)
    harms = sorted(run.what & _HARM)
    if not harms:
        return None

    return {
        "what": harms[0],  # a crash before a hang before a wrong result
        "scenario": scenario["id"],
        "steered": True,
        "malloc": malloc,
        "signal": run.signal,
        "stack": run.output[-_LONGEST_STACK:],
    }


if __name__ == "__main__":
    main()
