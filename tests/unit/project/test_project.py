"""What is said of the project in several places is the same in all of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema.validators import validator_for
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

from builder import __version__
from tests.unit.report.test_report import published_schema

ROOT = Path(__file__).parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SCHEMAS = {
    ".github/workflows/ci.yml": "schemastore.org/github-workflow.json",
    ".pre-commit-config.yaml": "schemastore.org/pre-commit-config.json",
}


def read_yaml(path: str) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(ROOT / path)
    return content


def named_pythons() -> list[str]:
    """Return the releases of Python that the classifiers name."""
    prefix = "Programming Language :: Python :: 3."
    classifiers = PYPROJECT["project"]["classifiers"]
    return [
        text.removeprefix("Programming Language :: Python :: ")
        for text in classifiers
        if text.startswith(prefix)
    ]


@pytest.mark.parametrize(("path", "ending"), SCHEMAS.items())
def test_it_fits_its_schema(path: str, ending: str):
    schema = published_schema(ending)
    checker = validator_for(schema)(schema)
    content = read_yaml(path)
    assert sorted(error.message for error in checker.iter_errors(content)) == []
    assert not checker.is_valid({**content, "jobs": 3, "repos": 3})


def test_dependabot_looks_into_every_folder_with_pins():
    """Its schema is checked by `make lint`: the one that a package carries is older than `directories`."""
    updates = {
        update["package-ecosystem"]: update
        for update in read_yaml(".github/dependabot.yml")["updates"]
    }
    assert set(updates) == {"pip", "github-actions"}
    pins = [
        path
        for path in ROOT.glob("[!.]*/**/*.txt")
        if "--hash=sha256:" in path.read_text(errors="replace")[:400]
    ]
    # The matrix of an example pins the same releases as its lock: one does not change without the other.
    others = {"wheelhouse", "examples"}
    folders = {
        f"/{path.parent.relative_to(ROOT)}" for path in pins if others.isdisjoint(path.parts)
    }
    assert folders >= {"/requirements", "/images"}
    assert {*folders, "/"} == set(updates["pip"]["directories"])


def test_the_version_is_stated_once():
    assert "version" not in PYPROJECT["project"]
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    stated = (ROOT / PYPROJECT["tool"]["hatch"]["version"]["path"]).read_text()
    assert f'__version__ = "{__version__}"' in stated


def test_the_changelog_knows_the_version():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1].split()[0] == __version__


def test_ci_runs_every_python_that_is_promised():
    tested = read_yaml(".github/workflows/ci.yml")["jobs"]["unit"]["strategy"]["matrix"]["python"]
    assert tested == named_pythons()
    requires = SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert next(minor for minor in range(8, 20) if f"3.{minor}" in requires) == int(
        tested[0].partition(".")[2]
    )


def test_ci_reads_only_ends_in_time_and_gives_way_to_a_newer_push():
    workflow = read_yaml(".github/workflows/ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True
    assert all(
        job["timeout-minutes"] <= 120 and "permissions" not in job
        for job in workflow["jobs"].values()
    )
    checkouts = [
        step
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert len(checkouts) == len(workflow["jobs"])
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_ci_calls_make_and_make_knows_what_is_called():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    steps = [
        step
        for job in read_yaml(".github/workflows/ci.yml")["jobs"].values()
        for step in job["steps"]
    ]
    called = [step["run"] for step in steps if "run" in step]
    assert {"make lint", "make unit", "make coverage", "make site", "make test"} <= set(called)
    assert all(command.removeprefix("make ") in targets for command in called)


def test_hooks_are_local_and_run_what_lint_runs():
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert lint is not None
    for hook in repository["hooks"]:
        assert hook["language"] == "system", "another language would download something"
        tool = hook["entry"].split()[0]
        assert tool.startswith(".venv/bin/")
        assert tool.replace(".venv/bin/", "$(BIN)/") in lint[1]


def test_every_tool_of_make_is_pinned():
    """A tool that a target calls is in the development group, and its release in requirements/farm.txt."""
    pinned = re.findall(
        r"^([a-z0-9-]+)==", (ROOT / "requirements/farm.txt").read_text(), re.MULTILINE
    )
    for name in PYPROJECT["dependency-groups"]["dev"]:
        assert name in pinned
