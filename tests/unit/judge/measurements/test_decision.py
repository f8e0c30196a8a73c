import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.config.metrics import METRICS
from builder.config.thresholds import parse_threshold
from builder.judge.measurements.answers import Answer, Comparison, Reason
from builder.judge.measurements.decision import decide
from builder.judge.measurements.looks import Look, plan_looks
from builder.judge.measurements.measurement import Measurement

ROUNDS = 40
PLAN = plan_looks(most_rounds=ROUNDS, metrics=1)


def measure(
    name: str = "p50",
    *,
    ratios: dict[str, float],
    noise: float = 0.01,
    rounds: int = ROUNDS,
    seed: int = 1,
    threshold: str = "5%",
) -> Measurement:
    """Return values of a baseline of 1, and of variants that are so much of it, with noise and a shared drift."""
    chance = random.Random(seed)
    values: dict[str, list[float]] = {name: [] for name in ("baseline", *ratios)}
    for place in range(rounds):
        shared = 0.3 * math.sin(place)
        for variant, rows in values.items():
            rows.append(ratios.get(variant, 1.0) * math.exp(shared + chance.gauss(0.0, noise)))
    return Measurement(
        metric=METRICS[name],
        values={variant: tuple(rows) for variant, rows in values.items()},
        threshold=parse_threshold(threshold),
    )


def judge(measurement: Measurement, rounds: int = ROUNDS) -> Comparison:
    decision = decide([measurement], PLAN, rounds=rounds, baseline="baseline")
    (comparison,) = decision.comparisons
    return comparison


@pytest.mark.parametrize(
    ("name", "ratio", "answer"),
    [
        ("p50", 1.08, Answer.WORSE),
        ("p50", 0.90, Answer.BETTER),
        ("p50", 1.00, Answer.SAME),
        ("p50", 1.02, Answer.SAME),
        ("throughput", 1.12, Answer.BETTER),
        ("throughput", 0.90, Answer.WORSE),
        ("throughput", 0.99, Answer.SAME),
    ],
)
def test_a_change_is_told_by_the_direction_of_its_metric(name: str, ratio: float, answer: Answer):
    found = judge(measure(name, ratios={"variant": ratio}))
    assert (found.answer, found.reason, found.explanation) == (answer, None, "")
    assert found.ratio is not None
    assert found.ratio.low < ratio < found.ratio.high
    assert found.rounds < ROUNDS


def test_a_wider_threshold_lets_more_pass():
    assert judge(measure(ratios={"variant": 1.08}, threshold="+10%")).answer is Answer.SAME


def test_noise_is_said_to_be_too_much():
    found = judge(measure(ratios={"variant": 1.08}, noise=0.3))
    assert (found.answer, found.reason) == (Answer.UNKNOWN, Reason.TOO_WIDE)
    assert "after 40 rounds the ratio may be anything in" in found.explanation


def test_a_change_as_large_as_the_threshold_is_neither():
    found = judge(measure(ratios={"variant": 1.05}))
    assert (found.answer, found.reason) == (Answer.UNKNOWN, Reason.NEAR_THRESHOLD)


def test_few_rounds_say_nothing_and_ask_for_more():
    measurement = measure(ratios={"variant": 1.5}, rounds=PLAN[0].rounds - 1)
    decision = decide([measurement], PLAN, rounds=PLAN[0].rounds - 1, baseline="baseline")
    (found,) = decision.comparisons
    assert (found.answer, found.reason) == (Answer.UNKNOWN, Reason.TOO_FEW_ROUNDS)
    assert decision.next_look == PLAN[0].rounds


def test_between_looks_the_last_look_counts():
    """Whoever asks after each round sees no more than after the planned ones."""
    first, second, *_ = PLAN
    equal_first = (1.0, 2.0) * ROUNDS
    values = {
        "baseline": (1.0,) * ROUNDS,
        "variant": equal_first[: first.rounds] + (2.0,) * (ROUNDS - first.rounds),
    }
    measurement = Measurement(metric=METRICS["p50"], values=values)
    at_look = judge(measurement, first.rounds)
    assert at_look.reason is Reason.TOO_WIDE
    assert judge(measurement, second.rounds - 1) == at_look
    assert judge(measurement, second.rounds) != at_look


def test_measuring_ends_when_all_is_said_or_the_rounds_are_done():
    clear = measure(ratios={"variant": 1.5})
    first = PLAN[0].rounds
    assert decide([clear], PLAN, rounds=first, baseline="baseline").next_look is None
    noisy = measure(ratios={"variant": 1.08}, noise=0.3)
    assert decide([noisy], PLAN, rounds=first, baseline="baseline").next_look == PLAN[1].rounds
    assert decide([noisy], PLAN, rounds=ROUNDS, baseline="baseline").next_look is None


def test_what_a_look_decided_stays_decided():
    first = PLAN[0].rounds
    measurement = measure(ratios={"variant": 1.5})
    calm_again = {
        "baseline": measurement.values["baseline"],
        "variant": measurement.values["variant"][:first] + measurement.values["baseline"][first:],
    }
    changed = Measurement(metric=measurement.metric, values=calm_again)
    assert judge(changed) == judge(measurement)
    assert judge(changed).rounds == first


def test_a_ratio_that_drifts_is_not_one_figure():
    base = tuple(1.0 + 0.001 * (place % 7) for place in range(ROUNDS))
    growing = tuple(value * (1 + 0.01 * place) for place, value in enumerate(base))
    found = judge(Measurement(metric=METRICS["rss"], values={"baseline": base, "variant": growing}))
    assert (found.answer, found.reason) == (Answer.UNKNOWN, Reason.DRIFT)
    assert "changed 1.39-fold" in found.explanation


def test_an_outlier_is_told_and_does_no_harm():
    measurement = measure(ratios={"variant": 1.0})
    values = list(measurement.values["variant"])
    values[4] *= 10
    wild = Measurement(
        metric=measurement.metric,
        values={"baseline": measurement.values["baseline"], "variant": tuple(values)},
    )
    found = judge(wild)
    assert found.answer is Answer.SAME
    assert [outlier.round for outlier in found.outliers] == [5]
    assert found.outliers[0].ratio == pytest.approx(10, rel=0.1)
    assert judge(measurement).outliers == ()


def test_equal_values_have_no_outliers():
    values = {"baseline": (5.0,) * ROUNDS, "variant": (5.0,) * (ROUNDS - 1) + (5.001,)}
    found = judge(Measurement(metric=METRICS["rss_peak"], values=values))
    assert (found.answer, found.outliers) == (Answer.SAME, ())


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("variant", ["baseline", "variant"])
def test_a_value_without_a_ratio_is_named(bad: float, variant: str):
    values = {"baseline": (1.0,) * ROUNDS, "variant": (1.0,) * ROUNDS}
    values[variant] = (1.0, 1.0, bad, *values[variant][3:])
    found = judge(Measurement(metric=METRICS["throughput"], values=values))
    assert (found.answer, found.reason) == (Answer.UNKNOWN, Reason.NO_RATIO)
    assert found.explanation == f"round 3 of {variant} has the value {bad:g}"


def test_variants_need_values_of_the_same_rounds():
    values = {"baseline": (1.0,) * ROUNDS, "variant": (1.0,) * (ROUNDS - 1)}
    with pytest.raises(ValueError, match=r"p50: expected as many .* \(baseline: 40, variant: 39\)"):
        Measurement(metric=METRICS["p50"], values=values)


def test_rounds_that_were_done_have_values():
    with pytest.raises(
        ValueError, match="p50: expected values of 40 rounds of baseline, not of 39"
    ):
        judge(measure(ratios={"variant": 1.0}, rounds=39))


def test_values_of_several_rounds_count_as_one():
    measurement = measure("p99", ratios={"variant": 1.5}, rounds=20)
    pooled = Measurement(metric=METRICS["p99"], values=measurement.values, rounds_per_value=2)
    found = judge(pooled)
    assert found.answer is Answer.WORSE
    assert found.rounds > judge(measure("p99", ratios={"variant": 1.5})).rounds


def test_a_control_that_differs_makes_the_machine_unfit_for_that_metric():
    unfit = measure("p50", ratios={"copy": 1.1, "variant": 1.5})
    fit = measure("rss_peak", ratios={"copy": 1.0, "variant": 1.5})
    plan = plan_looks(most_rounds=ROUNDS, metrics=2)
    decision = decide([unfit, fit], plan, rounds=ROUNDS, baseline="baseline", control="copy")
    found = {(one.variant, one.metric): one for one in decision.comparisons}
    assert found["variant", "p50"].reason is Reason.CONTROL
    assert found["variant", "p50"].explanation.startswith("an equal copy of the baseline is 1.1 ")
    assert found["variant", "rss_peak"].answer is Answer.WORSE
    assert found["copy", "p50"].answer is Answer.WORSE


@pytest.mark.parametrize(("ratio_of_other", "answer"), [(1.5, Answer.WORSE), (1.0, Answer.UNKNOWN)])
def test_a_changed_metric_leaves_its_share_of_the_error_to_others(
    ratio_of_other: float, answer: Answer
):
    """With twelve rounds, one of which shows nothing, a change shows at a tail of 2 in 2¹², and not at 1.5 in 2¹²."""
    tail_of_two = 1.5 / 2**12
    plan = (Look(rounds=12, error=2 * 2 * tail_of_two),)
    base = (1.0,) * 12
    weak = Measurement(
        metric=METRICS["p50"], values={"baseline": base, "variant": (1.0, *(1.5,) * 11)}
    )
    other = measure("p99", ratios={"variant": ratio_of_other}, rounds=12)
    decision = decide([weak, other], plan, rounds=12, baseline="baseline")
    assert decision.comparisons[0].answer is answer


RATIOS = st.lists(st.floats(min_value=-0.3, max_value=0.3), min_size=16, max_size=24)


def judge_ratios(log_ratios: list[float], scale: float = 1.0, name: str = "p50") -> Comparison:
    values = {
        "baseline": (scale,) * len(log_ratios),
        "variant": tuple(scale * math.exp(value) for value in log_ratios),
    }
    plan = (Look(rounds=len(log_ratios), error=0.01),)
    measurement = Measurement(metric=METRICS[name], values=values)
    (found,) = decide([measurement], plan, rounds=len(log_ratios), baseline="baseline").comparisons
    return found


@given(RATIOS, st.integers(min_value=-20, max_value=20))
def test_the_unit_does_not_matter(log_ratios: list[float], power: int):
    found = judge_ratios(log_ratios)
    scaled = judge_ratios(log_ratios, scale=2.0**power)
    assert scaled.answer is found.answer
    assert scaled.ratio is not None
    assert found.ratio is not None
    assert scaled.ratio.low == pytest.approx(found.ratio.low)


@given(RATIOS, st.randoms(use_true_random=False))
def test_the_order_of_rounds_matters_for_drift_alone(
    log_ratios: list[float], chance: random.Random
):
    shuffled = list(log_ratios)
    chance.shuffle(shuffled)
    found, other = judge_ratios(log_ratios), judge_ratios(shuffled)
    assert found.ratio == other.ratio
    if Reason.DRIFT not in {found.reason, other.reason}:
        assert found.answer is other.answer


@given(RATIOS, st.sampled_from(["p50", "throughput"]))
def test_swapping_baseline_and_variant_swaps_the_answer(log_ratios: list[float], name: str):
    found = judge_ratios(log_ratios, name=name)
    values = {
        "baseline": tuple(math.exp(value) for value in log_ratios),
        "variant": (1.0,) * len(log_ratios),
    }
    plan = (Look(rounds=len(log_ratios), error=0.01),)
    measurement = Measurement(metric=METRICS[name], values=values)
    (swapped,) = decide(
        [measurement], plan, rounds=len(log_ratios), baseline="baseline"
    ).comparisons
    opposite = {Answer.WORSE: Answer.BETTER, Answer.BETTER: Answer.WORSE}
    assert swapped.answer is opposite.get(found.answer, found.answer)
    assert swapped.ratio is not None
    assert found.ratio is not None
    assert swapped.ratio.low == pytest.approx(1 / found.ratio.high)
