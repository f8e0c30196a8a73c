"""Renders what was measured as a page of the documentation."""

from __future__ import annotations

from typing import Any

from benchmarks.detection.score import describe_share

_TITLES = {
    "corpus": "Packages made for this",
    "releases": "Real releases",
}

_METHODS = {
    "import": "importing it",
    "own tests": "its own tests with pytest-run-parallel",
    "stress": "generated calls by threads, no sanitizer",
    "stress with sanitizer": "generated calls by threads under ThreadSanitizer",
    "all": "the verdict of wheelfarm",
}

_HEAD = """\
# Detection

After this page you know which of known faults under threads wheelfarm finds, and what it blames wrongly.

This page is generated from a measurement, by `make bench-detection ARGS='--page docs/detection.md'`.
`make bench-detection ARGS='--runs 3'` repeats the measurement, with `--effort {effort}`; it needs an idle machine.
Two sets are measured.
`benchmarks/corpus.tsv` lists packages that were made for this.
`benchmarks/releases.tsv` lists releases, with faults that their trackers report.
A fault counts as found where the verdict blames the package and a finding names one of the functions at fault.
Shares have the interval that holds the true one in 95 of 100 cases.
"""


def render_page(results: dict[str, Any]) -> str:
    """Return the page about a measurement.

    Args:
        results: what `benchmarks/out/detection.json` has.
    """
    parts = [_HEAD.format(effort=results.get("effort", "standard"))]
    for name, scores in results["sets"].items():
        parts.append(f"## {_TITLES[name]}\n")
        parts.append(_render_summary(scores))
        parts.append(_render_methods(scores["methods"]))
        parts.append(_render_faults(scores["faults"]))
        parts.append(_render_packages(scores["packages"]))

    if results.get("pairs"):
        parts.append("## Replays on the release with the fault, and on the one without\n")
        parts.append(_render_pairs(results["pairs"]))

    if results.get("popular"):
        parts.append("## Popular packages\n")
        parts.append(_render_reach(results["popular"]))

    return "\n".join(parts)


def _render_summary(scores: dict[str, Any]) -> str:
    """Return sentences on the functions that findings name, and on how stable the verdicts are."""
    right, of = scores["right_function"]
    same, packages = scores["right_verdict"]
    stability = scores["stability"]
    lines = [
        f"A finding names a function at fault in {right} of {of} packages of which it is known.",
        f"{same} of {packages} got the verdict that is expected.",
    ]
    if stability["runs"] > 1:
        lines.append(
            f"{stability['changed']} of {stability['packages']} did not get the same verdict in "
            f"{stability['runs']} runs, each from nothing."
        )
    else:
        lines.append("How stable the verdicts are was not measured: there was one run.")

    return "\n".join(lines) + "\n"


def _render_methods(methods: dict[str, dict[str, float]]) -> str:
    rows: list[list[str]] = []
    for method, counts in methods.items():
        faulty = counts["found"] + counts["missed"]
        safe = counts["false"] + counts["clean"]
        row = [
            _METHODS[method],
            f"{counts['found']:.0f} of {faulty:.0f}",
            describe_share(counts["found"], faulty),
            f"{counts['false']:.0f} of {safe:.0f}",
            f"{counts['seconds']:.0f}",
        ]
        rows.append(row)

    return _render_table(["way of looking", "found", "share", "blamed wrongly", "seconds"], rows)


def _render_faults(faults: dict[str, list[int]]) -> str:
    rows = [[fault, f"{found} of {of}"] for fault, (found, of) in sorted(faults.items())]
    return _render_table(["kind of fault", "found"], rows)


def _render_packages(packages: list[dict[str, Any]]) -> str:
    rows: list[list[str]] = []
    for package in packages:
        row = [
            f"{package['package']} {package['version']}".strip(),
            package["expected"],
            package["verdict"],
            "yes" if package["names_function"] else "no",
            f"{package['seconds']:.0f}",
        ]
        rows.append(row)

    columns = ["package", "expected", "verdict", "names the function", "seconds"]
    return _render_table(columns, rows)


def _render_pairs(pairs: list[dict[str, Any]]) -> str:
    rows: list[list[str]] = []
    for pair in pairs:
        shown = "no program"
        if pair["replay"] is not None:
            shown = f"{pair['shown']} of {pair['runs']}"
        rows.append([pair["package"], pair["found_in"], pair["version"], shown])

    return _render_table(["package", "found in", "replayed on", "shown"], rows)


def _render_reach(reach: dict[str, Any]) -> str:
    """Return what threads reach of packages of which nothing is known beforehand."""
    rows: list[list[str]] = []
    for package in reach["packages"]:
        row = [
            f"{package['package']} {package['version']}",
            package["verdict"],
            package["level"] or "-",
            f"{package['reached']} of {package['callables']}",
            str(package["pairs"]),
        ]
        rows.append(row)

    columns = ["package", "verdict", "level", "native callables reached by threads", "pairs"]
    sentence = (
        f"The median share of native callables that threads reach is {reach['median_share']}, "
        f"with `--effort {reach['effort']}`.\n"
    )
    return sentence + "\n" + _render_table(columns, rows)


def _render_table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
