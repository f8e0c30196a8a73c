"""Jobs: typed inputs -> key, run -> evidence. One module per kind; a job knows nothing of other jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from builder.evidence.kinds import is_readable
from builder.store.evidence import Evidence
from builder.store.hashing import digest
from builder.store.job_ids import JobId

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from builder.engine.client import Engine
    from builder.evidence.base import Facts
    from builder.proxy.proxy import IndexProxy
    from builder.store.store import Store

# `wheelfarm plan` compares these hashes with those on record of the same job: few of them, so 64 bits tell them apart.
_HASH_LENGTH = 16

Needs = Mapping[str, JobId]
"""The jobs that a job needs, each by its role, such as `image` or `build`."""

Inputs = Mapping[str, Evidence]
"""The evidence of the jobs that a job needs, by the same roles."""


def build_requirement(name: str) -> str:
    """Return the role of the build whose wheels another build installs to build with."""
    return f"build requirement {name}"


def run_requirement(name: str) -> str:
    """Return the role of the build whose wheels have to be installed to import a package."""
    return f"run requirement {name}"


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
        facts: the model of its kind in builder/evidence/.
        files: sha256 by name of files that the store has now.
    """

    facts: Facts
    files: dict[str, str] = field(default_factory=dict)


class Job(Protocol):
    """One node of the graph."""

    @property
    def id(self) -> JobId:
        """Its id, unique in a plan."""

    @property
    def needs(self) -> Needs:
        """The jobs whose evidence it reads, by role. One job may have two roles."""

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result beside its inputs: JSON data, by a name that a person understands. Pure."""

    def key(self, inputs: Inputs) -> str:
        """Hash everything that can change the result. Pure.

        Args:
            inputs: evidence of `needs`, all of it determined; that of order-only jobs may be missing.
        """

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        """Return what of its inputs can change the result: JSON data, by the text of the input's id. Pure."""

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Find out.

        Raises:
            InfrastructureError: the infrastructure failed.
            Interrupted: the farm was asked to stop.
        """


@runtime_checkable
class ImageJob(Protocol):
    """A job whose result also lives in the container engine, from where it may be gone."""

    def is_present(self, evidence: Evidence, engine: Engine) -> bool:
        """Return whether the image of this evidence is still there and usable."""


@runtime_checkable
class RereadableJob(Protocol):
    """A job whose recorded result is partly read from its log, by rules that may have changed since."""

    def reread(self, evidence: Evidence, store: Store) -> Evidence:
        """Return the evidence as today's rules read it. Runs nothing."""


@runtime_checkable
class Rebuildable(Protocol):
    """A job that, run again under the same key, should make the very same files."""

    def compare_rebuild(
        self, before: Evidence, result: Result, store: Store
    ) -> Mapping[str, object]:
        """Return facts that say what came out otherwise than before, to be added to the result's.

        Args:
            before: the evidence that was recorded under the same key.
            result: what the job made now.
            store: has the files of both.
        """


def list_needs(job: Job) -> tuple[JobId, ...]:
    """Return the jobs that a job needs, each once, in the order of its roles."""
    return tuple(dict.fromkeys(job.needs.values()))


def hash_key_parts(job: Job, inputs: Inputs | None = None) -> dict[str, str]:
    """Return short hashes of everything that can change a job's result, by name: `plan` tells from them what changed.

    Args:
        job: the job.
        inputs: evidence of `needs`, by role; None for its settings alone.
    """
    parts = dict(job.settings())
    if inputs is not None:
        parts |= job.key_inputs(inputs)

    return {name: digest(value)[:_HASH_LENGTH] for name, value in parts.items()}


def get_recorded(job: Job, key: str, store: Store) -> Evidence | None:
    """Return what is on record for a job, files and all, read by today's rules; None where nothing is.

    Args:
        job: the job.
        key: its key.
        store: has the evidence, and the logs.
    """
    return _reread(job, store.get_complete(key), store)


def recorded_lookup(store: Store) -> Callable[[Job, str], Evidence | None]:
    """Return a function that does what `get_recorded` does, for many thousand jobs."""
    lookup = store.evidence_lookup()

    return lambda job, key: _reread(job, lookup(key), store)


def _reread(job: Job, recorded: Evidence | None, store: Store) -> Evidence | None:
    """Return recorded evidence as today's rules read it; None where this farm cannot read it."""
    if recorded is None or not is_readable(recorded):
        return None
    if isinstance(job, RereadableJob):
        return job.reread(recorded, store)

    return recorded
