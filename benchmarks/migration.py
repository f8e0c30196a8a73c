"""Whether `wheelfarm measure` flags slow-downs that were planted, and nothing else, and how fast an index goes back.

Usage: python -m benchmarks.migration FOLDER OUTPUT.json [--only planted|rollback] [--times N]

An application has calls that wait for the clock, so that they take the same with every interpreter, but for what is
planted: with the free-threaded one they are slower by 8 %, by 2 %, or not at all. Each is measured N times (10; the
equal ones twice as often), a run of the command each. What is not measured in a call stays in OUTPUT.json as it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import scale, synthetic
from benchmarks.farm import run_farm
from builder import index
from builder.errors import ExitCode
from builder.store.store import Store
from tests.corpus import make_sdist

PARTS = ("planted", "rollback")
PROJECTS = 10_000

_MATRIX = """
[farm]
bases = ["debian-12"]
[packages.pebble]
sdist = "pebble-1.0.tar.gz"

[applications.planted]
lock = "planted.txt"
files = ["planted.py"]
"""

_SCENARIO = """
[applications.planted.scenarios.{name}]
call = "planted:{name}"
threads = [1]
"""

_SHARES = {"planted_8_percent": 1.08, "planted_2_percent": 1.02, "equal": 1.0}
"""How many times as long a call takes with the free-threaded interpreter, by the name in the output."""

_PLANTED = """
import sysconfig
import time

IS_FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
CALL_S = 0.002

def work(share):
    end = time.perf_counter() + CALL_S * (share if IS_FREE_THREADED else 1.0)
    while time.perf_counter() < end:
        pass
"""

_CALL = """
def {name}():
    work({share})
"""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        prog="make bench-migration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--times", type=int, default=10)
    asked = parser.parse_args()

    results: dict[str, Any] = {}
    if asked.output.exists():
        results = json.loads(asked.output.read_text())
    if asked.only != "rollback":
        results |= measure_planted(asked.folder / "planted", asked.times)
    if asked.only != "planted":
        results["rollback_10000_s"] = time_rollback(asked.folder / "rollback")

    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


def measure_planted(folder: Path, times: int) -> dict[str, list[int]]:
    """Return for each slow-down how often it was called worse, and how often it was measured.

    Args:
        folder: for the application and its wheelhouse.
        times: how often each is measured.
    """
    write_application(folder)
    run_farm(folder / "matrix.toml", folder / "wheelhouse", "none")

    counts: dict[str, list[int]] = {}
    for name, share in _SHARES.items():
        count = times if share > 1 else 2 * times
        flagged = 0
        for turn in range(count):
            flagged += is_flagged(folder, name)
            print(f"{name}: worse in {flagged} of {turn + 1}", flush=True)
        counts[name] = [flagged, count]

    return counts


def write_application(folder: Path) -> None:
    """Write an application with the planted calls, and the matrix that has it."""
    folder.mkdir(parents=True, exist_ok=True)
    make_sdist("pebble", folder)
    calls = [_CALL.format(name=name, share=share) for name, share in _SHARES.items()]
    scenarios = [_SCENARIO.format(name=name) for name in _SHARES]
    (folder / "planted.txt").write_text("pebble==1.0\n")
    (folder / "planted.py").write_text(_PLANTED + "".join(calls))
    (folder / "matrix.toml").write_text(_MATRIX + "".join(scenarios))


def is_flagged(folder: Path, scenario: str) -> bool:
    """Measure a scenario, and return whether its median latency is called worse with the free-threaded interpreter.

    Raises:
        RuntimeError: nothing was measured.
    """
    command = [
        sys.executable, "-m", "builder", "measure", "--matrix", str(folder / "matrix.toml"),
        "--wheelhouse", str(folder / "wheelhouse"), "--scenario", scenario,
        "--interpreter", "cp314", "--interpreter", "cp314t", "--json",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    measurements = json.loads(ended.stdout)["measurements"] if ended.stdout else []
    if not measurements:
        raise RuntimeError(f"nothing was measured: {ended.stderr}")

    for variant in measurements[0]["scenarios"][0]["variants"]:
        for metric in variant["metrics"]:
            if variant["name"] == "cp314t/1" and metric["name"] == "p50":
                return bool(metric["comparison"]["answer"] == "worse")
    raise RuntimeError(f"no median latency of cp314t in {ended.stdout}")


def time_rollback(folder: Path) -> float:
    """Return how many seconds `wheelfarm rollback` takes of an index of many projects, one of which changed."""
    shutil.rmtree(folder, ignore_errors=True)
    with Store(folder) as store:
        entries = [
            scale.make_entry(number, tag, store)
            for number in range(PROJECTS)
            for tag in scale.WHEELS
        ]
        content = index.make_manifest(entries)
        index.publish(content, store)
        more = scale.make_entry(0, "cp314-cp314-manylinux_2_36_x86_64", store)
        project = synthetic.name_of(0)
        index.publish({**content, project: (*content[project], more)}, store)

    command = [sys.executable, "-m", "builder", "rollback", "--wheelhouse", str(folder)]
    began = time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if ended.returncode != ExitCode.ADMISSIBLE:
        raise RuntimeError(f"the index did not go back: {ended.stderr}")

    return round(seconds, 2)


if __name__ == "__main__":
    main()
