"""Checklists ask what measures applications, as soon as this wheelfarm has something that does."""

from __future__ import annotations

import typer

from builder.cli.main import app
from builder.farm.observations import RECORDED
from builder.judge.migration.model import Step


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
    measures = bool(options_of("measure"))
    soaks = "--soak" in options_of("measure")
    assert bool(RECORDED.name_command(Step.MEASURE, "shop")) == measures
    assert bool(RECORDED.name_command(Step.SOAK, "shop")) == soaks


def test_where_nothing_measures_nothing_is_on_record():
    for step in (Step.MEASURE, Step.SOAK):
        if not RECORDED.name_command(step, "shop"):
            assert RECORDED.find(step, "shop", "cp314t") is None
