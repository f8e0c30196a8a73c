"""A distribution's own tests: alone, then each of them in several threads at once by pytest-run-parallel."""

import re
import signal
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..supervise.accounts import Account, name_user, take_account
from ..supervise.folders import make_folder, open_folder, read_file
from ..supervise.process import Output, PackageProcess
from . import installing, reports, unpacking
from .interpreter import Interpreter

_BY_ITSELF = "by itself"
_AT_MEMORY_LIMIT = "at the limit on memory"
_AT_TIME_LIMIT = "at the limit on time"

_MOST_NAMED = 30  # tests that are named in facts: a page or two
_OUTPUT_BYTES = 4 << 20  # of what pytest prints, of the beginning and of the end
_MOST_XML_BYTES = 64 << 20  # of pytest's own report: hundreds of thousands of tests
_STACKS_S = 5  # for the fault handler to write the stacks of all threads

# How many characters of texts are kept: enough for a stack, and bounded, for facts are kept for each release.
_LONGEST_REPORT = 6000
_LONGEST_TAIL = 4000
_LONGEST_PRINTED = 3000
_LONGEST_MESSAGE = 400

_RUN_IN_ONE_THREAD = re.compile(r"^(\S+::.+?) was not run in parallel: (.*)$", re.MULTILINE)
"""How pytest-run-parallel, when verbose, names a test that it runs in one thread."""

_UNCOLLECTED = re.compile(r"^ERROR (\S+?)(?: -|$)", re.MULTILINE)
"""How the summary of pytest names a file that it could not collect."""


@dataclass(kw_only=True, slots=True)
class _Outcomes:
    """What pytest's own report says of each test.

    Attributes:
        passed: names of tests.
        failed: the first lines of their errors, by name of test.
        skipped: how many were.
    """

    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _TestRun:
    """What came of running the tests once.

    Attributes:
        ended: how pytest ended: by itself, at a limit, or by a signal, which is named.
        text: what it printed.
        outcomes: what came of each test.
    """

    ended: str
    text: str
    outcomes: _Outcomes

    @property
    def tail(self) -> str:
        """The end of what it printed: after a crash, the stacks."""
        return self.text[-_LONGEST_TAIL:]

    @property
    def crash(self) -> str:
        """The signal it died of; empty where it did not."""
        return self.ended if self.ended.startswith("SIG") else ""

    def record(self) -> dict[str, Any]:
        """Return how many tests passed, failed and were skipped, and how pytest ended, as JSON data."""
        return {
            "passed": len(self.outcomes.passed),
            "failed": len(self.outcomes.failed),
            "skipped": self.outcomes.skipped,
            "ended": self.ended,
        }


def run_tests(interpreter: Interpreter, wheels: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Run the tests of an sdist, each in one thread and then each in several threads at once.

    Args:
        interpreter: what runs them, and where the distribution is installed.
        wheels: a folder with pytest, pytest-run-parallel and what the tests need.
        asked: `sdist`, `requirements` (what could be had), `threads`, `iterations`, `seconds`, `deselect`, `command`
            (extra options).

    Returns:
        `ran`; where it is false, `why`; `alone` and `parallel` (`passed`, `failed`, `skipped`, `ended`), `single` (why
        the plugin ran a test in one thread, by test), `uncollected` (files that pytest could not read),
        `baseline_failures` (tests that fail in one thread) and `findings` (errors of tests that pass alone and fail
        under threads).
    """
    with open_folder(is_writable=False) as scratch:
        runner, obstacle = _prepare_runner(interpreter, wheels, asked, scratch)
        if runner is None:
            return {"ran": False, "why": obstacle}

        began = time.monotonic()
        alone = runner.run_alone()
        uncollected = _list_uncollected(alone.text)
        obstacle = _explain_unusable(alone)
        if obstacle:
            return {
                "ran": False,
                "why": obstacle,
                "alone": alone.record(),
                "uncollected": uncollected,
            }

        parallel = runner.run_in_threads(asked["iterations"])
        seconds = round(time.monotonic() - began, 1)

    return {
        "ran": True,
        "seconds": seconds,
        "alone": alone.record(),
        "parallel": parallel.record(),
        "threads": asked["threads"],
        "single": _find_single_threaded(parallel.text),
        "uncollected": uncollected,
        "baseline_failures": sorted(alone.outcomes.failed)[:_MOST_NAMED],
        "crash": parallel.crash,
        "crash_stack": parallel.tail if parallel.crash else "",
        "findings": _find_broken(alone, parallel),
    }


def race_tests(
    interpreter: Interpreter, wheels: str, modules: set[str], asked: dict[str, Any]
) -> dict[str, Any]:
    """Run the tests of an sdist in threads under a race detector.

    Args:
        interpreter: one that was compiled with the detector.
        wheels: as for `run_tests`.
        modules: file names of the distribution's extension modules.
        asked: as for `run_tests`.

    Returns:
        `ran`; where it is false, `why`; `seconds`, `passed` and `ended`; `races`, each as `reports.attribute` describes
        it, with the text of its `report`.
    """
    with open_folder(is_writable=False) as scratch:
        runner, obstacle = _prepare_runner(interpreter, wheels, asked, scratch)
        if runner is None:  # there are no tests, or pytest is missing
            return {"ran": False, "why": obstacle, "races": []}

        began = time.monotonic()
        parallel = runner.run_in_threads(iterations=1)
        races = _read_races(scratch / "home", modules)
        seconds = round(time.monotonic() - began, 1)

    return {
        "ran": True,
        "seconds": seconds,
        "passed": len(parallel.outcomes.passed),
        "ended": parallel.ended,
        "races": races,
    }


def _explain_unusable(alone: _TestRun) -> str:
    """Say why tests that were run in one thread cannot be compared with threads; empty where they can.

    They cannot where pytest was stopped, or where no test passes.
    """
    if alone.ended != _BY_ITSELF:
        return f"its tests ended {alone.ended}"
    if not alone.outcomes.passed:
        return "its tests do not pass alone"

    return ""


def _find_broken(alone: _TestRun, parallel: _TestRun) -> dict[str, str]:
    """Return the errors of the tests that pass alone and fail under threads, by test; at most some of them.

    Args:
        alone: the tests in one thread.
        parallel: the same tests in several threads at once.
    """
    broken: dict[str, str] = {}
    for name, message in parallel.outcomes.failed.items():
        if name in alone.outcomes.passed and len(broken) < _MOST_NAMED:
            broken[name] = message

    return broken


def _read_races(folder: Path, modules: set[str]) -> list[dict[str, Any]]:
    """Return the races in the reports that the detector wrote, one file for each process; empty where it wrote none.

    Args:
        folder: where the detector wrote `reports.PID`.
        modules: file names of the distribution's extension modules.
    """
    races: list[dict[str, Any]] = []
    for report in reports.parse(reports.read(folder.glob("reports.*"))):
        races.append(
            {
                "what": "race",
                "kind": report["kind"],
                **reports.attribute(report, modules),
                "report": report["text"][:_LONGEST_REPORT],
            }
        )

    return races


class _TestRunner:
    """Runs pytest in a folder of tests."""

    def __init__(
        self,
        python: str,
        account: Account,
        environment: dict[str, str],
        folder: Path,
        asked: dict[str, Any],
    ) -> None:
        self._python = python
        self._account = account
        self._folder = folder
        self._asked = asked
        self._environment = environment

    def run_alone(self) -> _TestRun:
        """Run each test in one thread."""
        return self._run("alone", ["-p", "no:run-parallel"])

    def run_in_threads(self, iterations: int) -> _TestRun:
        """Run each test in several threads at once, so many times in each thread."""
        threads = self._asked["threads"]
        options = [f"--parallel-threads={threads}", f"--iterations={iterations}"]
        return self._run("parallel", options)

    def _run(self, name: str, options: Sequence[str]) -> _TestRun:
        """Run pytest once, and return what came of it; test files that cannot be read are skipped.

        Args:
            name: names pytest's report file: `alone` or `parallel`.
            options: further options of pytest.
        """
        report = self._folder / f"{name}.xml"
        deselected = [f"--deselect={test}" for test in self._asked["deselect"]]
        pytest = [self._python, "-m", "pytest", "-ra", "-p", "no:cacheprovider"]
        # Options of the project's own configuration may belong to plugins that are not here.
        overrides = ["-o", "addopts=", "-o", "filterwarnings="]
        command = [
            *pytest,
            *overrides,
            "--continue-on-collection-errors",
            f"--junit-xml={report}",
            *self._asked["command"],
            *deselected,
            *options,
        ]
        ended, text = self._run_process(command)

        return _TestRun(ended=ended, text=text, outcomes=_read_outcomes(report))

    def _run_process(self, command: Sequence[str]) -> tuple[str, str]:
        """Run a command until it ends or its time is up; return how it ended, and what it printed."""
        output = Output(_OUTPUT_BYTES, _OUTPUT_BYTES)
        with PackageProcess(
            list(command),
            account=self._account,
            environment=self._environment,
            folder=str(self._folder),
            output=output,
        ) as process:
            has_ended = process.wait(self._asked["seconds"])
            if not has_ended:
                _dump_stacks(process)
            exit_code = process.end()

        ended = _describe_end(exit_code) if has_ended else _AT_TIME_LIMIT
        text = output.read_text()
        print(text[-_LONGEST_PRINTED:], flush=True)
        return ended, text


def _prepare_runner(
    interpreter: Interpreter, wheels: str, asked: dict[str, Any], scratch: Path
) -> tuple[_TestRunner | None, str]:
    """Put tests and what they need in place; return a runner, or None and the reason why they cannot be run.

    Args:
        interpreter: what runs the tests.
        wheels: a folder with pytest, pytest-run-parallel and what the tests need.
        asked: what `run_tests` was given.
        scratch: an empty folder, for the tests and their tools.
    """
    # The tests belong to the user that runs them, and may do what they like in their folder.
    account = take_account()
    home = scratch / "home"
    make_folder(home)
    exit_code = unpacking.unpack_apart(account, asked["sdist"], scratch / "sdist", home / "tests")
    if exit_code == unpacking.NO_TESTS:
        return None, "the sdist has no tests"
    if exit_code != 0:
        return None, "the sdist cannot be unpacked"

    tools = scratch / "tools"
    requirements = ["pytest", "pytest-run-parallel", *asked["requirements"]]
    if installing.install(interpreter.python, requirements, wheels, str(tools)):
        # One that cannot be installed must not keep out the others: each is installed by itself.
        installing.install_each(interpreter.python, requirements, wheels, str(tools))
    if not (tools / "pytest").is_dir():
        return None, "pytest could not be had for this interpreter"

    environment = interpreter.environment(
        f"{home}/reports",
        PYTHONPATH=f"{interpreter.site}:{tools}",
        PYTEST_RUN_PARALLEL_VERBOSE="1",
        **name_user(str(home)),
    )
    return _TestRunner(interpreter.python, account, environment, home / "tests", asked), ""


def _describe_end(returncode: int) -> str:
    """Say how a process ended: `by itself`, at the limit on memory, or by a signal, such as `SIGSEGV`."""
    if returncode >= 0:
        return _BY_ITSELF

    try:
        name = signal.Signals(-returncode).name
    except ValueError:  # a real-time signal has a number only
        name = f"signal {-returncode}"
    return _AT_MEMORY_LIMIT if name == "SIGKILL" else name  # the kernel kills what takes too much


def _dump_stacks(process: PackageProcess) -> None:
    """Have the fault handler of a process and its children write the stacks of all threads, if it still can."""
    process.signal_group(signal.SIGABRT)
    process.wait(_STACKS_S)


def _read_outcomes(report: Path) -> _Outcomes:
    """Return what pytest's report file says of each test; empty where pytest wrote none, or something else is there."""
    outcomes = _Outcomes()
    content = read_file(report, _MOST_XML_BYTES)
    if content is None:
        return outcomes
    try:
        cases = ET.fromstring(content).iter("testcase")
    except ET.ParseError:
        return outcomes

    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        # A test whose fixture failed has an `error` instead of a `failure`.
        failure = next((child for child in case if child.tag in {"failure", "error"}), None)
        if failure is not None:
            message = failure.get("message") or ""
            outcomes.failed[name] = message[:_LONGEST_MESSAGE]
        elif case.find("skipped") is not None:
            outcomes.skipped += 1
        else:
            outcomes.passed.add(name)

    return outcomes


def _find_single_threaded(text: str) -> dict[str, str]:
    """Return the tests that pytest-run-parallel says it ran in one thread, with its reasons."""
    return {name: reason.strip() for name, reason in _RUN_IN_ONE_THREAD.findall(text)}


def _list_uncollected(text: str) -> list[str]:
    """Return the files that could not be collected, sorted."""
    return sorted(set(_UNCOLLECTED.findall(text)))[:_MOST_NAMED]
