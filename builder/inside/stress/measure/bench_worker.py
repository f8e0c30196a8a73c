"""Make calls as often as told, in as many threads as told, and say how long that took.

Usage: python -m inside.stress.measure.bench_worker, asked as inside.supervise.witness says.

The first request has `site`, `prelude` (modules to import) and `calls` (each `make`, an expression or null, and
`text`, in which `s` is what `make` made). The first answer has `gil`: whether an interpreter that can do without the
GIL has it on. Then each request has an answer:

- `check` (the place of a call) and `slowest_s`: with `why` it cannot be measured, or null;
- `call` (its place), `threads` and `count` (of calls, all threads together): with `wall`, `cpu` (both in seconds),
  `count` (of calls that were made) and `gil`, or with `error`.

Each thread makes an object of its own and makes its calls on that: what is measured is independent work.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from ...supervise.witness import (
    GilReader,
    Witness,
    add_site,
    hide_programs,
    make_gil_reader,
    open_requests,
    read_request,
)
from ..play.forkserver import Crew, build_namespace
from ..process import memory

UNROLLED = 8
"""Calls in a loop's body: what the loop itself takes is not to count."""

Run = Callable[[Any, int], None]
Make = Callable[[], Any]

_PATIENCE_S = 1.0  # for the 16 calls of a trial; the slowest call that is measured takes 1.5 ms
_LONGEST_ERROR = 200  # characters

# How long a call takes that does nothing, and what is too near to it: docs/decisions/0012-speed-alone.md.
_EMPTY_COUNT = 8000  # calls of a measurement
_EMPTY_REPEATS = 5  # the least counts: whatever else the machine does only adds to the others
_LOOKS = 3  # at how long a call takes: the machine may do something else during one
_SHORTEST = 3.0  # times an empty call: what is shorter cannot be told from nothing
_SURELY_LONG = 30.0  # times an empty call: one look is enough, however noisy the machine


def compile_loop(text: str, namespace: dict[str, Any]) -> Run:
    """Return a function `run(s, times)` that evaluates an expression on the object `s`, `times * UNROLLED` times.

    Args:
        text: the expression, such as `s.get(8)`.
        namespace: the names that the expression may use.
    """
    body = f"        ({text})\n" * UNROLLED
    defined: dict[str, Any] = {}
    exec(f"def run(s, times):\n    for _ in range(times):\n{body}", namespace, defined)
    run: Run = defined["run"]
    return run


def measure_calls(make: Make, run: Run, threads: int, count: int, crew: Crew) -> dict[str, Any]:
    """Have threads make calls that begin together, and measure how long all of them took.

    Args:
        make: makes the object on which one thread makes its calls.
        run: a loop of calls, as `compile_loop` returned it.
        threads: the number of threads.
        count: the number of calls, all threads together; it is rounded to what the loop can do.
        crew: runs the threads.

    Returns:
        `wall` (seconds from the first beginning to the last end), `cpu` (CPU seconds of all threads) and `count` (calls
        that were really made); only `error` where an object could not be made or a call raised.
    """
    times = max(1, count // (threads * UNROLLED))
    ready: list[int] = []
    begin_times: list[float] = []
    end_times: list[float] = []
    cpu_times: list[float] = []
    errors: list[str] = []

    def work(number: int) -> None:
        """Make one thread's calls, and note when they began and ended; make none where any thread has no object."""
        subject = None
        try:
            subject = make()
        except BaseException as error:  # the other threads wait for this one: it must not end here
            errors.append(_describe_error(error))

        ready.append(number)
        while len(ready) < threads:  # all begin at once, and see the errors of all
            time.sleep(0)
        if errors:
            return

        cpu_before = time.thread_time()
        begin_times.append(time.perf_counter())
        try:
            run(subject, times)
        except BaseException as error:
            errors.append(_describe_error(error))
        end_times.append(time.perf_counter())
        cpu_times.append(time.thread_time() - cpu_before)

    crew(work, threads)
    if errors:
        return {"error": errors[0]}
    return {
        "wall": max(end_times) - min(begin_times),
        "cpu": sum(cpu_times),
        "count": times * threads * UNROLLED,
    }


def _time_once(run: Run, subject: object) -> float:
    """Return how long a loop takes that is run once, in seconds."""
    began = time.perf_counter()
    run(subject, 1)
    return time.perf_counter() - began


def _describe_error(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]


class Bench:
    """Calls that can be measured."""

    def __init__(
        self, prelude: list[str], calls: list[dict[str, Any]], is_gil_enabled: GilReader
    ) -> None:
        self._is_gil_enabled = is_gil_enabled
        self._crew = Crew()
        self._namespace = build_namespace(prelude)
        self._calls = calls
        self._compiled: dict[int, tuple[Make, Run]] = {}
        self._empty_s = self._measure_empty_call()

    def _measure_empty_call(self) -> float:
        """Return the CPU time of a call that does nothing, in seconds: what takes hardly longer cannot be measured."""
        run = compile_loop("s", {})
        seconds: list[float] = []
        for _ in range(_EMPTY_REPEATS):
            measured = measure_calls(lambda: None, run, 1, _EMPTY_COUNT, self._crew)
            seconds.append(measured["cpu"] / measured["count"])

        return min(seconds)

    def _compile(self, place: int) -> tuple[Make, Run]:
        """Return what makes the object of a call, and the loop of that call; compiled the first time it is asked for.

        Args:
            place: the call's index in `calls`.
        """
        if place not in self._compiled:
            call = self._calls[place]
            make: Make = eval(f"lambda: {call['make']}", self._namespace)
            run = compile_loop(call["text"], self._namespace)
            self._compiled[place] = (make, run)

        return self._compiled[place]

    def find_obstacle(self, place: int, slowest_s: float) -> str | None:
        """Return why a call cannot be measured, or None where it can.

        `raises`: it raises an exception. `slow`: it takes too long to be repeated. `short`: it takes hardly longer than
        a call that does nothing.

        Args:
            place: the call's index in `calls`.
            slowest_s: the longest time of one call that can be measured.
        """
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)
        try:
            make, run = self._compile(place)
            subject = make()
            run(subject, 1)  # the first time may fill caches
            seconds = min(_time_once(run, subject) for _ in range(_LOOKS)) / UNROLLED
        except TimeoutError:
            return "slow"
        except BaseException:  # also SystemExit and what a package derives from it
            return "raises"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

        if seconds > slowest_s:
            return "slow"
        if seconds > _SURELY_LONG * self._empty_s:
            return None

        # What is quick enough to be in doubt is quick enough to be made often.
        measured = measure_calls(make, run, 1, _EMPTY_COUNT, self._crew)
        if "error" in measured:
            return "raises"
        call_s = measured["cpu"] / measured["count"]
        return "short" if call_s < _SHORTEST * self._empty_s else None

    def measure(self, place: int, threads: int, count: int) -> dict[str, Any]:
        """Measure a call, by its index in `calls`; return what `measure_calls` does, and whether the GIL is on."""
        make, run = self._compile(place)
        measured = measure_calls(make, run, threads, count, self._crew)
        return {**measured, "gil": self.is_gil_turned_on()}

    def is_gil_turned_on(self) -> bool:
        """Return whether the GIL is on in a free-threaded interpreter: importing a module may turn it on.

        False for an interpreter that always has a GIL.
        """
        return self._is_gil_enabled() is True


def _interrupt(_number: int, _frame: object) -> None:
    raise TimeoutError("this call takes long")


def main() -> None:
    """Answer requests, a line each, until standard input ends; then end the process."""
    requests = open_requests()
    asked = read_request(requests)
    answers = Witness(asked["token"], asked["answers"])
    prepared = asked["request"]
    memory.limit_address_space()
    signal.signal(signal.SIGALRM, _interrupt)

    is_gil_enabled, decode, end = make_gil_reader(), json.loads, os._exit
    add_site(prepared["site"])
    hide_programs("values")  # objects of its classes are pickled by name
    bench = Bench(prepared["prelude"], prepared["calls"], is_gil_enabled)
    answers.write({"gil": bench.is_gil_turned_on()})

    for line in requests:
        request = decode(line)
        answer: dict[str, Any]
        if "check" in request:
            answer = {"why": bench.find_obstacle(request["check"], request["slowest_s"])}
        else:
            answer = bench.measure(request["call"], request["threads"], request["count"])
        answers.write(answer)

    end(0)  # what was called may have left threads and handlers that end badly


if __name__ == "__main__":
    main()
