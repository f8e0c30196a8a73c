"""Programs of builder/inside/: the digests by which keys know them, and asking them in a container."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from builder import ROOT
from builder.engine.client import Limits, Task
from builder.engine.programs import program_files
from builder.errors import InfrastructureError
from builder.evidence.base import Facts, MalformedFactsError
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
"""Where programs find what they are asked."""

Answer = TypeVar("Answer", bound=Facts)

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Program(Generic[Answer]):
    """A program of builder/inside/ that reads a request and writes an answer, both JSON.

    Attributes:
        package: the package of builder/inside/ that goes into the container.
        module: the program's module in it; empty where the package itself is the program.
        answer: the model of what it answers.
        folder: where `inside` goes. In the root folder, where containers start, `python -m` finds it; anywhere else it
            is out of the way of the package under test, and on PYTHONPATH.
    """

    package: str
    module: str = ""
    answer: type[Answer]
    folder: str = "/"

    @property
    def name(self) -> str:
        """What `python -m` calls it."""
        return ".".join(filter(None, ("inside", self.package, self.module)))


def ask(
    program: Program[Answer],
    request: object,
    *,
    activity: str,
    image: str,
    python: str,
    files: Mapping[str, bytes | Path],
    limits: Limits,
    tools: Tools,
) -> Answer:
    """Run a program in a container and return what it answers.

    Args:
        program: the program.
        request: what it is asked, as JSON data.
        activity: what it does, as an error begins: `looking for races`.
        image: what it runs in.
        python: the interpreter that runs it.
        files: what the request names, by absolute path.
        limits: what it may use.
        tools: of the job.

    Raises:
        InfrastructureError: it did not answer, or its answer is not what the model describes.
        Interrupted: the farm was asked to stop.
    """
    output = f"/result/{program.module or program.package}.json"
    command = [python, "-m", program.name, _REQUEST, output]
    environment = {}
    if program.folder != "/":
        # -P: the container's working directory, its root, is not to be imported from.
        command.insert(1, "-P")
        environment["PYTHONPATH"] = program.folder

    task = Task(
        image=image,
        command=command,
        files={
            **files,
            **program_files(program.package, program.folder),
            _REQUEST: json.dumps(request).encode(),
        },
        environment=environment,
        collect=output,
        limits=limits,
    )
    return read_answer(task, program.answer, activity, tools)


def read_answer(task: Task, model: type[Answer], activity: str, tools: Tools) -> Answer:
    """Run a task and return the answer it leaves.

    Args:
        task: what to run; it leaves one file.
        model: describes the answer.
        activity: what the task does, as an error begins.
        tools: of the job.

    Raises:
        InfrastructureError: it did not answer, or its answer is not what the model describes.
        Interrupted: the farm was asked to stop.
    """
    ended = tools.engine.run(task, log=tools.log, stop=tools.stop)
    if not ended.output:
        why = "timed out" if ended.timed_out else f"ended with exit code {ended.exit_code}"
        raise InfrastructureError(f"{activity} {why} (log: {tools.log})")

    try:
        return model.parse(next(iter(ended.output.values())))
    except MalformedFactsError as error:
        # Most likely the package overwrote the answer, so nothing it says counts.
        raise InfrastructureError(
            f"{activity}: the answer is not what it should be, {error} (log: {tools.log})"
        ) from error
