"""The programs of builder/inside/, which run in containers: how to call them, and the hashes that keys have of them."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from builder import ROOT
from builder.engine import containment
from builder.engine.programs import program_files
from builder.engine.tasks import Limits, Task
from builder.errors import InfrastructureError
from builder.evidence.base import COLLECTED_ANSWER_BYTES, Facts, MalformedFactsError
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.jobs.job import Tools

CONTAINER_CODE = "code inside the container"
"""Name of the setting by which a job's key depends on the programs of builder/inside/ that it runs."""

STRESS_FOLDER = "/farm/programs"
"""The folder of a container in which `inside` is put, for programs that import the package under test. The folder has
nothing else in it that the package could import by mistake."""

VERSIONS = ROOT / "jobs" / "program_versions.toml"
"""The table that says which changes of the programs changed none of their answers."""

_SUPERVISOR_FOLDER = "/farm"
"""The folder in which a supervisor leaves its answer: no user of the container but root may write there."""

_REQUEST = "/farm/request.json"
"""The file of a container in which a program finds its request."""

Answer = TypeVar("Answer", bound=Facts)

_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ProgramVersion(BaseModel):
    """A reviewer's statement that the programs of a package answer the same as an earlier version of them did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: _Digest
    """Digest of the text that the statement is about; it is void for any other text."""
    answers_like: _Digest
    """Digest of the earlier text, which keys have in the place of `text`."""


@cache
def program_versions() -> dict[str, ProgramVersion]:
    """Return the table of program versions, by package of builder/inside/."""
    table = tomllib.loads(VERSIONS.read_text())
    return TypeAdapter(dict[str, ProgramVersion]).validate_python(table)


@cache
def text_digest(package: str) -> str:
    """Return a hash of the source text of a package of builder/inside/, such as `stress`."""
    return digest({path: content.decode() for path, content in program_files(package).items()})


@cache
def programs_digest(package: str) -> str:
    """Return the hash of a package of builder/inside/ that goes into keys.

    That is the hash of its text. Where the table of versions says that this very text answers like an earlier one, it
    is the hash of that one, so that evidence stays valid.
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
        package: the package of builder/inside/ that is put into the container.
        module: the program's module in the package; empty where the package itself is the program.
        answer: the model of its answer.
        supervises: whether it runs code of a package as users of its own: then it is root of its container, and can do
            nothing else that root can.
        folder: the folder of the container in which `inside` is put. In the root folder, where containers start,
            `python -m` finds it. Any other folder is put on PYTHONPATH; there `inside` is out of the way of the package
            under test.
    """

    package: str
    module: str = ""
    answer: type[Answer]
    supervises: bool = False
    folder: str = "/"

    @property
    def name(self) -> str:
        """Its module name for `python -m`, such as `inside.stress.race`."""
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
    """Run a program in a container and return its answer.

    Args:
        program: the program.
        request: its request, as JSON data.
        activity: what the program does, for the beginning of an error: `looking for races`.
        image: full name of the image to run it in.
        python: the interpreter in the image that runs it.
        files: files that the request names, by absolute path.
        limits: limits of the container.
        tools: of the job.

    Raises:
        InfrastructureError: there is no answer, or it is not as the model describes it.
        Interrupted: the farm was asked to stop.
    """
    # What it writes to belongs to root, as all that is put into the container does.
    folder = _SUPERVISOR_FOLDER if program.supervises else "/result"
    output = f"{folder}/{program.module or program.package}.json"
    command = [python, "-m", program.name, _REQUEST, output]
    environment = {}
    if program.folder != "/":
        # -P: Python must not import from the working directory, which is the container's root folder.
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
        collect_bytes=COLLECTED_ANSWER_BYTES,
        user="root" if program.supervises else "farm",
        kind=containment.SUPERVISED if program.supervises else containment.PROGRAM,
        limits=limits,
    )
    return read_answer(task, program.answer, activity, tools)


def read_answer(task: Task, model: type[Answer], activity: str, tools: Tools) -> Answer:
    """Run a task and return the answer that it leaves in a file.

    Args:
        task: what to run; `collect` of the task names the file with the answer.
        model: the model of the answer.
        activity: what the task does, for the beginning of an error: `the audit`.
        tools: of the job.

    Raises:
        InfrastructureError: there is no answer, or it is not as the model describes it.
        Interrupted: the farm was asked to stop.
    """
    ended = tools.engine.run(task, log=tools.log, stop=tools.stop)
    if ended.disk_exceeded:
        raise InfrastructureError(
            f"{activity} was ended, because it wrote more than it may: {ended.disk_excess} (log: {tools.log})"
        )
    if not ended.output:
        outcome = "timed out" if ended.timed_out else f"ended with exit code {ended.exit_code}"
        raise InfrastructureError(f"{activity} {outcome} (log: {tools.log})")

    try:
        return model.parse(next(iter(ended.output.values())))
    except MalformedFactsError as error:
        # Most likely code of the package under test wrote over the answer, so no part of it can be trusted.
        raise InfrastructureError(
            f"{activity}: the answer is not what it should be, {error} (log: {tools.log})"
        ) from error
