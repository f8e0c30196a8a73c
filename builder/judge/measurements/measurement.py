"""What is compared: the values of a metric, round by round."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.config.thresholds import DEFAULT_THRESHOLD, Threshold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.config.metrics import Metric


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """The values of one metric, for each variant.

    Attributes:
        metric: what was measured.
        values: by variant, in the order of the rounds. The same place is the same time: variants took turns, in an
            order that was shuffled anew in each round.
        rounds_per_value: how many rounds one value was made of; more than one where a round alone has too few samples.
        threshold: how much worse it may get.

    Raises:
        ValueError: the variants do not have the same number of values.
    """

    metric: Metric
    values: Mapping[str, tuple[float, ...]]
    rounds_per_value: int = 1
    threshold: Threshold = DEFAULT_THRESHOLD

    def __post_init__(self) -> None:
        counts = {variant: len(values) for variant, values in self.values.items()}
        if len(set(counts.values())) > 1:
            shown = ", ".join(f"{variant}: {count}" for variant, count in counts.items())
            raise ValueError(
                f"{self.metric.name}: expected as many values of each variant ({shown})"
            )

    @property
    def log_limit(self) -> float:
        """The logarithm of the least ratio that is a change, without its sign."""
        return self.threshold.log_limit(self.metric.direction)

    def log_ratios(self, baseline: str, variant: str, rounds: int) -> list[float]:
        """Return the logarithm of variant by baseline for each of the first rounds.

        Logarithms, because noise multiplies, and because swapping the two then only turns the sign.

        Raises:
            ValueError: a value is not above 0.
        """
        count = rounds // self.rounds_per_value
        pairs = zip(self.values[baseline][:count], self.values[variant][:count], strict=True)
        return [math.log(value) - math.log(base) for base, value in pairs]

    def check_rounds(self, rounds: int) -> None:
        """Check that there are values of so many rounds.

        Raises:
            ValueError: there are fewer.
        """
        for variant, values in self.values.items():
            if len(values) < rounds // self.rounds_per_value:
                raise ValueError(
                    f"{self.metric.name}: expected values of {rounds} rounds of {variant},"
                    f" not of {len(values) * self.rounds_per_value}"
                )

    def find_bad_value(self, variant: str) -> str:
        """Return why a variant's values have no ratio, `round 3 has the value 0`; empty where they have one."""
        for place, value in enumerate(self.values[variant]):
            if not (math.isfinite(value) and value > 0):
                return f"round {place * self.rounds_per_value + 1} of {variant} has the value {value:g}"
        return ""
