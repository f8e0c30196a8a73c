"""Facts of a race job: data races and other harm that the race detector showed."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from builder.evidence.base import ARRAY, Facts, Many, Model, decode
from builder.evidence.build import FetchedFile
from builder.evidence.speed import Call
from builder.untrusted.text import is_clean

Step = Annotated[tuple[str, str | None], ARRAY]
"""A call, as an expression of the subject `s` and the argument `a`, and its result alone where that is compared."""

Ran = Annotated[tuple[int, int], ARRAY]
"""How often a program showed what it is to show, and how often it ran."""

SourceLine = Annotated[tuple[str, int, str], ARRAY]
"""(path in the sdist, line, function): the last folder and file of what is not in it, 0 where the line is not known."""

Sign = Literal["bare", "borrowed", "libc", "writable"]
"""What compiled code shows of how it was made for threads: judge/wheel/thread_signs.py."""


NO_SDIST = "there is no sdist to compile"
"""Why nothing was compiled with ThreadSanitizer where the release has wheels only."""

_SEARCHED = (
    "scenarios", "played", "late", "gil", "under_threads", "natives", "pairs", "side_by_side", "errors", "own_tests",
    "races", "advisory", "harms",
)  # fmt: skip
"""Fields of what comes with a surface."""


class Scenario(Model):
    """What threads do at the same time."""

    id: str
    """Unique in a plan."""

    kind: str
    """What is tried, such as `pair` or `meeting`: builder/inside/stress/scenarios.py has the kinds."""

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
    """Who gets which subject: builder/inside/stress/harness.py says what each means."""

    iterations: int
    """Calls that each thread makes in a round."""

    threads: int
    """How many threads there are."""

    natives: Many[str]
    """Native callables that it reaches."""

    once: bool = False
    """Whether it shows something only the first time in a process."""

    rounds: int = 0
    """How many rounds its program makes, where that is more than usual; else 0."""

    source: str = ""
    """The test or example that makes these calls; empty where none does. Of the kind `live`, what it has at that moment
    can be made by no expression."""


class Variants(Model):
    """How often variants of a program showed the harm; None where a variant makes no sense, or there was no time."""

    shared: Ran | None = None
    """The program as it is."""

    reading: Ran | None = None
    """With only those calls that tell the subject's state."""

    private: Ran | None = None
    """With nothing shared: a subject and an argument for each thread."""

    argument: Ran | None = None
    """With a subject for each thread, and one argument for all."""

    component: Ran | None = None
    """With a subject for each thread, all made of one object of the package."""

    locked: Ran | None = None
    """With one lock round every call."""

    alone: Ran | None = None
    """In one thread."""

    gil: Ran | None = None
    """With the GIL on."""


class Proof(Model):
    """A small program that shows an event again; all are None where there was no time to try."""

    script: str | None = None
    """The program; None where it did not show the event again."""

    shown: int | None = None
    """How often it showed it."""

    ran: int | None = None
    """How often it ran."""

    output: str | None = None
    """What it printed one of the times that it showed it."""

    short: str | None = None
    """A program of a few lines that makes the same calls; None where they are not that simple."""

    short_shown: Ran | None = None
    """How often that showed the event, and how often it ran."""


class Side(Model):
    """A function of the package behind one side of a race, or behind a crash: builder/inside/stress/causes.py."""

    function: str
    """Its dotted name in Python, else its name in C or C++; of a builtin type where the package has none near."""

    kind: Literal["function", "call", "get", "set", "new", "free", "builtin", ""]
    """How it is reached: of a module, a method, an attribute that is read or set, what makes or ends an object; empty
    where Python has no name for it."""

    owner: str
    """The dotted name of its type; empty where it has none."""

    access: Literal["read", "write", "free", "lock", "crash"]
    """What it does: `free` gives memory back."""

    source: str
    """`FILE:LINE` of the access in the package's source; empty where that is not known."""

    place: str
    """`FUNCTION (FILE)` of the package's innermost function; empty where it has no name."""

    builtin: str
    """The builtin type by whose code it works; empty where it is none."""

    api: str
    """The function of the interpreter that the package called; empty where it called none."""


class Race(Model):
    """A report of ThreadSanitizer."""

    what: Literal["race"]
    """What kind of event it is."""

    scenario: str | None = None
    """Id of the scenario it was seen in; None where the package's own tests showed it."""

    kind: str
    """ThreadSanitizer's words for it, such as `data race`."""

    owner: Literal["package", "generator", "interpreter", "unwatched"]
    """Whose code it is in; `unwatched` where it goes through native code that was not compiled for the race detector,
    of which no lock is seen."""

    places: Many[str]
    """`FUNCTION (FILE)` of the two accesses, sorted; one where both are in the same function."""

    lines: Many[str]
    """`FILE:LINE` of the two accesses, sorted."""

    locations: Many[SourceLine] = ()
    """The two accesses, the later first, or every place where locks are taken; empty in older evidence."""

    freed: bool
    """Whether one of them gives memory back."""

    lock_free: bool
    """Whether one of them is an atomic operation that the package itself wrote."""

    report: str
    """The report, with the interpreter's part of each stack folded; its beginning in older evidence."""

    times: int = 1
    """How often it was seen."""

    sides: Many[Side] = ()
    """The functions behind the two accesses, the later first; empty in older evidence."""

    cause: str = ""
    """What this and all other events with the same cause are called; empty in older evidence."""

    known: str = ""
    """What is known of a race of the interpreter; empty where nothing is."""

    shares: str = ""
    """The builtin type of the argument that threads shared; empty where they shared none."""


class ShownRace(Race, Proof):
    """A race that counts against the package."""

    calls: Scenario | None
    """The smallest scenario that shows it; None where the package's own tests showed it."""

    arms: Variants | None = None
    """What variants of the scenario showed."""


class Harm(Proof):
    """A crash, a hang or wrong results."""

    what: Literal["crash", "hang", "wrong"]
    """Which of them."""

    scenario: str
    """Id of the scenario it was seen in."""

    calls: Scenario
    """The smallest scenario that shows it."""

    times: int = 1
    """How often it was seen."""

    signal: str = ""
    """The signal that the process died of; empty where it did not, or that is not known."""

    idle: bool | None = None
    """Of a hang, whether the process waited, rather than being at work."""

    stack: str = ""
    """The end of what the process printed, the fault handler's stacks among it."""

    sentences: Many[str] = ()
    """Of wrong results, which were met and which are right."""

    garbage: bool = False
    """Of wrong results, whether one is more than another number: never given alone."""

    arms: Variants | None = None
    """What variants of the program showed."""

    steered: bool | None = None
    """Whether it was looked for where a race had been seen; None under the race detector."""

    malloc: str = ""
    """`PYTHONMALLOC` where that was needed to see it."""

    sides: Many[Side] = ()
    """Of a crash, the function of the package that crashed; empty where it is not known."""

    cause: str = ""
    """As for races."""

    shares: str = ""
    """As for races."""


class Interference(Model):
    """What shows that the package ended a process that called it, or spoke in its place."""

    what: Literal["end", "forged", "lost"]
    """`end`: a process ended early, and neither crashed nor met a limit. `forged`: a record came that the harness did
    not write. `lost`: what the race detector writes did not arrive."""

    calls: Scenario
    """What was called then."""

    detail: str
    """How it ended, or what came."""

    times: int = 1
    """How often."""


class Preflight(Model):
    """Whether the race detector works in this container, tried on three modules that come with it."""

    racy_seen: bool
    """Whether it saw a race that is there."""

    freed_seen: bool | None = None
    """Whether it saw an object used that another thread frees; None in older evidence, where this was not tried."""

    clean_silent: bool
    """Whether it saw none that is not there."""


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


class OwnTestsRace(Model):
    """What the package's own tests came to under the race detector."""

    ran: bool
    """Whether they could be run."""

    why: str = ""
    """Why they could not."""

    seconds: float | None = None
    """How long they took."""

    passed: int | None = None
    """How many passed."""

    ended: str | None = None
    """How they ended: `by itself`, at which limit, or by which signal."""

    lost: int = 0
    """In how many tests what the race detector writes did not arrive."""

    forged: str = ""
    """What came that the program which runs the tests did not write; empty where there is nothing."""


class Amplified(Model):
    """What came of forking at the native calls of own tests and examples, and of letting threads make them."""

    trials: int
    """Calls that threads of a forked process made."""

    callables: int
    """Native callables that tests and examples called."""

    returned: int
    """Those that returned in several threads, on one object or without any."""

    pairs: int
    """Pairs of callables that did so at the same time on one object."""

    seconds: float
    """How long it took."""


class Kit(Model):
    """What the package's own tests need."""

    wheels: Many[str]
    """File names of wheels; the evidence's files have their sha256."""

    requirements: Many[str]
    """What the tests ask for (PEP 508)."""


class RaceResult(Facts):
    """What builder/inside/stress/race.py finds out, its plan left out."""

    preflight: Preflight | None = None
    """Whether the race detector works; None where nothing was compiled for it."""

    install: str | None = None
    """What went wrong when it was installed: then there is nothing more."""

    surface: Surface | None = None
    """What was learnt; None where calling it alone ended every attempt to learn: then there is nothing more."""

    scenarios: int = 0
    """How many scenarios there are."""

    played: int = 0
    """How many came to their end."""

    late: int = 0
    """How many there was no time for."""

    kinds: dict[str, Ran] = Field(default_factory=dict)
    """Of each kind of scenario, how many there are and how many came to their end; empty in older evidence."""

    gil: bool = False
    """Whether the GIL was on at any time."""

    under_threads: Many[str] = ()
    """Native callables that returned in several threads, on one object or without any."""

    natives: Many[str] = ()
    """File names of its extension modules."""

    unwatched: dict[str, str] = Field(default_factory=dict)
    """Modules and files that the race detector did not see, each with the reason."""

    unwatched_dependencies: Many[str] = ()
    """Other packages that were there with native code that the race detector did not see."""

    interference: Many[Interference] = ()
    """What shows that the package interfered."""

    pairs: int = 0
    """Pairs of operations that were tried on one object."""

    side_by_side: int = 0
    """Calls that each thread made beside the others' in a trial, the median."""

    errors: dict[str, int] = Field(default_factory=dict)
    """Exceptions that were met, and how often."""

    amplified: Amplified | None = None
    """What came of amplifying its own tests and examples; None where that was not done."""

    own_tests: OwnTestsRace | None = None
    """What its own tests came to; None where they were not run."""

    races: Many[ShownRace] = ()
    """Races that count against the package."""

    advisory: Many[Race] = ()
    """Races that are not the package's own, or lock-free by design."""

    harms: Many[Harm] = ()
    """Crashes and hangs."""

    unlisted: int = 0
    """How many races, crashes and hangs there were beside those that are listed."""

    phases: dict[str, float] = Field(default_factory=dict)
    """Seconds by what was done; empty in facts of older versions."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Check that what the search found is complete, if there was a surface to search."""
        if self.surface is not None:
            self.require(_SEARCHED, "the surface")
        return self


def _parse_plan(answer: bytes) -> JsonValue:
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


class RaceAnswer(RaceResult):
    """What builder/inside/stress/race.py answers."""

    @classmethod
    def parse(cls, answer: bytes) -> Self:
        """Return the facts that the program answered.

        Raises:
            MalformedFactsError: it is not JSON, or not what the model describes.
        """
        return cls.check(_parse_plan(answer))

    preflight: Preflight | None
    install: str | None
    plan: Many[Scenario] = ()
    """Every scenario, in the order they are worth running."""

    @model_validator(mode="after")
    def _says_what_was_watched(self) -> Self:
        """Check that the search says what it did not see; facts of older versions do not."""
        if self.surface is not None:
            names = ["unwatched", "unwatched_dependencies", "interference"]
            self.require(names, "the surface")
        return self

    @model_validator(mode="after")
    def _tried_every_canary(self) -> Self:
        """Check that the detector was tried on all modules that come with it; facts of older versions do not say so."""
        if self.preflight is not None:
            self.preflight.require(["freed_seen"], "the preflight")
        return self


class RacePlan(Facts):
    """What the exercise job is handed, as the file `plan.json` of the race job's evidence."""

    @classmethod
    def parse(cls, answer: bytes) -> Self:
        """Return the plan in a file's content.

        Raises:
            MalformedFactsError: it is not JSON, or not what the model describes.
        """
        return cls.check(_parse_plan(answer))

    surface: Surface | None
    """What was learnt."""

    plan: Many[Scenario]
    """Every scenario."""


class RaceFacts(RaceResult):
    """What a race job found out. Its evidence's files are the plan, the kit's wheels and the race detector's wheel."""

    schema_version = 2  # `unwatched` and `interference`

    wheel: str | None
    """File name of the free-threaded wheel; None where there is none: then there is nothing else."""

    failure: str | None = None
    """Why it could not be compiled with ThreadSanitizer."""

    kit: Kit | None = None
    """What its own tests need; None where there is no wheel."""

    signs: Many[Sign] = ()
    """What of the wheel the search is steered by."""

    fetched: Many[FetchedFile] = ()
    """Files it took from the package index."""

    asked: Many[str] = ()
    """Hosts it asked for that no build reaches."""

    race_wheel: str | None = None
    """File name of the wheel that was compiled with ThreadSanitizer."""
