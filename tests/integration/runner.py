"""What a CI service does with a workflow, as far as the farm's needs it: checkout, artifacts, cache, and `run:` steps in bash."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/nightly.yml"
EXPRESSION = re.compile(r"\$\{\{ (.+?) \}\}")


def load(path: Path) -> dict[str, Any]:
    """Read YAML 1.2, in which `on` is no truth value."""
    found: dict[str, Any] = YAML(typ="safe").load(path)
    return found


def checkout(workspace: Path, project: Path) -> None:
    """Put a project's matrix and sdists into a workspace, beside what the farm's Makefile needs, its environment ready made."""
    shutil.copytree(project, workspace, dirs_exist_ok=True)
    for name in ("Makefile", "requirements", "pyproject.toml"):
        (workspace / name).symlink_to(ROOT / name)
    (workspace / ".venv/bin").mkdir(parents=True)
    command = workspace / ".venv/bin/wheelfarm"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m builder "$@"\n')
    command.chmod(0o755)
    (workspace / ".venv/ready").touch()


def shell(script: str, workspace: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script as CI services do: bash, ended by the first command that fails."""
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=workspace, capture_output=True, text=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


@dataclass(kw_only=True)
class Runner:
    """Runs the jobs of the workflow one after the other.

    Attributes:
        project: what a checkout gives.
        root: where workspaces, artifacts and the cache go.
        known: values of expressions.
        ran: every `run:` step's script, and how it ended.
    """

    project: Path
    root: Path
    known: dict[str, str]
    ran: list[subprocess.CompletedProcess[str]] = field(default_factory=list)

    def job(self, name: str, place: str, **known: str) -> Path:
        """Run a job in a workspace of its own and return that.

        Raises:
            AssertionError: a step failed.
        """
        workflow = load(WORKFLOW)
        self.known |= known
        workspace = self.root / place
        workspace.mkdir()
        (workspace / "output").touch()
        for step in workflow["jobs"][name]["steps"]:
            if step.get("if") not in {None, "always()"}:
                assert step["if"] == "always() && vars.PUBLISH_TARGET != ''", (
                    "a condition nobody knows here"
                )
                continue
            self._step(step, workspace, workflow["env"])
        for line in (workspace / "output").read_text().splitlines():
            key, _, value = line.partition("=")
            self.known[f"needs.{name}.outputs.{key}"] = value
        return workspace

    def _value(self, text: str) -> str:
        return EXPRESSION.sub(lambda match: self.known[match[1]], text)

    def _step(
        self, step: Mapping[str, Any], workspace: Path, environment: Mapping[str, str]
    ) -> None:
        given = {
            name: self._value(value)
            for name, value in step.get("with", {}).items()
            if isinstance(value, str)
        }
        match step.get("uses", "").partition("@")[0]:
            case "actions/checkout":
                checkout(workspace, self.project)
            case "actions/upload-artifact":
                self._upload(given["name"], given["path"].split(), workspace)
            case "actions/download-artifact" if "name" in given:
                shutil.copytree(self.root / "artifacts" / given["name"], workspace / given["path"])
            case "actions/download-artifact":
                for found in sorted((self.root / "artifacts").glob(given["pattern"])):
                    shutil.copytree(found, workspace / given["path"] / found.name)
            case "actions/cache/restore":
                if (self.root / "cache").exists():
                    shutil.copytree(self.root / "cache", workspace / given["path"])
            case "actions/cache/save":
                shutil.copytree(workspace / given["path"], self.root / "cache", dirs_exist_ok=True)
            case _:
                own = {
                    name: self._value(value)
                    for name, value in {**environment, **step.get("env", {})}.items()
                }
                files = {
                    "GITHUB_OUTPUT": str(workspace / "output"),
                    "GITHUB_STEP_SUMMARY": str(workspace / "summary"),
                }
                self.ran.append(shell(step["run"], workspace, **own, **files))
                assert self.ran[-1].returncode == 0, (
                    f"{step['run']}\n{self.ran[-1].stdout}{self.ran[-1].stderr}"
                )

    def _upload(self, name: str, paths: list[str], workspace: Path) -> None:
        """Keep paths as the service does: under the deepest folder that is common to them all."""
        common = Path(os.path.commonpath(paths))
        for path in paths:
            source, target = (
                workspace / path,
                self.root / "artifacts" / name / Path(path).relative_to(common),
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(
                    source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*")
                )
            elif source.exists():
                shutil.copy(source, target)
