"""How a program ended: by its own fault, or because somebody else ended it."""

import sys

import pytest

from builder.inside.stress.play import endings
from builder.inside.stress.process.interpreter import Interpreter
from builder.inside.stress.proof import script
from builder.inside.stress.proof.script_run import run_script

PLAIN = Interpreter(sys.executable, ".", patience_s=20.0)


@pytest.mark.parametrize(
    ("name", "what"),
    [("SIGSEGV", {"crash"}), ("SIGABRT", {"crash"}), ("SIGKILL", set()), ("SIGTERM", set())],
)
def test_what_the_kernel_kills_did_not_crash(name: str, what: set[str]):
    run = run_script(PLAIN, f"import os, signal\nos.kill(os.getpid(), signal.{name})\n", set())
    assert run.what == what
    assert run.signal == (name if what else "")


def test_what_grows_without_end_meets_a_memory_error():
    growing = "held = b'ab'\ntry:\n    while True:\n        held *= 64\nexcept MemoryError:\n    print('WRONG: met')\n"
    assert run_script(PLAIN, growing, set()).what == {"wrong"}


@pytest.mark.parametrize(
    ("text", "what"), [("s.append(1)", {"gil"}), ("threading.Event().wait()", {"hang"})]
)
def test_what_goes_on_and_on_is_no_hang_while_its_calls_come_to_an_end(text: str, what: set[str]):
    scenario = {
        "kind": "pair", "make": "[]", "argument": None, "observe": [], "sharing": "shared", "threads": 2,
        "iterations": 10**9, "rows": [[[text, None]]],
    }  # fmt: skip
    written = script.render(
        scenario, ["threading"], title="A title", name="replay.py", rounds=10**6
    )
    patient = Interpreter(sys.executable, ".", patience_s=3.0)
    assert run_script(patient, written, set()).what == what


def test_a_script_whose_threads_all_wait_is_not_waited_for_any_longer(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(endings, "_STUCK_S", 0.5)
    patient = Interpreter(sys.executable, ".", patience_s=600.0)
    assert run_script(patient, "import threading\nthreading.Event().wait()\n", set()).what == {
        "hang"
    }

    busy = "import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end:\n    pass\n"
    assert run_script(patient, busy, set()).what == set()
