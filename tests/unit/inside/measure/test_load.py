"""What the load generator printed."""

from __future__ import annotations

import pytest

from builder.inside.measure.load import LoadError, read_answers

HEADER = (
    "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset\n"
)


def line(seconds: float, offset_s: float, status: int = 200) -> str:
    return f"{seconds:.4f},0.0002,0.0000,0.0000,0.0040,0.0000,{status},{offset_s:.4f}\n"


def test_latencies_are_read_and_the_end_of_the_last_answer_ends_all():
    load = read_answers(HEADER + line(0.004, 0.001) + line(0.006, 0.003), 2)
    assert load.latencies_s == [0.004, 0.006]
    assert load.wall_s == pytest.approx(0.009)


def test_an_answer_with_another_status_is_no_answer():
    with pytest.raises(LoadError, match=r"of 2 requests .*: 1 with 200, 1 with 503"):
        read_answers(HEADER + line(0.004, 0.001) + line(0.001, 0.003, 503), 2)


def test_requests_without_an_answer_are_counted():
    with pytest.raises(LoadError, match="2 of 3 requests were not answered"):
        read_answers(HEADER + line(0.004, 0.001), 3)
