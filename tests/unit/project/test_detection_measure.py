"""The measurement of the detector counts right: benchmarks/detection, on runs whose counts are known."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from benchmarks.detection import labels as tables
from benchmarks.detection import replays
from benchmarks.detection.labels import Label, split_into_batches
from benchmarks.detection.page import render_page
from benchmarks.detection.reach import summarize_reach
from benchmarks.detection.runs import BLAMED, Package, names_one_of, read_package, render_table
from benchmarks.detection.score import count_changes, describe_packages, score


def label(package: str, expected: str, *functions: str, version: str = "") -> Label:
    return Label(
        package=package, version=version, expected=expected, fault="cache", functions=functions
    )


def read(expected: str, verdict: str, where: str = "", *functions: str) -> Package:
    """Return what a run came to in which one finding names something."""
    part: dict[str, Any] = {"verdict": verdict, "findings": []}
    if where:
        part["findings"] = [{"code": "WF605", "where": where, "detail": "threads race"}]
    return read_package(label("pkg", expected, *functions), part, {})


def test_a_fault_is_found_only_in_the_right_function():
    right = read("distinct", "distinct", "Memo.get", "memo_get")
    wrong = read("distinct", "distinct", "Memo.get_all", "memo_get")

    assert right.found["all"]
    assert not wrong.found["all"]
    scores = score([right, wrong])
    assert scores["right_function"] == [1, 2]
    assert scores["methods"]["all"]["found"] == 1
    assert scores["methods"]["all"]["missed"] == 1
    assert scores["faults"] == {"cache": [1, 2]}


@pytest.mark.parametrize("verdict", ["distinct", "racy", "thread-unsafe", "gil-required"])
def test_a_safe_package_that_is_blamed_is_counted_as_false(verdict: str):
    methods = score([read("compatible", verdict)])["methods"]

    assert methods["all"]["false"] == 1
    assert methods["all"]["clean"] == 0


@pytest.mark.parametrize("verdict", ["compatible", "unproven", "undetermined"])
def test_a_safe_package_that_is_not_blamed_is_clean_and_a_fault_missed(verdict: str):
    scores = score([read("compatible", verdict), read("thread-unsafe", verdict)])

    assert scores["methods"]["all"]["clean"] == 1
    assert scores["methods"]["all"]["missed"] == 1


def test_another_verdict_than_the_expected_one_is_counted():
    scores = score([read("distinct", "thread-unsafe"), read("distinct", "distinct")])
    assert scores["right_verdict"] == [1, 2]


def test_a_package_that_turns_the_gil_on_is_found_by_importing_it():
    scores = score([read("gil-required", "gil-required")])
    assert scores["methods"]["import"]["found"] == 1
    assert scores["methods"]["all"]["found"] == 1


def test_findings_on_anything_but_threads_name_no_function():
    finding = {"code": "WF402", "where": "memo_get", "detail": ""}
    assert not names_one_of(("memo_get",), [finding])


def test_verdicts_that_differ_between_runs_are_counted():
    first = [read("distinct", "distinct"), read("compatible", "compatible")]
    second = [read("distinct", "unproven"), read("compatible", "compatible")]
    for run in (first, second):
        run[1] = Package(
            **{name: getattr(run[1], name) for name in Package.__slots__ if name != "label"},
            label=label("other", "compatible"),
        )

    assert count_changes([first, second]) == {"packages": 2, "changed": 1, "runs": 2}
    assert count_changes([first, first])["changed"] == 0


def test_a_matrix_has_each_package_once():
    broken = label("pkg", "distinct", version="1")
    mended = label("pkg", "compatible", version="2")
    other = label("other", "compatible", version="1")
    assert split_into_batches([broken, mended, other]) == [[broken, other], [mended]]


@pytest.mark.parametrize("name", tables.SETS)
def test_the_tables_are_read(name: str):
    labels = tables.read_labels(name, [])
    assert labels
    only = tables.read_labels(name, [labels[0].package])
    assert {one.package for one in only} == {labels[0].package}


def test_every_release_with_a_fault_names_its_functions_and_has_one_without():
    labels = tables.read_labels("releases", [])
    mended = {one.package for one in labels if one.expected == tables.SAFE}
    broken = [one for one in labels if one.expected in BLAMED]

    assert {one.package for one in broken} <= mended
    assert all(one.functions for one in broken)


def test_a_release_is_built_with_its_system_packages(tmp_path: Path):
    release = Label(
        package="pkg", version="1", expected="distinct", fault="", functions=(), apt=("nasm",)
    )
    table = tomllib.loads(render_table("releases", release, tmp_path))
    assert table["packages"]["pkg"] == {"version": "==1", "apt": ["nasm"]}


def test_each_release_is_replayed_from_the_wheelhouse_of_its_batch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    asked: list[Path] = []

    def find_none(wheelhouse: Path, package: str) -> None:
        asked.append(wheelhouse)

    monkeypatch.setattr(replays, "find_best_replay", find_none)
    older = label("pkg", "distinct", version="1")
    newer = label("pkg", "distinct", version="2")
    mended = label("pkg", "compatible", version="3")

    rows = replays.compare_releases([older, newer, mended], tmp_path)

    assert asked == [tmp_path / "0" / "wheelhouse", tmp_path / "1" / "wheelhouse"]
    assert [row["version"] for row in rows] == ["1", "3", "2", "3"]


def test_the_page_has_what_was_measured():
    packages = [
        read("distinct", "distinct", "Memo.get", "memo_get"),
        read("compatible", "compatible"),
    ]
    measured: dict[str, Any] = {
        **score(packages),
        "packages": describe_packages(packages),
        "stability": count_changes([packages]),
    }
    pairs = [
        {"package": "pkg", "version": "2", "found_in": "1", "replay": "ab", "shown": 0, "runs": 10}
    ]
    page = render_page({"effort": "quick", "sets": {"corpus": measured}, "pairs": pairs})

    assert page.startswith("# Detection\n\nAfter this page you ")
    assert "| the verdict of wheelfarm | 1 of 1 |" in page
    assert "| cache | 1 of 1 |" in page
    assert "| pkg | 1 | 2 | 0 of 10 |" in page
    assert "there was one run" in page


def test_the_reach_is_the_median_of_packages_with_native_callables():
    def package(
        name: str, verdict: str, callables: int, reached: int, pairs: int
    ) -> dict[str, Any]:
        exercised = {"native_callables": callables, "under_threads": reached, "pairs": pairs}
        findings = [
            {"code": "WF605", "severity": "error"},
            {"code": "WF606", "severity": "info"},
            {"code": "WF501", "severity": "error"},
        ]
        part = {"verdict": verdict, "exercised": exercised, "findings": findings}
        return {"name": name, "version": "1", "abis": {"cp314t": part}}

    reach = summarize_reach(
        {
            "packages": [
                package("half", "distinct", 10, 5, 3),
                package("all", "compatible", 4, 4, 9),
                package("most", "unproven", 10, 8, 0),
                package("pure", "undetermined", 0, 0, 0),
            ]
        }
    )
    assert reach["median_share"] == 0.8
    assert reach["without_pairs"] == ["most", "pure"]
    assert reach["undetermined"] == ["pure"]
    assert reach["packages"][0]["findings"] == {"WF605": 1}
    page = render_page({"sets": {}, "popular": {"effort": "quick", **reach}})
    assert "| half 1 | distinct | - | 5 of 10 | 3 |" in page
