"""How much a metric may change before it is called worse, as a person writes it: `+10%`, `-5%` or `5%`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator

_PERCENT = re.compile(r"([+-]?)\s*(\d{1,4}(?:\.\d{1,4})?)\s*%", re.ASCII)
_MAX_PERCENT = 1000.0
"""Eleven times the baseline: beyond that it is a slip."""


class Direction(StrEnum):
    """Which way a metric gets better."""

    LESS = "less"
    """Latency, CPU time, memory."""
    MORE = "more"
    """Throughput."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """A share of the baseline by which a metric may get worse.

    Attributes:
        percent: the share, above 0.
        sign: `+` or `-` as it was written; empty stands for whichever of them is worse.
    """

    percent: float
    sign: str = ""

    def __str__(self) -> str:
        return f"{self.sign}{self.percent:g}%"

    def log_limit(self, direction: Direction) -> float:
        """Return the logarithm of the ratio from which a change is called worse, without its sign.

        The same limit holds for "better", so that swapping baseline and variant swaps the answers: `5%` is 1.05 times
        the latency, and 1/1.05 of it; `-5%` is 0.95 times the throughput, and 1/0.95 of it.

        Raises:
            ValueError: the sign means that the metric gets better, or all of the baseline is given up.
        """
        worse_sign = "+" if direction is Direction.LESS else "-"
        if self.sign not in {"", worse_sign}:
            raise ValueError(
                f"expected '{worse_sign}{self.percent:g}%', not '{self}': {direction} of it is better"
            )
        if direction is Direction.LESS:
            return math.log1p(self.percent / 100)
        if self.percent >= 100:  # noqa: PLR2004 - all of it
            raise ValueError(f"expected less than 100%, not '{self}': nothing would be left")

        return -math.log1p(-self.percent / 100)


DEFAULT_THRESHOLD = Threshold(percent=5.0)
"""Changes of less are within what a compiler's next release does to a program."""


def parse_threshold(value: object) -> Threshold:
    """Return a threshold: `+10%` -> ten percent more.

    Raises:
        ValueError: it is none; the text says how to write one.
    """
    if isinstance(value, Threshold):
        return value

    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected a share such as '5%', '+10%' or '-5%', not {value!r}")

    sign, number = match.groups()
    percent = float(number)
    if not 0 < percent <= _MAX_PERCENT:
        raise ValueError(f"expected more than 0% and at most {_MAX_PERCENT:g}%, not {value!r}")
    return Threshold(percent=percent, sign=sign)


ThresholdField = Annotated[Threshold, BeforeValidator(parse_threshold)]
"""A threshold in a model: `p99 = "+10%"`."""
