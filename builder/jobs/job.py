"""Jobs, the nodes of the graph that a run works through. There is one module for each kind of job.

A job knows which jobs it needs, but nothing else of them. From the evidence of those (its inputs) and its own settings
it makes a *key*: a hash of everything that can change its result. A job whose key has evidence on record does not run.
"""

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

# `wheelfarm plan` compares such a hash only with those recorded for the same job. They are few, so 64 bits are enough.
_HASH_LENGTH = 16

Needs = Mapping[str, JobId]
"""Ids of the jobs that a job needs, by the role that each plays for it, such as `image` or `build`."""

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
        index: the proxy through which the job's containers reach the package index.
        log: the job's log file, which the job appends to.
        stop: set when the farm is asked to stop.
        say: shows one line of progress to the person watching.
        cpus: how many CPUs the scheduler gives it. No result may depend on them: they count in no key.
    """

    engine: Engine
    store: Store
    index: IndexProxy
    log: Path
    stop: threading.Event
    say: Callable[[str], None]
    cpus: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a job found out.

    Attributes:
        facts: what it found out, as the model of its kind in builder/evidence/.
        files: files that it made and put into the store: sha256 by name.
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
        """Return what can change the result besides the inputs: JSON data, by names that a person understands. Pure."""

    def key(self, inputs: Inputs) -> str:
        """Return a hash of everything that can change the result. Pure.

        Args:
            inputs: evidence of the jobs in `needs`, all of it determined. That of order-only jobs may be missing.
        """

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        """Return the part of the inputs that can change the result: JSON data, by the input's id as text. Pure."""

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Do the job's work and return what it found out.

        What is wrong with a package is no error but part of the result.

        Raises:
            InfrastructureError: the infrastructure failed, so that nothing can be said about the package.
            Interrupted: the farm was asked to stop.
        """


@runtime_checkable
class ImageJob(Protocol):
    """A job that makes an image. The image is in the container engine, where somebody may delete it."""

    def is_present(self, evidence: Evidence, engine: Engine) -> bool:
        """Return whether the image of this evidence is still there and usable."""


@runtime_checkable
class RereadableJob(Protocol):
    """A job part of whose result is read from its log, by rules that may change after it was recorded."""

    def reread(self, evidence: Evidence, store: Store) -> Evidence | None:
        """Return recorded evidence as today's rules read the log; None where it does not hold here. Runs nothing."""


@runtime_checkable
class Rebuildable(Protocol):
    """A job that, run again under the same key, should make the very same files."""

    def compare_rebuild(
        self, before: Evidence, result: Result, store: Store
    ) -> Mapping[str, object]:
        """Return facts about the differences between two results, to be added to those of the new one.

        Args:
            before: the evidence that was recorded under the same key.
            result: the result of running the job again.
            store: has the files of both.
        """


def list_needs(job: Job) -> tuple[JobId, ...]:
    """Return the jobs that a job needs, each once, in the order of its roles."""
    return tuple(dict.fromkeys(job.needs.values()))


def hash_key_parts(job: Job, inputs: Inputs | None = None) -> dict[str, str]:
    """Return a short hash of each thing that can change a job's result, by its name.

    `wheelfarm plan` compares them with those of the last run, to say what changed.

    Args:
        job: the job.
        inputs: evidence of the jobs that it needs, by role; None to hash the settings alone.
    """
    parts = dict(job.settings())
    if inputs is not None:
        parts |= job.key_inputs(inputs)

    return {name: hash_key_part(value) for name, value in parts.items()}


def hash_key_part(value: object) -> str:
    """Return the short hash of one thing that can change a job's result."""
    return digest(value)[:_HASH_LENGTH]


def get_recorded(job: Job, key: str, store: Store) -> Evidence | None:
    """Return the evidence that is recorded for a job under a key, as today's rules read its log.

    None where nothing is recorded, where the store has lost a file of the result, or where this farm cannot read the
    facts.

    Args:
        job: the job.
        key: its key.
        store: has the evidence, the files and the logs.
    """
    return _reread(job, store.get_complete(key), store)


def recorded_lookup(store: Store) -> Callable[[Job, str], Evidence | None]:
    """Return a function (job, key) -> evidence that does what `get_recorded` does, but fast for thousands of jobs."""
    lookup = store.evidence_lookup()

    return lambda job, key: _reread(job, lookup(key), store)


def _reread(job: Job, recorded: Evidence | None, store: Store) -> Evidence | None:
    """Return recorded evidence as today's rules read its log.

    None where nothing was recorded, where the facts have a version that this farm cannot read, or where they do not
    hold on this machine.
    """
    if recorded is None or not is_readable(recorded):
        return None
    if isinstance(job, RereadableJob):
        return job.reread(recorded, store)

    return recorded
