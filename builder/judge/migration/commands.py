"""The commands that do the steps of an application's move, as they are typed where the program was started. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from builder.judge.migration.model import Step


@dataclass(frozen=True, kw_only=True, slots=True)
class Commands:
    """Commands for one application.

    Attributes:
        application: its name.
        lock: the options and the path by which `survey` and `add` are given its lock: `--extra postgres uv.lock`.
        matrix: the option that names the matrix; empty for the default one.
        wheelhouse: the option that names the wheelhouse; empty for the default one.
        measuring: by step, the words of the command that measures; a step without such a command is left out.
    """

    application: str
    lock: tuple[str, ...]
    matrix: tuple[str, ...] = ()
    wheelhouse: tuple[str, ...] = ()
    measuring: Mapping[Step, tuple[str, ...]] = field(default_factory=dict)

    @property
    def survey(self) -> str:
        """Asks the index what upstream supports of the lock."""
        return _join("survey", *self.lock, *self.wheelhouse)

    @property
    def add(self) -> str:
        """Adds to the matrix what the lock has and it lacks."""
        return _join("add", "--all", *self.lock, *self.matrix, *self.wheelhouse)

    @property
    def update(self) -> str:
        """Adds the same, and sets what the matrix has in another release to that of the lock."""
        return _join("add", "--all", "--update", *self.lock, *self.matrix, *self.wheelhouse)

    @property
    def run(self) -> str:
        """Builds, judges, publishes, and tries the applications."""
        return _join("run", *self.matrix, *self.wheelhouse)

    @property
    def explain(self) -> str:
        """Shows what blocks the application, and the ways out."""
        return _join("app", self.application, *self.wheelhouse)

    @property
    def list_waiting(self) -> str:
        """Lists what waits in `canary/`, with what each gate says."""
        return _join("promote", "--list", *self.matrix, *self.wheelhouse)

    @property
    def roll_back(self) -> str:
        """Returns the index to the state before the last change."""
        return _join("rollback", *self.wheelhouse)

    def measure(self, step: Step) -> str:
        """Return what measures for a step, or soaks; empty where this wheelfarm has no such command."""
        words = self.measuring.get(step)
        return _join(*words, *self.matrix, *self.wheelhouse) if words else ""

    def show(self, package: str) -> str:
        """Return what shows all that is on record of a package."""
        return _join("show", package, *self.wheelhouse)

    def promote(self, releases: Iterable[str]) -> str:
        """Return what promotes some releases, `numpy==2.4.0`."""
        return _join("promote", *releases, *self.matrix, *self.wheelhouse)


def _join(*words: str) -> str:
    return f"wheelfarm {shlex.join(words)}"
