"""Whole applications and the most used packages. Usage: python -m benchmarks.applications FOLDER OUTPUT.json [--only …]

For each application of examples/: `wheelfarm run`, then its lock is installed by pip and by uv, in a fresh container
that reaches nothing but a copy of the index. For examples/top60.toml: `wheelfarm run`, and how many packages were
judged, and rightly (top60.py). Then how long `wheelfarm survey` takes for a lock of 130 packages, with nothing known
and again.

FOLDER keeps the wheelhouses. What is not measured in a call stays in OUTPUT.json as it was.
"""

from __future__ import annotations

import argparse
import json
import threading
from pathlib import Path
from typing import Any

from benchmarks import survey, top60
from benchmarks.farm import find_image, run_farm
from builder.config import catalog
from builder.config import matrix as matrices
from builder.engine.client import Engine
from builder.engine.connection import connect
from builder.engine.tasks import Limits, Task
from builder.store.store import Store

_EXAMPLES = Path(__file__).parents[1] / "examples"
APPLICATIONS = ("web-api", "data-job", "worker")
PARTS = ("applications", "top60", "survey")

_INSTALLERS = {
    "pip": "{python} -m venv /tmp/pip && /tmp/pip/bin/pip install --quiet --no-input --only-binary :all: "
    "--require-hashes --index-url file:///index/simple/ --requirement /index/lock.txt",
    "uv": "uv venv --quiet --python {python} /tmp/uv && uv pip install --quiet --python /tmp/uv/bin/python "
    "--only-binary :all: --require-hashes --default-index file:///index/simple/ --requirement /index/lock.txt",
}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="make bench-applications")
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", choices=PARTS, action="append")
    # Upstream's wheels of numpy and the like: what they are compiled from takes hours with ThreadSanitizer.
    parser.add_argument("--effort", default="none")
    asked = parser.parse_args()
    results = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    asked.folder.mkdir(parents=True, exist_ok=True)

    for part in asked.only or PARTS:
        if part == "applications":
            results["applications"] = {
                name: try_application(name, asked.folder, asked.effort) for name in APPLICATIONS
            }
        if part == "top60":
            results["top60"] = top60.measure(asked.folder / "top60", asked.effort)
        if part == "survey":
            results |= time_survey(asked.folder)
        asked.output.parent.mkdir(parents=True, exist_ok=True)
        asked.output.write_text(json.dumps(results, indent=1) + "\n")

    print(f"written: {asked.output}")


# --- applications ---


def try_application(name: str, folder: Path, effort: str) -> dict[str, Any]:
    """Return the verdicts of an application by ABI and base, and which installers install its lock offline."""
    matrix, wheelhouse = _EXAMPLES / name / "matrix.toml", folder / name
    run_farm(matrix, wheelhouse, effort)
    document = json.loads((wheelhouse / "verdicts.json").read_text())

    verdicts: dict[str, Any] = {}
    for part in document["applications"]:
        verdicts.setdefault(part["abi"], {})[part["base"]] = part["verdict"]
    installed = {
        installer: install_offline(installer, name, matrices.load(matrix).bases, wheelhouse)
        for installer in _INSTALLERS
    }
    return {**verdicts, "offline": installed}


def install_offline(installer: str, name: str, bases: tuple[str, ...], wheelhouse: Path) -> bool:
    """Return whether an installer installs the lock of an application for cp314 on every base, from the index alone."""
    abi = catalog.load().abis["cp314"]
    lock = wheelhouse / "constraints" / "applications" / f"{name}-{abi.name}.txt"
    if "# not served" in lock.read_text():
        return False

    files: dict[str, bytes | Path] = {"/index/lock.txt": lock}
    for path in (wheelhouse / "simple").rglob("*"):
        if path.is_file():
            files[f"/index/simple/{path.relative_to(wheelhouse / 'simple')}"] = path

    with Store(wheelhouse) as store:
        engine = connect(store.farm_id)
        return all(
            _installs(installer, abi.python, files, find_image(base, store), engine, wheelhouse)
            for base in bases
        )


def _installs(
    installer: str,
    python: str,
    files: dict[str, bytes | Path],
    image: str,
    engine: Engine,
    wheelhouse: Path,
) -> bool:
    command = _INSTALLERS[installer].format(python=python)
    task = Task(
        image=image,
        command=["sh", "-c", command],
        files=files,
        environment={"HOME": "/tmp"},
        limits=Limits(timeout_s=900.0),
    )
    log = wheelhouse / "logs" / f"offline-{installer}.log"
    ended = engine.run(task, log=log, stop=threading.Event())
    print(f"  {installer} in {image}: exit code {ended.exit_code}", flush=True)
    return ended.exit_code == 0


# --- survey ---


def time_survey(folder: Path) -> dict[str, float]:
    """Return how long a survey of 130 packages takes: with nothing known, and again."""
    return survey.measure(folder / "survey", print)


if __name__ == "__main__":
    main()
