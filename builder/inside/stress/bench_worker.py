"""Make calls as often as told, in as many threads as told, and say how long that took.

Usage: python -m inside.stress.bench_worker PREPARED.json, with `prelude` (modules to import) and `calls` (each `make`, an expression or null, and `text`, in which `s` is
what `make` made). The first line on standard output has `gil`: whether an interpreter that can do
without the GIL has it on. Then each line of standard input is a request in JSON that a line answers:
`check` (the place of a call, and `slowest_s`) with `why` it cannot be measured, or null; `call` (its place), `threads` and `count`
(of calls, all threads together) with `wall`, `cpu` (both in seconds), `count` (of calls that were made) and `gil`, or with `error`.

Each thread makes an object of its own and makes its calls on that: what is measured is independent work.
"""

import json
import os
import signal
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import memory
from .forkserver import Crew, environment
from .harness import gil_enabled

UNROLLED = 8
"""Calls in a loop's body: what the loop itself takes is not to count."""

Run = Callable[[Any, int], None]
Make = Callable[[], Any]

_CAN_DO_WITHOUT = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
_PATIENCE_S = 1.0
_EMPTY_COUNT = 8000
_SHORT = 3.0
_SURELY_LONG = 30.0


def loop(text: str, namespace: dict[str, Any]) -> Run:
    """Return a function of an object and a number, which makes a call on the object that many times, times UNROLLED."""
    body = f"        ({text})\n" * UNROLLED
    made: dict[str, Any] = {}
    exec(f"def run(s, times):\n    for _ in range(times):\n{body}", namespace, made)
    run: Run = made["run"]
    return run


def measured(make: Make, run: Run, threads: int, count: int, crew: Crew) -> dict[str, Any]:
    """Have threads make calls that begin together, and return how long all of them took."""
    times = max(1, count // (threads * UNROLLED))
    ready: list[int] = []
    begun: list[float] = []
    ended: list[float] = []
    spent: list[float] = []
    errors: list[str] = []

    def work(number: int) -> None:
        try:
            subject = make()
        except BaseException as error:
            errors.append(f"{type(error).__name__}: {error}"[:200])
        ready.append(number)
        while len(ready) < threads:
            time.sleep(0)
        if errors:
            return
        used = time.thread_time()
        begun.append(time.perf_counter())
        try:
            run(subject, times)
        except BaseException as error:
            errors.append(f"{type(error).__name__}: {error}"[:200])
        ended.append(time.perf_counter())
        spent.append(time.thread_time() - used)

    crew(work, threads)
    if errors:
        return {"error": errors[0]}
    return {"wall": max(ended) - min(begun), "cpu": sum(spent), "count": times * threads * UNROLLED}


class Pace:
    """Calls that can be measured."""

    def __init__(self, prelude: list[str], calls: list[dict[str, Any]]) -> None:
        self._crew = Crew()
        self._namespace = environment(prelude)
        self._calls = calls
        self._made: dict[int, tuple[Make, Run]] = {}
        empty = [
            measured(lambda: None, loop("s", {}), 1, _EMPTY_COUNT, self._crew) for _ in range(5)
        ]
        self._empty_s = min(one["cpu"] / one["count"] for one in empty)

    def _call(self, place: int) -> tuple[Make, Run]:
        if place not in self._made:
            call = self._calls[place]
            make: Make = eval(f"lambda: {call['make']}", self._namespace)
            self._made[place] = (make, loop(call["text"], self._namespace))
        return self._made[place]

    def unfit(self, place: int, slowest_s: float) -> str | None:
        """Return why a call cannot be measured: it `raises`, is too `slow` to be repeated, or too `short` to be told from nothing."""
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)
        try:
            make, run = self._call(place)
            subject = make()
            run(subject, 1)
            began = time.perf_counter()
            run(subject, 1)
            seconds = (time.perf_counter() - began) / UNROLLED
        except TimeoutError:
            return "slow"
        except BaseException:
            return "raises"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if seconds > slowest_s:
            return "slow"
        # What is quick enough to be in doubt is quick enough to be made often.
        if seconds > _SURELY_LONG * self._empty_s:
            return None
        told = measured(make, run, 1, _EMPTY_COUNT, self._crew)
        if "error" in told:
            return "raises"
        return "short" if told["cpu"] / told["count"] < _SHORT * self._empty_s else None

    def measure(self, place: int, threads: int, count: int) -> dict[str, Any]:
        """Measure a call."""
        return {**measured(*self._call(place), threads, count, self._crew), "gil": turned_on()}


def turned_on() -> bool:
    """Return whether something turned on a GIL that need not be."""
    return _CAN_DO_WITHOUT and bool(gil_enabled())


def _impatient(_number: int, _frame: object) -> None:
    raise TimeoutError("this call takes long")


def main() -> None:
    """Answer until there is nothing more to read."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):  # what is called may print
        os.dup2(nothing, number)
    memory.limit_address_space()
    signal.signal(signal.SIGALRM, _impatient)
    prepared = json.loads(Path(sys.argv[1]).read_text())
    pace = Pace(prepared["prelude"], prepared["calls"])
    answers.write(json.dumps({"gil": turned_on()}) + "\n")
    for line in sys.stdin:
        asked = json.loads(line)
        if "check" in asked:
            answer = {"why": pace.unfit(asked["check"], asked["slowest_s"])}
        else:
            answer = pace.measure(asked["call"], asked["threads"], asked["count"])
        answers.write(json.dumps(answer) + "\n")
    os._exit(0)


if __name__ == "__main__":
    main()
