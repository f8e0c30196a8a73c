"""Facts of an exercise job: harm that threads did with the plain interpreter, and what its own tests showed."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from builder.evidence.base import Facts, Many, Model
from builder.evidence.build import FetchedFile
from builder.evidence.race import Amplified, Harm, Interference

_TESTED = (
    "seconds", "alone", "parallel", "threads", "single", "uncollected", "baseline_failures", "crash", "crash_stack",
    "findings",
)  # fmt: skip
"""Fields of own tests that ran."""


class TestRun(Model):
    """How one run of pytest ended."""

    __test__: ClassVar[bool] = False  # pytest would take it for a class of tests

    passed: int
    """Tests that passed."""

    failed: int
    """Tests that failed."""

    skipped: int
    """Tests that were skipped."""

    ended: str
    """`by itself`, at which limit, or by which signal."""


class OwnTests(Model):
    """What the package's own tests showed, alone and in several threads at once (pytest-run-parallel)."""

    ran: bool
    """Whether they were run in threads."""

    why: str = ""
    """Why they were not."""

    alone: TestRun | None = None
    """The run in one thread; None where there was none."""

    uncollected: Many[str] = ()
    """Files that pytest could not collect."""

    seconds: float | None = None
    """How long both runs took."""

    parallel: TestRun | None = None
    """The run in threads."""

    threads: int = 0
    """In how many."""

    single: dict[str, str] = Field(default_factory=dict)
    """Tests that the plugin ran in one thread, each with its reason."""

    baseline_failures: Many[str] = ()
    """Tests that fail alone."""

    crash: str = ""
    """The signal that the run in threads died of."""

    crash_stack: str = ""
    """The end of what that printed."""

    findings: dict[str, str] = Field(default_factory=dict)
    """Tests that pass alone and fail in threads, each with its message."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Check that the tests that ran have all results, and those that did not the reason."""
        self.require(_TESTED if self.ran else ["why"], "tests")
        return self


class ExerciseResult(Facts):
    """What builder/inside/stress/exercise.py finds out."""

    install: str | None = None
    """What went wrong when it was installed: then there is nothing more."""

    harms: Many[Harm] = ()
    """Crashes, hangs and wrong results."""

    played: int = 0
    """How many scenarios came to their end."""

    late: int = 0
    """How many there was no time for."""

    gil: bool = False
    """Whether the GIL was on at any time."""

    errors: dict[str, int] = Field(default_factory=dict)
    """Exceptions that were met, and how often."""

    interference: Many[Interference] = ()
    """What shows that the package interfered."""

    amplified: Amplified | None = None
    """What came of amplifying its own tests and examples; None where that was not done."""

    own_tests: OwnTests | None = None
    """What its own tests showed; None where they were not run."""

    phases: dict[str, float] = Field(default_factory=dict)
    """Seconds by what was done; empty in facts of older versions."""


class ExerciseAnswer(ExerciseResult):
    """What builder/inside/stress/exercise.py answers."""

    install: str | None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Check that the results of the scenarios are there, if the wheel could be installed."""
        if self.install is None:
            self.require(["harms", "played", "late", "gil", "errors"], "an installation")
        return self


class ExerciseFacts(ExerciseResult):
    """What an exercise job found out."""

    schema_version = 2  # `interference`

    wheel: str | None
    """File name of the free-threaded wheel; None where there is none: then there is nothing else."""

    fetched: Many[FetchedFile] = ()
    """Files it took from the package index."""

    asked: Many[str] = ()
    """Hosts it asked for that no build reaches."""

    @property
    def done(self) -> bool:
        """Whether the package was put under threads."""
        return self.wheel is not None and self.install is None
