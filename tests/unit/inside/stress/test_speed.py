import sys
import time
from typing import Any

import pytest

from builder.inside.stress import bench_worker, forkserver, speed
from builder.inside.stress.interpreter import Interpreter


def operation(text: str, *native: str, **more: Any) -> dict[str, Any]:
    return {"text": text, "native": list(native), "direct": True, "changes": False, **more}


def surface(
    functions: list[list[dict[str, Any]]], subjects: dict[str, list[dict[str, Any]]] | None = None
) -> dict[str, Any]:
    return {
        "functions": [{"name": "f", "operations": listed} for listed in functions],
        "subjects": [
            {"make": make, "operations": listed} for make, listed in (subjects or {}).items()
        ],
    }


def test_one_straight_call_of_each_callable_is_chosen():
    learnt = surface(
        [[operation("p.wrapped(1)", "p._n.f", direct=False), operation("p._n.f(1)", "p._n.f"), operation("p._n.f(2)", "p._n.f")],
         [operation("p.g(a)", "p.g", argument="[1]"), operation("p.g(values.Slow(1))", "p.g")]],
        {"p.Box()": [operation("s.put(1)", "p.Box.put", changes=True), operation("s.size", "p.Box.size"),
                     operation("repr(s)", "p.Box.__repr__"), operation("s.get()", "p.Box.get", "p._n.f")]},
    )  # fmt: skip
    chosen = [(call["make"], call["text"]) for call in speed.choose_calls(learnt)]
    assert chosen == [
        ("p.Box()", "s.get()"),
        ("p.Box()", "s.put(1)"),
        (None, "p._n.f(1)"),
        ("p.Box()", "repr(s)"),
    ]


def test_of_many_some_are_chosen_evenly_and_always_the_same():
    learnt = surface(
        [[operation(f"p.f{number:03}(1)", f"p.f{number:03}")] for number in range(100)]
    )
    texts = [call["text"] for call in speed.choose_calls(learnt)]
    assert len(texts) == 24
    assert texts[0] == "p.f000(1)"
    assert texts[7] > "p.f080(1)", "eight are measured, as evenly spread as those that are tried"
    assert texts == [call["text"] for call in speed.choose_calls(learnt)]


def test_calls_are_made_as_often_as_told_on_an_object_of_each_thread():
    made: list[list[int]] = []

    def make() -> list[int]:
        made.append([])
        return made[-1]

    told = bench_worker.measure_calls(
        make,
        bench_worker.compile_loop("s.append(1)", {}),
        4,
        4 * bench_worker.UNROLLED * 5,
        forkserver.Crew(),
    )
    assert [len(one) for one in made] == [40, 40, 40, 40]
    assert told["count"] == 160
    assert told["wall"] > 0


def test_a_call_that_fails_in_any_thread_is_told():
    told = bench_worker.measure_calls(
        lambda: [1] * 12, bench_worker.compile_loop("s.pop()", {}), 2, 64, forkserver.Crew()
    )
    assert told == {"error": "IndexError: pop from empty list"}
    assert "error" in bench_worker.measure_calls(
        lambda: 1 / 0, bench_worker.compile_loop("s", {}), 2, 64, forkserver.Crew()
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sum(range(300))", None),
        ("None", "short"),
        ("s.missing()", "raises"),
        ("int('x')", "raises"),
        ("(", "raises"),
        ("time.sleep(.01)", "slow"),
    ],
)
def test_what_cannot_be_measured_is_told_why(text: str, why: str | None):
    one = bench_worker.Bench(["time"], [{"make": "None", "text": text}], lambda: None)
    assert one.find_obstacle(0, 0.001) == why


CALLS = [
    speed.PLAIN,
    {"make": "[3, 1, 2]", "text": "sorted(s)", "native": "sorted"},
    {"make": "None", "text": "os._exit(1)", "native": "os._exit"},
    {"make": "[1] * 100", "text": "s.pop()", "native": "list.pop"},
    {"make": "{}", "text": "sum(range(200))", "native": "sum"},
]


def played(calls: list[dict[str, Any]], *abis: str) -> dict[str, Any]:
    interpreter = Interpreter(sys.executable, "/nowhere")
    with speed.Benchmark(dict.fromkeys(abis, interpreter), ["os"], calls) as benchmark:
        benchmark.run(time.monotonic() + 30)
    told: dict[str, Any] = benchmark.describe()
    return told


def test_interpreters_and_threads_take_turns_and_what_cannot_be_measured_is_counted():
    told = played(CALLS, "cp314t", "cp314")
    assert (told["gil"], told["tried"], told["left_out"]) == (False, 4, {"ends": 1, "raises": 1})
    assert told["rounds"] > 0
    assert told["plain"]["text"] == speed.PLAIN["text"]
    assert [call["native"] for call in told["calls"]] == ["sorted", "sum"]
    for one in (told["plain"], *told["calls"]):
        assert list(one["rates"]) == ["cp314t", "cp314"]
        for by_threads in one["rates"].values():
            assert list(by_threads) == [1, 2, 4]
            assert all(len(rates) == told["rounds"] for rates in by_threads.values())
            assert all(rate > 0 for rates in by_threads.values() for pair in rates for rate in pair)


def test_an_interpreter_that_does_not_begin_measures_nothing():
    nothing = Interpreter("/bin/false", "/nowhere")
    with speed.Benchmark({"cp314t": nothing}, [], CALLS) as benchmark:
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
    assert played([speed.PLAIN, growing], "cp314t")["left_out"] == {"uneven": 1}
