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
