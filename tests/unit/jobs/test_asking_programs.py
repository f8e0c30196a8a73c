"""Asking a program in a container: what it is given, and that no answer of its gets past the model."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from builder.engine.tasks import Limits, Task, TaskResult
from builder.errors import InfrastructureError
from builder.evidence.build import BuildFacts
from builder.jobs.job import Tools
from builder.jobs.programs import STRESS_FOLDER, Program, ask

LIMITS = Limits(memory_bytes=1 << 30)
PLAIN = Program(package="load", answer=BuildFacts)
ASIDE = Program(
    package="stress",
    module="race",
    answer=BuildFacts,
    folder=STRESS_FOLDER,
)


class Container:
    """An engine whose only container leaves some bytes."""

    def __init__(self, left: bytes | None, *, exit_code: int = 0, timed_out: bool = False) -> None:
        output = {} if left is None else {"answer": left}
        self.result = TaskResult(
            exit_code=exit_code, timed_out=timed_out, out_of_memory=False, output=output
        )
        self.tasks: list[Task] = []

    def run(self, task: Task, **_: object) -> TaskResult:
        self.tasks.append(task)
        return self.result


def ask_in(container: Container, program: Program[BuildFacts] = PLAIN) -> BuildFacts:
    """Ask a program in a container, with a file and a request of no interest."""
    tools = Tools(
        engine=cast(Any, container), store=cast(Any, None), index=cast(Any, None),
        log=Path("logs/load/foo.log"), stop=threading.Event(), say=lambda _: None,
    )  # fmt: skip
    return ask(
        program,
        {"seed": 1},
        activity="loading on debian-12",
        image="image",
        python="/opt/bin/python",
        files={"/farm/a": b"a"},
        limits=LIMITS,
        tools=tools,
    )


def test_a_program_is_found_in_the_root_folder():
    container = Container(b'{"abis": {}}')

    assert ask_in(container) == BuildFacts(abis={})
    (task,) = container.tasks
    assert task.command == [
        "/opt/bin/python", "-m", "inside.load", "/farm/request.json", "/result/load.json",
    ]  # fmt: skip
    assert (task.image, task.collect, task.limits) == ("image", "/result/load.json", LIMITS)
    assert task.environment == {}
    assert task.files["/farm/request.json"] == b'{"seed": 1}'
    assert task.files["/farm/a"] == b"a"
    assert {"/inside/__init__.py", "/inside/load/load.py"} < task.files.keys()


def test_what_imports_the_package_under_test_lies_aside_and_on_the_path():
    container = Container(b'{"abis": {}}')
    ask_in(container, ASIDE)

    (task,) = container.tasks
    assert task.command == [
        "/opt/bin/python", "-P", "-m", "inside.stress.race", "/farm/request.json", "/result/race.json",
    ]  # fmt: skip
    assert task.environment == {"PYTHONPATH": "/farm/programs"}
    programs = {f"/farm/programs/inside/{name}" for name in ("__init__.py", "stress/race.py", "stress/learn/learn.py")}  # fmt: skip
    assert programs < task.files.keys()


@pytest.mark.parametrize(
    ("container", "why"),
    [
        (Container(None, exit_code=137), "loading on debian-12 ended with exit code 137 (log: logs/load/foo.log)"),
        (Container(None, timed_out=True), "loading on debian-12 timed out (log: logs/load/foo.log)"),
        (Container(b""), "loading on debian-12: the answer is not what it should be, it is not JSON"),
        (Container(b"\x80\x04]."), "it is not JSON"),
        (Container(b"[" * 10**6), "it is not JSON"),
        (Container(b"[]"), "the answer: expected a valid dictionary"),
        (Container(b'{"abis": {"cp314": {"wheel": 5}}}'), "abis.cp314.wheel: expected a valid string, found 5"),
        (Container(b'{"abis": {}, "code": "WF101"}'), "code: is not known (log: logs/load/foo.log)"),
    ],
)  # fmt: skip
def test_no_answer_and_a_wrong_one_leave_it_undetermined(container: Container, why: str):
    with pytest.raises(InfrastructureError) as caught:
        ask_in(container)

    assert why in str(caught.value)
    assert len(str(caught.value)) < 300
