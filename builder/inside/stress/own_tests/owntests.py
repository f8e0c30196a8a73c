"""A distribution's own tests: alone, then each of them in several threads at once by pytest-run-parallel."""

import time
from pathlib import Path
from typing import Any

from ...supervise.folders import open_folder
from ..package import installing
from ..process.interpreter import Interpreter
from ..sanitizer import causes, reports
from .pytest_report import MOST_NAMED, find_single_threaded, list_uncollected
from .pytest_runner import BY_ITSELF, PytestRun, prepare_runner


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
        runner, obstacle = prepare_runner(interpreter, interpreter.python, wheels, asked, scratch)
        if runner is None:
            return {"ran": False, "why": obstacle}

        began = time.monotonic()
        alone = runner.run_alone()
        uncollected = list_uncollected(alone.text)
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
        "single": find_single_threaded(parallel.text),
        "uncollected": uncollected,
        "baseline_failures": sorted(alone.outcomes.failed)[:MOST_NAMED],
        "crash": parallel.crash,
        "crash_stack": parallel.tail if parallel.crash else "",
        "findings": _find_broken(alone, parallel),
    }


def _explain_unusable(alone: PytestRun) -> str:
    """Say why tests that were run in one thread cannot be compared with threads; empty where they can.

    They cannot where pytest was stopped, or where no test passes.
    """
    if alone.ended != BY_ITSELF:
        return f"its tests ended {alone.ended}"
    if not alone.outcomes.passed:
        return "its tests do not pass alone"

    return ""


def _find_broken(alone: PytestRun, parallel: PytestRun) -> dict[str, str]:
    """Return the errors of the tests that pass alone and fail under threads, by test; at most some of them.

    Args:
        alone: the tests in one thread.
        parallel: the same tests in several threads at once.
    """
    broken: dict[str, str] = {}
    for name, message in parallel.outcomes.failed.items():
        if name in alone.outcomes.passed and len(broken) < MOST_NAMED:
            broken[name] = message

    return broken


def race_tests(
    interpreter: Interpreter,
    installer: str,
    wheels: str,
    modules: set[str],
    asked: dict[str, Any],
) -> dict[str, Any]:
    """Run the tests of an sdist in threads under a race detector.

    Args:
        interpreter: one that was compiled with the detector.
        installer: an interpreter that has pip, which the other one does not have, and takes the same wheels.
        wheels: as for `run_tests`.
        modules: file names of the distribution's extension modules.
        asked: as for `run_tests`.

    Returns:
        `ran`; where it is false, `why`; `seconds`, `passed` and `ended`; `lost` (tests whose reports did not arrive)
        and `forged` (what came that the program which runs the tests did not write); `races`, each as
        `attribution.attribute` describes it, with the text of its `report`.
    """
    with open_folder(is_writable=False) as scratch:
        runner, obstacle = prepare_runner(interpreter, installer, wheels, asked, scratch)
        if runner is None:  # there are no tests, or pytest is missing
            return {"ran": False, "why": obstacle, "races": []}

        began = time.monotonic()
        watched = runner.run_under_detector()
        seconds = round(time.monotonic() - began, 1)

    races = _list_races(watched.reported, modules, scratch / installing.TOOLS, interpreter)
    passed = len(watched.run.outcomes.passed)
    lost = watched.lost
    shows_own_race = any(race["owner"] == "package" for race in races)
    # Who prints without end may want to have a report left out.
    if watched.is_cut and not shows_own_race:
        lost = max(1, passed)

    return {
        "ran": True,
        "seconds": seconds,
        "passed": passed,
        "ended": watched.run.ended,
        "lost": lost,
        "forged": watched.forged,
        "races": races,
    }


def _list_races(
    reported: str, modules: set[str], tools: Path, interpreter: Interpreter
) -> list[dict[str, Any]]:
    """Return the races in what the detector wrote; empty where it wrote nothing.

    Args:
        reported: its reports, and what else was printed as errors.
        modules: file names of the distribution's extension modules.
        tools: where what the tests need is installed.
        interpreter: the one that was compiled with the detector.
    """
    races: list[dict[str, Any]] = []
    for report in reports.parse(reported):
        judged = causes.judge_report(
            report,
            modules,
            folders=(str(tools),),
            unwatched=interpreter.unwatched,
            stores=interpreter.stores,
        )
        races.append({"what": "race", **judged})

    return races
