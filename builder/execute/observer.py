"""What is told of a run while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId


class Observer(Protocol):
    """Is told what happens in a run, as it happens, from one thread at a time."""

    def say(self, text: str) -> None:
        """Show what the farm itself is doing."""

    def on_plan(self, jobs: int, known: int) -> None:
        """Begin: how many jobs there are, and how many of them are known already."""

    def on_job_start(self, job: JobId) -> None:
        """A job began."""

    def on_job_message(self, job: JobId, text: str) -> None:
        """A running job has something to show."""

    def on_job_end(self, evidence: Evidence, *, known: bool) -> None:
        """A job ended, or was known already."""
