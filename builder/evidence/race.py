"""Facts of a race job: data races and other harm that the race detector showed."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from builder.evidence.base import Facts, Many, Model
from builder.evidence.build import FetchedFile
from builder.evidence.events import Harm, Interference, Race, Ran, ShownRace
from builder.evidence.own_tests import Amplified, Kit, OwnCode, OwnTestsRace
from builder.evidence.scenarios import Scenario, Surface, decode_plan

Sign = Literal["bare", "borrowed", "libc", "writable"]
"""What compiled code shows of how it was made for threads: judge/wheel/thread_signs.py."""

NO_SDIST = "there is no sdist to compile"
"""Why nothing was compiled with ThreadSanitizer where the release has wheels only."""

_SEARCHED = (
    "scenarios", "played", "late", "gil", "under_threads", "natives", "pairs", "side_by_side", "errors", "own_tests",
    "races", "advisory", "harms",
)  # fmt: skip
"""Fields of what comes with a surface."""


class Preflight(Model):
    """Whether the race detector works in this container, tried on three modules that come with it."""

    racy_seen: bool
    """Whether it saw a race that is there."""

    freed_seen: bool | None = None
    """Whether it saw an object used that another thread frees; None in older evidence, where this was not tried."""

    clean_silent: bool
    """Whether it saw none that is not there."""


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

    unshared: Many[str] = ()
    """Native callables that returned in several threads while these shared nothing."""

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


class RaceAnswer(RaceResult):
    """What builder/inside/stress/race.py answers."""

    @classmethod
    def parse(cls, answer: bytes) -> Self:
        """Return the facts that the program answered.

        Raises:
            MalformedFactsError: it is not JSON, or not what the model describes.
        """
        return cls.check(decode_plan(answer))

    preflight: Preflight | None
    install: str | None
    plan: Many[Scenario] = ()
    """Every scenario, in the order they are worth running."""

    own_code: OwnCode | None = None
    """Which own tests and examples are worth running again; None where nothing was learnt."""

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
