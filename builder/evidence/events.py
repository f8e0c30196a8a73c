"""What was seen while threads called native code: races, crashes, hangs and wrong results, each with its proof."""

from __future__ import annotations

from typing import Annotated, Literal

from builder.evidence.base import ARRAY, Many, Model
from builder.evidence.scenarios import Scenario

Ran = Annotated[tuple[int, int], ARRAY]
"""How often a program showed what it is to show, and how often it ran."""

SourceLine = Annotated[tuple[str, int, str], ARRAY]
"""(path in the sdist, line, function): the last folder and file of what is not in it, 0 where the line is not known."""


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
    """A function of the package behind one side of a race, or a crash: builder/inside/stress/sanitizer/causes.py."""

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

    effect: Literal["", "tested", "unchanged"] = ""
    """Why it harms nobody: one access only compares with zero what it reads, or no store ever changed what was there;
    empty where it may do harm, and in older evidence."""

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
