"""Learn how to call a distribution, plan what threads do, and let them do it under ThreadSanitizer.

race.py shows again what is seen here.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .learn import learning
from .own_tests import amplify
from .own_tests.amplify import Amplified
from .own_tests.selection import Selection, select
from .own_tests.stage import Stage, open_stage
from .package import installing, unpacking
from .play import reached, scenarios
from .play.events import Event, deduplicate, name_shared_type
from .play.player import Player, PlayResult
from .play.scenario import REPEATED, Scenario
from .process.interpreter import Interpreter
from .process.phases import Phases
from .proof import arms

_PLAYED_ROUNDS = 1  # the sanitizer sees accesses that nothing orders, also where they do not happen at the same instant
_ARMS_SHARE = 0.5
"""Of the time that the plan has: for variants of the scenarios in which a race was seen. Not measured."""

_RECORDING_SHARE = 0.5
"""Of the time for own tests: they only run, on an interpreter without a sanitizer."""

_TIMES_WATCHED = 2  # own tests of each native callable; of those that the plan has reached, one
TIMES_PLAIN = 3
"""The same with the plain wheel: a trial takes a tenth of the time without the sanitizer."""

Effort = dict[str, Any]
"""`threads`, `scenarios`, `pairs`, `learn_s`, `race_s`, `amplify_s`, `proofs`, `times`: config/effort.py."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Learnt:
    """How a distribution is called.

    Attributes:
        stage: has its tests.
        recorded: how they call its native code.
        surface: what learn.py wrote.
    """

    stage: Stage
    recorded: Amplified
    surface: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What was done under the sanitizer, and what was seen.

    Attributes:
        surface: what learn.py wrote.
        plan: the scenarios that were planned, the most important first.
        chosen: those of them that were to be played.
        played: what came of those that were played.
        amplified: what came of own tests and examples whose native calls threads made as well.
        by_id: all scenarios, those of own tests among them.
        events: what was seen, each once, with what its variants showed.
        own_code: which own tests and examples are worth running again.
        player: has played the plan, and can play more.
    """

    surface: dict[str, Any]
    plan: list[Scenario]
    chosen: list[Scenario]
    played: PlayResult
    amplified: Amplified
    by_id: dict[str, Scenario]
    events: list[Event]
    own_code: Selection
    player: Player

    @property
    def races(self) -> list[Event]:
        """The races, of whatever code."""
        return [event for event in self.events if event["what"] == "race"]

    @property
    def harms(self) -> list[Event]:
        """The crashes and hangs."""
        return [event for event in self.events if event["what"] in {"crash", "hang"}]

    def list_race_places(self) -> set[tuple[str, ...]]:
        """Return the places of all races."""
        return {tuple(event["places"]) for event in self.races}


def play_all(
    request: dict[str, Any],
    plain: Interpreter,
    race: Interpreter,
    names: list[str],
    native: set[str],
    phases: Phases,
) -> Search | None:
    """Learn how to call the distribution, let threads do so, and try with less shared what raced.

    Args:
        request: what this program was asked.
        plain: the interpreter without the sanitizer.
        race: the one with it.
        names: import names of the distribution's modules.
        native: file names of its native code.
        phases: measures how long each takes.

    Returns:
        What was done and seen; None where nothing was learnt.
    """
    effort: Effort = request["effort"]
    with open_learnt(request, plain, names, native, phases) as learnt:
        if learnt is None:
            return None

        surface, recorded = learnt.surface, learnt.recorded
        plan = plan_scenarios(surface, request)
        with phases.measure("playing"):
            player = Player(
                race, surface["prelude"], native, rounds=_PLAYED_ROUNDS, seconds=effort["race_s"]
            )
            chosen = choose_scenarios(plan, surface, effort)
            played = player.play(chosen)
        amplified = Amplified()
        covered = reached.find_reached(plan, played.returned, surface)
        banned = list_spoilers(surface)
        selection = select(
            recorded.parts, recorded.ran, times=_TIMES_WATCHED, covered=covered, banned=banned
        )
        if selection.steps:  # there is something to make by threads as well
            with phases.measure("amplifying own code"):
                amplified = run_own_code(request, learnt.stage, race, names, native, selection)

    by_id = {scenario["id"]: scenario for scenario in chosen} | amplified.scenarios
    seen = [*played.events, *amplified.events]
    with phases.measure("sharing less"):
        measured = arms.measure_arms(player, seen, by_id, _ARMS_SHARE * effort["race_s"])

    events = [measured.describe(event) for event in deduplicate([*seen, *measured.more_races])]
    for event in events:
        event["shares"] = name_shared_type(by_id[event["scenario"]])

    return Search(
        surface=surface,
        plan=plan,
        chosen=chosen,
        played=played,
        amplified=amplified,
        by_id=by_id,
        events=events,
        own_code=select(recorded.parts, recorded.ran, times=TIMES_PLAIN, banned=banned),
        player=player,
    )


@contextlib.contextmanager
def open_learnt(
    request: dict[str, Any],
    plain: Interpreter,
    names: list[str],
    native: set[str],
    phases: Phases,
    *,
    compiles: bool = True,
) -> Iterator[Learnt | None]:
    """Record what own tests and examples call, learn how to call all else, and give both while the tests are there.

    Args:
        request: what this program was asked.
        plain: the interpreter without the sanitizer.
        names: import names of the distribution's modules.
        native: file names of its native code.
        phases: measures how long each takes.
        compiles: whether to compile what the tests need (`Stage`).

    Yields:
        What was learnt; None where that is nothing.
    """
    folder = unpacking.unpack_sealed(request["sdist"])
    with contextlib.ExitStack() as stack:
        with phases.measure("installing for own code"):
            stage = stack.enter_context(open_stage(request, folder, compiles=compiles))
        with phases.measure("recording own code"):
            recorded = run_own_code(request, stage, plain, names, native)
        with phases.measure("learning"):
            surface = learn_surface(plain, names, request, folder, recorded)
        if surface is None:
            yield None
            return

        # What own tests call is used, whether or not it has a public name.
        surface["callables"] = sorted({*surface["callables"], *recorded.calls})
        yield Learnt(stage=stage, recorded=recorded, surface=surface)


def list_spoilers(surface: dict[str, Any]) -> set[str]:
    """Return the native callables after which others end the process, in one thread (learn/spoilers.py)."""
    spoilers: set[str] = set()
    for subject in surface["subjects"]:
        for operation in subject.get("spoils", ()):
            if len(operation["native"]) == 1:
                spoilers.update(operation["native"])

    return spoilers


def run_own_code(
    request: dict[str, Any],
    stage: Stage,
    interpreter: Interpreter,
    names: list[str],
    native: set[str],
    selection: Selection | None = None,
) -> Amplified:
    """Run the distribution's own tests and examples; of a selection, let threads make the native calls as well.

    Args:
        request: what this program was asked.
        stage: has the tests.
        interpreter: what runs them.
        names: import names of the distribution's modules.
        native: file names of its extension modules.
        selection: what of them to run; None for all, of which it is only recorded how native code is called.
    """
    forks = selection is not None
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
        selection=None if selection is None else selection.to_json(),
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


def choose_scenarios(
    plan: Sequence[Scenario], surface: dict[str, Any], effort: Effort
) -> list[Scenario]:
    """Return the scenarios that are to be played: so many that each run of the same search plays the same.

    How many it is depends on what there is to call, and not on how fast this machine is: time is only a limit. Where
    there are fewer, they are played again: what is rare may show then.

    Args:
        plan: all scenarios, the most important first.
        surface: what learn.py wrote.
        effort: has `scenarios`.
    """
    most = effort["scenarios"] + len(surface["reached"])
    chosen = list(plan[:most])
    repeatable = [scenario for scenario in plan if not scenario.get("once")]
    turn = 0
    while repeatable and len(chosen) < most:
        turn += 1
        chosen += _repeat(repeatable, turn)

    return chosen[:most]


def _repeat(scenarios: Iterable[Scenario], turn: int) -> Iterator[Scenario]:
    """Give scenarios again, under other names."""
    for scenario in scenarios:
        name, process = scenario["id"], scenario["process"]
        yield {
            **scenario,
            "id": f"{name}{REPEATED}{turn}",
            "process": f"{process}{REPEATED}{turn}",
        }
