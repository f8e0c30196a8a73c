"""A package's own tests hide no report of the race detector."""

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from builder.inside.stress.own_tests import owntests, pytest_runner
from builder.inside.stress.own_tests.pytest_runner import PytestRunner
from builder.inside.stress.process.interpreter import Interpreter
from builder.inside.stress.sanitizer import reports
from builder.inside.supervise.accounts import OWN
from tests.unit.inside.stress.sanitizer.sanitizer_reports import BUMP, OURS, PEEK, race

CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--parallel-threads")
    parser.addoption("--iterations")
"""

REPORTS = f"""
import os, sys
def test_that_races():
    os.write(2, {race((BUMP,), (PEEK,)).encode()!r})
"""


def watch(folder: Path, tests: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what is seen of some tests, one of which writes a report as the race detector does.

    The plugin that runs tests in threads, which images have, is none here.
    """

    def prepare(
        interpreter: Interpreter, _: str, wheels: str, asked: dict[str, Any], scratch: Path
    ) -> tuple[PytestRunner, str]:
        home = scratch / "home"
        (home / "tests").mkdir(parents=True)
        (home / "tests/conftest.py").write_text(CONFTEST)
        (home / "tests/test_it.py").write_text(REPORTS + textwrap.dedent(tests))
        return PytestRunner(interpreter, OWN, home, Path(wheels), asked), ""

    monkeypatch.setattr(owntests, "prepare_runner", prepare)
    asked = {"threads": 2, "iterations": 1, "seconds": 60, "deselect": [], "command": []}
    interpreter = Interpreter(sys.executable, str(folder), race=True)
    return owntests.race_tests(interpreter, sys.executable, str(folder), {OURS}, asked)


def test_a_report_of_own_tests_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen = watch(tmp_path, "def test_honest(): print('x', file=sys.stderr)", monkeypatch)
    assert (seen["passed"], seen["lost"], seen["forged"]) == (2, 0, "")
    assert [event["owner"] for event in seen["races"]] == ["package"]


def test_a_report_of_own_tests_cannot_be_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tests = """
    def test_that_takes_back():
        import pathlib, shutil
        for path in pathlib.Path.home().rglob("reports*"):
            path.unlink()
        for name in ("/proc/self/fd/2", "/dev/stderr"):
            try:
                os.truncate(name, 0)
            except OSError:
                pass
    """
    seen = watch(tmp_path, tests, monkeypatch)
    assert [event["owner"] for event in seen["races"]] == ["package"]


@pytest.mark.parametrize(
    ("act", "lost"),
    [
        ("os.dup2(os.open(os.devnull, os.O_WRONLY), 2)", 2),
        ("request.config.pluginmanager.unregister(find(request))", 1),
    ],
)
def test_who_keeps_reports_from_arriving_is_seen(
    act: str, lost: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tests = f"""
    def find(request):
        plugins = request.config.pluginmanager.get_plugins()
        return next(plugin for plugin in plugins if type(plugin).__name__ == "Marker")

    def test_that_hides(request):
        {act}

    def test_that_would_race():
        pass
    """
    seen = watch(tmp_path, tests, monkeypatch)
    assert seen["lost"] >= lost


def test_who_floods_what_reports_go_through_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reports, "MOST_BYTES", 1 << 10)
    monkeypatch.setattr(pytest_runner, "_OUTPUT_BYTES", 1 << 10)
    flood = 'os.write(2, b"x" * 4096)\n'
    # Before the report and after it, so that it is in what is left out.
    monkeypatch.setattr(sys.modules[__name__], "REPORTS", f"import os, sys\n{flood}{REPORTS}")
    seen = watch(tmp_path, f"def test_that_floods(): {flood}", monkeypatch)
    assert seen["races"] == []
    assert seen["lost"] == 2


def test_who_speaks_for_the_program_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tests = """
    def test_that_speaks():
        for name in os.listdir("/proc/self/fd"):
            try:
                if int(name) > 2:
                    os.write(int(name), b'{"ended": 0}\\n')
            except OSError:
                pass
    """
    assert "without the harness's token" in watch(tmp_path, tests, monkeypatch)["forged"]
