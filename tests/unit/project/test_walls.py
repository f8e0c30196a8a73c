"""Each wall of .importlinter is broken on purpose in a copy of the package, and has to be seen."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout as far as the contract reads it."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(
        ROOT / "builder", root / "builder", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / ".importlinter", root)
    return root


def check_contracts(root: Path) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-P", "-c", program, "--no-cache", "--no-logo"],
        cwd=root,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


WALLS = {
    "upwards": ("builder/judge/package.py", "import builder.jobs.job", "A floor imports"),
    "sideways": ("builder/judge/package.py", "import builder.dependencies.survey", "A floor imports"),
    "for annotations alone": (
        "builder/engine/client.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import builder.plan.resources",
        "A floor imports",
    ),
    "circle": ("builder/config/catalog.py", "import builder.config.matrix", "in a circle"),
    "docker": ("builder/jobs/load.py", "import docker", "container engine"),
    "docker, late": ("builder/cli/main.py", "def f():\n    from docker import errors", "container engine"),
    "sqlite": ("builder/farm/run.py", "import sqlite3", "opens the database"),
    "inside to host": ("builder/inside/__init__.py", "import builder.errors", "run in containers"),
    "host to inside": ("builder/check/read.py", "import builder.inside", "imports no program"),
}  # fmt: skip


def test_the_walls_stand(copy: Path):
    checked = check_contracts(copy)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("file", "line", "contract"), WALLS.values(), ids=WALLS)
def test_who_walks_through_a_wall_is_stopped(copy: Path, file: str, line: str, contract: str):
    path = copy / file
    before = path.read_text()
    path.write_text(f"{before}\n{line}\n")

    try:
        checked = check_contracts(copy)
    finally:
        path.write_text(before)

    broken = [line for line in checked.stdout.splitlines() if line.endswith("BROKEN")]
    assert checked.returncode != 0
    assert any(contract in line for line in broken), checked.stdout + checked.stderr
