"""Asks another tool about labelled packages that the farm has built, each in a container of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.corpus.answers import Answer, read_answers, write_answers
from benchmarks.detection.labels import Label, split_into_batches
from benchmarks.farm import find_job_image
from builder.config import catalog
from builder.engine.connection import connect
from builder.engine.tasks import Limits, Task
from builder.jobs.build.recipe import UNPACK_PROGRAM
from builder.jobs.images.ids import packages_image_id
from builder.jobs.threads.sanitizer_build import RACE_PYTHON
from builder.store.job_ids import JobKind
from builder.store.store import Store
from builder.untrusted.text import clean_line, parse_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.engine.client import Engine

REQUIREMENTS = Path(__file__).parents[1] / "corpus-tools.txt"

_PROGRAMS = Path(__file__).with_name("container")
_BASE = "debian-12"
_ABI = "cp314t"
_TOOL = "/farm/tool"
_ANSWER = "/result/answer.json"
_ANSWER_BYTES = 4 << 20  # a thousand times a long answer

_LIMITS = Limits(memory_bytes=6 << 30, timeout_s=300)
"""As much memory as wheelfarm's own search for races has; five minutes are ten times what most packages take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A tool of the package index that is asked.

    Attributes:
        distribution: its name there.
        sees: what it is given: `sdist`, or `race wheel`, the wheel that was compiled with ThreadSanitizer.
    """

    distribution: str
    sees: str


TOOLS = {
    "cppcheck": Tool(distribution="cppcheck-py", sees="sdist"),
    "ftcheck": Tool(distribution="ftcheck", sees="race wheel"),
}


def ask_tool(name: str, labels: list[Label], folder: Path, output: Path) -> None:
    """Ask a tool about labelled packages, write its answers, and print a line about each.

    A package that it cannot be asked about is not blamed, and the note says why. What the table has already is not
    asked again.

    Args:
        name: of the tool.
        labels: of the packages.
        folder: of one run of `benchmarks.detection`, where the farm has built them.
        output: the table of answers.
    """
    tool = TOOLS[name]
    engine = connect("bench-corpus")
    tool_files = fetch_tool(tool, folder / "tools")
    answers = read_answers(output) if output.exists() else {}
    for number, batch in enumerate(split_into_batches(labels)):
        with Store(folder / str(number) / "wheelhouse") as store:
            for label in batch:
                key = (label.package, label.version)
                if key not in answers:
                    question = prepare_question(name, label, store)
                    answers[key] = _ask(question, tool_files, engine, folder / f"{name}.log")
                    write_answers(answers, output)

                answer = answers[key]
                word = "blamed" if answer.is_blamed else ""
                print(f"{label.package:16} {label.version:10} {word:6} {answer.note}", flush=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a tool is asked about a package.

    Attributes:
        image: full name of the image to ask in.
        command: what runs in a container.
        files: what it is given, by path in the container.
        failure: why it cannot be asked; empty where it can.
    """

    image: str = ""
    command: tuple[str, ...] = ()
    files: Mapping[str, bytes | Path] = field(default_factory=dict)
    failure: str = ""


def prepare_question(name: str, label: Label, store: Store) -> Question:
    """Return what a tool is asked about a package.

    Args:
        name: of the tool.
        label: of the package.
        store: of the wheelhouse in which the farm has built it.
    """
    python = catalog.load().abis[_ABI].python
    program = _PROGRAMS / f"ask_{name}.py"
    image = find_job_image(packages_image_id(_BASE, tuple(sorted(label.apt)), "race"), store)
    if image is None:
        return Question(failure="there is no image with the race detector")

    if TOOLS[name].sees == "sdist":
        sdist = _find_sdist(label.package, store)
        if sdist is None:
            return Question(failure="there is no sdist")
        filename, content = sdist
        path = f"/farm/{filename}"
        unpack_path = f"/farm/{UNPACK_PROGRAM.name}"
        files = {path: content, unpack_path: UNPACK_PROGRAM}
        arguments = [path, unpack_path]
    else:
        wheel = _find_race_wheel(label.package, store)
        if wheel is None:
            return Question(failure="there is no wheel with ThreadSanitizer")
        filename, content = wheel
        path = f"/farm/{filename}"
        files = {path: content}
        arguments = [path, python, RACE_PYTHON]

    files["/farm/ask.py"] = program
    return Question(
        image=image,
        command=(python, "/farm/ask.py", _TOOL, *arguments, _ANSWER),
        files=files,
    )


def _find_sdist(package: str, store: Store) -> tuple[str, Path] | None:
    """Return an sdist's file name, and the file."""
    document = json.loads((store.wheelhouse / "verdicts.json").read_text())
    for row in document["packages"]:
        source = row["source"]
        if row["name"] == package and source["filename"].endswith((".tar.gz", ".zip")):
            return source["filename"], store.file(source["sha256"])

    return None


def _find_race_wheel(package: str, store: Store) -> tuple[str, Path] | None:
    """Return the file name of the wheel that was compiled with ThreadSanitizer, and the file."""
    for evidence in reversed(store.all_evidence_of(JobKind.RACE, package)):
        name = evidence.facts.get("race_wheel")
        if name is not None:
            return name, store.file(evidence.files[name])

    return None


def _ask(question: Question, tool_files: Mapping[str, Path], engine: Engine, log: Path) -> Answer:
    """Ask a tool in a container of its own, and return what it answered."""
    if question.failure:
        return Answer(is_blamed=False, where="", note=question.failure)

    task = Task(
        image=question.image,
        command=question.command,
        files={**tool_files, **question.files},
        collect=_ANSWER,
        limits=_LIMITS,
    )
    started = time.monotonic()
    ended = engine.run(task, log=log, stop=threading.Event())
    seconds = time.monotonic() - started

    content = next(iter(ended.output.values()), b"")
    if not content:
        reason = "it took too long" if ended.timed_out else f"it ended with {ended.exit_code}"
        return Answer(is_blamed=False, where="", seconds=seconds, note=reason)

    return read_answer(content, seconds)


def read_answer(content: bytes, seconds: float) -> Answer:
    """Return what a program of `container` wrote. Code of the package ran beside it, and may have written as well.

    Args:
        content: JSON with `places`, a list of texts, and `note`.
        seconds: how long it took.
    """
    try:
        answer = parse_answer(content, _ANSWER_BYTES)
    except ValueError as error:
        return Answer(is_blamed=False, where="", seconds=seconds, note=clean_line(str(error)))

    if not isinstance(answer, dict) or not isinstance(answer.get("places"), list):
        note = "it answered nothing that can be read"
        return Answer(is_blamed=False, where="", seconds=seconds, note=note)

    places = [clean_line(str(place)) for place in answer["places"]]
    return Answer(
        is_blamed=bool(places),
        where="; ".join(places),
        seconds=seconds,
        note=clean_line(str(answer.get("note", ""))),
    )


def fetch_tool(tool: Tool, folder: Path) -> dict[str, Path]:
    """Download a tool, pinned by its hash, and return its files by path in a container. Nothing of it is run here."""
    requirement = find_requirement(tool.distribution, REQUIREMENTS.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    pinned = folder / f"{tool.distribution}.txt"
    pinned.write_text(requirement)
    target = folder / tool.distribution
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--upgrade",
    ]
    pinning = ["--no-deps", "--no-compile", "--require-hashes", "--only-binary", ":all:"]
    subprocess.run([*command, *pinning, "--target", target, "--requirement", pinned], check=True)

    files: dict[str, Path] = {}
    for path in sorted(target.rglob("*")):
        if path.is_file():
            files[f"{_TOOL}/{path.relative_to(target)}"] = path

    return files


def find_requirement(distribution: str, text: str) -> str:
    """Return the lines of a requirements file that pin a distribution, without those of others.

    Raises:
        LookupError: none does.
    """
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        begins = line.startswith(f"{distribution}==")
        goes_on = bool(lines) and line[:1].isspace()
        if begins or goes_on:
            lines.append(line)
        elif lines:
            break
    if not lines:
        raise LookupError(f"{REQUIREMENTS.name} does not pin {distribution}")

    return "".join(lines)
