"""Programs of builder/inside/: their text, its hash, and asking them in a container."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from builder import ROOT
from builder.engine.client import Task
from builder.errors import CannotTellError
from builder.store.hashing import digest

if TYPE_CHECKING:
    from builder import ROOT
    from builder.jobs.job import Tools

CODE_INSIDE = "code inside the container"
"""The setting of a job that is the programs of builder/inside/ it runs."""


@cache
def inside_program(name: str) -> str:
    """Return the text of a program of builder/inside/, which runs in containers and is part of its job's key."""
    return (ROOT / "inside" / name).read_text()


@cache
def programs_digest(*names: str) -> str:
    """Return a hash of programs of builder/inside/, by which the keys of many thousand jobs know them."""
    return digest([inside_program(name) for name in names])


@cache
def stress_programs() -> dict[str, str]:
    """Return the programs of builder/inside/stress/ by file name: they import one another, so all go together."""
    folder = ROOT / "inside" / "stress"
    return {path.name: path.read_text() for path in sorted(folder.glob("*.py"))}


@cache
def stress_digest() -> str:
    """Return a hash of `stress_programs`."""
    return digest(stress_programs())


def answered(task: Task, doing: str, tools: Tools) -> dict[str, Any]:
    """Run a task that answers in JSON.

    Raises:
        CannotTellError: it did not answer.
    """
    ended = tools.engine.run(task, log=tools.log, stop=tools.stop)
    if not ended.output:
        why = "timed out" if ended.timed_out else f"ended with exit code {ended.exit_code}"
        raise CannotTellError(f"{doing} {why} (log: {tools.log})")
    answer: dict[str, Any] = json.loads(next(iter(ended.output.values())))
    return answer
