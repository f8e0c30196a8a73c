"""What is on record of measuring applications, as the checklists of their moves tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer

from builder.cli.main import app
from builder.evidence.kinds import schema_version
from builder.farm.observations import find_observation, name_command
from builder.jobs.measurement import measurement_id
from builder.judge.migration.model import State, Step
from builder.store.evidence import Evidence
from builder.store.job_ids import JobKind
from tests.unit.measurement_samples import facts, readings

if TYPE_CHECKING:
    from builder.store.store import Store


def record(store: Store, p50: float, *, rounds: int = 30, is_canary: bool = False) -> None:
    """Record a measurement in which the half of all calls takes so many times what it took on 3.13."""
    ratios = {"cp313/1": {}, "cp314/1": {"p50": p50}}
    measured = facts(readings(ratios, rounds=rounds))
    job = measurement_id("shop", "debian-12", is_canary=is_canary)
    version = schema_version(JobKind.MEASUREMENT)
    store.put(Evidence(key="k", job=job, facts=measured.to_json(), facts_version=version))


def options_of(name: str) -> set[str]:
    """Return the options of a command; empty where there is no such command."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    command = group.commands.get(name)
    options: set[str] = set()
    for parameter in () if command is None else command.params:
        options.update(parameter.opts)

    return options


def test_a_command_that_measures_is_named_by_checklists_and_no_other_is():
    assert bool(name_command(Step.MEASURE, "shop")) == bool(options_of("measure"))
    assert bool(name_command(Step.SOAK, "shop")) == ("--soak" in options_of("measure"))


@pytest.mark.parametrize(
    ("p50", "rounds", "state"),
    [(1.0, 30, State.DONE), (1.2, 30, State.FAILED), (1.0, 2, State.UNDETERMINED)],
    ids=["same", "worse", "few-rounds"],
)
def test_the_newest_measurement_speaks_for_a_move_or_against_it(
    store: Store, p50: float, rounds: int, state: State
):
    record(store, p50, rounds=rounds)
    found = find_observation(store, Step.MEASURE, "shop", "cp314")
    assert found is not None
    assert found.state is state
    assert found.evidence[0].startswith("measured on debian-12 at 2026-11-27")
    assert any("p50 of cp314/1 changed by +" in text for text in found.evidence) == (p50 > 1)


def test_what_is_on_record_of_others_says_nothing(store: Store):
    assert find_observation(store, Step.MEASURE, "shop", "cp314") is None
    record(store, 1.2, is_canary=True)
    assert find_observation(store, Step.MEASURE, "shop", "cp314") is None
    record(store, 1.2)
    assert find_observation(store, Step.MEASURE, "shop", "cp314t") is None
    assert find_observation(store, Step.MEASURE, "quiet", "cp314") is None
    assert find_observation(store, Step.SOAK, "shop", "cp314") is None
