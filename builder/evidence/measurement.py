"""Facts of a measurement: what an application's scenarios took with several interpreters, round after round."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from builder.config.metrics import MetricName
from builder.evidence.base import Facts, Many, Model

_Amount = Annotated[float, Field(ge=0, strict=False)]


class Reading(Model):
    """What one run of a scenario with one variant took."""

    count: Annotated[int, Field(gt=0)]
    """How many calls or requests were timed."""

    metrics: dict[MetricName, _Amount]
    """What that came to: seconds, bytes, calls or requests a second."""

    latencies_s: Many[_Amount] = ()
    """How long each took, where there are too few of them for every quantile; `metrics` has the others."""

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
    """What it is run by, and how: `cp314t`, `cp314-jit on`, `cp314 canary`."""

    version: str
    """The release of CPython."""

    threads: Annotated[int, Field(gt=0)]
    """How many make calls."""

    baseline: str = ""
    """The variant that it is compared with; empty for none."""

    is_control: bool = False
    """Whether it is an equal copy of its baseline, by which it is seen what this machine can measure."""


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


class PendingWheels(Model):
    """A release of the channel `canary/` that was measured beside what `simple/` has."""

    release: str
    """`numpy==2.4.0`."""

    hashes: Many[str]
    """The sha256 of every wheel of it that was pending: what was measured is about these and no others."""


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

    thresholds: dict[str, dict[MetricName, str]]
    """By scenario and metric how much worse it may get, as the matrix has it; a metric that is not named has the
    default."""

    is_whole: bool
    """Whether every scenario was measured, and with every interpreter of the matrix."""

    pending: Many[PendingWheels] = ()
    """The releases of `canary/` that it is about; empty for a comparison of interpreters."""
