"""Facts of a load job: what installing and importing wheels showed, for each ABI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from builder.evidence.base import ARRAY, Facts, Many, Model, decode

if TYPE_CHECKING:
    from collections.abc import Mapping


class Metadata(Model):
    """What a distribution claims of the interpreters it is for."""

    requires_python: str
    """`Requires-Python`; empty where it has none."""

    requires_python_ignored: bool
    """Whether it could be installed only by ignoring that."""

    free_threading: str | None
    """The level that its classifiers claim for free threading (`yes` where they name none); None without a claim."""


class Gil(Model):
    """The GIL around an import; None where the interpreter always has one."""

    before: bool | None
    """Whether it was on before."""

    after: bool | None
    """Whether it was on afterwards."""

    enabled_by: str | None
    """The extension module whose loading turned it on."""

    seen: Literal["on", "off", "hidden"] | None = None
    """What the supervisor saw of it afterwards in the memory of the process; `hidden` where it could look there before
    the import and could not any more, None where it cannot look at all."""

    warned: bool = True
    """Whether the interpreter's warning of that came through."""


class Declaration(Model):
    """What an extension module declares in its `PyModuleDef`."""

    init: Literal["single-phase", "multi-phase"] | None
    """How it is initialised (PEP 489); None where that cannot be read."""

    gil: Literal["used", "not-used"] | None
    """Its slot `Py_mod_gil` (PEP 703)."""

    interpreters: Literal["no", "shared-gil", "own-gil"] | None
    """Its slot `Py_mod_multiple_interpreters` (PEP 684)."""


class Stack(Model):
    """Where a process was when it died or hung, the innermost frame first."""

    native: Many[str]
    """`FUNCTION+OFFSET in LIBRARY`."""

    python: Many[str]
    """`FILE:LINE in FUNCTION`."""


class Ending(Model):
    """How a process ended that did not come to its end; all are None where it did."""

    signal: str | None = None
    """The signal that it died of, such as `SIGSEGV`."""

    hang: str | None = None
    """What to say of one that did not end in time."""

    exit_code: int | None = None
    """Its exit code, where that was another than 0, or where there is a `fault`."""

    fault: str | None = None
    """What shows that the harness did not come to its end, or that the package spoke in its place."""

    stack: Stack | None = None
    """Where it was, of a signal or a hang."""


class Probe(Ending):
    """One module, imported in a process of its own; a native one perhaps among others, in both orders."""

    module: str
    """Its dotted name."""

    native: bool
    """Whether it is an extension module."""

    seconds: float | None = None
    """How long the import took."""

    rss_bytes: int | None = None
    """How much memory it took."""

    gil: Gil | None = None
    """What it did to the GIL; None where the process did not come that far."""

    natives: dict[str, Declaration] = Field(default_factory=dict)
    """The distribution's extension modules that came with it, in order."""

    error: str | None = None
    """The exception it raised."""

    missing: str | None = None
    """The module that could not be found, where the exception says so."""

    after: str | None = None
    """A module of the package that imports it, after which it could be imported where alone it raised an exception."""

    @property
    def failed(self) -> bool:
        """Whether the import raised, died or hung."""
        return not self.error is self.signal is self.hang is self.fault is None


class EmittedWarning(Model):
    """A warning that the distribution's own code caused."""

    category: str
    """The class of the warning."""

    text: str
    """What it says."""

    where: str
    """`FILE:LINE`, the extension module, or empty for native code that could not be named."""


class ImportLine(Model):
    """What became of one module under a condition; the condition decides which fields it has."""

    module: str
    """Its dotted name."""

    error: str | None = None
    """The exception it raised."""

    missing: str | None = None
    """The module that could not be found, where the exception says so."""

    gil: Annotated[tuple[bool | None, bool | None], ARRAY] | None = None
    """Whether the GIL was on before and after."""

    loaded: Many[str] = ()
    """The distribution's extension modules that came with it."""

    round: int | None = None
    """Which of the subinterpreters it was, from 1."""

    failed: str | None = None
    """The extension module whose loading raised, in a subinterpreter."""


class Condition(Ending):
    """All modules, imported in one process under one condition."""

    lines: Many[ImportLine]
    """Every module for `walk`; for all others, those that failed."""

    warnings: Many[EmittedWarning] = ()
    """What was warned of."""

    during: str | None = None
    """What it was importing when it ended."""

    @property
    def errors(self) -> Mapping[str, str]:
        """The exception of each module that failed."""
        return {line.module: line.error for line in self.lines if line.error is not None}


class WheelLoad(Model):
    """What builder/inside/load/ finds out about one wheel."""

    install: str | None = None
    """What went wrong when it was installed."""

    python_version: str = ""
    """The interpreter's version; empty where it was not installed."""

    metadata: Metadata | None = None
    """What the distribution claims; None where it was not installed."""

    sets_gil: Many[str] | None = None
    """Its extension modules that name `PyUnstable_Module_SetGIL`, as their files show; None where that is not known."""

    modules: Many[Probe] = ()
    """Its top-level modules and those of its extension modules that these did not bring along."""

    walk: Condition | None = None
    """All of it in one process. This and what follows is None where no module could be imported."""

    dev: Condition | None = None
    """The same under `-X dev`. What follows is None where that died of a signal."""

    strict: Condition | None = None
    """The same with warnings as errors."""

    threads: Condition | None = None
    """The same by eight threads at once."""

    again: Condition | None = None
    """The same once more after deletion from `sys.modules`."""

    subinterpreters: Condition | None = None
    """The same in two subinterpreters with a GIL of their own, one after the other."""


class LoadAnswer(WheelLoad):
    """One item of what builder/inside/load/ answers: the request's item, and what was found out."""

    abi: str
    """The ABI."""

    python: str
    """The interpreter, in the container."""

    requirement: str
    """What was installed."""

    index: str
    """Address of the index it was installed from."""

    after: Many[str] = ()
    """Packages that were installed beside it and imported first."""


class LoadAnswers(Facts):
    """What builder/inside/load/ answers: an array."""

    answers: Many[LoadAnswer]
    """One for each item of the request, in its order."""

    @classmethod
    def parse(cls, answer: bytes) -> Self:
        """Return the array that the program answered, checked, as the field `answers`.

        Raises:
            MalformedFactsError: it is not JSON, or not what the model describes.
        """
        return cls.check({"answers": decode(answer)})


class AbiLoad(WheelLoad):
    """What loading the wheel for one ABI showed; nothing more is known where it was not tried."""

    wheel: str
    """Its file name."""

    claimed: bool
    """Whether its tags claim that it runs on the base."""

    missing: Many[str]
    """Native packages it needs that have no wheel for this ABI."""

    @property
    def tried(self) -> bool:
        """Whether it was installed and imported, or an attempt at it was made."""
        return self.claimed and not self.missing

    def with_answer(self, answer: LoadAnswer) -> Self:
        """Return a copy that also has what the program found out about the wheel."""
        return self.model_copy(update=answer.fields_for(WheelLoad))


class LoadFacts(Facts):
    """What a load job found out."""

    schema_version = 2  # `fault` of an ending, and `sets_gil`

    loads: dict[str, AbiLoad]
    """By ABI; those without a wheel are left out."""
