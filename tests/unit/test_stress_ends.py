"""How a program ended: by its own fault, or because somebody else ended it."""

import sys

import pytest
from conduct import Interpreter, run_script

PLAIN = Interpreter(sys.executable, ".", patience_s=20.0)


@pytest.mark.parametrize(
    ("name", "what"), [("SIGSEGV", {"crash"}), ("SIGABRT", {"crash"}), ("SIGKILL", set()), ("SIGTERM", set())]
)
def test_what_the_kernel_kills_did_not_crash(name: str, what: set[str]):
    run = run_script(PLAIN, f"import os, signal\nos.kill(os.getpid(), signal.{name})\n", set())
    assert run.what == what
    assert run.signal == (name if what else "")


def test_what_grows_without_end_meets_a_memory_error():
    growing = "held = b'ab'\ntry:\n    while True:\n        held *= 64\nexcept MemoryError:\n    print('WRONG: met')\n"
    assert run_script(PLAIN, growing, set()).what == {"wrong"}
