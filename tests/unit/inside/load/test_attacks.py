"""Packages that try to speak for the probe that imports them: none is believed."""

import sys
from pathlib import Path
from typing import Any

import pytest

from builder.evidence.load import Probe
from builder.inside.load import imports
from builder.inside.load.probe_process import run_probe

FIND_PIPE = """
import os
def pipes():
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and os.readlink("/proc/self/fd/" + name).startswith("pipe:"):
                yield int(name)
        except OSError:
            pass
def say(data):
    for fd in pipes():
        try:
            os.write(fd, data)
        except OSError:  # an end that is read
            pass
"""
OUTLIVE = """
import time
if not os.fork():
    os.setsid()
    say(b"x\\n")
    time.sleep(60)
time.sleep(0.5)
"""
FORGED = b'{"token": "0", "number": 0, "record": {"gil": {"before": false, "after": false}}}\n'


def probe(folder: Path, code: str) -> dict[str, Any]:
    """Return what importing a module with this code shows."""
    (folder / "hostile.py").write_text(code)
    request = {"site": str(folder), "tops": ["hostile"], "natives": []}
    facts = imports.probe_module(sys.executable, request, "hostile", native=False)
    assert Probe.model_validate(facts)
    return facts


def test_an_honest_module_is_believed(tmp_path: Path):
    facts = probe(tmp_path, "print('hello')")
    assert not {"error", "fault", "signal", "hang"} & facts.keys()
    assert facts["gil"]["enabled_by"] is None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os._exit(0)", "ended with exit code 0 in the middle of the import"),
        ("import os; os._exit(3)", "ended with exit code 3 in the middle of the import"),
        ("import atexit, os; atexit.register(os._exit, 4)", "exit code 4 after the import"),
        (
            "import os, threading\nthreading.Thread(target=lambda: os._exit(0)).start()\nimport time; time.sleep(5)",
            "exit code 0 in the middle",
        ),
        # The parent ends, the child goes on: it is not the process that was asked.
        ("import os\nif os.fork(): os._exit(0)", "exit code 0 in the middle"),
        ("import os; os.closerange(3, 100)", "exit code"),
        (
            f"{FIND_PIPE}\nsay({FORGED!r})",
            "without the harness's token",
        ),
        (
            f"{FIND_PIPE}\nsay({FORGED!r})\nos._exit(0)",
            "without the harness's token",
        ),
        (
            f"{FIND_PIPE}\nimport atexit\ndef late():\n say(b'x\\n')\natexit.register(late)",
            "a record after the closing one",
        ),
        # It outlives its parent, and speaks when that has ended.
        (
            f"{FIND_PIPE}{OUTLIVE}",
            "without the harness's token",
        ),
    ],
)
def test_what_ends_the_probe_or_speaks_for_it_is_no_import(tmp_path: Path, code: str, words: str):
    facts = probe(tmp_path, code)
    assert words in facts["error"]
    assert facts["fault"] == facts["error"]


@pytest.mark.parametrize(
    "code",
    [
        "import json; json.dumps = lambda *_, **__: '{}'",
        "import json.encoder as e; e.encode_basestring_ascii = e.c_make_encoder = None",
        "import os; os.write = lambda fd, data: len(data)",
        "import os; os.getpid = lambda: 1",
        "import sys; sys._is_gil_enabled = lambda: False",
        "import sys; sys.modules.clear()",
        "import __main__\nfor name in list(vars(__main__)): vars(__main__)[name] = None",
        "import importlib; importlib.import_module = None",
        "import time; time.perf_counter = lambda: -1.0",
    ],
)
def test_what_is_replaced_in_modules_does_not_matter(tmp_path: Path, code: str):
    code += "\nraise ValueError('seen')"
    assert probe(tmp_path, code)["error"] == "ValueError: seen"


def test_without_builtins_the_probe_ends_and_nothing_is_believed(tmp_path: Path):
    code = "import builtins; builtins.type = builtins.isinstance = builtins.getattr = None"
    assert "error" in probe(tmp_path, code)


def test_an_exception_whose_text_raises_is_an_exception(tmp_path: Path):
    code = "class Odd(Exception):\n def __str__(self): raise SystemExit(0)\nraise Odd"
    assert probe(tmp_path, code)["error"] == "Odd: its text raises an exception"


def test_a_condition_that_the_package_ends_says_so(tmp_path: Path):
    code = "import sys, os\nif 'pickle' in sys.modules or len(sys.argv): os._exit(0)"
    (tmp_path / "hostile.py").write_text(code)
    request = {"site": str(tmp_path), "tops": ["hostile"], "natives": []}
    facts = run_probe(sys.executable, "inside.load.walk", request, ())
    assert "exit code 0 in the middle of the import" in facts["fault"]
    assert facts["during"] == "hostile"
