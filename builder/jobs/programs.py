"""Programs of builder/inside/: the digests by which keys know them, and asking them in a container."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from builder import ROOT
from builder.engine.programs import program_files
from builder.errors import CannotTellError
from builder.store.hashing import digest

if TYPE_CHECKING:
    from builder.engine.client import Task
    from builder.jobs.job import Tools

CODE_INSIDE = "code inside the container"
"""The setting of a job that is the programs of builder/inside/ it runs."""

VERSIONS = ROOT / "jobs" / "program_versions.toml"
"""Which changes of programs changed no answer."""

_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ProgramVersion(BaseModel):
    """A statement of a reviewer: what the programs of a package answer, an earlier version of them answered too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: _Digest
    """Digest of the text of which this is said."""
    answers_like: _Digest
    """Digest that stands in keys for that text."""


@cache
def program_versions() -> dict[str, ProgramVersion]:
    """Return the table of program versions, by package of builder/inside/."""
    table = tomllib.loads(VERSIONS.read_text())
    return TypeAdapter(dict[str, ProgramVersion]).validate_python(table)


@cache
def text_digest(package: str) -> str:
    """Return a hash of the text of a package of builder/inside/."""
    return digest({path: content.decode() for path, content in program_files(package).items()})


@cache
def programs_digest(package: str) -> str:
    """Return the hash by which keys know a package of builder/inside/.

    That is the hash of its text, unless the table says of this very text that it answers like an earlier one.
    """
    text = text_digest(package)
    version = program_versions().get(package)
    if version is None or version.text != text:
        return text

    return version.answers_like


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
