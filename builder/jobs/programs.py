"""Programs of builder/inside/: the digests by which keys know them, and asking them in a container."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from builder import ROOT
from builder.engine.client import Limits, Task
from builder.engine.programs import program_files
from builder.errors import InfrastructureError
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.jobs.job import Tools

CONTAINER_CODE = "code inside the container"
"""The setting of a job that is the programs of builder/inside/ it runs."""

STRESS_FOLDER = "/farm/programs"
"""Where `inside` goes for programs that import the package under test, which sees no other name of this folder."""

VERSIONS = ROOT / "jobs" / "program_versions.toml"
"""Which changes of programs changed no answer."""

_REQUEST = "/farm/request.json"

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


def stress_task(
    program: str,
    *,
    image: str,
    python: str,
    request: Mapping[str, Any],
    files: Mapping[str, bytes | Path],
    limits: Limits,
) -> Task:
    """Return the task that asks a program of builder/inside/stress/, for `run_json_task`.

    Args:
        program: the name of its module.
        image: what it runs in.
        python: the interpreter that runs it.
        request: what it is asked.
        files: what the request names, by absolute path.
        limits: what it may use.
    """
    output = f"/result/{program}.json"

    return Task(
        image=image,
        # -P: the container's working directory, its root, is not to be imported from.
        command=[python, "-P", "-m", f"inside.stress.{program}", _REQUEST, output],
        files={
            **files,
            **program_files("stress", STRESS_FOLDER),
            _REQUEST: json.dumps(request).encode(),
        },
        environment={"PYTHONPATH": STRESS_FOLDER},
        collect=output,
        limits=limits,
    )


def run_json_task(task: Task, doing: str, tools: Tools) -> dict[str, Any]:
    """Run a task that answers in JSON.

    Raises:
        InfrastructureError: it did not answer.
    """
    ended = tools.engine.run(task, log=tools.log, stop=tools.stop)
    if not ended.output:
        why = "timed out" if ended.timed_out else f"ended with exit code {ended.exit_code}"
        raise InfrastructureError(f"{doing} {why} (log: {tools.log})")
    answer: dict[str, Any] = json.loads(next(iter(ended.output.values())))
    return answer
