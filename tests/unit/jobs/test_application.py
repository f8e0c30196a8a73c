"""What an application job asks of its container, and when threads make the native calls of smoke commands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.config import catalog
from builder.config.effort import EFFORTS, EffortLevel
from builder.jobs.application import Application

QUICK = EFFORTS[EffortLevel.QUICK]
TABLE = catalog.load()


def job(abi: str = "cp314t", **different: object) -> Application:
    made = Application(
        name="shop",
        abi=TABLE.abis[abi],
        base=TABLE.bases["debian-12"],
        locked=(),
        smoke=("shop --check",),
        effort=QUICK,
    )
    return replace(made, **different)  # type: ignore[arg-type]


def test_threads_make_its_calls_without_the_gil_alone():
    threaded = job()
    assert threaded.settings()["threads"] == {"threads": 4, "seconds": QUICK.smoke_s}
    assert threaded.settings()["code that watches"]
    for other in (job("cp314"), job(effort=None), job(smoke=())):
        assert "threads" not in other.settings()
        assert "code that watches" not in other.settings()


def test_another_effort_tries_it_again_and_takes_longer():
    quick, standard = job(), job(effort=EFFORTS[EffortLevel.STANDARD])
    assert quick.settings() != standard.settings()
    assert job(effort=None).limits.timeout_s < quick.limits.timeout_s < standard.limits.timeout_s


@pytest.mark.parametrize("level", EFFORTS)
def test_the_time_for_applications_is_in_no_key_of_a_package(level: EffortLevel):
    assert "smoke_s" not in EFFORTS[level].record()
    assert EFFORTS[level].smoke_s > 0
