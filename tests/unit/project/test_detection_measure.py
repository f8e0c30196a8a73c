"""The measurement of the detector counts right: benchmarks/detection, on runs whose counts are known."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.detection import labels as tables
from benchmarks.detection import record as measure_record
from benchmarks.detection import replays, rounds, runs
from benchmarks.detection.labels import Label, split_into_batches
from benchmarks.detection.reach import summarize_reach
from benchmarks.detection.record import Record, Round, identify_detector
from benchmarks.detection.rounds import measure_round
from benchmarks.detection.runs import (
    BLAMED,
    METHODS,
    NOT_MEASURED,
    Package,
    examine,
    make_unmeasured,
    names_one_of,
    read_package,
    read_run,
    render_required,
    render_table,
)
from benchmarks.detection.score import count_changes, score


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


@pytest.mark.parametrize(("needs", "is_found"), [("object", True), ("", False)])
def test_a_fault_that_was_shown_is_found_also_where_the_verdict_is_open(
    *, needs: str, is_found: bool
):
    finding = {"code": "WF605", "where": "Memo.get", "detail": "threads race", "needs": needs}
    part = {"verdict": "unproven", "findings": [finding]}
    package = read_package(label("pkg", "distinct", "memo_get"), part, {})
    assert package.found["all"] is is_found


def test_another_verdict_than_the_expected_one_is_counted():
    scores = score([read("distinct", "thread-unsafe"), read("distinct", "distinct")])
    assert scores["right_verdict"] == [1, 2]


def test_a_package_that_turns_the_gil_on_is_found_by_importing_it():
    scores = score([read("gil-required", "gil-required")])
    assert scores["methods"]["import"]["found"] == 1
    assert scores["methods"]["all"]["found"] == 1


def test_a_method_is_right_where_what_it_shows_names_the_function():
    def race_of(function: str) -> Any:
        side = {"function": function, "place": f"{function} (memo.c)"}
        facts = {"races": [{"sides": [side], "places": []}], "harms": []}
        return SimpleNamespace(facts=facts, seconds=3.0)

    def exercise_of(*, steered: bool) -> Any:
        harm = {"shown": 2, "steered": steered, "calls": {"natives": ["memo.Memo.get"]}}
        tests = {"findings": {"test_set": "assert 1 == 2"}, "seconds": 1.0}
        return SimpleNamespace(facts={"harms": [harm], "own_tests": tests}, seconds=2.0)

    one = label("pkg", "distinct", "memo_get")
    part: dict[str, Any] = {"verdict": "racy", "findings": []}
    right = read_package(
        one, part, {"race": race_of("Memo.get"), "exercise": exercise_of(steered=False)}
    )
    wrong = read_package(
        one, part, {"race": race_of("Memo.set"), "exercise": exercise_of(steered=True)}
    )

    rights = {method: score([right])["methods"][method]["right"] for method in METHODS}
    assert rights == {
        "import": 0,
        "own tests": 0,
        "stress": 1,
        "stress with sanitizer": 1,
        "all": 0,
    }
    methods = score([wrong])["methods"]
    assert methods["own tests"]["blamed"] == 1
    assert methods["stress"]["blamed"] == 0
    assert methods["stress with sanitizer"]["blamed"] == 1
    assert methods["stress with sanitizer"]["right"] == 0


def test_a_package_without_a_verdict_does_not_end_the_measurement(tmp_path: Path):
    document = {"packages": [{"name": "other", "abis": {"cp314": {}}}]}
    (tmp_path / "verdicts.json").write_text(json.dumps(document))
    labels = [label("lost", "distinct", "put"), label("other", "compatible")]

    packages = read_run(labels, tmp_path)

    assert [package.verdict for package in packages] == [NOT_MEASURED] * 2
    assert packages[0].failure == "verdicts.json has no such package"
    methods = score(packages)["methods"]
    assert methods["all"]["missed"] == 1
    assert methods["all"]["clean"] == 1


def test_a_batch_that_the_farm_cannot_run_does_not_end_the_measurement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def fail(matrix: Path, wheelhouse: Path, effort: str) -> float:
        assert tomllib.loads(matrix.read_text())["packages"]["pkg"]
        raise RuntimeError("the farm ended with exit code 2: nothing was measured")

    monkeypatch.setattr(runs, "run_farm", fail)
    packages = examine("releases", [label("pkg", "distinct", version="1")], tmp_path, "quick")

    assert packages[0].verdict == NOT_MEASURED
    assert "exit code 2" in packages[0].failure


def test_with_no_run_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(runs, "run_farm", pytest.fail)
    packages = examine("releases", [label("pkg", "distinct")], tmp_path, "quick", reads_only=True)
    assert packages[0].failure == "there is no verdicts.json"


def test_what_is_on_record_is_not_measured_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    asked: list[list[str]] = []

    def answer(name: str, batch: list[Label], place: Path, effort: str, **_: Any) -> list[Package]:
        asked.append([one.package for one in batch])
        return [read_package(one, {"verdict": "distinct", "findings": []}, {}) for one in batch]

    monkeypatch.setattr(rounds, "examine", answer)
    path = tmp_path / "record.json"
    first, second = Round("corpus", 1, "quick"), Round("corpus", 2, "quick")
    labels = [label("one", "distinct"), label("two", "distinct"), label("three", "distinct")]

    measure_round(first, labels[:2], tmp_path, Record(path, "this"))
    again = measure_round(first, labels, tmp_path, Record(path, "this"))
    assert asked == [["one", "two"], ["three"]]
    assert [package.label for package in again] == labels
    assert {package.verdict for package in again} == {"distinct"}

    measure_round(second, labels, tmp_path, Record(path, "this"))
    measure_round(first, labels[:1], tmp_path, Record(path, "another"))
    assert asked[2:] == [["one", "two", "three"], ["one"]]
    assert Record(path, "this").find(second, labels[0]) is None


def test_what_could_not_be_measured_is_not_recorded(tmp_path: Path):
    path = tmp_path / "record.json"
    record, first, one = Record(path, "this"), Round("corpus", 1, "quick"), label("one", "distinct")
    record.add(first, [make_unmeasured(one, "no engine")], {"date": "2026-11-27"})

    assert not path.exists()
    assert record.find(first, one) is None
    assert record.describe(first, [one]) is None


def test_the_detector_is_named_by_what_makes_its_verdicts(monkeypatch: pytest.MonkeyPatch):
    before = identify_detector("standard")
    assert before == identify_detector("standard")
    assert before != identify_detector("quick")

    monkeypatch.setattr(measure_record, "programs_digest", lambda package: f"other {package}")
    assert identify_detector("standard") != before


@pytest.mark.parametrize("pattern", measure_record._JUDGING)
def test_what_the_name_of_the_detector_depends_on_is_there(pattern: str):
    assert any(path.is_file() for path in measure_record.ROOT.glob(pattern))


def test_a_package_that_is_in_no_set_is_refused():
    sets = tables.read_sets(["corpus", "releases"], ["ticketry"])
    assert {name: len(labels) for name, labels in sets.items()} == {"corpus": 1}
    with pytest.raises(SystemExit, match=r"or benchmarks/releases\.tsv: tickety$"):
        tables.read_sets(["corpus", "releases"], ["ticketry", "tickety"])


def test_the_class_of_a_release_is_what_threads_share():
    release = tables.read_labels("releases", ["blurhash-python"])
    assert [one.kind for one in release] == ["threads share nothing", "compatible"]


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

    changes = count_changes([first, second])
    assert [changes[name] for name in ("packages", "changed", "runs")] == [2, 1, 2]
    assert changes["which"] == ["pkg"]
    assert changes["methods"]["all"] == 1
    assert changes["methods"]["stress"] == 0
    assert count_changes([first, first])["changed"] == 0


def test_a_matrix_has_each_package_once():
    broken = label("pkg", "distinct", version="1")
    mended = label("pkg", "compatible", version="2")
    other = label("other", "compatible", version="1")
    assert split_into_batches([broken, mended, other]) == [[broken, other], [mended]]


def test_a_matrix_has_few_packages():
    batches = split_into_batches([label(f"pkg-{number}", "distinct") for number in range(20)])
    assert [len(batch) for batch in batches] == [8, 8, 4]


@pytest.mark.parametrize("name", tables.SETS)
def test_the_tables_are_read(name: str):
    labels = tables.read_labels(name, [])
    assert labels
    only = tables.read_labels(name, [labels[0].package])
    assert {one.package for one in only} == {labels[0].package}


def test_every_release_with_a_fault_names_its_functions():
    labels = tables.read_labels("releases", [])
    assert all(one.functions for one in labels if one.expected in BLAMED)


def test_every_package_has_a_release_without_the_fault_of_the_first():
    labels = tables.read_labels("releases", [])
    for first in labels:
        others = [one for one in labels if one.package == first.package]
        is_first = others[0] == first
        if is_first and first.expected in BLAMED:
            assert any(set(one.functions).isdisjoint(first.functions) for one in others), first


def test_a_release_is_built_with_its_system_packages(tmp_path: Path):
    release = Label(
        package="pkg", version="1", expected="distinct", fault="", functions=(), apt=("nasm",)
    )
    table = tomllib.loads(render_table("releases", release, tmp_path))
    assert table["packages"]["pkg"] == {"version": "==1", "apt": ["nasm"]}


def test_what_a_release_requires_is_built_with_its_system_packages_unless_it_is_measured_itself():
    needing = Label(
        package="pkg", version="1", expected="distinct", fault="", functions=(),
        apt=("other:zlib1g-dev", "cffi:libffi-dev", "nasm"),
    )  # fmt: skip
    assert needing.own_apt == ["nasm"]
    [table] = render_required([needing, label("other", "compatible", version="1")])
    assert tomllib.loads(table)["packages"] == {"cffi": {"apt": ["libffi-dev"]}}


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
