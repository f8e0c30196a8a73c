"""How hard the farm looks for what breaks under threads: a table of three rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class EffortLevel(StrEnum):
    """What `--effort` takes."""

    NONE = "none"
    """Build, audit and import; put nothing under threads."""
    QUICK = "quick"
    """The default: about a minute per package, besides compiling."""
    STANDARD = "standard"
    """Runs own tests and measures speed as well: a few minutes per package."""
    DEEP = "deep"
    """Half an hour and more per package, where much is called: for a release, or a doubt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """One row."""

    threads: int
    """Threads that share an object."""
    scenarios: int
    """Most scenarios, besides one for each native callable that can be called: the work that is done. Times are limits,
    which only what is slow comes up against."""
    pairs: int
    """Most pairs of operations on one kind of object."""
    learn_s: float
    """Most time to learn how a package is called, in seconds."""
    race_s: float
    """Most time under the race detector, in seconds."""
    plain_s: float
    """Most time with the plain interpreter, in seconds."""
    amplify_s: float
    """Most time to run own tests and examples and let threads make the native calls they make, in seconds, twice."""
    tests_s: float
    """Most time for a package's own tests, once alone and once in threads, in seconds each; 0 for not at all."""
    iterations: int
    """How often each own test is repeated in every thread."""
    proofs: int
    """How many findings are shown again by a program of their own."""
    times: int
    """How often each such program is run."""
    speed_s: float
    """Most time to measure speed, in seconds; 0 for not at all."""
    smoke_s: float
    """Most time to let threads make the native calls of one smoke command of an application, in seconds."""

    def record(self) -> dict[str, float]:
        """Return the limits of the search for faults in packages as JSON data; others are left out."""
        fields = asdict(self)
        # Speed and applications have jobs of their own: they must not change the keys of those that look for faults.
        del fields["speed_s"]
        del fields["smoke_s"]
        return fields


EFFORTS = {
    EffortLevel.QUICK: Effort(
        threads=4,
        scenarios=120,
        pairs=24,
        learn_s=5,
        race_s=12,
        plain_s=4.5,
        amplify_s=5,
        tests_s=0,
        iterations=1,
        proofs=1,
        times=3,
        speed_s=0,
        smoke_s=4,
    ),
    EffortLevel.STANDARD: Effort(
        threads=4,
        scenarios=360,
        pairs=48,
        learn_s=8,
        race_s=30,
        plain_s=12,
        amplify_s=15,
        tests_s=45,
        iterations=2,
        proofs=3,
        times=10,
        speed_s=4,
        smoke_s=15,
    ),
    EffortLevel.DEEP: Effort(
        threads=8,
        scenarios=4000,
        pairs=400,
        learn_s=40,
        race_s=600,
        plain_s=240,
        amplify_s=120,
        tests_s=600,
        iterations=8,
        proofs=12,
        times=20,
        speed_s=8,
        smoke_s=120,
    ),
}
"""By level."""
