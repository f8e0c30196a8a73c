"""Each wall of .importlinter is broken on purpose in a copy of the package, and has to be seen."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

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


class Breach(NamedTuple):
    """A line that walks through a wall, and how it has to be reported.

    Attributes:
        file: where it is planted.
        line: what is planted.
        contract: words of the name of the contract that it breaks.
        reported: the import that the report has to name.
    """

    file: str
    line: str
    contract: str
    reported: str


BREACHES = {
    "upwards": Breach(
        "builder/judge/package.py",
        "import builder.jobs.job",
        "A floor imports",
        "builder.judge.package -> builder.jobs.job",
    ),
    "sideways": Breach(
        "builder/judge/loads.py",
        "import builder.dependencies.survey",
        "A floor imports",
        "builder.judge.loads -> builder.dependencies.survey",
    ),
    "for annotations alone": Breach(
        "builder/engine/client.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import builder.plan.resources",
        "A floor imports",
        "builder.engine.client -> builder.plan.resources",
    ),
    "circle": Breach(
        "builder/config/catalog.py", "import builder.config.matrix", "in a circle", ".catalog"
    ),
    "docker": Breach(
        "builder/jobs/load.py",
        "import docker",
        "container engine",
        "builder.jobs.load -> docker",
    ),
    "docker, late": Breach(
        "builder/cli/main.py",
        "def f():\n    from docker import errors",
        "container engine",
        "builder.cli.main -> docker",
    ),
    "sqlite": Breach(
        "builder/farm/run.py",
        "import sqlite3",
        "opens the database",
        "builder.farm.run -> sqlite3",
    ),
    "inside to host": Breach(
        "builder/inside/stress/calls/values.py",
        "import builder.errors",
        "run in containers",
        "builder.inside.stress.calls.values -> builder.errors",
    ),
    "from room to room": Breach(
        "builder/inside/stress/learn/mining.py",
        "from ..proof import arms",
        "of the stress programs",
        "builder.inside.stress.learn.mining -> builder.inside.stress.proof.arms",
    ),
    "host to inside": Breach(
        "builder/check/read.py",
        "import builder.inside",
        "imports no program",
        "builder.check.read -> builder.inside",
    ),
}


def test_the_walls_stand(copy: Path):
    checked = check_contracts(copy)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture(scope="module")
def report(copy: Path) -> str:
    """What is printed of a package in which every wall is broken."""
    originals = {breach.file: (copy / breach.file).read_text() for breach in BREACHES.values()}
    for breach in BREACHES.values():
        path = copy / breach.file
        path.write_text(f"{path.read_text()}\n{breach.line}\n")

    checked = check_contracts(copy)
    for file, text in originals.items():
        (copy / file).write_text(text)
    assert checked.returncode != 0
    return checked.stdout


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES)
def test_who_walks_through_a_wall_is_stopped_and_named(report: str, breach: Breach):
    broken = [line for line in report.splitlines() if line.endswith("BROKEN")]
    assert any(breach.contract in line for line in broken), report
    assert breach.reported in report
