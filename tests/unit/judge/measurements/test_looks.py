import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.judge.measurements.intervals import PairAverages
from builder.judge.measurements.looks import count_least_rounds, plan_looks


@given(
    st.integers(min_value=1, max_value=120),
    st.integers(min_value=1, max_value=12),
    st.integers(min_value=1, max_value=8),
    st.sampled_from([0.001, 0.01, 0.05]),
)
def test_looks_share_the_error_and_the_first_can_decide(
    most_rounds: int, metrics: int, looks: int, error: float
):
    plan = plan_looks(most_rounds=most_rounds, metrics=metrics, looks=looks, error=error)
    if not plan:
        assert count_least_rounds(metrics=metrics, error=error) > most_rounds
        return

    rounds = [look.rounds for look in plan]
    assert rounds == sorted(set(rounds))
    assert rounds[-1] == most_rounds
    assert 1 <= len(plan) <= looks
    assert sum(look.error for look in plan) == pytest.approx(error)
    first = plan[0]
    tail = first.error / 2 / metrics
    assert PairAverages.of([1.0] * first.rounds).interval(tail) is not None


def test_forty_rounds_of_eight_metrics():
    plan = plan_looks(most_rounds=40, metrics=8)
    assert [look.rounds for look in plan] == [14, 23, 31, 40]
    assert plan[-1].error > plan[0].error


def test_eight_rounds_cannot_decide_eight_metrics():
    assert count_least_rounds(metrics=8) == 9
    assert plan_looks(most_rounds=8, metrics=8) == ()
    assert [look.rounds for look in plan_looks(most_rounds=9, metrics=8)] == [9]


@pytest.mark.parametrize(
    "wrong",
    [{"most_rounds": 0}, {"most_rounds": 201}, {"metrics": 0}, {"looks": 0}, {"error": 0.0}],
    ids=str,
)
def test_a_number_out_of_range_is_refused(wrong: dict[str, float]):
    settings: dict[str, object] = {"most_rounds": 40, "metrics": 8, **wrong}
    with pytest.raises(ValueError, match="expected"):
        plan_looks(**settings)  # type: ignore[arg-type]
