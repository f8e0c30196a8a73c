import pytest

from builder.inside.stress.measure import bench_worker
from builder.inside.stress.play import forkserver


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
