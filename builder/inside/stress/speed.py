"""Measure how fast native calls are, on several threads, with and without the GIL: independent work, on objects of each thread's own.

Usage: python -m inside.stress.speed REQUEST.json OUTPUT.json

The request has `requirement`, `wheels` (a folder), `prelude` (modules to import), `calls` (see `choose_calls`), `seconds`, `cpus` (what the
container may use) and `interpreters`, programs by ABI, the one without the GIL first.

Every interpreter runs bench_worker.py. One measurement is made at a time, and they take turns by interpreter and number of threads, so that whatever
else the machine does meanwhile meets all of them alike. A loop of pure Python takes part: it tells what the machine had to give.

Facts: `unknown` (why there is nothing to measure: then there is nothing else) or `cpus`, `install` (why the wheel with the GIL could not
be installed, or None), `gil` (whether the package turned the GIL on: then nothing is measured), `tried`, `left_out` (how many calls by
reason: see Turns), `rounds`, `plain` (the loop, or None where nothing was measured) and `calls`. A call has `make`, `text`, `native` and
`rates`: by ABI and number of threads, a list of (calls per second, calls per second of CPU time); the same place is the same round.
"""

import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from . import installing
from .bench_worker import UNROLLED
from .dialogue import Dialogue
from .runner import Interpreter, write_answer

THREADS = (1, 2, 4)
PLAIN = {"make": "1", "text": "s := (s * 31 + 7) % 65521", "native": ""}
"""A loop of pure Python, which shares nothing."""

_MEASURED = 8
_TRIED = 24
_ROUNDS = 8
_SLICE_S = 0.012
_STEP = 4
_MOST_COUNT = 1 << 22
_UNEVEN = 2.5
_BEGIN_S = 20.0
_PATIENCE_S = 3.0
_MOST_ENDS = 2

Call = dict[str, Any]


def main() -> None:
    """Answer for one distribution."""
    request = json.loads(Path(sys.argv[1]).read_text())
    write_answer(sys.argv[2], measure(request))


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Measure some of the calls that were learnt."""
    failed: str | None = None
    interpreters: dict[str, Interpreter] = {}
    for abi, python in request["interpreters"].items():
        why = installing.install(python, [request["requirement"]], request["wheels"], f"/tmp/{abi}")
        if why is None:
            interpreters[abi] = Interpreter(python, f"/tmp/{abi}")
        elif not interpreters:
            return {"unknown": f"it does not install: {why}"}
        else:
            failed = why
    with Turns(interpreters, request["prelude"], [PLAIN, *request["calls"]]) as turns:
        turns.play(time.monotonic() + request["seconds"])
    print(f"measured {len(turns.rates) - 1} calls in {turns.rounds} rounds", flush=True)
    return {
        "cpus": min(request["cpus"], len(os.sched_getaffinity(0))),
        "install": failed,
        **turns.told(),
    }


def choose_calls(surface: dict[str, Any]) -> list[Call]:
    """Return one call of each native callable, or of some, evenly spread: straight calls by a public name where there are enough.

    Args:
        surface: what learn.py wrote.

    Returns:
        Calls: `make` (an expression, or None), `text` (in which `s` is what `make` made) and `native`.
    """
    found: dict[str, tuple[tuple[bool, bool, bool], Call]] = {}
    for make, operation in _operations(surface):
        for native in operation["native"]:
            special = native.rpartition(".")[2].startswith("__")
            rank = (special, not operation["direct"], operation["changes"])
            straight = (
                "(" in operation["text"] and "values." not in operation["text"]
            )  # those wait on purpose
            if straight and (native not in found or rank < found[native][0]):
                found[native] = (rank, {"make": make, "text": operation["text"], "native": native})
    public = [
        call for _, (rank, call) in sorted(found.items(), key=lambda item: item[0]) if not rank[0]
    ]
    special = [
        call for _, (rank, call) in sorted(found.items(), key=lambda item: item[0]) if rank[0]
    ]
    once = {(call["make"], call["text"]): call for call in [*_spread(public), *_spread(special)]}
    return list(once.values())[:_TRIED]


def _spread(calls: list[Call]) -> list[Call]:
    """Return some calls in an order in which the first ones are as evenly spread as all of them."""
    step = max(1.0, len(calls) / _TRIED)
    some = [calls[int(place * step)] for place in range(min(len(calls), _TRIED))]
    stride = max(1, -(-len(some) // _MEASURED))
    return [call for first in range(stride) for call in some[first::stride]]


def _operations(surface: dict[str, Any]) -> Iterator[tuple[str | None, dict[str, Any]]]:
    for function in surface["functions"]:
        for operation in function["operations"]:
            if "argument" not in operation:
                yield None, operation
    for subject in surface["subjects"]:
        for operation in subject["operations"]:
            yield subject["make"], operation


class Turns:
    """Measurements of several calls, interpreters and numbers of threads, in turn.

    Attributes:
        rates: of every call that is measured, by its place.
        left_out: how many calls cannot be measured, by reason: one `raises`, is `slow` (too long to be repeated), `short` (not to be
            told from nothing), `uneven` (the longer the more often it was made), or `ends` the process or never comes back.
        gil: whether the package turned the GIL on.
    """

    def __init__(
        self, interpreters: dict[str, Interpreter], prelude: list[str], calls: list[Call]
    ) -> None:
        self.calls = calls
        self.rates: dict[int, dict[str, dict[int, list[tuple[float, float]]]]] = {}
        self.left_out: Counter[str] = Counter()
        self.gil = False
        self.tried = 0
        self.rounds = 0
        self._counts: dict[int, int] = {}
        self._folder = tempfile.TemporaryDirectory()
        prepared = Path(self._folder.name) / "prepared.json"
        prepared.write_text(json.dumps({"prelude": prelude, "calls": calls}))
        self._runners = {
            abi: Runner(one, str(prepared), self._folder.name) for abi, one in interpreters.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for runner in self._runners.values():
            runner.close()
        self._folder.cleanup()

    def play(self, deadline: float) -> None:
        """Measure until the time is up, or often enough."""
        self.gil = any(runner.gil for runner in self._runners.values())
        if self.gil:
            return
        began = time.monotonic()
        for place in range(len(self.calls)):
            if len(self._counts) > _MEASURED or time.monotonic() - began > (deadline - began) / 3:
                break
            self._prepare(place)
        while self._counts and self.rounds < _ROUNDS and time.monotonic() < deadline:
            self._round()
            self.rounds += 1

    def _prepare(self, place: int) -> None:
        """Find out whether a call can be measured, and how often to make it."""
        why: str | None = None
        try:
            if place > 0:  # the loop is known to be fit
                asked = {"check": place, "slowest_s": _SLICE_S / 8}
                why = min(
                    {runner.ask(asked)["why"] for runner in self._runners.values()} - {None},
                    default=None,
                )
            if why is None:
                self._counts[place] = self._count(place)
                self.rates[place] = {
                    abi: {threads: [] for threads in THREADS} for abi in self._runners
                }
        except UnmeasurableError as error:
            why = error.why
        if place > 0:
            self.tried += 1
            self.left_out.update([why] if why else [])

    def _count(self, place: int) -> int:
        """Return how often to make a call, so that one thread takes about as long as a measurement is to take.

        Raises:
            UnmeasurableError: it cannot be measured.
        """
        runner = next(iter(self._runners.values()))
        count = UNROLLED
        while True:
            told = self._asked(runner, place, 1, count)
            if told["wall"] > _SLICE_S / _STEP or count >= _MOST_COUNT:
                break
            count *= _STEP
        # What an object has grown to may make a call on it longer: then it matters how often it was made before.
        few, many = (
            min(
                told["cpu"] / told["count"]
                for told in (self._asked(runner, place, 1, times) for _ in range(3))
            )
            for times in (max(UNROLLED, count // _STEP), count)
        )
        if place > 0 and many > _UNEVEN * few:
            raise UnmeasurableError("uneven")
        wanted = int(_SLICE_S * told["count"] / told["wall"])
        return int(max(UNROLLED * max(THREADS), min(_MOST_COUNT, wanted)))

    def _asked(self, runner: "Runner", place: int, threads: int, count: int) -> dict[str, Any]:
        told = runner.ask({"call": place, "threads": threads, "count": count})
        if "error" in told:
            raise UnmeasurableError("raises")
        return told

    def _round(self) -> None:
        """Measure every call once in every way; where the turns begin moves on from round to round."""
        ways = [(abi, threads) for threads in THREADS for abi in self._runners]
        start = self.rounds % len(ways)
        for place in list(self._counts):
            try:
                told = {way: self._once(place, *way) for way in (*ways[start:], *ways[:start])}
            except UnmeasurableError as error:
                self.left_out[error.why] += 1
                del self._counts[place], self.rates[place]
                continue
            for (abi, threads), rate in told.items():
                self.rates[place][abi][threads].append(rate)

    def _once(self, place: int, abi: str, threads: int) -> tuple[float, float]:
        told = self._asked(self._runners[abi], place, threads, self._counts[place])
        self.gil |= told["gil"]
        return round(told["count"] / told["wall"], 1), round(
            told["count"] / max(told["cpu"], 1e-9), 1
        )

    def told(self) -> dict[str, Any]:
        """Return the facts."""
        measured = [
            {**self.calls[place], "rates": rates}
            for place, rates in sorted(self.rates.items())
            if self.rounds
        ]
        plain = measured[0] if measured and measured[0]["native"] == "" else None
        return {
            "gil": self.gil,
            "tried": self.tried,
            "left_out": dict(self.left_out),
            "rounds": self.rounds,
            "plain": plain,
            "calls": measured[1:] if plain else [],
        }


class UnmeasurableError(Exception):
    """A call can no longer be measured.

    Attributes:
        why: see Turns.left_out.
    """

    def __init__(self, why: str = "ends") -> None:
        self.why = why
        super().__init__(why)


class Runner:
    """A process of bench_worker.py, and the next one where a call ended it.

    Attributes:
        gil: whether the GIL is on, after the distribution was imported; None where the process did not even begin.
    """

    def __init__(self, interpreter: Interpreter, prepared: str, folder: str) -> None:
        self.gil: bool | None = None
        self._interpreter = interpreter
        self._command = interpreter.program("bench_worker", prepared)
        self._folder = folder
        self._ends = 0
        self._begin()

    def _begin(self) -> None:
        environment = self._interpreter.program_environment()
        self._dialogue = Dialogue(self._command, environment, self._folder)
        line = self._dialogue.answer(_BEGIN_S)
        self.gil = None if line is None else line["gil"]

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            UnmeasurableError: the process ended, or did not answer.
        """
        if self.gil is None or self._ends > _MOST_ENDS:
            raise UnmeasurableError
        self._dialogue.ask(request)
        told = self._dialogue.answer(_PATIENCE_S)
        if told is None:
            self._ends += 1
            self.close()
            self._begin()
            raise UnmeasurableError
        return told

    def close(self) -> None:
        """End it."""
        self._dialogue.close()


if __name__ == "__main__":
    main()
