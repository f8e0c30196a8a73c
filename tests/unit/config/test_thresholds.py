import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from builder.config.thresholds import (
    Direction,
    Threshold,
    ThresholdField,
    parse_threshold,
)


@pytest.mark.parametrize(
    ("text", "direction", "ratio"),
    [
        ("5%", Direction.LESS, 1.05),
        ("+10%", Direction.LESS, 1.10),
        (" + 2.5 % ", Direction.LESS, 1.025),
        ("-5%", Direction.MORE, 1 / 0.95),
        ("5%", Direction.MORE, 1 / 0.95),
    ],
)
def test_a_threshold_is_a_ratio(text: str, direction: Direction, ratio: float):
    assert parse_threshold(text).log_limit(direction) == pytest.approx(math.log(ratio))


@pytest.mark.parametrize(
    "value", ["", "5", "five %", "5%%", "+-5%", "0%", "-0.0%", "2000%", "1e3%", "\u0665%", 5, 0.05, None, True]
)  # fmt: skip
def test_anything_else_is_refused(value: object):
    with pytest.raises(ValueError, match="expected"):
        parse_threshold(value)


@pytest.mark.parametrize(
    ("text", "direction", "remedy"),
    [
        ("-5%", Direction.LESS, r"expected '\+5%', not '-5%': less of it is better"),
        ("+5%", Direction.MORE, r"expected '-5%', not '\+5%': more of it is better"),
        ("100%", Direction.MORE, "nothing would be left"),
    ],
)
def test_a_sign_that_means_better_is_refused(text: str, direction: Direction, remedy: str):
    with pytest.raises(ValueError, match=remedy):
        parse_threshold(text).log_limit(direction)


@given(st.sampled_from(["", "+", "-"]), st.integers(min_value=1, max_value=9_999_999))
def test_what_is_shown_is_read_again(sign: str, ten_thousandths: int):
    threshold = parse_threshold(f"{sign}{ten_thousandths / 10_000:.4f}%")
    assert threshold.sign == sign
    assert threshold.percent == pytest.approx(ten_thousandths / 10_000)
    assert str(parse_threshold(str(threshold))) == str(threshold)


@given(st.text(alphabet="+-%. 0159eE_x\n", max_size=12))
def test_no_text_breaks_the_parser(text: str):
    try:
        threshold = parse_threshold(text)
    except ValueError:
        return
    assert threshold.percent > 0
    assert "%" in text


def test_a_model_reads_it():
    class Scenario(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        p99: ThresholdField = Threshold(percent=5.0)

    assert Scenario.model_validate({"p99": "+10%"}).p99 == Threshold(percent=10.0, sign="+")
    assert Scenario().p99 == Threshold(percent=5.0)
    with pytest.raises(ValidationError, match="expected a share such as '5%'"):
        Scenario.model_validate({"p99": "a bit"})
