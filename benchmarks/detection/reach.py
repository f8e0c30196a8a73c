"""How much native code of popular packages threads reach, of packages that nobody had tuned the detector to."""

from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path
from typing import Any

from benchmarks.detection.machine import describe_measurement
from benchmarks.farm import run_farm

_MATRIX = Path(__file__).parents[1] / "popular.toml"
_ABI = "cp314t"


def measure_reach(folder: Path, effort: str, *, reads_only: bool = False) -> dict[str, Any]:
    """Run the farm on benchmarks/popular.toml, and return how much native code threads reached.

    Args:
        folder: for the wheelhouse.
        effort: of the run.
        reads_only: whether nothing is run, and what is in the folder is read.

    Returns:
        What `summarize_reach` does, `effort`, `seconds` of the run (None where nothing was run), and `measured`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheelhouse = folder / "wheelhouse"
    seconds = None
    if not reads_only:
        matrix = Path(shutil.copy(_MATRIX, folder / "matrix.toml"))
        seconds = run_farm(matrix, wheelhouse, effort)

    verdicts = wheelhouse / "verdicts.json"
    reach = summarize_reach(json.loads(verdicts.read_text()))
    print(
        f"popular: median share of native callables reached {reach['median_share']}, without pairs "
        f"{', '.join(reach['without_pairs']) or 'none'}, undetermined {', '.join(reach['undetermined']) or 'none'}"
    )

    return {
        "effort": effort,
        "seconds": seconds,
        "measured": describe_measurement(verdicts, effort),
        **reach,
    }


def summarize_reach(document: dict[str, Any]) -> dict[str, Any]:
    """Return how much native code threads reached in a run.

    Args:
        document: its verdicts.json.

    Returns:
        `packages`: for each with native code `package`, `version`, `verdict`, `level`, `callables`, `reached`, `pairs`
        and the `findings` that are errors or warnings, by code.
        `median_share`: of the native callables that threads reached; None without a package.
        `without_pairs`: packages of which no two operations were tried on one object.
        `undetermined`: packages of which nothing could be said.
    """
    rows: list[dict[str, Any]] = []
    shares: list[float] = []
    for package in document["packages"]:
        part = package["abis"][_ABI]
        exercised = part["exercised"]
        callables = exercised["native_callables"]
        row = {
            "package": package["name"],
            "version": package["version"],
            "verdict": part["verdict"],
            "level": (part.get("thread_safety") or {}).get("level", ""),
            "callables": callables,
            "reached": exercised["under_threads"],
            "pairs": exercised["pairs"],
            "findings": _count_findings(part["findings"]),
        }
        rows.append(row)
        if callables:
            shares.append(exercised["under_threads"] / callables)

    return {
        "packages": rows,
        "median_share": round(statistics.median(shares), 2) if shares else None,
        "without_pairs": [row["package"] for row in rows if not row["pairs"]],
        "undetermined": [row["package"] for row in rows if row["verdict"] == "undetermined"],
    }


def _count_findings(findings: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many findings on threads a package has, by code, without notes."""
    counts: dict[str, int] = {}
    for finding in findings:
        is_on_threads = finding["code"].startswith("WF6")
        if is_on_threads and finding["severity"] != "info":
            counts[finding["code"]] = counts.get(finding["code"], 0) + 1

    return counts
