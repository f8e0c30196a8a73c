"""Variants of a scenario, its "arms": each shares less than the scenario, and so tells what a fault needs."""

import ast
import builtins
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..calls import values
from ..play.events import Event, is_own, name_event
from ..play.player import Player
from ..play.scenarios import Scenario, count_calls
from ..sanitizer.causes import label_causes

Arms = dict[str, list[int]]
"""By name of a variant: how many runs showed the fault, and how many there were."""

Place = tuple[Any, ...]
"""What tells races apart: events.py."""

_RUNS = 2  # of each variant: a race that is seen once in a scenario is nearly always seen in the next run as well

_ROUNDS = (
    2  # of each run, twice what showed the race: a variant that shows nothing has to mean something
)

_FIRST = ("shared", "private")
"""What decides most: whether the fault comes again, and whether it does with nothing shared."""

_SHARES_NOTHING = frozenset({"fresh", "private", "separate", "distinct"})
"""Ways of sharing in which each thread, or each call, has an object of its own."""

_NO_PACKAGES = frozenset(
    {*dir(builtins), *values.STANDARD, "copy", "gc", "itertools", "operator", "pickle", "values"}
)
"""Names that expressions may begin with and that are no package under test."""


def make_arms(scenario: Scenario) -> dict[str, Scenario]:
    """Return the variants of a scenario that make sense for it, what decides most first.

    `private`: nothing shared; `component`: each thread has an object of its own, all made of one object; `argument`:
    only the argument is shared; `reading`: only calls that show the subject's state; `locked`: a lock round every
    call; `alone`: one thread. A meeting of two threads at one object has none but `reading`.
    """
    arms: dict[str, Scenario] = {}
    if scenario["kind"] != "meeting":
        arms |= _share_less(scenario)
    if scenario["observe"]:
        calls = [[text, None] for text in scenario["observe"]]
        arms["reading"] = {**scenario, "rows": [calls], "observe": []}
    if scenario["kind"] != "meeting":
        calls = [call for row in scenario["rows"] for call in row]
        arms["locked"] = _lock_calls(scenario)
        # As many calls as all threads make: what doubles with each ends in one thread, too, if there are few of them.
        iterations = math.ceil(scenario["iterations"] * scenario["threads"] / len(scenario["rows"]))
        arms["alone"] = {
            **scenario,
            "threads": 1,
            "rows": [calls],
            "observe": [],
            "iterations": iterations,
        }

    return arms


def _share_less(scenario: Scenario) -> dict[str, Scenario]:
    """Return the variants of a scenario in which threads share less than all they share in it."""
    has_subject = scenario["make"] is not None
    has_argument = scenario["argument"] is not None
    if not has_subject and not has_argument:
        return {}

    # What a subject sets up at its first use takes new subjects, one after another.
    is_renewed = scenario["sharing"] in {"series", "fresh"} and not has_argument
    sharing = "distinct" if is_renewed else "separate"
    if has_subject and _has_arguments(scenario["make"]):
        # Whoever asks for `pkg.compile('x')` in two threads shares nothing, though a cache may.
        sharing = "fresh" if is_renewed else "private"
    own = {**scenario, "sharing": sharing, "observe": []}
    arms = {"private": own}

    shares_subject = scenario["sharing"] not in _SHARES_NOTHING
    if has_subject and has_argument and shares_subject:
        arms["argument"] = {**own, "sharing": "argument"}
    parts = split_component(scenario["make"]) if has_subject else None
    if parts is not None and not has_argument:
        make, component = parts
        arms["component"] = {**own, "sharing": "component", "make": make, "argument": component}

    return arms


def _has_arguments(make: str) -> bool:
    """Return whether an expression gives arguments to a call: `pkg.get_default()` and `pkg.EMPTY` do not."""
    calls = [node for node in ast.walk(ast.parse(make, mode="eval")) if isinstance(node, ast.Call)]
    return any(call.args or call.keywords for call in calls)


def split_component(make: str) -> tuple[str, str] | None:
    """Return an expression that makes an object of `a`, and the one that makes `a`; None where nothing is in another.

    `pkg.Encoder(pkg.Dictionary(b'x'), 3)` -> `pkg.Encoder(a, 3)` and `pkg.Dictionary(b'x')`. Only what the package
    itself makes is a component.
    """
    tree = ast.parse(make, mode="eval")
    if not isinstance(tree.body, ast.Call) or isinstance(tree.body.func, ast.Lambda):
        return None

    component = _find_component(tree.body)
    if component is None:
        return None

    class Replacing(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            is_component = node is component
            return ast.Name("a", ast.Load()) if is_component else super().visit(node)

    text = ast.unparse(component)
    return ast.unparse(Replacing().visit(tree)), text


def _find_component(call: ast.Call) -> ast.Call | None:
    """Return the first call of the package that another call is made of; what a lambda has is made each time."""
    waiting: list[ast.AST] = [call.func, *call.args, *call.keywords]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Call) and _name_root(node.func) not in {"", *_NO_PACKAGES}:
            return node
        waiting += ast.iter_child_nodes(node)

    return None


def _name_root(function: ast.AST) -> str:
    """Return the name that a dotted expression begins with; empty where it begins otherwise."""
    while isinstance(function, ast.Attribute):
        function = function.value
    return function.id if isinstance(function, ast.Name) else ""


def _lock_calls(scenario: Scenario) -> Scenario:
    """Return a scenario with one lock round every call, and round the making of what each call has for itself."""
    makes_each = scenario["sharing"] in {"fresh", "distinct"} and scenario["make"] is not None
    rows: list[list[list[str | None]]] = []
    for row in scenario["rows"]:
        calls: list[list[str | None]] = []
        for text, result in row:
            call = f"(lambda s: {text})({scenario['make']})" if makes_each else f"({text})"
            calls.append([f"values.locked(lambda: {call})", result])
        rows.append(calls)

    return {
        **scenario,
        "make": None if makes_each else scenario["make"],
        "rows": rows,
        "observe": [],
    }


def shares_nothing(scenario: Scenario) -> bool:
    """Return whether threads share neither an object nor an argument in a scenario, whatever expressions give."""
    return scenario["make"] is None and scenario["argument"] is None


# --- many at once -------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Races of the package that have one cause.

    Attributes:
        places: what tells each of the races apart.
        scenario: the scenario that is varied for all of them.
        is_freed: whether one of them is on memory that is given back.
    """

    places: frozenset[Place]
    scenario: Scenario
    is_freed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredArms:
    """What variants of the scenarios showed in which races were seen.

    Attributes:
        scenarios: the scenario that was varied, by what tells the race apart.
        counts: how often each variant showed the race, or one with the same cause, by the same.
        more_races: races of the package that only variants showed, each with a variant as its scenario.
    """

    scenarios: dict[Place, Scenario]
    counts: dict[Place, Arms]
    more_races: list[Event]

    def describe(self, event: Event) -> Event:
        """Return a race with its `arms`, as seen in the scenario that was varied."""
        place = name_event(event)
        is_measured = event["what"] == "race" and place in self.scenarios
        if not is_measured or not is_own(event):
            return event

        return {
            **event,
            "scenario": self.scenarios[place]["id"],
            "arms": self.counts.get(place) or None,
        }


def measure_arms(
    player: Player, seen: Sequence[Event], by_id: dict[str, Scenario], seconds: float
) -> MeasuredArms:
    """Play variants of the scenarios in which races of the package were seen, and count what they show.

    One scenario stands for all races with one cause: what these need is the same.

    Args:
        player: has played the plan.
        seen: what it saw.
        by_id: the scenarios by their ids; variants that show further races are added.
        seconds: most time.
    """
    own_races = [event for event in seen if event["what"] == "race" and is_own(event)]
    faults = list_faults(own_races, by_id)
    scenarios: dict[Place, Scenario] = {}
    for fault in faults:
        scenarios |= dict.fromkeys(fault.places, fault.scenario)

    varied = {fault.scenario["id"]: fault.scenario for fault in faults}
    trials = plan_arms(list(varied.values()))
    if not trials:
        return MeasuredArms(scenarios=scenarios, counts={}, more_races=[])

    played = player.play_more(trials, rounds=_ROUNDS, seconds=seconds)
    races = [event for event in played.events if event["what"] == "race"]
    counts: dict[Place, Arms] = {}
    for fault in faults:
        counts |= dict.fromkeys(fault.places, count_arms(fault, races, played.ended))
    print(f"{len(faults)} causes, {len(played.ended)} of {len(trials)} variants", flush=True)

    by_trial = {trial["id"]: trial for trial in trials}
    more_races: list[Event] = []
    for event in races:
        is_new = is_own(event) and name_event(event) not in scenarios
        if is_new:
            more_races.append(event)
            by_id[event["scenario"]] = by_trial[event["scenario"]]

    return MeasuredArms(scenarios=scenarios, counts=counts, more_races=more_races)


def list_faults(races: Sequence[Event], by_id: dict[str, Scenario]) -> list[Fault]:
    """Return the causes of races, those on memory that is given back first.

    Of all scenarios in which a race of a cause was seen, the one is varied that tells most of what it needs. One in
    which nothing is shared says so by itself; of the others, one with few calls. Races that only live objects of tests
    showed are left out: no expression makes what they are about.

    Args:
        races: all that were seen, repetitions included. Each gets its `cause`.
        by_id: the scenarios by their ids.
    """

    def rank(scenario: Scenario) -> tuple[bool, bool, int]:
        has_own = scenario["sharing"] in _SHARES_NOTHING
        return not shares_nothing(scenario), not has_own, count_calls(scenario)

    label_causes(races)
    by_cause: dict[str, list[Event]] = {}
    for event in races:
        if by_id[event["scenario"]]["kind"] != "live":
            cause = event.get("cause") or " and ".join(event["places"])
            by_cause.setdefault(cause, []).append(event)

    faults: list[Fault] = []
    for alike in by_cause.values():
        scenarios = [by_id[event["scenario"]] for event in alike]
        faults.append(
            Fault(
                places=frozenset(name_event(event) for event in alike),
                scenario=min(scenarios, key=rank),
                is_freed=any(event["freed"] for event in alike),
            )
        )

    return sorted(faults, key=lambda fault: not fault.is_freed)


def plan_arms(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Return the variants of scenarios, to be played one after another, each in a process of its own.

    What decides most comes first, once for each scenario before any of it comes again: there may not be time for the
    rest.

    Args:
        scenarios: those to be varied, the most important first; each once.
    """
    first: list[Scenario] = []
    rest: list[Scenario] = []
    for run, scenario in itertools.product(range(_RUNS), scenarios):
        variants = make_arms(scenario)
        if not shares_nothing(scenario):
            variants = {"shared": scenario, **variants}
        for name, variant in variants.items():
            wanted = first if name in _FIRST else rest
            trial = _name_trial(scenario["id"], name, run)
            wanted.append({**variant, "id": trial, "process": trial})

    return first + rest


def count_arms(fault: Fault, seen: Iterable[Event], ended: Iterable[str]) -> Arms:
    """Return how often each variant of a scenario showed a fault, and how often it was played; empty where none was.

    Args:
        fault: the fault, which says what was varied.
        seen: what was seen while the variants of all scenarios were played.
        ended: ids of the variants that came to their end.
    """
    scenario = fault.scenario
    showed = {event["scenario"] for event in seen if name_event(event) in fault.places}
    played = {*ended, *showed}
    arms: Arms = {}
    for name in ("shared", *make_arms(scenario)):
        trials = {_name_trial(scenario["id"], name, run) for run in range(_RUNS)} & played
        if trials:
            arms[name] = [len(trials & showed), len(trials)]

    return arms


def _name_trial(scenario: str, arm: str, run: int) -> str:
    return f"{scenario}/{arm}/{run}"
