"""Jobs: typed inputs -> key, run -> evidence. One module per kind; a job knows nothing of other jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from builder.evidence.kinds import is_readable
from builder.store.hashing import digest

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from builder.engine.client import Engine
    from builder.proxy.proxy import IndexProxy
from builder.store.evidence import Evidence
from builder.store.store import Store

_SHORT = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What a running job may use.

    Attributes:
        index: the way of its containers to the package index.
        log: the job's log file, which it appends to.
        stop: set when the farm is asked to stop.
        say: shows one line of progress to the person watching.
    """

    engine: Engine
    store: Store
    index: IndexProxy
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

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result beside its inputs: JSON data, by a name that a person understands. Pure."""

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        """Hash everything that can change the result. Pure.

        Args:
            inputs: evidence of `needs`, by job id; all of it determined.
        """

    def key_inputs(self, inputs: Mapping[str, Evidence]) -> Mapping[str, object]:
        """Return what of its inputs can change the result: JSON data, by job id. Pure."""

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        """Find out.

        Raises:
            InfrastructureError: the infrastructure failed.
            Interrupted: the farm was asked to stop.
        """


def hash_key_parts(job: Job, inputs: Mapping[str, Evidence] | None = None) -> dict[str, str]:
    """Return short hashes of everything that can change a job's result, by name: `plan` tells from them what changed.

    Args:
        job: the job.
        inputs: evidence of `needs`, by job id; None for its settings alone.
    """
    found = {**job.settings(), **(job.key_inputs(inputs) if inputs is not None else {})}
    return {name: digest(value)[:_SHORT] for name, value in found.items()}


class ImageJob(Job, Protocol):
    """A job whose result also lives in the container engine, from where it may be gone."""

    def is_present(self, evidence: Evidence, engine: Engine) -> bool:
        """Return whether the image of this evidence is still there and usable."""


@runtime_checkable
class RereadableJob(Protocol):
    """A job whose recorded result is partly read from its log, by rules that may have changed since."""

    def reread(self, evidence: Evidence, store: Store) -> Evidence:
        """Return the evidence as today's rules read it. Runs nothing."""


def get_recorded(job: Job, key: str, store: Store) -> Evidence | None:
    """Return what is on record for a job, files and all, read by today's rules; None where nothing is.

    Args:
        job: the job.
        key: its key.
        store: has the evidence, and the logs.
    """
    return _reread(job, store.get_complete(key), store)


def recorded_lookup(store: Store) -> Callable[[Job, str], Evidence | None]:
    """Return what `recorded` is, for many thousand jobs."""
    lookup = store.evidence_lookup()
    return lambda job, key: _reread(job, lookup(key), store)


def _reread(job: Job, found: Evidence | None, store: Store) -> Evidence | None:
    if found is None or not is_readable(found):
        return None
    if isinstance(job, RereadableJob):
        return job.reread(found, store)

    return found
