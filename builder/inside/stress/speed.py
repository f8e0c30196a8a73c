"""Measure how fast native calls are on several threads, with and without the GIL.

It is about independent work: each thread makes its calls on an object of its own.

Usage: python -m inside.stress.speed REQUEST.json OUTPUT.json

The request has `requirement`, `wheels` (a folder), `prelude` (modules to import), `calls` (see speed_calls.py),
`seconds`, `cpus` (what the container may use) and `interpreters`, programs by ABI, the one without the GIL first.

Every interpreter runs bench_worker.py. One measurement is made at a time, and they take turns by interpreter and number
of threads, so that whatever else the machine does meanwhile meets all of them alike. A loop of pure Python takes part:
it tells what the machine had to give.

Facts: `unknown` (why there is nothing to measure: then there is nothing else) or `cpus`, `install` (why the wheel with
the GIL could not be installed, or None), `gil` (whether the package turned the GIL on: then nothing is measured),
`tried`, `left_out` (how many calls by reason: see benchmark.py), `rounds`, `plain` (the loop, or None where nothing was
measured) and `calls`. A call has `make`, `text`, `native` and `rates`: by ABI and number of threads, a list of (calls
per second, calls per second of CPU time); the same place is the same round.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from ..supervise.accounts import supervise
from .measure.benchmark import PLAIN, Benchmark
from .package import installing
from .process.answer import write_answer
from .process.interpreter import Interpreter


def main() -> None:
    """Read the request, measure, and write the facts."""
    supervise()
    request = json.loads(Path(sys.argv[1]).read_text())
    write_answer(sys.argv[2], measure(request))


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Install the distribution for each interpreter, measure some of its native calls, and return the facts.

    There are at most two interpreters: one without the GIL, which is what the measurement is about, and one with the
    GIL to compare it with. Where the distribution does not install for the latter, the former is measured alone.

    Args:
        request: `interpreters` (the path of each interpreter by its ABI, such as `cp314t`; the one without the GIL
            comes first), `requirement` (the distribution, such as `lxml==6.0`), `wheels` (the folder to install from),
            `prelude` (names of modules to import), `calls` (what may be measured, as `choose_calls` returns it),
            `seconds` (how long to measure) and `cpus` (how many the container may use).

    Returns:
        `cpus` (how many could really be used), `install` (why the distribution does not install for the interpreter
        with the GIL, or None) and what Benchmark.describe returns. Where it does not install for the interpreter
        without the GIL there is only `unknown`, the reason.
    """
    failure_with_gil: str | None = None
    installed: dict[str, Interpreter] = {}
    requirements = installing.list_requirements(request)
    for abi, python in request["interpreters"].items():
        site = f"/tmp/{abi}"
        failure = installing.install(python, requirements, request["wheels"], site)
        if failure is None:
            installed[abi] = Interpreter(python, site)
        elif not installed:
            # This is the first interpreter, the one without the GIL: without it there is nothing to measure.
            return {"unknown": f"it does not install: {failure}"}
        else:
            failure_with_gil = failure

    # The loop of pure Python is measured beside the calls: it shows how much computing power there was.
    calls = [PLAIN, *request["calls"]]
    with Benchmark(installed, request["prelude"], calls) as benchmark:
        benchmark.run(time.monotonic() + request["seconds"])
    print(f"measured {len(benchmark.rates) - 1} calls in {benchmark.rounds} rounds", flush=True)

    cpus = min(request["cpus"], len(os.sched_getaffinity(0)))
    return {"cpus": cpus, "install": failure_with_gil, **benchmark.describe()}


if __name__ == "__main__":
    main()
