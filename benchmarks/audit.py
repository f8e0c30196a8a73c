"""Who sees a planted fault: wheelfarm, and the tools one would pick instead, side by side on the same wheels.

Usage: python -m benchmarks.audit TOOLS-VENV OUTPUT.json

A tool has found a fault when it reports anything about the wheel; wheelfarm has to report the fault's own code and
nothing else. Reports on good wheels, planted and from the index, are false alarms. The plain import installs with pip
on debian-12 and debian-13, in containers; it is not asked about what no CPython 3.14 takes.

Good wheels for 3.15 and of its stable ABIs are those of stable-abi-wheels.tsv, which says how each was confirmed.
"""

from __future__ import annotations

import contextlib
import csv
import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import InvalidWheelFilename
from rich.console import Console
from rich.table import Table

from builder.check import read
from builder.distributions.tags import accepts_wheel, glibc_floors
from builder.engine import connection
from builder.engine.client import Engine
from builder.engine.tasks import Limits, Task
from builder.store.store import Store
from tests import planted

WELL_KEPT = (
    "markupsafe==3.0.4", "multidict==7.2.1", "frozenlist==1.8.0", "propcache==0.5.4", "msgpack==1.2.4",
    "wrapt==2.5.2", "regex==2026.11.15", "rpds-py==2026.9.1", "kiwisolver==1.5.1", "charset-normalizer==3.5.2",
)  # fmt: skip
"""Releases whose cp314 and cp314t wheels are known to be good; they need nothing else to be imported."""

CONFIRMED = Path(__file__).parent / "stable-abi-wheels.tsv"
"""Wheels that were confirmed by hand; docs/check.md says how."""

PLATFORMS = ("manylinux_2_39_x86_64", "manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_27_x86_64",
             "manylinux_2_26_x86_64", "manylinux_2_24_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64",
             "manylinux2010_x86_64", "manylinux_2_12_x86_64", "manylinux1_x86_64", "manylinux_2_5_x86_64")  # fmt: skip
"""Platform tags of those wheels, for pip."""

DOWNLOAD = ("pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--implementation", "cp",
            "--python-version", "3.15")  # fmt: skip

BASES = ("debian-12", "debian-13")
IMPORT = """
import json, pathlib, re, subprocess, tempfile
from concurrent.futures import ThreadPoolExecutor
def ask(path):
    suffix = "t" if "cp314t" in path.name or "abi3t" in path.name else ""
    python = f"/opt/python/cp314-cp314{suffix}/bin/python"
    with tempfile.TemporaryDirectory() as site:
        pip = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile", "--target", site]
        done = subprocess.run([*pip, str(path)], capture_output=True, text=True)
        if done.returncode == 0:
            tops = [one.name.partition(".")[0] for one in pathlib.Path(site).iterdir()]
            name = re.split("[-.]", path.name)[0]
            module = next((top for top in tops if top.lower() in {name, name.removesuffix("_py")}), tops[0])
            code = [python, "-c", f"import {module}"]
            done = subprocess.run(code, cwd="/", env={"PYTHONPATH": site}, capture_output=True, text=True)
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return path.parent.name, lines[-1] if done.returncode else ""
with ThreadPoolExecutor(2) as pool:
    found = dict(pool.map(ask, sorted(pathlib.Path("/wheels").glob("*/*.whl"))))
pathlib.Path("/result/import.json").write_text(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One wheel, and whether it has a fault."""

    fault: str
    code: str
    path: Path


def main() -> None:
    """Compile, download, ask every tool, print and write."""
    tools, output = Path(sys.argv[1]) / "bin", Path(sys.argv[2])
    docker = connection.connect("bench-audit")
    image = docker.images.find_newest("wheelfarm/builder-debian-12")
    if image is None:
        sys.exit("there is no builder image: run `make wheels` once")
    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as name:
        folder = Path(name)
        cases = [*_planted(docker, image, folder), *_well_kept(folder), *_confirmed(folder)]
        imported = _import(docker, cases, folder)
        askers: dict[str, Callable[[Case], str]] = {
            "wheelfarm": _wheelfarm,
            "auditwheel": lambda case: _auditwheel(tools, case),
            "abi3audit": lambda case: _abi3audit(tools, case),
            "abi3t-doctor": lambda case: _abi3t_doctor(tools, case),
            "check-wheel-contents": lambda case: _contents(tools, case),
            "import": lambda case: imported[_key(cases, case)],
        }
        reports = {case.path: {tool: ask(case) for tool, ask in askers.items()} for case in cases}
    _print(cases, reports)
    _write(cases, reports, output)


def _planted(docker: Engine, image: str, folder: Path) -> list[Case]:
    objects = planted.compile_all(docker, image, folder / "compile.log")
    wheels = (*planted.good(objects), *planted.planted(objects))
    return [
        Case(fault=one.fault if one.code else "", code=one.code, path=one.write(folder))
        for one in wheels
    ]


def _well_kept(folder: Path) -> list[Case]:
    store = Store(folder / "wheelhouse")
    found = []
    for requirement in WELL_KEPT:
        place = folder / requirement
        place.mkdir()
        found += [
            Case(fault="", code="", path=path)
            for path in read.download_upstream_wheels(requirement, place, store)
        ]
    store.close()
    return found


def _confirmed(folder: Path) -> list[Case]:
    """Download the wheels of the table from the index that pip is configured for."""
    found = []
    with CONFIRMED.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            name, version, python, abi, *_ = row["wheel"].split("-")
            place = folder / f"{name}-{abi}"
            wanted = ["--abi", abi.rpartition(".")[2], "--dest", str(place), f"{name}=={version}"]
            for platform in PLATFORMS:
                wanted += ["--platform", platform]
            subprocess.run([sys.executable, "-m", *DOWNLOAD, *wanted], check=True)
            for path in place.glob(f"*-{python}-{abi}-*.whl"):
                found.append(Case(fault="", code="", path=path))
    return found


def _takes(case: Case) -> bool:
    """Return whether the interpreters of the import would take a wheel; True where its name is no wheel's."""
    try:
        return any(accepts_wheel(case.path.name, abi) for abi in ("cp314", "cp314t"))
    except InvalidWheelFilename:
        return True


def _key(cases: Sequence[Case], case: Case) -> str:
    return str(cases.index(case))


def _import(docker: Engine, cases: Sequence[Case], folder: Path) -> dict[str, str]:
    found = {_key(cases, case): "" for case in cases}
    for base in BASES:
        image = docker.images.find_newest(f"wheelfarm/verify-{base}")
        if image is None:
            sys.exit(f"there is no image of {base}: run `make wheels` once")
        files = {}
        for case in filter(_takes, cases):
            files[f"/wheels/{_key(cases, case)}/{case.path.name}"] = case.path.read_bytes()
        task = Task(
            image=image, command=["/opt/python/cp314-cp314/bin/python", "-c", IMPORT], collect="/result/import.json",
            files=files,
            limits=Limits(timeout_s=1200),
        )  # fmt: skip
        ended = docker.run(task, log=folder / "import.log", stop=threading.Event())
        answer = json.loads(next(iter(ended.output.values())))
        found |= {key: f"{base}: {text}" for key, text in answer.items() if text and not found[key]}
    return found


# --- tools: each gives what it reports, or nothing --------------------------------------------------------------------


def _wheelfarm(case: Case) -> str:
    """Count the code that was planted, not just any; of a good wheel, anything that is an error."""
    found = read.check_wheel(case.path).findings
    if case.code:
        codes = {finding.code for finding in found}
        return case.code if codes == {case.code} else ""
    return ", ".join(finding.code for finding in found if finding.kind.severity == "error")


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(command[0]).parent}:/usr/bin:/bin"
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={"PATH": path, "COLUMNS": "200"},
    )


def _auditwheel(tools: Path, case: Case) -> str:
    done = _run(tools / "auditwheel", "show", "--json", case.path)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it failed"])[-1]
    tag = json.loads(done.stdout)["overall_tag"]
    needed, claimed = glibc_floors(f"x-0-py3-none-{tag}.whl"), []
    with contextlib.suppress(Exception):
        claimed = glibc_floors(case.path.name)
    return f"it is {tag}" if claimed and (not needed or needed[-1] > claimed[0]) else ""


def _abi3audit(tools: Path, case: Case) -> str:
    if "abi3" not in case.path.name and "abi3" not in case.fault:
        return ""  # it is for nothing else
    done = _run(tools / "abi3audit", case.path)
    return re.sub(r"\s+", " ", done.stdout + done.stderr).strip() if done.returncode else ""


def _abi3t_doctor(tools: Path, case: Case) -> str:
    """Ask about the interpreter that the wheel's name is for: its own default is the free-threaded 3.15."""
    releases = re.findall(r"cp3(\d+)", case.path.name)
    is_free_threaded = re.search(r"-(cp3\d+t|abi3t)-|[.]abi3t-", case.path.name) is not None
    minor = max(15 if "abi3t" in case.path.name else 14, *map(int, releases), 0)
    target = f"3.{minor}t" if is_free_threaded else f"3.{minor}"
    done = _run(tools / "abi3t-doctor", "wheel", "--target", target, case.path)
    return (done.stdout + done.stderr).strip().splitlines()[-1] if done.returncode else ""


def _contents(tools: Path, case: Case) -> str:
    done = _run(tools / "check-wheel-contents", "--no-config", case.path)
    return (done.stdout + done.stderr).strip().splitlines()[-1] if done.returncode else ""


# --- results ----------------------------------------------------------------------------------------------------------

Reports = dict[Path, dict[str, str]]


def _print(cases: Sequence[Case], reports: Reports) -> None:
    table = Table(box=None, header_style="bold")
    for column in ("fault", *next(iter(reports.values()))):
        table.add_column(column, no_wrap=True)
    for case in cases:
        if case.code:
            seen = reports[case.path]
            table.add_row(
                case.fault,
                *(
                    seen[tool] if tool == "wheelfarm" else "seen" if seen[tool] else ""
                    for tool in seen
                ),
            )
    console = Console(width=120)
    console.print(table)
    for case in cases:
        for tool, report in reports[case.path].items():
            if report and not case.code:
                console.print(
                    f"{tool} on the good {case.path.name}: {report}", markup=False, highlight=False
                )


def _write(cases: Sequence[Case], reports: Reports, output: Path) -> None:
    faults = [case for case in cases if case.code]
    good = [case for case in cases if not case.code]
    tools = {
        tool: {
            "found": sum(bool(reports[case.path][tool]) for case in faults),
            "false": sum(bool(reports[case.path][tool]) for case in good),
        }
        for tool in next(iter(reports.values()))
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(
        json.dumps({"faults": len(faults), "good": len(good), "tools": tools}, indent=1) + "\n"
    )
    print(f"{len(faults)} faults, {len(good)} good wheels: {json.dumps(tools)}")


if __name__ == "__main__":
    main()
