"""What is on record of measuring and soaking applications: the door through which a checklist asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from builder.judge.migration.facts import Observation
    from builder.judge.migration.model import Step


class Observations(Protocol):
    """Something that measures applications, and keeps what it found out."""

    def find(self, step: Step, application: str, abi: str) -> Observation | None:
        """Return what the newest measurement of an application says; None where there is none.

        Args:
            step: `MEASURE` or `SOAK`.
            application: its name.
            abi: name of the ABI that it moves to.
        """

    def name_command(self, step: Step, application: str) -> tuple[str, ...]:
        """Return the words of the command that measures, without `wheelfarm`; empty where there is none.

        Args:
            step: `MEASURE` or `SOAK`.
            application: its name.
        """


class NoObservations:
    """The farm as it is: nothing of it measures applications, so that nothing is on record and no command does it."""

    def find(self, step: Step, application: str, abi: str) -> Observation | None:  # noqa: ARG002 - of the protocol
        """Return None."""
        return None

    def name_command(self, step: Step, application: str) -> tuple[str, ...]:  # noqa: ARG002 - of the protocol
        """Return no words."""
        return ()


RECORDED: Observations = NoObservations()
"""Where checklists look. What measures applications takes its place here: tests/unit/farm/test_observations.py."""
