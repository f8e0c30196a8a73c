"""Make calls of an application's function in several threads, and say how long each took.

Usage: python -m inside.measure.caller, with the environment's interpreter, asked as inside.supervise.witness says.

The request has `project`, the folder that the function is imported from; `call`, `MODULE:FUNCTION`, which takes no
arguments and may be a coroutine function; `threads`; `count`, how many calls are timed in all, or null: then it is so
many as take `seconds` after a warm-up. The answer is a reading (readings.py), with `import`, the seconds that importing
the module took, `start`, those from the beginning of the import to the end of the first call, and `gil`, whether the
GIL was on in the end (null where an interpreter always has one).
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from ..supervise.witness import Witness, make_gil_reader, read_request
from .readings import make_reading, read_own_memory

_WARM_S = 0.5
"""Before anything is timed: caches fill, the interpreter specialises code, and its JIT compiles it."""
_FEWEST = 20
"""Calls that are timed at least: with fewer, no quantile says anything."""
_MOST = 50_000
"""Calls that are timed at most: a latency each is kept."""

Call = Callable[[], object]


def main() -> None:
    """Answer the request."""
    asked = read_request()
    witness = Witness(asked["token"], asked["descriptor"])
    witness.write(measure(asked["request"]))
    witness.close()


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Import the function, warm it up, time its calls, and return the reading.

    Args:
        request: see above.
    """
    is_gil_enabled = make_gil_reader()
    os.chdir(request["project"])
    sys.path[0] = request["project"]

    began = time.perf_counter()
    function = import_function(request["call"])
    import_s = time.perf_counter() - began
    with Crew(function, request["threads"]) as crew:
        crew.make_calls(1)
        start_s = time.perf_counter() - began

        per_call_s = warm_up(crew)
        count = request["count"] or choose_count(per_call_s, request["seconds"])
        cpu_before_s = time.process_time()
        latencies_s, wall_s = crew.make_calls(count)
        cpu_s = time.process_time() - cpu_before_s
        rss_bytes, peak_rss_bytes = read_own_memory()

    others = {
        "import": import_s,
        "start": start_s,
        "rss": rss_bytes,
        "rss_peak": peak_rss_bytes,
    }
    reading = make_reading(latencies_s, wall_s, cpu_s, **others)
    return {**reading, "gil": is_gil_enabled()}


def import_function(name: str) -> Callable[[], object]:
    """Return the function that `MODULE:FUNCTION` names; the second part may have dots."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)

    return found  # type: ignore[no-any-return]


def warm_up(crew: Crew) -> float:
    """Make calls for a while, and return how long one takes, in seconds of wall time by all threads."""
    count = crew.threads
    deadline = time.perf_counter() + _WARM_S
    while True:
        _, wall_s = crew.make_calls(count)
        if time.perf_counter() >= deadline:
            return wall_s / count
        # So that a look at the clock costs nothing, and yet none of these takes much longer than the warm-up.
        count = min(2 * count, max(crew.threads, int(count * _WARM_S / 4 / max(wall_s, 1e-9))))


def choose_count(per_call_s: float, seconds: float) -> int:
    """Return how many calls take so many seconds, within the bounds above."""
    return max(_FEWEST, min(_MOST, int(seconds / per_call_s)))


class Crew:
    """Threads that make calls of one function, each with an event loop of its own if it is a coroutine function.

    Attributes:
        threads: how many there are.
    """

    def __init__(self, function: Callable[[], Any], threads: int) -> None:
        self.threads = threads
        self._function = function
        self._is_coroutine = inspect.iscoroutinefunction(function)
        self._runners: list[asyncio.Runner] = []

    def __enter__(self) -> Self:
        if self._is_coroutine:
            self._runners = [asyncio.Runner() for _ in range(self.threads)]
        return self

    def __exit__(self, *_: object) -> None:
        # A loop is closed by the thread that leaves last, after those that used it have ended.
        for runner in self._runners:
            runner.close()

    def make_calls(self, count: int) -> tuple[list[float], float]:
        """Make calls, shared evenly among the threads, which begin together.

        Args:
            count: of all calls; each thread makes at least one.

        Returns:
            How long each took, and how long all of them took from the first beginning to the last end, in seconds.

        Raises:
            BaseException: what the function raised first.
        """
        share = max(1, count // self.threads)
        if self.threads == 1:
            begin, latencies, end = time_calls(self._call_of(0), share)
            return latencies, end - begin

        barrier = threading.Barrier(self.threads)
        results: list[tuple[float, list[float], float]] = []
        errors: list[BaseException] = []

        def work(number: int) -> None:
            barrier.wait()
            try:
                results.append(time_calls(self._call_of(number), share))
            except BaseException as error:  # it is raised by the caller
                errors.append(error)

        workers = [threading.Thread(target=work, args=(number,)) for number in range(self.threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if errors:
            raise errors[0]

        latencies_s: list[float] = []
        for _, own_latencies_s, _ in results:
            latencies_s += own_latencies_s
        first_begin = min(begin for begin, _, _ in results)
        last_end = max(end for _, _, end in results)
        return latencies_s, last_end - first_begin

    def _call_of(self, number: int) -> Call:
        """Return what makes one call in a thread."""
        if not self._is_coroutine:
            return self._function

        runner = self._runners[number]
        return lambda: runner.run(self._function())


def time_calls(call: Call, count: int) -> tuple[float, list[float], float]:
    """Make calls one after the other; return when the first began, how long each took, and when the last ended."""
    clock = time.perf_counter
    latencies_s: list[float] = []
    begin = clock()
    earlier = begin
    for _ in range(count):
        call()
        now = clock()
        latencies_s.append(now - earlier)
        earlier = now

    return begin, latencies_s, earlier


if __name__ == "__main__":
    main()
