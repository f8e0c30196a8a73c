"""Facts of an exercise job: harm that threads did with the plain interpreter, and what its own tests showed."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from builder.evidence.base import Facts, Many
from builder.evidence.build import FetchedFile
from builder.evidence.events import Harm, Interference
from builder.evidence.own_tests import Amplified, OwnTests


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
