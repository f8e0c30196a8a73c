"""The workflows fit the schemas that the services publish; a package on the index carries those."""

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema.validators import validator_for
from ruamel.yaml import YAML

from builder.host import settings as host
from tests.unit.report.test_report import published_schema

ROOT = Path(__file__).parents[3]
WORKFLOWS = {
    ".github/workflows/nightly.yml": "schemastore.org/github-workflow.json",
    "docs/gitlab-ci.yml": "app/assets/javascripts/editor/schema/ci.json",
}


def loaded(path: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(
        ROOT / path
    )  # YAML 1.2, in which `on` is no truth value
    return found


@pytest.mark.parametrize(("path", "ending"), WORKFLOWS.items())
def test_it_fits_its_schema(path: str, ending: str):
    schema = published_schema(ending)
    checker = validator_for(schema)(schema)
    workflow = loaded(path)
    assert sorted(error.message for error in checker.iter_errors(workflow)) == []
    jobs = workflow.get("jobs", workflow)
    jobs["plan"]["no-such-key"] = True
    assert not checker.is_valid(workflow)


@pytest.mark.parametrize("path", WORKFLOWS)
def test_it_names_no_registry(path: str):
    text = (ROOT / path).read_text()
    hosts = re.findall(r"https?://([^/\s]+)", text)
    assert hosts == []
    assert "--index-url" not in text
    assert not any(url.split("/")[2] in text for url in host.index_settings().urls)


def test_what_comes_from_outside_reaches_the_shell_as_a_variable():
    for job in loaded(".github/workflows/nightly.yml")["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), (
                "an expression in a script is text of others in a script"
            )
