"""Calls of an application's function, timed in threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from builder.inside.measure import caller

if TYPE_CHECKING:
    from pathlib import Path


def test_calls_are_shared_among_threads_that_all_begin_before_any_goes_on():
    seen: dict[int, int] = {}
    together = threading.Barrier(4, timeout=20)

    def call():
        identity = threading.get_ident()
        if identity not in seen:
            together.wait()
        seen[identity] = seen.get(identity, 0) + 1

    with caller.Crew(call, 4) as crew:
        latencies_s, wall_s = crew.make_calls(40)

    assert sorted(seen.values()) == [10, 10, 10, 10]
    assert len(latencies_s) == 40
    assert 0 < max(latencies_s) <= wall_s


@pytest.mark.parametrize("threads", [1, 3])
def test_each_thread_has_an_event_loop_for_a_coroutine_function(threads: int):
    loops: set[object] = set()

    async def call():
        import asyncio

        await asyncio.sleep(0)
        loops.add(asyncio.get_running_loop())

    with caller.Crew(call, threads) as crew:
        crew.make_calls(threads)
        latencies_s, _ = crew.make_calls(6 * threads)

    assert len(latencies_s) == 6 * threads
    assert len(loops) == threads


@pytest.mark.parametrize("threads", [1, 2])
def test_what_the_function_raises_is_raised(threads: int):
    def call():
        raise OSError("the shop is closed")

    with (
        caller.Crew(call, threads) as crew,
        pytest.raises(OSError, match="the shop is closed"),
    ):
        crew.make_calls(4)


@pytest.mark.parametrize(
    ("per_call_s", "count"), [(1.0, 20), (0.01, 200), (1e-9, 50_000)], ids=["slow", "fair", "fast"]
)
def test_so_many_calls_are_timed_as_take_the_seconds_within_bounds(per_call_s: float, count: int):
    assert caller.choose_count(per_call_s, 2.0) == count


def test_a_function_is_imported_from_the_project_and_its_calls_become_a_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "wheelfarm_shop.py").write_text(
        "calls = []\nclass Till:\n    @staticmethod\n    def ring():\n        calls.append(1)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("/nowhere")
    request = {
        "project": str(tmp_path),
        "call": "wheelfarm_shop:Till.ring",
        "threads": 2,
        "count": 30,
        "seconds": 1.0,
    }
    reading = caller.measure(request)

    import wheelfarm_shop  # type: ignore[import-not-found] # it was just written

    assert reading["count"] == 30
    assert len(wheelfarm_shop.calls) > 30, "it was warmed up before"
    assert len(reading["latencies_s"]) == 30
    names = {"throughput", "cpu", "import", "start", "rss", "rss_peak", "p50"}
    assert reading["metrics"].keys() == names
    assert 0 < reading["metrics"]["import"] < reading["metrics"]["start"]
