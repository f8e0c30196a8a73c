"""Facts of measurements, for the tests of what reads them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from builder.config.metrics import MetricName
from builder.evidence.measurement import (
    MeasuredMachine,
    MeasuredVariant,
    MeasurementFacts,
    PendingWheels,
    Reading,
    ScenarioReadings,
)

MACHINE = MeasuredMachine(processor="Abacus 9", cpus=2, memory_bytes=4 << 30, kernel="6.1")
BASE_S: dict[MetricName, float] = {"p50": 0.010, "p99": 0.020, "cpu": 0.008}
ROUNDS = 30


def variant(name: str, baseline: str = "", **more: Any) -> MeasuredVariant:
    interpreter, _, threads = name.partition("/")
    return MeasuredVariant(
        **{
            "name": name,
            "interpreter": interpreter,
            "version": "3.14.5",
            "threads": int(threads),
            "baseline": baseline,
            **more,
        }
    )


def readings(
    ratios: Mapping[str, Mapping[str, float]],
    *,
    name: str = "list",
    rounds: int = ROUNDS,
    seed: int = 7,
    noise: float = 0.01,
    failures: Mapping[str, str] | None = None,
) -> ScenarioReadings:
    """Return readings in which each metric of a variant is so many times what it is of the first one."""
    chance = random.Random(seed)
    done: list[dict[str, Reading]] = []
    for _ in range(rounds):
        of_round: dict[str, Reading] = {}
        for variant_name, changes in ratios.items():
            metrics: dict[MetricName, float] = {}
            for metric, seconds in BASE_S.items():
                factor = changes.get(metric, 1.0) * chance.lognormvariate(0.0, noise)
                metrics[metric] = seconds * factor
            of_round[variant_name] = Reading(count=1000, metrics=metrics)
        done.append(of_round)
    return ScenarioReadings(name=name, rounds=tuple(done), failures=dict(failures or {}))


def facts(*scenarios: ScenarioReadings, **more: Any) -> MeasurementFacts:
    """Return the facts of a measurement of CPython 3.13 and 3.14."""
    return MeasurementFacts(
        **{
            "errors": {},
            "scenarios": scenarios,
            "moment": "2026-11-27T10:00:00+00:00",
            "machine": MACHINE,
            "variants": (variant("cp313/1"), variant("cp314/1", "cp313/1")),
            "lacking": {},
            "thresholds": {},
            "is_whole": True,
            **more,
        }
    )


def canary_facts(
    *scenarios: ScenarioReadings, hashes: tuple[str, ...], **more: Any
) -> MeasurementFacts:
    """Return the facts of a measurement of a pending release of foo."""
    pending = (PendingWheels(release="foo==2.0", hashes=hashes),)
    variants = (variant("cp314/1"), variant("cp314 canary/1", "cp314/1"))
    return facts(*scenarios, pending=pending, variants=variants, **more)
