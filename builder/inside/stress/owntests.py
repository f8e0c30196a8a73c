"""A distribution's own tests: alone, then each of them in several threads at once by pytest-run-parallel."""

import os
import re
import signal
import subprocess
import tarfile
import tempfile
import time
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import Any

from . import installing, reports
from .runner import Interpreter

_FOLDERS = ("tests", "test", "testing")
_CODE = {"pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "conftest.py", "pytest.ini"}
_MOST_NAMED = 30


_MOST_REPORTS_BYTES = 8 << 20


def run(interpreter: Interpreter, wheels: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Run the tests of an sdist alone and then in threads.

    Args:
        interpreter: what runs them, and where the distribution is installed.
        wheels: a folder with pytest, pytest-run-parallel and what the tests need.
        asked: `sdist`, `requirements` (what could be had), `threads`, `iterations`, `seconds`, `deselect`, `command` (extra options).

    Returns:
        `ran`; where it did not, `why`; `alone` and `parallel` (`passed`, `failed`, `errors`, `skipped`, `ended`), `single` (why the plugin ran
        a test in one thread, by test), `uncollected`, `baseline_failures` and `findings`, tests that pass alone and fail under threads.
    """
    with tempfile.TemporaryDirectory() as scratch:
        runner, why = _prepared(interpreter, wheels, asked, Path(scratch))
        if runner is None:
            return {"ran": False, "why": why}
        began = time.monotonic()
        alone = runner.run("alone")
        if alone["ended"] != "by itself" or not alone["passed"]:
            why = (
                "its tests do not pass alone"
                if alone["ended"] == "by itself"
                else f"its tests ended {alone['ended']}"
            )
            return {
                "ran": False,
                "why": why,
                "alone": _summary(alone),
                "uncollected": alone["uncollected"],
            }
        parallel = runner.run("parallel", *_in_threads(asked, asked["iterations"]))
        crash = parallel["ended"] if parallel["ended"].startswith("SIG") else ""
        bad = [name for name in parallel["failed"] if name in alone["passed"]]
        return {
            "ran": True,
            "seconds": round(time.monotonic() - began, 1),
            "alone": _summary(alone),
            "parallel": _summary(parallel),
            "threads": asked["threads"],
            "single": parallel["single"],
            "uncollected": alone["uncollected"],
            "baseline_failures": sorted(alone["failed"])[:_MOST_NAMED],
            "crash": crash,
            "crash_stack": parallel["tail"] if crash else "",
            "findings": {name: parallel["failed"][name] for name in bad[:_MOST_NAMED]},
        }


def raced(
    interpreter: Interpreter, wheels: str, modules: set[str], asked: dict[str, Any]
) -> dict[str, Any]:
    """Run the tests of an sdist in threads under a race detector.

    Args:
        interpreter: one that was compiled with the detector.
        wheels: as for `run`.
        modules: file names of the distribution's extension modules.
        asked: as for `run`.

    Returns:
        `ran`; where it did not, `why`; `seconds`, `passed` and `ended`; `races`, as `reports.attribute` tells them, each with its `report`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        runner, why = _prepared(interpreter, wheels, asked, Path(scratch))
        if runner is None:
            return {"ran": False, "why": why, "races": []}
        began = time.monotonic()
        parallel = runner.run("parallel", *_in_threads(asked, 1))
        told = "".join(
            found.read_text(errors="replace")[:_MOST_REPORTS_BYTES]
            for found in Path(scratch).glob("reports.*")
        )
        races = [
            {"what": "race", "kind": report["kind"], **reports.attribute(report, modules), "report": report["text"][:6000]}
            for report in reports.parse(told)
        ]  # fmt: skip
        seconds = round(time.monotonic() - began, 1)
        summary = {
            "seconds": seconds,
            "passed": len(parallel["passed"]),
            "ended": parallel["ended"],
        }
        return {"ran": True, **summary, "races": races}


def _in_threads(asked: dict[str, Any], iterations: int) -> tuple[str, ...]:
    return f"--parallel-threads={asked['threads']}", f"--iterations={iterations}"


def _prepared(
    interpreter: Interpreter, wheels: str, asked: dict[str, Any], scratch: Path
) -> "tuple[_Runner | None, str]":
    """Put tests and what they need in place; return what runs them, or why they cannot be run."""
    folder = _placed(asked["sdist"], scratch)
    if folder is None:
        return None, "the sdist has no tests"
    tools = str(scratch / "tools")
    needed = ["pytest", "pytest-run-parallel", *asked["requirements"]]
    if installing.install(interpreter.python, needed, wheels, tools):
        for requirement in needed:  # what could not be had must not take the rest along
            installing.install(interpreter.python, [requirement], wheels, tools, "--upgrade")
    if not (Path(tools) / "pytest").is_dir():
        return None, "pytest could not be had for this interpreter"
    path = f"{interpreter.site}:{tools}"
    environment = interpreter.environment(
        f"{scratch}/reports", PYTHONPATH=path, PYTEST_RUN_PARALLEL_VERBOSE="1"
    )
    return _Runner(interpreter.python, environment, folder, asked), ""


def _summary(outcome: dict[str, Any]) -> dict[str, Any]:
    return {
        "passed": len(outcome["passed"]),
        "failed": len(outcome["failed"]),
        "skipped": outcome["skipped"],
        "ended": outcome["ended"],
    }


def _placed(sdist: str, scratch: Path) -> Path | None:
    """Unpack the tests alone: the package's own folder would hide what is installed."""
    if sdist.endswith(".zip"):
        with zipfile.ZipFile(sdist) as archive:
            archive.extractall(scratch / "sdist")
    else:
        with tarfile.open(sdist) as tar:
            tar.extractall(scratch / "sdist", filter="data")
    root = next(
        iter(sorted(path for path in (scratch / "sdist").iterdir() if path.is_dir())),
        scratch / "sdist",
    )
    target = scratch / "tests"
    target.mkdir()
    found = False
    for name in (*_FOLDERS, *_CODE):
        if (root / name).exists():
            (root / name).rename(target / name)
            found |= name in _FOLDERS
    for path in root.glob("test*.py"):
        path.rename(target / path.name)
        found = True
    return target if found else None


class _Runner:
    """Runs pytest in a folder of tests."""

    def __init__(
        self, python: str, environment: dict[str, str], folder: Path, asked: dict[str, Any]
    ) -> None:
        self._python = python
        self._folder = folder
        self._asked = asked
        self._environment = environment

    def run(self, name: str, *options: str) -> dict[str, Any]:
        """Run the tests once; files that cannot be collected are left out."""
        report = self._folder / f"{name}.xml"
        command = [
            # Options of the project's own configuration may belong to plugins that are not here.
            self._python, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=",
            "--continue-on-collection-errors", f"--junit-xml={report}", *self._asked["command"],
            *(f"--deselect={test}" for test in self._asked["deselect"]), *options,
        ]  # fmt: skip
        if name == "alone":
            command += ["-p", "no:run-parallel"]
        ended, text = self._process(command)
        return {
            "ended": ended,
            "tail": text[-4000:],
            **_results(report),
            "single": _single(text),
            "uncollected": _uncollected(text),
        }

    def _process(self, command: list[str]) -> tuple[str, str]:
        with tempfile.TemporaryFile("w+", errors="replace") as sink:
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
            try:
                process.wait(self._asked["seconds"])
                ended = (
                    "by itself"
                    if process.returncode >= 0
                    else signal.Signals(-process.returncode).name
                )
                ended = "at the limit on memory" if ended == "SIGKILL" else ended
            except subprocess.TimeoutExpired:
                os.killpg(
                    process.pid, signal.SIGABRT
                )  # the fault handler shows where all threads stand
                ended = "at the limit on time"
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            sink.seek(0)
            text = sink.read()
        print(text[-3000:], flush=True)
        return ended, text


def _results(report: Path) -> dict[str, Any]:
    """Read pytest's own report."""
    found: dict[str, Any] = {"passed": set(), "failed": {}, "skipped": 0}
    if not report.exists():
        return found
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        bad = next((child for child in case if child.tag in {"failure", "error"}), None)
        if bad is not None:
            found["failed"][name] = (bad.get("message") or "")[:400]
        elif any(child.tag == "skipped" for child in case):
            found["skipped"] += 1
        else:
            found["passed"].add(name)
    return found


def _single(text: str) -> dict[str, str]:
    """Return the tests that pytest-run-parallel says it ran in one thread, with its reasons."""
    found = re.findall(r"^(\S+::.+?) was not run in parallel: (.*)$", text, re.MULTILINE)
    return {name: reason.strip() for name, reason in found}


def _uncollected(text: str) -> list[str]:
    return sorted(set(re.findall(r"^ERROR (\S+?)(?: -|$)", text, re.MULTILINE)))[:_MOST_NAMED]
