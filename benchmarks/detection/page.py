"""Renders what was measured as a page of the documentation, for somebody who decides on a tool."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from benchmarks.detection.labels import GIL, SAFE
from benchmarks.detection.score import describe_share

_TEMPLATE = Path(__file__).with_name("page.md")
"""The page without figures: lines such as `<!-- sets -->` stand for them."""

_TOOLS = Path(__file__).parents[1] / "corpus" / "tools.toml"

_TITLES = {
    "corpus": "Packages made for this",
    "releases": "Real releases",
}

_SETS = {
    "corpus": """\
Small packages in C, C++ and Cython, each shaped like a real one, with one fault or with none.
Those without look as if they had one: locks, atomics, static tables that nobody changes.
`benchmarks/corpus.tsv` says what is known of each.
Some were made for what the detector had missed before: for wheelfarm this set is easier than for other tools.
""",
    "releases": """\
Releases of packages of the index, with faults that their trackers report, and later releases without them.
`benchmarks/releases.tsv` has the references.
The class of a fault is what threads have to share to meet it.
""",
}

_METHODS = {
    "import": "importing it",
    "own tests": "its own tests with pytest-run-parallel",
    "stress": "generated calls by threads, no sanitizer",
    "stress with sanitizer": "generated calls by threads under ThreadSanitizer",
    "all": "the verdict of wheelfarm",
    "ftcheck": "ftcheck stress, 30 s a package",
    "cppcheck": "cppcheck, add-on threadsafety",
}

_SHORT = {
    "import": "import",
    "own tests": "own tests",
    "stress": "calls by threads",
    "stress with sanitizer": "calls under ThreadSanitizer",
    "all": "verdict",
}
"""The same for the heads of a table with a column for each."""


def render_page(results: dict[str, Any]) -> str:
    """Return the page about a measurement.

    Args:
        results: what `benchmarks/out/detection.json` has.
    """
    sets: dict[str, dict[str, Any]] = results["sets"]
    others: dict[str, dict[str, Any]] = results.get("others", {})
    sections = [_render_set(name, scores, others.get(name, {})) for name, scores in sets.items()]
    figures = {
        "overview": _render_overview(sets),
        "sets": "\n".join(sections),
        "replays": _render_pairs(results.get("pairs") or []),
        "popular": _render_reach(results.get("popular")),
        "tools": _render_tools(sets, others),
    }
    page = _TEMPLATE.read_text()
    for name, text in figures.items():
        place = f"<!-- {name} -->\n"
        if place not in page:
            raise LookupError(f"{_TEMPLATE.name} has no place for {name}")
        # With the blank line after it, where there is nothing to be shown.
        page = page.replace(place if text else f"{place}\n", text)

    return page


# --- one set ----------------------------------------------------------------------------------------------------------


def _render_overview(sets: dict[str, dict[str, Any]]) -> str:
    """Return a table with a row for each set: what the verdict of wheelfarm comes to; nothing without a set."""
    if not sets:
        return ""

    rows: list[list[str]] = []
    for name, scores in sets.items():
        counts = scores["methods"]["all"]
        packages = max(1, len(scores["packages"]))
        row = [
            _TITLES[name],
            _describe_right(counts),
            _describe_cleared(scores["packages"]),
            _describe_condemned(counts),
            _describe_changes(scores["stability"], "all"),
            f"{counts['seconds'] / packages:.0f}",
        ]
        rows.append(row)

    columns = [
        "set",
        "faults found in the right function",
        "packages with a fault called `compatible`",
        "safe packages blamed",
        "other verdict in another run",
        "seconds a package",
    ]
    return f"## In short\n\n{_render_table(columns, rows)}"


def _find_cleared(packages: list[dict[str, Any]]) -> list[str]:
    """Return the packages with a fault that were said to have none."""
    cleared: list[str] = []
    for package in packages:
        if package["expected"] != SAFE and package["verdict"] == SAFE:
            cleared.append(f"{package['package']} {package['version']}".strip())

    return cleared


def _describe_cleared(packages: list[dict[str, Any]]) -> str:
    faulty = sum(package["expected"] != SAFE for package in packages)
    return f"{len(_find_cleared(packages))} of {faulty}"


def _render_set(name: str, scores: dict[str, Any], others: dict[str, Any]) -> str:
    """Return the section about one set.

    Args:
        name: of the set.
        scores: of wheelfarm.
        others: what other tools came to, by their name.
    """
    methods: dict[str, dict[str, Any]] = {**scores["methods"], **others}
    parts = [
        f"## {_TITLES[name]}\n",
        _SETS[name],
        _describe_measured(scores),
        "### By method\n",
        _render_methods(methods, scores["stability"]),
        _render_condemned(methods),
        _describe_others(others),
        "### By class of fault\n",
        _render_faults(methods, scores["faults"]),
        "### By package\n",
        _render_summary(scores),
        _render_packages(scores["packages"]),
    ]
    return "\n".join(part for part in parts if part)


def _describe_measured(scores: dict[str, Any]) -> str:
    """Return a sentence on when and on what it was measured."""
    measured = scores.get("measured")
    if measured is None:
        return "When and on what machine this was measured was not recorded.\n"

    effort = f", with `--effort {measured['effort']}`" if measured["effort"] else ""
    return (
        f"Measured on {measured['date']} on {measured['cores']} cores with {measured['memory_gib']} GiB of "
        f"memory{effort}.\n"
    )


def _render_methods(methods: dict[str, dict[str, Any]], stability: dict[str, Any]) -> str:
    """Return a table of what each way of looking found, blamed wrongly and took."""
    rows: list[list[str]] = []
    for method, counts in methods.items():
        # Own tests are run in threads at `standard` and `deep` only.
        if method == "own tests" and not counts["seconds"]:
            rows.append([_METHODS[method], "not run", "", "", "", ""])
            continue

        row = [
            _METHODS.get(method, method),
            _describe_right(counts),
            _describe_blamed(counts),
            _describe_condemned(counts),
            _describe_changes(counts.get("stability") or stability, method),
            f"{counts['seconds']:.0f}",
        ]
        rows.append(row)

    columns = [
        "way of looking",
        "faults found in the right function",
        "packages with a fault blamed at all",
        "safe packages blamed",
        "blamed in some runs only",
        "seconds",
    ]
    return _render_table(columns, rows)


def _count_faulty(counts: dict[str, Any]) -> int:
    """Return how many packages have a fault; older measurements lack the number itself."""
    return int(counts["faulty"] if "faulty" in counts else counts["found"] + counts["missed"])


def _describe_right(counts: dict[str, Any]) -> str:
    """Return how many faults were found in the right function, with the interval of the share."""
    if "right" not in counts:
        return "not counted"

    faulty = _count_faulty(counts)
    return f"{counts['right']} of {faulty}: {describe_share(counts['right'], faulty)}"


def _describe_blamed(counts: dict[str, Any]) -> str:
    blamed = counts["blamed"] if "blamed" in counts else counts["found"]
    return f"{blamed} of {_count_faulty(counts)}"


def _describe_condemned(counts: dict[str, Any]) -> str:
    if "condemned" in counts:
        return f"{len(counts['condemned'])} of {counts['safe']}"

    return f"{counts['false']} of {counts['false'] + counts['clean']}"


def _describe_changes(stability: dict[str, Any], method: str) -> str:
    """Return how many packages a method did not blame alike in all runs; of the verdict, how many got another."""
    runs = stability["runs"]
    if runs < 2:
        return "one run"

    changed = stability["changed"]
    if method != "all":
        changed = stability.get("methods", {}).get(method)
    if changed is None:
        return "not counted"

    return f"{changed} of {stability['packages']} in {runs} runs"


def _render_condemned(methods: dict[str, dict[str, Any]]) -> str:
    """Return which safe packages were blamed, by method; nothing where none was."""
    lines: list[str] = []
    for method, counts in methods.items():
        condemned = counts.get("condemned")
        if condemned:
            title = _METHODS.get(method, method)
            lines.append(f"Blamed without a fault by {title}: {', '.join(condemned)}.")

    return "\n".join(lines) + "\n" if lines else ""


def _describe_others(others: dict[str, Any]) -> str:
    """Return when other tools were asked, and what they gave no answer about; nothing without any."""
    lines: list[str] = []
    for tool, counts in others.items():
        measured = counts["measured"]
        title = _METHODS.get(tool, tool)
        lines.append(f"{title}: asked on {measured['date']} on {measured['cores']} cores.")
        if counts["unanswered"]:
            lines.append(f"It gave no answer about {', '.join(counts['unanswered'])}.")

    return "\n".join(lines) + "\n" if lines else ""


def _render_faults(methods: dict[str, dict[str, Any]], faults: dict[str, list[int]]) -> str:
    """Return a table of how many faults of each class each method found in the right function."""
    shown = [method for method, counts in methods.items() if "faults" in counts]
    if not shown:
        rows = [[fault, f"{found} of {of}"] for fault, (found, of) in sorted(faults.items())]
        return _render_table(["class of fault", _METHODS["all"]], rows)

    rows = []
    for fault, (_, of) in sorted(faults.items()):
        row = [fault, str(of)]
        for method in shown:
            found, _ = methods[method]["faults"].get(fault, (0, 0))
            row.append(str(found) if found else "·")
        rows.append(row)

    titles = [_SHORT.get(method, method) for method in shown]
    return _render_table(["class of fault", "packages", *titles], rows)


def _render_summary(scores: dict[str, Any]) -> str:
    """Return sentences on verdicts, on what was missed, and on what changed from run to run."""
    same, packages = scores["right_verdict"]
    stability = scores["stability"]
    lines = [f"{same} of {packages} got the verdict that is expected."]
    unfound = scores["methods"]["all"].get("unfound")
    if unfound:
        lines.append(f"Not found in the right function: {', '.join(unfound)}.")
    cleared = _find_cleared(scores["packages"])
    if cleared:
        lines.append(f"Called `compatible` though they have a fault: {', '.join(cleared)}.")

    if stability["runs"] > 1:
        lines.append(
            f"{stability['changed']} of {stability['packages']} did not get the same verdict in "
            f"{stability['runs']} runs, each from nothing."
        )
        if stability.get("which"):
            lines.append(f"These are: {', '.join(stability['which'])}.")
    else:
        lines.append("How stable the verdicts are was not measured: there was one run.")

    for package in scores["packages"]:
        if package.get("failure"):
            lines.append(f"{package['package']} could not be measured: {package['failure']}.")

    return "\n".join(lines) + "\n"


def _render_packages(packages: list[dict[str, Any]]) -> str:
    rows: list[list[str]] = []
    for package in packages:
        names = "yes" if package["names_function"] else "no"
        if package["expected"] in {SAFE, GIL}:
            names = ""
        row = [
            f"{package['package']} {package['version']}".strip(),
            package["fault"],
            package["expected"],
            package["verdict"],
            names,
            f"{package['seconds']:.0f}",
        ]
        rows.append(row)

    columns = [
        "package",
        "class of fault",
        "expected",
        "verdict",
        "names the function",
        "seconds",
    ]
    return _render_table(columns, rows)


# --- replays, popular packages, other tools ---------------------------------------------------------------------------


def _render_pairs(pairs: list[dict[str, Any]]) -> str:
    """Return what programs that show a fault show on the release with it, and on the one without."""
    if not pairs:
        return ""

    rows: list[list[str]] = []
    for pair in pairs:
        shown = "no program"
        if pair["replay"] is not None:
            shown = "could not be run"
        if pair.get("runs"):
            shown = f"{pair['shown']} of {pair['runs']}"
        rows.append([pair["package"], pair["found_in"], pair["version"], shown])

    table = _render_table(["package", "found in", "replayed on", "shown"], rows)
    return f"## Replays on the release with the fault, and on the one without\n\n{table}"


def _render_reach(reach: dict[str, Any] | None) -> str:
    """Return what threads reach of packages of which nothing is known beforehand."""
    if reach is None:
        return ""

    levels: dict[str, int] = {}
    rows: list[list[str]] = []
    for package in reach["packages"]:
        level = package["level"] or "-"
        levels[level] = levels.get(level, 0) + 1
        row = [
            f"{package['package']} {package['version']}",
            level,
            package["verdict"],
            f"{package['reached']} of {package['callables']}",
            str(package["pairs"]),
        ]
        rows.append(row)

    counted = ", ".join(f"{count} `{level}`" for level, count in sorted(levels.items()))
    lines = [
        "## Popular packages\n",
        "These packages have no label: nobody has told what is wrong with them, and none was left out for its verdict.",
        "The table says what wheelfarm says, and how much of their native code threads called.",
        f"The median share of native callables that threads reach is {reach['median_share']}.",
        f"Levels: {counted}.",
        _describe_measured(reach),
    ]
    columns = ["package", "level", "verdict", "native callables reached by threads", "pairs"]
    return "\n".join(lines) + "\n" + _render_table(columns, rows)


def _render_tools(sets: dict[str, dict[str, Any]], others: dict[str, dict[str, Any]]) -> str:
    """Return which tools were looked at, which of them have figures here, and why the others have none."""
    shown: set[str] = set()
    for name, scores in sets.items():
        methods = {**scores["methods"], **others.get(name, {})}
        shown.update(method for method, counts in methods.items() if counts["seconds"])

    rows: list[list[str]] = []
    for tool in tomllib.loads(_TOOLS.read_text())["tool"]:
        word = "no"
        if "as" in tool:
            word = "yes" if tool["as"] in shown else "not yet"
        title = f"{tool['name']} {tool['version']}".strip()
        rows.append([title, tool["does"], word, tool["remark"]])

    return _render_table(["tool", "what it does", "measured", "why"], rows)


def _render_table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
