"""Jobs: typed inputs -> key, run -> evidence. One module per kind; a job knows nothing of other jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from builder.engine import Engine
    from builder.store import Evidence, Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What a running job may use.

    Attributes:
        log: the job's log file, which it appends to.
        stop: set when the farm is asked to stop.
        say: shows one line of progress to the person watching.
    """

    engine: Engine
    store: Store
    log: Path
    stop: threading.Event
    say: Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a job found out.

    Attributes:
        facts: JSON data.
        files: sha256 by name of files that the store has now.
    """

    facts: dict[str, object]
    files: dict[str, str] = field(default_factory=dict)


class Job(Protocol):
    """One node of the graph."""

    @property
    def id(self) -> str:
        """`KIND:SUBJECT`, unique in a plan."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Ids of the jobs whose evidence it reads."""

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        """Hash everything that can change the result. Pure.

        Args:
            inputs: evidence of `needs`, by job id; all of it determined.
        """

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        """Find out.

        Raises:
            CannotTellError: the infrastructure failed.
            Interrupted: the farm was asked to stop.
        """


class ImageJob(Job, Protocol):
    """A job whose result also lives in the container engine, from where it may be gone."""

    def present(self, evidence: Evidence, engine: Engine) -> bool:
        """Return whether the image of this evidence is still there and usable."""


@runtime_checkable
class Rereading(Protocol):
    """A job whose recorded result is partly read from its log, by rules that may have changed since."""

    def reread(self, evidence: Evidence, store: Store) -> Evidence:
        """Return the evidence as today's rules read it. Runs nothing."""


def recorded(job: Job, key: str, store: Store) -> Evidence | None:
    """Return what is on record for a job, read by today's rules; None where nothing is.

    Args:
        job: the job.
        key: its key.
        store: has the evidence, and the logs.
    """
    found = store.get(key)
    return job.reread(found, store) if found is not None and isinstance(job, Rereading) else found


@cache
def inside_program(name: str) -> str:
    """Return the text of a program of builder/inside/, which runs in containers and is part of its job's key."""
    return (Path(__file__).parents[1] / "inside" / name).read_text()


@cache
def stress_programs() -> dict[str, str]:
    """Return the programs of builder/inside/stress/ by file name: they import one another, so all go together."""
    folder = Path(__file__).parents[1] / "inside" / "stress"
    return {path.name: path.read_text() for path in sorted(folder.glob("*.py"))}
