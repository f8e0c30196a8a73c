"""How a package can be called, and what threads are to call at the same time: facts of race and exercise jobs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import JsonValue

from builder.evidence.base import ARRAY, Facts, Many, Model, decode
from builder.evidence.own_tests import OwnCode
from builder.evidence.speed import Call
from builder.untrusted.text import is_clean

Step = Annotated[tuple[str, str | None], ARRAY]
"""A call, as an expression of the subject `s` and the argument `a`, and its result alone where that is compared."""


class Delays(Model):
    """Delays of threads, by which a program brings about rare orders: builder/inside/stress/play/schedules.py."""

    seed: int
    """Decides which of the yield points are taken."""

    kinds: int
    """Kinds of yield points, as images/schedule.c numbers them."""

    gap: int
    """Yield points from one delay to the next, on average."""

    pause_us: int
    """Microseconds of a delay, on average."""

    delays: int
    """Of each thread in a round, at most."""


class Scenario(Model):
    """What threads do at the same time."""

    id: str
    """Unique in a plan."""

    kind: str
    """What is tried, such as `pair` or `meeting`: builder/inside/stress/play/scenarios.py has the kinds."""

    process: str
    """Scenarios of one process follow one another in it."""

    make: str | None
    """The expression that makes the subject; None where there is none."""

    argument: str | None
    """The expression that makes the argument all threads share; None where there is none."""

    rows: Many[Many[Step]]
    """The calls of each kind of thread."""

    observe: Many[str]
    """Expressions that show the subject's state."""

    sharing: Literal[
        "shared", "private", "fresh", "series", "separate", "distinct", "argument", "component"
    ]
    """Who gets which subject: builder/inside/stress/play/harness.py says what each means."""

    iterations: int
    """Calls that each thread makes in a round."""

    threads: int
    """How many threads there are."""

    natives: Many[str]
    """Native callables that it reaches."""

    once: bool = False
    """Whether it shows something only the first time in a process."""

    delays: Delays | None = None
    """How its threads are delayed; None where they are not."""

    rounds: int = 0
    """How many rounds its program makes, where that is more than usual; else 0."""

    source: str = ""
    """The test or example that makes these calls; empty where none does. Of the kind `live`, what it has at that moment
    can be made by no expression."""


class Surface(Model):
    """What was learnt of how the package is called."""

    prelude: Many[str]
    """Modules to import."""

    failed: dict[str, str]
    """Modules that could not be imported, each with the exception."""

    callables: Many[str]
    """Its native callables."""

    reached: Many[str]
    """Those that could be called alone."""

    stateful: int | None = None
    """How many of its native callables work on an object; None in older evidence."""

    fatal: Many[str]
    """Calls that ended an attempt to learn, alone and in one thread."""

    complete: bool
    """Whether there was time to try everything."""

    calls: Many[Call]
    """Calls whose speed can be measured."""


class RacePlan(Facts):
    """What the exercise job is handed, as the file `plan.json` of the race job's evidence."""

    @classmethod
    def parse(cls, answer: bytes) -> Self:
        """Return the plan in a file's content.

        Raises:
            MalformedFactsError: it is not JSON, or not what the model describes.
        """
        return cls.check(decode_plan(answer))

    surface: Surface | None
    """What was learnt."""

    plan: Many[Scenario]
    """Every scenario."""

    own_code: OwnCode | None = None
    """Which own tests and examples are worth running again; None in older evidence: all of them."""


def decode_plan(answer: bytes) -> JsonValue:
    """Return JSON data with a plan, cleaned; results that are not clean are gone from its calls.

    The exercise job compares results with what calls give it, character by character: a result that was cleaned would
    look like a wrong one. None stands for a result that cannot be shown, and is compared with nothing.

    Raises:
        MalformedFactsError: it is not JSON, or too large.
    """
    return decode(answer, prepare=_forget_hidden_results)


def _forget_hidden_results(value: object) -> None:
    """Put None in the place of each result of a call that is not clean text, in a plan that nobody has checked yet."""
    scenarios = value.get("plan") if isinstance(value, dict) else None
    for scenario in _items(scenarios):
        rows = scenario.get("rows") if isinstance(scenario, dict) else None
        for row in _items(rows):
            for step in _items(row):
                _forget_hidden_result(step)


def _forget_hidden_result(step: object) -> None:
    """Put None in the place of a call's result if it is not clean text. A call that is none is left to its model."""
    match step:
        case [_, str(result)] if isinstance(step, list) and not is_clean(result):
            step[1] = None


def _items(value: object) -> list[object]:
    """Return the items of what should be an array, and none of anything else."""
    return value if isinstance(value, list) else []
