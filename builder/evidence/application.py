"""Facts of an application job: what installing its lock, importing all of it and running its commands showed."""

from __future__ import annotations

from typing import Annotated, Literal

from builder.evidence.base import ARRAY, Facts, Many, Model
from builder.evidence.load import Ending


class FailedImport(Model):
    """A top-level module that could not be imported."""

    module: str
    """Its name."""

    distribution: str
    """The package that it is of."""

    error: str
    """The exception it raised."""

    missing: str | None = None
    """The module that could not be found, where the exception says so."""

    gil: Annotated[tuple[bool | None, bool | None], ARRAY] | None = None
    """Whether the GIL was on before and after."""

    loaded: Many[str] = ()
    """The extension modules that came with it."""


class Imports(Ending):
    """All top-level modules of an application, imported in one process."""

    modules: int
    """How many were tried."""

    failed: Many[FailedImport]
    """Those that raised an exception."""

    gil: bool | None = None
    """Whether the GIL was on in the end; None where the interpreter always has one, or it did not come that far."""

    enabled_by: str | None = None
    """The extension module whose loading turned it on."""

    gil_seen: Literal["on", "off", "hidden"] | None = None
    """What the supervisor saw of it in the memory of the process; None where it cannot look."""

    during: str | None = None
    """What it was importing when it ended."""

    @property
    def has_gil(self) -> bool:
        """Whether an interpreter that can be without the GIL had it on in the end."""
        return self.gil is True or self.gil_seen in {"on", "hidden"}


class CommandRun(Model):
    """A command of the application."""

    command: str
    """As the matrix has it."""

    exit_code: int | None
    """How it ended; None where its time was up."""

    seconds: float
    """How long it took."""

    output: str
    """The end of what it printed."""


class SourceLine(Model):
    """A line of source that a call is made at."""

    file: str
    """Relative to the project, or to the folder of packages; `<string>` for `python -c`."""

    line: int
    function: str
    """Its qualified name; `<module>` outside of any."""


class AmplifiedEvent(Model):
    """Harm that several threads did by making a native call which a smoke command made in one."""

    what: Literal["crash", "hang", "wrong"]

    name: str
    """The native callable, such as `pkg._core.Table.add`."""

    distribution: str
    """The package that it is of."""

    kind: Literal["method", "function", "type"]
    """Whether it was called on one object, called without any, or made objects."""

    shares: bool
    """Whether threads had the object, or an argument, in common."""

    signal: str
    """That the process died of; empty for no crash."""

    call: str
    """The call, as it was made."""

    beside: Many[str]
    """Other native callables that were called on the same object meanwhile."""

    sentences: Many[str]
    """What was wrong with results."""

    shared: Annotated[tuple[int, int], ARRAY]
    """How often it was shown by several threads, of how many times."""

    alone: Annotated[tuple[int, int], ARRAY]
    """How often it was shown by the same calls in one thread, of how many times."""

    line: SourceLine | None = None
    """The line of the application that led to the call; None where packages alone did."""

    caller: SourceLine | None = None
    """The line that made it."""


class AmplifiedCommand(Model):
    """A smoke command that was run once more, watched, while children of its processes made its native calls."""

    command: str
    """As the matrix has it."""

    exit_code: int | None
    """How it ended; None where its time was up."""

    seconds: float
    """How long it took."""

    processes: int
    """How many of its Python processes were watched."""

    trials: int
    """How many calls were tried by several threads."""

    callables: int
    """How many native callables it called."""

    returned: int
    """How many of these returned in several threads."""

    pairs: int
    """How many pairs of them were called on one object at the same time, and returned."""

    skipped: dict[str, int]
    """How often a call was not tried, by the reason: `threads` were running, the `gil` was on, it was made under a
    `lock` or in `native` code, the command waits for `children` of its own, or the `time` was up."""

    events: Many[AmplifiedEvent]
    """What did harm."""

    unexamined: str
    """Why little or nothing could be told; empty where nothing speaks against it."""


class ApplicationFacts(Facts):
    """What an application job found out."""

    install: str | None
    """What went wrong when the lock was installed; what follows is left out then."""

    unmet: Many[str] = ()
    """What its packages require of each other and do not get, as `pip check` puts it."""

    imports: Imports | None = None
    """What importing all of it showed."""

    smoke: Many[CommandRun] = ()
    """Its smoke commands."""

    tests: CommandRun | None = None
    """Its tests, where they were asked for."""

    amplified: Many[AmplifiedCommand] = ()
    """Its smoke commands again, with threads, where they ended well and that was asked for."""
