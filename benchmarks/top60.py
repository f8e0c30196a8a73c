"""The most used native packages: what the farm says of each, beside what pip and a bare interpreter say.

Usage: python -m benchmarks.top60 WHEELHOUSE OUTPUT.json [EFFORT]

The farm judges examples/top60.toml. Whether it is right is found out without it: pip is asked for wheels of the same
releases, and an interpreter in a fresh container installs and imports them, and says whether its GIL is on. Modules
that the farm has a finding for are imported there too, each in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.farm import find_image, run_farm
from builder.config import catalog
from builder.config import matrix as matrices
from builder.distributions.tags import platforms_of_glibc
from builder.engine.connection import connect
from builder.engine.tasks import Limits, Task
from builder.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.config.catalog import Abi, Base
    from builder.engine.client import Engine

_MATRIX = Path(__file__).parents[1] / "examples" / "top60.toml"
_ABIS = ("cp314", "cp314t")

_NO_WHEEL = "no wheel"
_WORKS = "works"
_ANSWERS = {
    "build-failure": _NO_WHEEL,
    **dict.fromkeys(("compatible", "distinct", "unproven", "racy", "thread-unsafe"), _WORKS),
}
"""What a verdict says of what this program can see; any other one has to be seen under its own name."""

_IMPORTS = ("WF402", "WF403", "WF404", "WF501", "WF502")
"""Findings on a module that is imported here as well."""

_TRY = """
import json, subprocess, sys
from importlib.metadata import packages_distributions
name, site, more = sys.argv[1], sys.argv[2], sys.argv[3:]
sys.path.insert(0, site)
plain = lambda text: text.lower().replace("_", "-").replace(".", "-")
tops = [top for top, owners in packages_distributions().items()
        if plain(name) in map(plain, owners) and top.isidentifier()]
assert tops, "no module of " + name
code = "import importlib, sys; importlib.import_module(sys.argv[1]); print(getattr(sys, '_is_gil_enabled', bool)())"
outcomes = {}
for module in [*tops, *more]:
    done = subprocess.run([sys.executable, "-c", code, module], capture_output=True, text=True,
                          env={"PYTHONPATH": site, "HOME": "/tmp", "PATH": "/usr/bin:/bin"})
    lacks = "No module named" in done.stderr
    outcomes[module] = done.stdout.split()[-1] if done.returncode == 0 else "lacks a module" if lacks else "error"
print(json.dumps({"tops": tops, "outcomes": outcomes}))
"""
"""Imports the top-level modules of a distribution and some more; tells of each whether the GIL is on, or the error."""


def main() -> None:
    """Measure and write."""
    wheelhouse, output, *effort = sys.argv[1:]
    Path(output).write_text(json.dumps(measure(Path(wheelhouse), *effort), indent=1) + "\n")


def measure(wheelhouse: Path, effort: str = "none") -> dict[str, Any]:
    """Run examples/top60.toml; return how many of its packages are judged on cp314, and rightly on cp314t.

    Args:
        wheelhouse: of the run; what pip finds is kept beside it.
        effort: of the run.
    """
    seconds = run_farm(_MATRIX, wheelhouse, effort)
    matrix = matrices.load(_MATRIX)
    document = json.loads((wheelhouse / "verdicts.json").read_text())
    # Further versions of a project, and what the sixty need, are no more of them.
    named = {name for name in matrix.packages if "==" not in name}
    packages = [package for package in document["packages"] if package["name"] in named]

    base = catalog.load().bases[matrix.bases[0]]
    with Store(wheelhouse) as store:
        image, engine = find_image(base.name, store), connect(store.farm_id)
        durations = sum_durations(store)
    wheels = wheelhouse.with_name(f"{wheelhouse.name}-pip")

    right = dict.fromkeys(_ABIS, 0)
    for package in packages:
        for name in _ABIS:
            said = package["abis"][name]
            truth = find_truth(package, catalog.load().abis[name], base, wheels, engine, image)
            is_right = _ANSWERS.get(said["verdict"], said["verdict"]) == truth
            right[name] += is_right
            mark = "" if is_right else "   <-- differs"
            print(f"{package['name']} {name}: {said['verdict']}; seen: {truth}{mark}", flush=True)

    print_table(packages, durations)
    unjudged = {"build-failure", "undetermined"}
    judged = [
        package for package in packages if package["abis"]["cp314"]["verdict"] not in unjudged
    ]
    return {
        "judged_cp314": len(judged),
        "right_cp314": right["cp314"],
        "right_cp314t": right["cp314t"],
        "of": len(named),
        "seconds": seconds,
    }


def find_truth(
    package: dict[str, Any], abi: Abi, base: Base, wheels: Path, engine: Engine, image: str
) -> str:
    """Return what pip and an interpreter say of a release: `no wheel`, or what a verdict would say, or `works`."""
    folder = wheels / abi.name / f"{package['name']}-{package['version']}"
    if not download(f"{package['name']}=={package['version']}", abi, base, folder):
        return _NO_WHEEL

    findings = package["abis"][abi.name]["findings"]
    more = sorted({finding["where"] for finding in findings if finding["code"] in _IMPORTS})
    command = (
        f"{abi.python} -m pip install --quiet --no-index --find-links /wheels --target /tmp/site {package['name']}"
        f" && {abi.python} /try.py {package['name']} /tmp/site {' '.join(more)} > /tmp/outcomes.json"
    )
    files: dict[str, bytes | Path] = {"/try.py": _TRY.encode()}
    files |= {f"/wheels/{wheel.name}": wheel for wheel in folder.iterdir()}
    task = Task(
        image=image,
        command=["sh", "-c", command],
        files=files,
        environment={"HOME": "/tmp"},
        collect="/tmp/outcomes.json",
        limits=Limits(timeout_s=900.0),
    )
    log = wheels / "logs" / f"{package['name']}-{abi.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    ended = engine.run(task, log=log, stop=threading.Event())
    if ended.exit_code != 0:
        return "import-failure"

    facts = json.loads(next(iter(ended.output.values())))
    outcomes, tops = facts["outcomes"], facts["tops"]
    # What an extra of the package brings is not there: that is an error where nothing else is left.
    has_failed = "error" in outcomes.values() or all(
        outcomes[top] == "lacks a module" for top in tops
    )
    if has_failed:
        return "import-failure"
    return "gil-required" if abi.free_threaded and "True" in outcomes.values() else _WORKS


def download(requirement: str, abi: Abi, base: Base, folder: Path) -> bool:
    """Have pip download the wheels of a release and of what it needs; return whether there are such wheels."""
    if folder.is_dir():
        return any(folder.iterdir())

    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:",
        "--dest", str(folder), "--implementation", "cp", "--python-version", "3.14",
        "--abi", abi.name, "--abi", "none", "--abi", "abi3",
    ]  # fmt: skip
    for platform in platforms_of_glibc(base.glibc_version):
        command += ["--platform", platform]
    done = subprocess.run([*command, requirement], check=False, capture_output=True, text=True)
    has_wheels = done.returncode == 0
    if not has_wheels and "No matching distribution found" not in done.stderr:
        raise RuntimeError(
            f"pip cannot tell whether there is a wheel of {requirement}: {done.stderr}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return has_wheels


def print_table(packages: list[dict[str, Any]], seconds: Mapping[str, float]) -> None:
    """Print the verdicts as a table in Markdown, for the documentation.

    Args:
        packages: those of verdicts.json.
        seconds: how long the jobs of each took, by name.
    """
    print("| package | cp314 | cp314t | s | why on cp314t |\n|---|---|---|---|---|")
    for package in packages:
        first, second = package["abis"]["cp314"], package["abis"]["cp314t"]
        title = f"{package['name']} {package['version']}"
        duration = f"{seconds.get(package['name'], 0.0):.0f}"
        why = second["reason"].replace("|", "\\|")
        print(f"| {title} | {first['verdict']} | {second['verdict']} | {duration} | {why} |")


def sum_durations(store: Store) -> dict[str, float]:
    """Return how long the recorded jobs of each package took, in seconds, by its name."""
    seconds: dict[str, float] = {}
    for job, taken in store.recorded_durations().items():
        seconds[job.name] = seconds.get(job.name, 0.0) + taken
    return seconds


if __name__ == "__main__":
    main()
