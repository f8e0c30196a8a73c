"""Counts what was found, missed and blamed wrongly, by method and by kind of fault."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.detection.counts import Outcome, count_outcomes
from benchmarks.detection.labels import GIL
from benchmarks.detection.runs import METHODS, Package

_Z = 1.96
"""Of a normal distribution, for intervals that hold with 95 %."""


def score(packages: list[Package]) -> dict[str, Any]:
    """Return the counts of a run.

    Returns:
        `methods`: by method, packages `found`, `missed`, `false` (blamed without a fault) and `clean`, `seconds`,
        and what `count_outcomes` counts beside: `blamed`, `right`, `condemned` and, by kind of fault, `faults`.
        `right_function`: [of the packages with a fault in a known function, those where a finding names it, all].
        `right_verdict`: [packages with the verdict that is expected, all].
        `faults`: by kind of fault, [found, all].
    """
    methods: dict[str, dict[str, Any]] = {}
    for method in METHODS:
        counts: dict[str, Any] = dict.fromkeys(("found", "missed", "false", "clean"), 0)
        for package in packages:
            counts[_name_outcome(package, method)] += 1
        methods[method] = counts | count_outcomes(list_outcomes(packages, method))

    named = [package for package in packages if package.label.functions]
    right_function = sum(package.names_function for package in named)
    right_verdict = sum(package.verdict == package.label.expected for package in packages)

    return {
        "methods": methods,
        "right_function": [right_function, len(named)],
        "right_verdict": [right_verdict, len(packages)],
        "faults": methods["all"]["faults"],
    }


def list_outcomes(packages: list[Package], method: str) -> list[Outcome]:
    """Return what one of wheelfarm's ways of looking came to for each package."""
    outcomes: list[Outcome] = []
    for package in packages:
        outcome = Outcome(
            label=package.label,
            is_blamed=package.blamed[method] or _turns_gil_on(package, method),
            names_fault=package.names[method],
            seconds=package.seconds[method],
        )
        outcomes.append(outcome)

    return outcomes


def _turns_gil_on(package: Package, method: str) -> bool:
    """Return whether the verdict is that importing the package turns the GIL on."""
    return method == "all" and package.verdict == GIL


def _name_outcome(package: Package, method: str) -> str:
    """Return what a method came to for a package: `found`, `missed`, `false` or `clean`."""
    is_blamed = package.found[method]
    if package.label.is_faulty:
        return "found" if is_blamed else "missed"
    return "false" if is_blamed or _turns_gil_on(package, method) else "clean"


def describe_packages(packages: list[Package]) -> list[dict[str, Any]]:
    """Return a row for each package: what was expected, and what came out."""
    rows: list[dict[str, Any]] = []
    for package in packages:
        row = {
            "package": package.label.package,
            "version": package.label.version,
            "fault": package.label.fault,
            "expected": package.label.expected,
            "verdict": package.verdict,
            "level": package.level,
            "names_function": package.names_function,
            "failure": package.failure,
            "seconds": round(package.seconds["all"], 1),
        }
        rows.append(row)

    return rows


def count_changes(runs: list[list[Package]]) -> dict[str, Any]:
    """Return how many packages did not come out the same in all runs.

    Returns:
        `packages` and `runs`; `changed`: packages with another verdict in one of the runs, whose names are in `which`;
        `methods`: by method, packages that it blamed in some runs only.
    """
    verdicts: dict[str, set[str]] = {}
    blamed: dict[str, dict[str, set[bool]]] = {method: {} for method in METHODS}
    for run in runs:
        for package in run:
            key = f"{package.label.package} {package.label.version}".strip()
            verdicts.setdefault(key, set()).add(package.verdict)
            for method in METHODS:
                blamed[method].setdefault(key, set()).add(package.blamed[method])

    which = [key for key, seen in verdicts.items() if len(seen) > 1]
    methods: dict[str, int] = {}
    for method, answers in blamed.items():
        methods[method] = sum(len(seen) > 1 for seen in answers.values())

    return {
        "packages": len(verdicts),
        "changed": len(which),
        "runs": len(runs),
        "which": which,
        "methods": methods,
    }


def show_scores(name: str, scores: dict[str, Any]) -> None:
    """Print the counts of a set as a table."""
    print(
        f"\n{name:24} found missed false clean   recall               false share          seconds"
    )
    for method, counts in scores["methods"].items():
        recall = describe_share(counts["found"], counts["found"] + counts["missed"])
        false = describe_share(counts["false"], counts["false"] + counts["clean"])
        print(
            f"{method:24} {counts['found']:5.0f} {counts['missed']:6.0f} {counts['false']:5.0f} "
            f"{counts['clean']:5.0f}   {recall:20} {false:20} {counts['seconds']:7.0f}"
        )

    right, of = scores["right_function"]
    print(f"the right function: {right} of {of}")


def describe_share(found: float, of: float) -> str:
    """Return a share with the interval that has the true one in 95 of 100 cases, after E. B. Wilson (1927)."""
    if not of:
        return "-"

    share = found / of
    middle = (share + _Z * _Z / (2 * of)) / (1 + _Z * _Z / of)
    half = _Z * math.sqrt(share * (1 - share) / of + _Z * _Z / (4 * of * of)) / (1 + _Z * _Z / of)
    return f"{share:.2f} [{max(0, middle - half):.2f}, {min(1, middle + half):.2f}]"
