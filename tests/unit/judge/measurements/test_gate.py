"""Whether releases that wait may be promoted, by what was measured of them."""

from __future__ import annotations

from typing import Any

import pytest

from builder.judge.measurements.gate import Admission, admit
from tests.unit.measurement_samples import canary_facts, readings

WORSE = {"cp314/1": {}, "cp314 canary/1": {"p99": 1.12}}
EQUAL: dict[str, dict[str, float]] = {"cp314/1": {}, "cp314 canary/1": {}}


def test_a_worse_p99_refuses():
    opinion = admit(canary_facts(readings(WORSE), hashes=("a",)))
    assert opinion.admission is Admission.WORSE
    assert opinion.reason.startswith("list: p99 of cp314 canary/1 is worse: 1.1")


def test_equal_releases_pass():
    opinion = admit(canary_facts(readings(EQUAL), readings(EQUAL, name="buy"), hashes=("a",)))
    assert (opinion.admission, opinion.reason) == (
        Admission.PASSED,
        "nothing got worse in list, buy",
    )


def test_a_release_with_which_a_scenario_fails_is_worse():
    alone = readings({"cp314/1": {}}, failures={"cp314 canary/1": "exit code 1"})
    opinion = admit(canary_facts(alone, hashes=("a",)))
    assert opinion.admission is Admission.WORSE
    assert "list: cp314 canary/1 fails: exit code 1" in opinion.reason


@pytest.mark.parametrize(
    ("more", "noise", "reason"),
    [
        ({}, 0.6, "list: no metric is measurable here"),
        ({"thresholds": {"list": {"p99": "5%"}}}, 0.6, "list: p99 of cp314 canary/1 is not measurable here"),
        ({"lacking": {"cp314t": "foo 2.0 has no wheel"}}, 0.01, "cp314t: foo 2.0 has no wheel"),
        ({"errors": {"cp314": "pip failed"}}, 0.01, "cp314: pip failed"),
    ],
    ids=["noise", "threshold", "lacking", "errors"],
)  # fmt: skip
def test_what_is_not_known_does_not_pass(more: dict[str, Any], noise: float, reason: str):
    opinion = admit(canary_facts(readings(EQUAL, noise=noise), hashes=("a",), **more))
    assert opinion.admission is Admission.UNKNOWN
    assert reason in opinion.reason


def test_noise_in_a_metric_that_nobody_asked_for_passes():
    quiet, loud = readings(EQUAL), readings(EQUAL, noise=0.6)
    rounds = []
    for one, other in zip(quiet.rounds, loud.rounds, strict=True):
        mixed = {}
        for name, reading in one.items():
            metrics = {**reading.metrics, "cpu": other[name].metrics["cpu"]}
            mixed[name] = reading.model_copy(update={"metrics": metrics})
        rounds.append(mixed)
    scenario = quiet.model_copy(update={"rounds": tuple(rounds)})
    thresholds = {"list": {"p99": "5%"}}
    opinion = admit(canary_facts(scenario, hashes=("a",), thresholds=thresholds))
    assert opinion.admission is Admission.PASSED


def test_nothing_measured_does_not_pass():
    opinion = admit(canary_facts(hashes=("a",)))
    assert (opinion.admission, opinion.reason) == (Admission.UNKNOWN, "nothing was measured")
