"""What a package's own tests need, and what they showed under threads: facts of race and exercise jobs."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from builder.evidence.base import Many, Model

_TESTED = (
    "seconds", "alone", "parallel", "threads", "single", "uncollected", "baseline_failures", "crash", "crash_stack",
    "findings",
)  # fmt: skip
"""Fields of own tests that ran."""


class Tests(Model):
    """Tests and examples of the package that are run again: builder/inside/stress/own_tests/selection.py."""

    file: str
    """The file of tests, from the folder that it is imported from; empty for documents with examples."""

    names: Many[str]
    """The tests in the file; the documents' names."""


class OwnCode(Model):
    """Which own tests and examples are worth running again, by what native code they call."""

    steps: Many[Tests]
    """What to run, in this order."""

    callables: Many[str]
    """The native callables that it calls."""

    ran: Many[str]
    """Files of tests that were run to their end; others may have more to show."""

    banned: Many[str] = ()
    """Native callables after which others end the process, in one thread: threads do not make them."""


class Kit(Model):
    """What the package's own tests need."""

    wheels: Many[str]
    """File names of wheels; the evidence's files have their sha256."""

    requirements: Many[str]
    """What the tests ask for (PEP 508)."""


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
