"""The events of a run, for whoever shows its progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId


class Observer(Protocol):
    """Receives the events of a run as they happen. Its methods are called by one thread at a time."""

    def say(self, text: str) -> None:
        """Show what the farm itself is doing."""

    def on_plan(self, jobs: int, known: int) -> None:
        """The run begins: how many jobs there are, and how many of them have valid evidence and need not run."""

    def on_job_start(self, job: JobId) -> None:
        """A job began."""

    def on_job_message(self, job: JobId, text: str) -> None:
        """A running job has something to show."""

    def on_job_end(self, evidence: Evidence, *, known: bool) -> None:
        """A job ended; `known` says that it did not run, because its evidence was found or inherited."""
