"""`wheelfarm migrate`: what it prints, as text and by its schema, what it ends with, and that its commands work."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer

from builder.cli.main import app
from builder.errors import ExitCode
from builder.host import settings as host
from builder.judge.migration.commands import Commands
from builder.judge.migration.model import Step
from builder.store.store import Store
from tests.unit.cli.conftest import Ended
from tests.unit.farm.migration_samples import judge, publish, survey, write_project
from tests.unit.local_index import LocalIndex, sdist, serving, wheel

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs/migrate.schema.json").read_text(encoding="utf-8")
)


def read(ended: Ended) -> Any:
    answer = json.loads(ended.stdout)
    jsonschema.validate(answer, SCHEMA)
    return answer


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a wheelhouse in which everything is done but the promotion, and this process in its folder."""
    matrix = write_project(tmp_path)
    with Store(tmp_path / "wheelhouse") as store:
        survey(store, matrix)
        publish(store, matrix)
        judge(store)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_says_what_is_done_and_what_is_next(wheelfarm: Callable[..., Ended], project: Path):
    ended = wheelfarm("migrate")
    assert ended.returncode == ExitCode.UNDETERMINED
    assert ended.stdout.endswith("4 of 7 steps are done; next: measure\n  wheelfarm measure shop\n")

    (part,) = read(wheelfarm("migrate", "shop", "--abi", "cp314t", "--json"))["checklists"]
    assert part["next"] == "measure"
    assert [step["step"] for step in part["steps"]] == list(Step)
    assert part["steps"][3]["commands"] == ["wheelfarm measure shop"]


def test_the_command_that_it_names_does_the_step(wheelfarm: Callable[..., Ended], project: Path):
    (part,) = read(wheelfarm("migrate", "--json"))["checklists"]
    (command,) = part["steps"][-1]["commands"]
    assert wheelfarm(*shlex.split(command)[1:]).returncode == ExitCode.ADMISSIBLE

    (part,) = read(wheelfarm("migrate", "--json"))["checklists"]
    assert (part["next"], part["steps"][-1]["state"]) == ("measure", "done")


def test_a_failure_ends_with_1(wheelfarm: Callable[..., Ended], project: Path):
    with Store(project / "wheelhouse") as store:
        judge(store, verdict="blocked", reason="no foo")
    ended = wheelfarm("migrate")
    assert ended.returncode == ExitCode.FAULTS
    assert "debian-12: no foo" in ended.stdout


@pytest.mark.parametrize("arguments", [("none",), ("shop", "--abi", "cp399")])
def test_a_name_that_is_not_there_ends_with_2(
    wheelfarm: Callable[..., Ended], project: Path, arguments: tuple[str, ...]
):
    ended = wheelfarm("migrate", *arguments)
    assert (ended.returncode, ended.stdout) == (ExitCode.USAGE, "")
    assert "it has" in ended.stderr


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalIndex]:
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (index, settings):
        monkeypatch.setattr(host, "index_settings", lambda: settings)
        index.add("bar", "bar-1.0-py3-none-any.whl", wheel("bar", "1.0"))
        index.add("foo", "foo-1.0.tar.gz", sdist("foo", "1.0"))
        yield index


def test_it_walks_from_a_bare_application_to_the_first_run(
    wheelfarm: Callable[..., Ended], served: LocalIndex, tmp_path: Path
):
    """Each command is typed as it was printed, from another folder than the matrix's."""
    project = tmp_path / "my shop"
    project.mkdir()
    text = '[farm]\nabis = ["cp314t"]\n[applications.shop]\nlock = "shop.txt"\n'
    write_project(project, text)
    options = ("--matrix", str(project / "matrix.toml"), "--wheelhouse", str(tmp_path / "w"))

    typed: list[str] = []
    for _ in range(2):
        (part,) = read(wheelfarm("migrate", *options, "--json"))["checklists"]
        following = next(step for step in part["steps"] if step["step"] == part["next"])
        _, name, *arguments = shlex.split(following["commands"][0])
        assert wheelfarm(name, *arguments).returncode == ExitCode.ADMISSIBLE
        typed.append(name)
    assert typed == ["survey", "add"]

    (part,) = read(wheelfarm("migrate", *options, "--json"))["checklists"]
    assert part["next"] == "build"
    (command,) = part["steps"][1]["commands"]
    assert command.startswith("wheelfarm run --matrix ")
    assert part["steps"][1]["evidence"] == ["no whole run is on record"]


def test_every_command_that_a_checklist_can_name_exists():
    commands = Commands(
        application="shop",
        lock=("--extra", "pg", "--group", "dev", "uv.lock"),
        matrix=("--matrix", "m.toml"),
        wheelhouse=("--wheelhouse", "w"),
    )
    lines = [
        commands.survey,
        commands.add,
        commands.update,
        commands.run,
        commands.explain,
        commands.list_waiting,
        commands.roll_back,
        commands.show("lxml"),
        commands.promote(["numpy==2.4.0", "lxml==6.0"]),
    ]
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    for line in lines:
        _, name, *arguments = shlex.split(line)
        group.commands[name].make_context("wheelfarm", arguments)
