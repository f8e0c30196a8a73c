import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.judge.measurements.leaks import MIN_SAMPLES, LeakAnswer, LeakJudgement, judge_leak
from builder.judge.measurements.resources import RESOURCES, UsageSample

SAMPLES = 960
CALLS = 100_000
STEADY: dict[str, Callable[[float], float]] = {
    "flat": lambda share: 0.0,
    "cache that fills and stays": lambda share: 30 * (1 - math.exp(-share / 0.05)),
    "fragmentation like log(t)": lambda share: 8 * math.log1p(share / 0.01),
    "periodic collections": lambda share: 5 * (share * 60 % 1),
    "one step": lambda share: 20.0 * (share > 0.6),
    "step late in the run": lambda share: 20.0 * (share > 0.9),
    "warm-up of 30 %": lambda share: 30 * min(share / 0.3, 1),
    "free lists of new threads": lambda share: 16 * math.floor(16 * min(share / 0.55, 1)) / 16,
    "warm-up and a step": lambda share: 30 * min(share / 0.3, 1) + 20.0 * (share > 0.7),
    "memory that is given back": lambda share: -10 * share,
}
"""What there is after a share of a run that leaks nothing, in standard deviations of the noise."""


def make_series(
    shape: Callable[[float], float], *, leak: float = 0.0, noise: float = 1.0, unit: float = 1000.0, seed: int = 1
) -> list[UsageSample]:  # fmt: skip
    """Return samples of a run; `leak` is what is lost until its end, in standard deviations of the noise."""
    chance = random.Random(seed)
    samples: list[UsageSample] = []
    for number in range(1, SAMPLES + 1):
        share = number / SAMPLES
        value = unit * (50 + shape(share) + leak * share + noise * chance.gauss(0.0, 1.0))
        samples.append(UsageSample(calls=CALLS * share, seconds=7200 * share, value=value))
    return samples


def judge(samples: list[UsageSample], resource: str = "rss", least: float = 0.0) -> LeakJudgement:
    return judge_leak(RESOURCES[resource], samples, least_per_call=least)


@pytest.mark.parametrize("name", STEADY)
def test_what_grows_without_a_leak_is_not_blamed(name: str):
    for seed in range(4):
        found = judge(make_series(STEADY[name], seed=seed))
        assert found.answer is not LeakAnswer.LEAK, (seed, found)


@pytest.mark.parametrize("name", STEADY)
def test_a_leak_is_found_beside_it(name: str):
    clear = 200.0  # so much that no shape hides it, the staircase of free lists least of all
    found = judge(make_series(STEADY[name], leak=clear))
    assert found.answer is LeakAnswer.LEAK
    assert found.per_call is not None
    assert found.per_call.low > 0


def test_a_leak_is_given_by_call():
    found = judge(make_series(STEADY["flat"], leak=20.0))
    assert found.answer is LeakAnswer.LEAK
    assert found.per_call is not None
    assert found.per_call.low < 0.2 < found.per_call.high
    assert "bytes a call" in found.explanation


def test_a_leak_of_three_standard_deviations_is_found():
    found = [judge(make_series(STEADY["flat"], leak=3.0, seed=seed)).answer for seed in range(8)]
    assert found == [LeakAnswer.LEAK] * 8


def test_where_there_is_none_a_limit_is_given():
    found = judge(make_series(STEADY["flat"]))
    assert found.answer is LeakAnswer.NO_LEAK
    assert found.limit_per_call is not None
    assert 0 < found.limit_per_call < 0.01


def test_a_curve_and_a_leak_that_explain_as_much_are_not_told_apart():
    found = judge(make_series(lambda share: 30 * min(share / 0.3, 1), leak=2.0))
    assert found.answer is LeakAnswer.UNKNOWN
    assert "as well as a leak does: a longer run can tell" in found.explanation


@pytest.mark.parametrize("resource", ["descriptors", "threads"])
def test_one_descriptor_in_a_thousand_calls_is_a_leak(resource: str):
    samples = [
        UsageSample(calls=20.0 * number, seconds=number, value=12 + 20 * number // 1000)
        for number in range(1, SAMPLES + 1)
    ]
    found = judge(samples, resource)
    assert found.answer is LeakAnswer.LEAK
    assert found.per_call is not None
    assert found.per_call.estimate == pytest.approx(0.001, rel=0.1)
    assert f"{resource} a call" in found.explanation


def test_one_descriptor_more_in_a_run_is_no_leak():
    samples = [
        UsageSample(calls=20.0 * number, seconds=number, value=12 + (number > 500))
        for number in range(1, SAMPLES + 1)
    ]
    assert judge(samples, "descriptors").answer is not LeakAnswer.LEAK


@pytest.mark.parametrize("value", [0.0, 7.0, 2.0**40])
def test_what_never_changes_does_not_leak(value: float):
    samples = [
        UsageSample(calls=float(number), seconds=number, value=value) for number in range(SAMPLES)
    ]
    found = judge(samples)
    assert (found.answer, found.limit_per_call) == (LeakAnswer.NO_LEAK, 0.0)


def test_a_leak_that_does_not_matter_is_not_told():
    leaking = make_series(STEADY["flat"], leak=20.0)
    assert judge(leaking, least=0.1).answer is LeakAnswer.LEAK
    small = judge(leaking, least=1.0)
    assert small.answer is LeakAnswer.NO_LEAK
    assert small.limit_per_call is not None
    assert 0.2 < small.limit_per_call < 1.0


def test_noise_that_hides_what_matters_is_named():
    found = judge(make_series(STEADY["flat"]), least=1e-6)
    assert found.answer is LeakAnswer.UNKNOWN
    assert "would not have been seen, and 1e-06 matter" in found.explanation


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([], "0 samples are too few: it takes 96"),
        ([UsageSample(calls=1.0, seconds=1.0, value=1.0)] * (MIN_SAMPLES - 1), "95 samples"),
        ([UsageSample(calls=1.0, seconds=1.0, value=1.0)] * MIN_SAMPLES, "no call was made"),
        (make_series(STEADY["flat"])[::-1], "the number of calls falls after"),
    ],
    ids=["none", "few", "idle", "backwards"],
)
def test_too_little_is_named(samples: list[UsageSample], reason: str):
    found = judge(samples)
    assert found.answer is LeakAnswer.UNKNOWN
    assert reason in found.explanation


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["flat", "one step"]),
    st.sampled_from([0.0, 20.0]),
    st.integers(min_value=0, max_value=5),
    st.integers(min_value=-8, max_value=8),
)
def test_neither_the_unit_nor_the_start_matters(name: str, leak: float, seed: int, power: int):
    series = make_series(STEADY[name], leak=leak, seed=seed)
    scaled = [
        UsageSample(
            calls=sample.calls, seconds=sample.seconds, value=2.0**power * (sample.value + 4096)
        )
        for sample in series
    ]
    found, other = judge(series), judge(scaled)
    assert other.answer is found.answer
    assert other.per_call is not None
    assert found.per_call is not None
    assert other.per_call.estimate == pytest.approx(2.0**power * found.per_call.estimate, rel=1e-6)
