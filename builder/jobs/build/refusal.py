"""What the farm and its launcher of cibuildwheel tell each other, in two files that no container sees."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from builder.jobs.build.output import Expectation, Refusal


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the launcher is asked for.

    Attributes:
        expected: the package and the ABIs to build for.
        answer: the file where the launcher says why it refused what a build left.
        output: the folder for the wheels.
    """

    expected: Expectation
    answer: Path
    output: Path


def write_request(path: Path, request: Request) -> None:
    """Write a request, to be read by `read_request`."""
    fields = {
        "expected": asdict(request.expected),
        "answer": str(request.answer),
        "output": str(request.output),
    }
    path.write_text(json.dumps(fields))


def read_request(path: Path) -> Request:
    """Return the request in a file."""
    fields = json.loads(path.read_text())
    return Request(
        expected=Expectation(**fields["expected"]),
        answer=Path(fields["answer"]),
        output=Path(fields["output"]),
    )


def write_refusal(answer: Path, refusal: Refusal) -> None:
    """Write why what a build left was refused."""
    answer.write_text(json.dumps(asdict(refusal)))


def read_refusal(answer: Path) -> Refusal | None:
    """Return why what a build left was refused; None where it was not."""
    if not answer.exists():
        return None

    return Refusal(**json.loads(answer.read_text()))
