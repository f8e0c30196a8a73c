"""What is said of scenarios, by what was read round after round."""

from __future__ import annotations

import pytest

from builder.config.metrics import METRICS
from builder.evidence.measurement import Reading, ScenarioReadings
from builder.judge.measurements.answers import Answer, Reason
from builder.judge.measurements.history import Basis
from builder.judge.measurements.readings import find_gil_state, list_metrics, summarize
from builder.judge.measurements.scenario import JudgedScenario, judge_measurement
from builder.judge.measurements.trend import compare_with_earlier
from tests.unit.measurement_samples import MACHINE, ROUNDS, facts, readings, variant

SLOWER = {"cp313/1": {}, "cp314/1": {"p99": 1.12, "p50": 0.85}}


def answers(scenario: JudgedScenario) -> dict[str, Answer]:
    return {one.metric: one.answer for one in scenario.comparisons}


def test_each_metric_is_compared_with_the_baseline():
    (scenario,) = judge_measurement(facts(readings(SLOWER)))
    assert answers(scenario) == {"p50": Answer.BETTER, "p99": Answer.WORSE, "cpu": Answer.SAME}
    baseline, judged = scenario.variants
    assert (baseline.comparisons, baseline.rounds, judged.rounds) == ((), ROUNDS, ROUNDS)
    assert judged.figures["p99"] == pytest.approx(0.0224, rel=0.02)
    worse = judged.comparisons[1].describe()
    assert worse.startswith("p99 of cp314/1 is worse: 1.1")


def test_a_scenario_has_thresholds_of_its_own():
    judged = judge_measurement(facts(readings(SLOWER), thresholds={"list": {"p99": "+20%"}}))
    assert answers(judged[0])["p99"] is Answer.SAME


def test_a_machine_on_which_an_equal_copy_differs_cannot_measure():
    variants = (
        variant("cp313/1"),
        variant("again/1", "cp313/1", is_control=True),
        variant("cp314/1", "cp313/1"),
    )
    ratios = {"cp313/1": {}, "again/1": {"p99": 1.2}, "cp314/1": {"p99": 1.12}}
    (scenario,) = judge_measurement(facts(readings(ratios), variants=variants))
    assert [judged.variant.name for judged in scenario.variants] == ["cp313/1", "cp314/1"]
    (p99,) = [one for one in scenario.comparisons if one.metric == "p99"]
    assert (p99.answer, p99.reason) == (Answer.UNKNOWN, Reason.CONTROL)
    assert answers(scenario)["cpu"] is Answer.SAME


def test_only_rounds_count_in_which_both_were_measured():
    whole = readings(SLOWER)
    rounds = list(whole.rounds)
    rounds[3] = {"cp314/1": rounds[3]["cp314/1"]}
    rounds[5] = {}
    (scenario,) = judge_measurement(facts(whole.model_copy(update={"rounds": tuple(rounds)})))
    assert [judged.rounds for judged in scenario.variants] == [ROUNDS - 2, ROUNDS - 2]


def test_a_variant_that_failed_says_why_and_is_compared_with_nothing():
    alone = readings({"cp313/1": {}}, failures={"cp314/1": "exit code 1"})
    (scenario,) = judge_measurement(facts(alone))
    failed = scenario.variants[1]
    assert (failed.has_failed, failed.failure, failed.comparisons) == (True, "exit code 1", ())
    accident = readings(SLOWER, failures={"cp314/1": "exit code 1"})
    assert not judge_measurement(facts(accident))[0].variants[1].has_failed


def test_few_rounds_say_nothing():
    (scenario,) = judge_measurement(facts(readings(SLOWER, rounds=3)))
    assert {one.reason for one in scenario.comparisons} == {Reason.TOO_FEW_ROUNDS}


def with_latencies(calls: int, rounds: int) -> ScenarioReadings:
    """Return rounds of few calls, of which cp314's take twice as long."""
    done: list[dict[str, Reading]] = []
    for number in range(rounds):
        of_round: dict[str, Reading] = {}
        for name, times in (("cp313/1", 1.0), ("cp314/1", 2.0)):
            latencies = tuple(times * (1 + (place + number) % 7 / 1000) for place in range(calls))
            of_round[name] = Reading(count=calls, metrics={"cpu": 1.0}, latencies_s=latencies)
        done.append(of_round)
    return ScenarioReadings(name="list", rounds=tuple(done), failures={})


def test_quantiles_of_few_calls_are_those_of_several_rounds():
    (scenario,) = judge_measurement(facts(with_latencies(calls=100, rounds=60)))
    found = {one.metric: (one.answer, one.reason) for one in scenario.comparisons}
    assert found["p50"] == (Answer.WORSE, None)
    assert found["p95"] == (Answer.WORSE, None)
    assert found["p99"] == (Answer.UNKNOWN, Reason.TOO_FEW_ROUNDS)
    assert scenario.variants[1].figures["p99"] == pytest.approx(2.012, rel=0.01)


def test_calls_too_few_for_a_quantile_are_said_to_be():
    (scenario,) = judge_measurement(facts(with_latencies(calls=20, rounds=20)))
    (p99,) = [one for one in scenario.comparisons if one.metric == "p99"]
    assert (p99.reason, p99.explanation) == (
        Reason.TOO_FEW_CALLS,
        "400 calls in 20 rounds are too few for p99",
    )


def test_metrics_have_the_order_of_the_table_and_a_figure():
    rounds = with_latencies(calls=20, rounds=2).rounds
    assert [metric.name for metric in list_metrics(rounds)] == ["p50", "p75", "p95", "p99", "cpu"]
    assert summarize(METRICS["rss"], rounds, "cp313/1") is None
    assert summarize(METRICS["cpu"], rounds, "cp313/1") == 1.0


@pytest.mark.parametrize(
    ("states", "state"), [((None,), None), ((False, None), False), ((False, True), True)], ids=str
)
def test_the_gil_counts_as_on_where_it_was_on_once(
    states: tuple[bool | None, ...],
    state: bool | None,  # noqa: FBT001 - what is expected
):
    rounds = [{"a": Reading(count=1, metrics={}, gil=gil)} for gil in states]
    assert find_gil_state(rounds, "a") is state


def test_what_changed_since_an_earlier_measurement_is_told():
    before = facts(readings({"cp313/1": {}, "cp314/1": {}}))
    after = facts(readings({"cp313/1": {}, "cp314/1": {"p99": 1.3}}, seed=8))
    found = {one.key[1:]: one.change for one in compare_with_earlier(before, after)}
    assert found["cp314/1", "p99"].answer is Answer.WORSE
    assert found["cp313/1", "p99"].answer is Answer.SAME
    assert {change.basis for change in found.values()} == {Basis.VALUES}


def test_on_another_machine_the_baseline_itself_is_compared_with_nothing():
    other = MACHINE.model_copy(update={"processor": "Abacus 10"})
    before = facts(readings(SLOWER), machine=other)
    changes = compare_with_earlier(before, facts(readings(SLOWER)))
    assert {(one.key.variant, one.change.basis) for one in changes} == {("cp314/1", Basis.RATIOS)}


def test_a_scenario_that_is_new_has_no_earlier_one():
    before = facts(readings(SLOWER, name="other"))
    assert compare_with_earlier(before, facts(readings(SLOWER))) == ()
