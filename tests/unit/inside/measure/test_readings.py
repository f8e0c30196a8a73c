"""What latencies come to, and what /proc says of processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.inside.measure.readings import (
    find_quantiles,
    make_reading,
    read_own_memory,
    read_usage,
)

LATENCIES = st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=300)


def test_a_quantile_is_the_latency_that_so_many_calls_do_not_exceed():
    latencies_s = [number / 1000 for number in range(1, 101)]
    assert find_quantiles(latencies_s) == {"p50": 0.05, "p75": 0.075, "p95": 0.095, "p99": 0.099}
    assert find_quantiles([0.5]) == dict.fromkeys(("p50", "p75", "p95", "p99"), 0.5)


@given(latencies_s=LATENCIES)
def test_quantiles_rise_and_each_was_seen(latencies_s: list[float]):
    quantiles = list(find_quantiles(latencies_s).values())
    assert quantiles == sorted(quantiles)
    assert set(quantiles) <= set(latencies_s)


def test_a_reading_gives_the_cpu_time_of_one_call_and_calls_a_second():
    reading = make_reading([0.1, 0.3], wall_s=0.5, cpu_s=0.2, rss=7)
    assert reading["count"] == 2
    assert reading["metrics"]["throughput"] == 4.0
    assert reading["metrics"]["cpu"] == 0.1
    assert reading["metrics"]["rss"] == 7


def test_latencies_are_answered_where_there_are_too_few_for_quantiles():
    enough = make_reading([0.1] * 1000, wall_s=1.0, cpu_s=1.0)
    assert "latencies_s" not in enough
    assert enough["metrics"]["p99"] == 0.1
    few = make_reading([0.1] * 999, wall_s=1.0, cpu_s=1.0)
    assert few["latencies_s"] == [0.1] * 999


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (19, []),
        (20, ["p50"]),
        (40, ["p50", "p75"]),
        (199, ["p50", "p75"]),
        (200, ["p50", "p75", "p95"]),
    ],
    ids=str,
)
def test_a_reading_has_the_quantiles_that_ten_calls_lie_beyond(count: int, names: list[str]):
    metrics = make_reading([0.1] * count, wall_s=1.0, cpu_s=1.0)["metrics"]
    assert [name for name in metrics if name.startswith("p")] == names


def test_usage_counts_the_processes_of_a_session_with_what_they_started():
    program = (
        "import os, sys, time; block = bytearray(30 << 20); os.fork(); "
        "end = time.process_time() + 0.2\n"
        "while time.process_time() < end: pass\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "ready\n"]
        usage = read_usage(process.pid)
        os.killpg(process.pid, 9)

    assert usage.cpu_s >= 0.35
    assert usage.rss_bytes > 60 << 20
    assert usage.peak_rss_bytes >= usage.rss_bytes


def test_a_session_without_processes_has_used_nothing():
    usage = read_usage(2**22 + 1)
    assert (usage.cpu_s, usage.rss_bytes, usage.peak_rss_bytes) == (0.0, 0, 0)


def test_the_peak_of_memory_is_no_less_than_what_is_there_now():
    rss_bytes, peak_bytes = read_own_memory()
    assert 1 << 20 < rss_bytes <= peak_bytes
