"""docs/migration.md names commands and tests that exist, for every step of the checklist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from builder.cli.main import app
from builder.judge.migration.model import State, Step

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/migration.md").read_text()
NOT_THERE = "not there yet"
NO_TEST = "\N{EN DASH}"


def read_rows() -> list[list[str]]:
    """Return the cells of each row of the move."""
    table = TEXT[TEXT.index("| step | what is asked for") :]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


ROWS = read_rows()
COMMANDS = sorted(set(re.findall(r"`(wheelfarm [^`]+)`", TEXT)))
PROGRAMS = sorted(set(re.findall(r"`(examples/[^`]+)`", TEXT)))
TESTS = sorted(set(re.findall(r"`(tests/[^`]+)`", TEXT)))


def find_command(text: str) -> tuple[Any, list[str]]:
    """Return the command that a line of the page calls, and its arguments."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    _, name, *arguments = shlex.split(text)
    return group.commands.get(name), arguments


def test_the_page_has_a_row_for_every_step_and_a_word_for_every_state():
    assert {row[0] for row in ROWS} == {*Step, "all"}
    for state in State:
        assert f"| `{state}` |" in TEXT


def test_a_row_has_a_command_and_a_test_or_neither():
    assert len(ROWS) > 20
    for row in ROWS:
        assert len(row) == 4, row
        _, _, command, test = row
        if command == NOT_THERE:
            assert test == NO_TEST, row
        else:
            assert "`wheelfarm " in command or "`examples/" in command, row
            assert "`tests/" in test, row


@pytest.mark.parametrize("text", COMMANDS)
def test_a_named_command_exists_with_its_options(text: str):
    command, arguments = find_command(text)
    assert command is not None
    assert not command.hidden
    # It fails for an unknown option, or an argument too many or too few; nothing is run.
    command.make_context("wheelfarm", arguments)


def test_a_command_that_does_not_exist_would_be_noticed():
    assert find_command("wheelfarm fly")[0] is None
    command, arguments = find_command("wheelfarm migrate --wings")
    with pytest.raises(Exception, match="No such option"):
        command.make_context("wheelfarm", arguments)


@pytest.mark.parametrize("path", PROGRAMS)
def test_a_named_program_to_copy_exists(path: str):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("path", TESTS)
def test_a_named_test_exists(path: str):
    assert re.search(r"^def test_\w+\(", (ROOT / path).read_text(), re.MULTILINE)


def test_what_the_farm_cannot_do_is_marked_as_long_as_it_cannot():
    gaps = {row[0] for row in ROWS if row[2] == NOT_THERE}
    command, _ = find_command("wheelfarm measure")
    options = {} if command is None else {name for one in command.params for name in one.opts}
    assert (Step.MEASURE in gaps) != (command is not None)
    assert (Step.SOAK in gaps) != ("--soak" in options)
