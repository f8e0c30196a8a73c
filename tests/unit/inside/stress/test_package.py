"""The programs as they lie in a container: whole by themselves, and in nobody's way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder.engine.programs import program_files
from builder.jobs.programs import STRESS_FOLDER

FILES = program_files("stress", STRESS_FOLDER)
PROGRAMS = sorted(
    name.partition("/inside/stress/")[2].removesuffix(".py").replace("/", ".")
    for name in FILES
    if "/stress/" in name
)
MODULES = sorted({name.rpartition(".")[2] for name in PROGRAMS})

PLAY = """
import json, sys
from inside.stress.process.interpreter import Interpreter
from inside.stress.play.player import Player
scenario, site = json.loads(sys.argv[1]), sys.argv[2]
player = Player(Interpreter(sys.executable, site), ["values", "race"], set(), rounds=1, seconds=20)
played = player.play([scenario])
player.close()
print(json.dumps([played.ended, played.errors, played.events]))
"""

BENCH = """
import json, sys
from inside.stress.process.interpreter import Interpreter
from inside.stress.measure.bench_process import BenchWorker
worker = BenchWorker(Interpreter(sys.executable, sys.argv[2]), json.loads(sys.argv[1]))
print(json.dumps(worker.ask({"check": 0, "slowest_s": 1.0})["why"]))
worker.close()
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs, as a container has it."""
    root = tmp_path_factory.mktemp("container")
    for name, content in FILES.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return root / STRESS_FOLDER.lstrip("/")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation of a distribution whose modules are called as the farm's are."""
    folder = tmp_path_factory.mktemp("site")
    for name in MODULES:
        (folder / f"{name}.py").write_text("def own():\n    return sum(range(300))\n")

    return folder


def run(programs: Path, folder: Path, *command: str) -> str:
    """Run Python as in a container, where nothing of the farm is installed, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-S", "-P", *command],
        cwd=folder,
        env={"PYTHONPATH": str(programs), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    return done.stdout


@pytest.mark.parametrize("module", PROGRAMS)
def test_every_program_is_imported_without_the_farm(programs: Path, tmp_path: Path, module: str):
    lines = ["import sys, inside.stress." + module, "print('builder' in sys.modules)"]
    assert run(programs, tmp_path, "-c", "\n".join(lines)) == "False\n"


def test_a_distribution_may_call_its_modules_as_the_farm_does(
    programs: Path, site: Path, tmp_path: Path
):
    (tmp_path / "json.py").write_text("raise AssertionError('the working directory is imported')")
    scenario = {
        "id": "own",
        "kind": "function",
        "process": "own",
        "make": None,
        "argument": None,
        "rows": [[["race.own()", "44850"]]],
        "observe": [],
        "sharing": "shared",
        "threads": 2,
        "iterations": 5,
    }
    printed = run(programs, tmp_path, "-c", PLAY, json.dumps(scenario), str(site))
    assert json.loads(printed.splitlines()[-1]) == [["own"], {}, []]


def test_what_is_measured_may_be_called_as_the_farm_is(programs: Path, site: Path, tmp_path: Path):
    calls = [{"make": None, "text": "speed.own()"}]
    prepared = json.dumps({"prelude": ["speed"], "calls": calls})
    assert run(programs, tmp_path, "-c", BENCH, prepared, str(site)) == "null\n"
