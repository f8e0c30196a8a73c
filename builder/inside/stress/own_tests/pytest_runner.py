"""Run the tests of an sdist by pytest: alone, in several threads, or in threads under the race detector."""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...supervise.accounts import Account, name_user, take_account
from ...supervise.folders import make_folder
from ...supervise.output import Output
from ...supervise.process import PackageProcess
from ...supervise.records import Records, make_token
from ..package import installing, unpacking
from ..process.interpreter import Interpreter
from ..sanitizer import reports
from .marked_tests import MOST_MARKED
from .pytest_report import Outcomes, read_outcomes

BY_ITSELF = "by itself"
_AT_MEMORY_LIMIT = "at the limit on memory"
_AT_TIME_LIMIT = "at the limit on time"

_OUTPUT_BYTES = 4 << 20  # of what pytest prints, of the beginning and of the end
_STACKS_S = 5  # for the fault handler to write the stacks of all threads

# How many characters of texts are kept: enough for a stack, and bounded, for facts are kept for each release.
_LONGEST_TAIL = 4000
_LONGEST_PRINTED = 3000

_MARK = r"^%s (\d+)$"
"""A line in standard error where marked_tests.py came to the end of a test, with its mark."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PytestRun:
    """What came of running the tests once.

    Attributes:
        ended: how pytest ended: by itself, at a limit, or by a signal, which is named.
        text: what it printed.
        outcomes: what came of each test.
    """

    ended: str
    text: str
    outcomes: Outcomes

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


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorRun:
    """What came of running the tests once under a race detector.

    Attributes:
        run: of the tests.
        reported: what the detector wrote, among all else that came through standard error.
        is_cut: whether more came than is kept.
        lost: how many tests ended without a sign of that on standard error.
        forged: what came that marked_tests.py did not write, in words; empty where there is nothing.
    """

    run: PytestRun
    reported: str
    is_cut: bool
    lost: int
    forged: str


class PytestRunner:
    """Runs pytest in a folder of tests."""

    def __init__(
        self,
        interpreter: Interpreter,
        account: Account,
        home: Path,
        tools: Path,
        asked: dict[str, Any],
    ) -> None:
        self._interpreter = interpreter
        self._account = account
        self._home = home
        self._folder = home / "tests"
        self._paths = [interpreter.site, str(tools)]
        self._asked = asked

    def run_alone(self) -> PytestRun:
        """Run each test in one thread."""
        return self._run("alone", ["-p", "no:run-parallel"])

    def run_in_threads(self, iterations: int) -> PytestRun:
        """Run each test in several threads at once, so many times in each thread."""
        return self._run("parallel", self._in_threads(iterations))

    def run_under_detector(self) -> DetectorRun:
        """Run each test in several threads at once, and take what the race detector writes meanwhile.

        That comes through standard error, a pipe: what is in it nobody can take back, as they could a file's.
        """
        report = self._folder / "watched.xml"
        mark = make_token()
        request = {
            # Of what is printed only what Python code prints is captured: the detector's reports go their way.
            "arguments": [*self._arguments(report, self._in_threads(1)), "--capture=sys"],
            "paths": self._paths,
            "mark": mark,
        }
        errors = Output(reports.MOST_BYTES, _OUTPUT_BYTES)
        ended, text, records = self._run_process(
            self._interpreter.program("own_tests.marked_tests"),
            self._interpreter.program_environment(str(self._home)),
            errors=errors,
            request=request,
        )

        outcomes = read_outcomes(report)
        reported = errors.read_text()
        is_cut = errors.size > errors.head_bytes + errors.tail_bytes
        lost = 0 if is_cut else count_lost(records, reported, mark, len(outcomes.passed))
        return DetectorRun(
            run=PytestRun(ended=ended, text=text, outcomes=outcomes),
            reported=reported,
            is_cut=is_cut,
            lost=lost,
            forged=records.forgery,
        )

    def _in_threads(self, iterations: int) -> list[str]:
        """Return the options by which each test runs in several threads, so many times in each."""
        return [f"--parallel-threads={self._asked['threads']}", f"--iterations={iterations}"]

    def _run(self, name: str, options: Sequence[str]) -> PytestRun:
        """Run pytest once, and return what came of it; test files that cannot be read are skipped.

        Args:
            name: names pytest's report file: `alone` or `parallel`.
            options: further options of pytest.
        """
        report = self._folder / f"{name}.xml"
        command = [self._interpreter.python, "-m", "pytest", *self._arguments(report, options)]
        environment = self._interpreter.environment(
            PYTHONPATH=":".join(self._paths),
            PYTEST_RUN_PARALLEL_VERBOSE="1",
            **name_user(str(self._home)),
        )
        ended, text, _ = self._run_process(command, environment)

        return PytestRun(ended=ended, text=text, outcomes=read_outcomes(report))

    def _arguments(self, report: Path, options: Sequence[str]) -> list[str]:
        """Return the arguments of pytest.

        Args:
            report: the file that pytest is to write its own report to.
            options: further options.
        """
        deselected = [f"--deselect={test}" for test in self._asked["deselect"]]
        # Options of the project's own configuration may belong to plugins that are not here.
        overrides = ["-o", "addopts=", "-o", "filterwarnings="]
        return [
            "-ra",
            "-p",
            "no:cacheprovider",
            *overrides,
            "--continue-on-collection-errors",
            f"--junit-xml={report}",
            *self._asked["command"],
            *deselected,
            *options,
        ]

    def _run_process(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        *,
        errors: Output | None = None,
        request: dict[str, Any] | None = None,
    ) -> tuple[str, str, Records]:
        """Run a command until it ends or its time is up; return how it ended, what it printed, and what it said.

        Args:
            command: the command.
            environment: its whole environment.
            errors: takes what it prints as errors; None where that is no different from all else.
            request: what it is asked; None for nothing.
        """
        output = Output(_OUTPUT_BYTES, _OUTPUT_BYTES)
        with PackageProcess(
            list(command),
            account=self._account,
            environment=environment,
            folder=str(self._folder),
            output=output,
            errors=errors,
            request=request,
        ) as process:
            has_ended = process.wait(self._asked["seconds"])
            if not has_ended:
                _dump_stacks(process)
            exit_code = process.end()

        ended = _describe_end(exit_code) if has_ended else _AT_TIME_LIMIT
        text = output.read_text()
        print(text[-_LONGEST_PRINTED:], flush=True)
        return ended, text, process.records


def prepare_runner(
    interpreter: Interpreter, installer: str, wheels: str, asked: dict[str, Any], scratch: Path
) -> tuple[PytestRunner | None, str]:
    """Put tests and what they need in place; return a runner, or None and the reason why they cannot be run.

    Args:
        interpreter: what runs the tests.
        installer: an interpreter that installs what they need.
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

    tools = scratch / installing.TOOLS
    requirements = ["pytest", "pytest-run-parallel", *asked["requirements"]]
    if installing.install(installer, requirements, wheels, str(tools)):
        # One that cannot be installed must not keep out the others: each is installed by itself.
        installing.install_each(installer, requirements, wheels, str(tools))
    if not (tools / "pytest").is_dir():
        return None, "pytest could not be had for this interpreter"

    return PytestRunner(interpreter, account, home, tools, asked), ""


def count_lost(records: Records, printed: str, mark: str, passed: int) -> int:
    """Return in how many tests what the race detector writes did not arrive.

    It writes to standard error, and so does the program that runs the tests, at the end of each. Where the second did
    not arrive, the first cannot have either.

    Args:
        records: what that program said: the number of each test that ended.
        printed: what came through standard error.
        mark: what it wrote there, before that number.
        passed: how many tests passed, as pytest's own report has it.
    """
    ended = {record.get("ended") for record in records.items}
    marked = {int(number) for number in re.findall(_MARK % mark, printed, re.MULTILINE)}
    # What unregisters the program's plugin ends tests that it does not hear of.
    unheard = max(0, min(passed, MOST_MARKED) - len(ended))
    return len(ended - marked) + unheard


def _describe_end(returncode: int) -> str:
    """Say how a process ended: `by itself`, at the limit on memory, or by a signal, such as `SIGSEGV`."""
    if returncode >= 0:
        return BY_ITSELF

    try:
        name = signal.Signals(-returncode).name
    except ValueError:  # a real-time signal has a number only
        name = f"signal {-returncode}"
    return _AT_MEMORY_LIMIT if name == "SIGKILL" else name  # the kernel kills what takes too much


def _dump_stacks(process: PackageProcess) -> None:
    """Have the fault handler of a process and its children write the stacks of all threads, if it still can."""
    process.signal_group(signal.SIGABRT)
    process.wait(_STACKS_S)
