"""The page about the detector says what was measured: benchmarks/detection/page.py, on small made-up documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.corpus.answers import Answer
from benchmarks.corpus.scoring import count_answers
from benchmarks.detection.labels import Label
from benchmarks.detection.page import render_page
from benchmarks.detection.runs import make_unmeasured, read_package
from benchmarks.detection.score import count_changes, describe_packages, score

ROOT = Path(__file__).parents[3]
FAULTY = Label(
    package="memo", version="", expected="distinct", fault="cache", functions=("memo_get",)
)
SAFE = Label(package="calm", version="", expected="compatible", fault="", functions=())
LOST = Label(package="lost", version="", expected="distinct", fault="stack", functions=("push",))
MEASURED = {"date": "2026-11-27", "cores": 2, "memory_gib": 24, "effort": "quick"}


def measure(*, runs: int = 1) -> dict[str, Any]:
    """Return what a measurement of three packages came to: one found, one safe, one that could not be measured."""
    finding = {"code": "WF605", "where": "Memo.get", "detail": "threads race"}
    packages = [
        read_package(FAULTY, {"verdict": "distinct", "findings": [finding]}, {}),
        read_package(SAFE, {"verdict": "compatible", "findings": []}, {}),
        make_unmeasured(LOST, "the farm ended with exit code 2"),
    ]
    other = [packages[0], read_package(SAFE, {"verdict": "racy", "findings": []}, {}), packages[2]]
    all_runs = [packages, other, packages][:runs]
    return {
        **score(packages),
        "packages": describe_packages(packages),
        "stability": count_changes(all_runs),
        "measured": MEASURED,
    }


def answer(**where: str) -> dict[str, Any]:
    """Return what the answers of another tool come to, which blames the packages that are named."""
    answers = {
        (name, ""): Answer(is_blamed=True, where=text, seconds=4) for name, text in where.items()
    }
    counts = count_answers([FAULTY, SAFE, LOST], answers)
    changed = {"cppcheck": 0, "rival": 0}
    stability = {"packages": 3, "changed": 0, "runs": 2, "methods": changed}
    return {**counts, "stability": stability, "measured": MEASURED}


def find_row(page: str, start: str) -> list[str]:
    """Return the cells of the first row of a table that begins with a text."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_begins_with_what_somebody_decides_by():
    page = render_page({"sets": {"corpus": measure()}})

    assert page.startswith("# Detection\n\nAfter this page you ")
    row = find_row(page, "Packages made for this")
    assert row[1].startswith("1 of 2: 0.50 [")
    assert row[2:5] == ["0 of 2", "0 of 1", "one run"]
    assert (
        page.index("## In short") < page.index("## How to read") < page.index("## What it cannot")
    )


def test_each_method_and_each_tool_has_a_row_and_a_column():
    others = {
        "corpus": {"cppcheck": answer(memo="memo.c:3 memo_get: static", calm="calm.c:1 f: static")}
    }
    page = render_page({"sets": {"corpus": measure()}, "others": others})

    row = find_row(page, "cppcheck, add-on threadsafety")
    assert row[1].startswith("1 of 2: 0.50 [")
    assert row[2:] == ["1 of 2", "1 of 1", "0 of 3 in 2 runs", "8"]
    assert "Blamed without a fault by cppcheck, add-on threadsafety: calm." in page

    heads = find_row(page, "class of fault")
    found = dict(zip(heads, find_row(page, "cache"), strict=True))
    assert found["verdict"] == "1"
    assert found["cppcheck"] == "1"
    assert found["import"] == "·"
    assert found["packages"] == "1"


def test_a_tool_that_blames_another_function_is_not_right():
    others = {"corpus": {"rival": answer(memo="memo.c:9 configure: static")}}
    row = find_row(render_page({"sets": {"corpus": measure()}, "others": others}), "rival")
    assert row[1].startswith("0 of 2: 0.00 [")
    assert row[2] == "1 of 2"


def test_when_another_tool_was_asked_and_what_it_did_not_answer_is_said():
    others = {"corpus": {"rival": answer(memo="memo_get")}}
    page = render_page({"sets": {"corpus": measure()}, "others": others})
    assert "rival: asked on 2026-11-27 on 2 cores.\nIt gave no answer about calm, lost.\n" in page


def test_what_changed_from_run_to_run_is_named():
    page = render_page({"sets": {"corpus": measure(runs=3)}})
    assert "1 of 3 did not get the same verdict in 3 runs, each from nothing." in page
    assert "These are: calm." in page
    assert find_row(page, "the verdict of wheelfarm")[4] == "1 of 3 in 3 runs"
    assert find_row(page, "importing it")[4] == "0 of 3 in 3 runs"


def test_own_tests_that_were_not_run_have_no_figures():
    page = render_page({"sets": {"corpus": measure()}})
    assert find_row(page, "its own tests with pytest-run-parallel")[1] == "not run"

    measured = measure()
    measured["methods"]["own tests"]["seconds"] = 12.0
    page = render_page({"sets": {"corpus": measured}})
    assert find_row(page, "its own tests with pytest-run-parallel")[1].startswith("0 of 2")


def test_a_package_with_a_fault_that_was_called_compatible_is_named():
    measured = measure()
    measured["packages"][0]["verdict"] = "compatible"
    page = render_page({"sets": {"corpus": measured}})
    assert find_row(page, "Packages made for this")[2] == "1 of 2"
    assert "Called `compatible` though they have a fault: memo." in page


def test_one_run_says_nothing_about_stability():
    page = render_page({"sets": {"corpus": measure()}})
    assert "How stable the verdicts are was not measured: there was one run." in page


def test_a_package_that_could_not_be_measured_is_shown():
    page = render_page({"sets": {"corpus": measure()}})
    assert "Not found in the right function: lost." in page
    assert "lost could not be measured: the farm ended with exit code 2." in page
    assert find_row(page, "lost")[3] == "not measured"


def test_the_date_and_the_machine_are_said():
    page = render_page({"sets": {"corpus": measure()}})
    sentence = "Measured on 2026-11-27 on 2 cores with 24 GiB of memory, with `--effort quick`."
    assert sentence in page


def test_a_measurement_of_an_older_form_is_shown():
    old = measure()
    del old["measured"]
    for counts in old["methods"].values():
        for name in ("blamed", "right", "faulty", "condemned", "safe", "faults"):
            del counts[name]
    old["stability"] = {"packages": 3, "changed": 0, "runs": 2}

    page = render_page({"effort": "quick", "sets": {"releases": old}})

    assert "When and on what machine this was measured was not recorded." in page
    row = find_row(page, "the verdict of wheelfarm")
    assert row[1:5] == ["not counted", "1 of 2", "0 of 1", "0 of 3 in 2 runs"]
    assert find_row(page, "importing it")[4] == "not counted"
    assert find_row(page, "cache") == ["cache", "1 of 1"]


def test_replays_and_popular_packages_are_shown():
    pairs = [
        {"package": "pkg", "version": "2", "found_in": "1", "replay": "ab", "shown": 0, "runs": 10},
        {"package": "pkg", "version": "1", "found_in": "1", "replay": None},
        {
            "package": "lost",
            "version": "1",
            "found_in": "1",
            "replay": "ab",
            "shown": None,
            "runs": None,
        },
    ]
    package = {
        "package": "half", "version": "1", "verdict": "distinct", "level": "distinct", "callables": 10,
        "reached": 5, "pairs": 3,
    }  # fmt: skip
    popular = {"packages": [package], "median_share": 0.5, "measured": MEASURED}

    page = render_page({"sets": {}, "pairs": pairs, "popular": popular})

    assert "| pkg | 1 | 2 | 0 of 10 |" in page
    assert "| pkg | 1 | 1 | no program |" in page
    assert "| lost | 1 | 1 | could not be run |" in page
    assert "| half 1 | distinct | distinct | 5 of 10 | 3 |" in page
    assert "Levels: 1 `distinct`." in page


def list_tools(page: str) -> dict[str, str]:
    """Return whether each tool was measured, by its name and version."""
    table = page.split("## Other tools")[1].split("## Repeat it", maxsplit=1)[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")]
    return {name.strip(): word.strip() for name, _, word, why in rows[2:] if why.strip()}


def test_every_tool_that_was_looked_at_says_whether_it_was_measured():
    tools = list_tools(render_page({"sets": {}}))
    assert tools["cppcheck, add-on threadsafety 2.22.0"] == "not yet"
    assert tools["pyvft, threadcheck"] == "no"

    others = {"corpus": {"cppcheck": answer(memo="memo_get")}}
    tools = list_tools(render_page({"sets": {"corpus": measure()}, "others": others}))
    assert tools["cppcheck, add-on threadsafety 2.22.0"] == "yes"
    assert tools["ftcheck 0.1.1"] == "not yet"
    assert tools["pytest-run-parallel"] == "not yet"


def test_nothing_of_the_template_is_left():
    assert "<!--" not in render_page({"sets": {}})
    assert "<!--" not in render_page({"sets": {"corpus": measure()}})


def test_the_published_page_is_of_this_form():
    """Where this fails, generate the page anew: the last line of its own last table has the command."""
    published = (ROOT / "docs/detection.md").read_text().splitlines()
    template = (ROOT / "benchmarks/detection/page.md").read_text().splitlines()
    assert [line for line in template if line not in published and "<!--" not in line] == []
