import sys
import time
from typing import Any

from builder.inside.stress.measure.benchmark import PLAIN, Benchmark
from builder.inside.stress.process.interpreter import Interpreter

CALLS = [
    PLAIN,
    {"make": "[3, 1, 2]", "text": "sorted(s)", "native": "sorted"},
    {"make": "None", "text": "os._exit(1)", "native": "os._exit"},
    {"make": "[1] * 100", "text": "s.pop()", "native": "list.pop"},
    {"make": "{}", "text": "sum(range(200))", "native": "sum"},
]


def played(calls: list[dict[str, Any]], *abis: str) -> dict[str, Any]:
    interpreter = Interpreter(sys.executable, "/nowhere")
    with Benchmark(dict.fromkeys(abis, interpreter), ["os"], calls) as benchmark:
        benchmark.run(time.monotonic() + 30)
    told: dict[str, Any] = benchmark.describe()
    return told


def test_interpreters_and_threads_take_turns_and_what_cannot_be_measured_is_counted():
    told = played(CALLS, "cp314t", "cp314")
    assert (told["gil"], told["tried"], told["left_out"]) == (False, 4, {"ends": 1, "raises": 1})
    assert told["rounds"] > 0
    assert told["plain"]["text"] == PLAIN["text"]
    assert [call["native"] for call in told["calls"]] == ["sorted", "sum"]
    for one in (told["plain"], *told["calls"]):
        assert list(one["rates"]) == ["cp314t", "cp314"]
        for by_threads in one["rates"].values():
            assert list(by_threads) == [1, 2, 4]
            assert all(len(rates) == told["rounds"] for rates in by_threads.values())
            assert all(rate > 0 for rates in by_threads.values() for pair in rates for rate in pair)


def test_an_interpreter_that_does_not_begin_measures_nothing():
    nothing = Interpreter("/bin/false", "/nowhere")
    with Benchmark({"cp314t": nothing}, [], CALLS) as benchmark:
        benchmark.run(time.monotonic() + 30)
    assert benchmark.describe() == {
        "gil": False,
        "tried": 4,
        "left_out": {"ends": 4},
        "rounds": 0,
        "plain": None,
        "calls": [],
    }


def test_a_call_that_takes_longer_the_more_often_it_is_made_does_not_count():
    growing = {
        "make": "[]",
        "text": "s.append(1) or [s.count(2) for _ in s]",
        "native": "list.append",
    }
    assert played([PLAIN, growing], "cp314t")["left_out"] == {"uneven": 1}
