"""Facts of a measurement: what an application's scenarios took with several interpreters, round after round."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from builder.evidence.base import Facts, Many, Model

Metric = Literal[
    "p50",
    "p75",
    "p95",
    "p99",
    "throughput",
    "cpu",
    "start",
    "rss",
    "rss_peak",
    "duration",
]
"""What is measured: quantiles of latencies (s), calls or requests a second, CPU time of one (s), time to the first
answer (s), resident memory after all and at its most (bytes), and how long a command takes (s)."""

_Amount = Annotated[float, Field(ge=0, strict=False)]


class Reading(Model):
    """What one run of a scenario with one variant took."""

    count: Annotated[int, Field(gt=0)]
    """How many calls or requests were timed."""

    metrics: dict[Metric, _Amount]
    """What that came to."""

    gil: bool | None = None
    """Whether the GIL was on in the end, of an interpreter that can be without one; None where that is not known."""


class ScenarioReadings(Model):
    """What a scenario came to."""

    name: str
    """Of the scenario, in the matrix."""

    rounds: Many[dict[str, Reading]]
    """By round the reading of each variant; one that failed is not there."""

    failures: dict[str, str]
    """By variant of which readings failed, what was seen of the last one."""


class MeasurementAnswer(Facts):
    """What builder/inside/measure answers."""

    errors: dict[str, str]
    """By environment that could not be installed, why."""

    scenarios: Many[ScenarioReadings]
    """What each scenario came to."""


class MeasuredVariant(Model):
    """One way to run an application."""

    name: str
    """Of the variant: `cp314t/4`."""

    interpreter: str
    """That it is run by: `cp314t`."""

    version: str
    """The release of CPython."""

    threads: Annotated[int, Field(gt=0)]
    """How many make calls."""

    baseline: str = ""
    """The variant that it is compared with; empty for none."""


class MeasuredMachine(Model):
    """What was measured on."""

    processor: str
    """Name of the processor."""

    cpus: Annotated[int, Field(gt=0)]
    """How many CPUs there were."""

    memory_bytes: Annotated[int, Field(gt=0)]
    """How much memory."""

    kernel: str
    """Release of the kernel."""


class MeasurementFacts(MeasurementAnswer):
    """What a measurement found out."""

    moment: str
    """When it began, UTC and ISO 8601."""

    machine: MeasuredMachine
    """What was measured on."""

    variants: Many[MeasuredVariant]
    """What was compared."""

    lacking: dict[str, str]
    """By interpreter that could not be measured with, why: what it has no wheel of."""

    thresholds: dict[str, dict[Metric, float]]
    """By scenario and metric, the change that counts, as a share, where it is another one than the default."""
