"""What a store has about the bases of an application is what is compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.config.matrix import Matrix
from builder.errors import ExitCode, FarmError
from builder.farm.parity import (
    ParityError,
    compare_for_report,
    compare_named,
    exit_code,
)
from builder.judge.parity.model import Parity, Row, Topic, Weight
from builder.report.documents.verdicts_json import Document
from builder.store.store import Store
from tests.unit.farm.parity_samples import WHEEL, fill, record, write_project


@pytest.fixture
def matrix(tmp_path: Path) -> Matrix:
    return write_project(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


@pytest.fixture
def written(store: Store) -> Document:
    return fill(store)


def rows(parity: Parity, topic: Topic) -> dict[str, Row]:
    return {row.name: row for row in parity.rows if row.topic is topic}


def test_an_application_is_compared_with_all_that_is_recorded(
    matrix: Matrix, store: Store, written: Document
):
    (parity,) = compare_named(matrix, store, written, ["shop"])
    assert (parity.application, parity.bases) == ("shop", ("debian-12", "ubuntu-24.04"))
    assert "libfoo1t64" in parity.install["ubuntu-24.04"]
    assert {"libfoo1", "libpq5", "libffi8"} <= set(parity.install["debian-12"])

    system = rows(parity, Topic.SYSTEM_PACKAGE)
    assert system["libffi8"].values["debian-12"] == "3.4.4-1"
    assert system["libpq5"].detail == "for the application"
    assert system["libfoo1"].detail == "for foo"
    assert rows(parity, Topic.WHEEL)["foo 1.0"].values["ubuntu-24.04"] == WHEEL
    assert rows(parity, Topic.WHEEL)["bar 2.0"].weight is Weight.SAME
    assert rows(parity, Topic.INTERPRETER)["CPython for cp314t"].weight is Weight.SAME
    assert rows(parity, Topic.IMPORT)["foo"].values["debian-12"] == "imports"
    assert rows(parity, Topic.TRIAL)["shop: installing"].values["debian-12"] == "all of it"
    assert rows(parity, Topic.BUILD_PACKAGE)["libfoo-dev"].values == {"debian-12": "needed"}
    assert exit_code([parity]) == ExitCode.ADMISSIBLE


def test_without_a_name_the_whole_matrix_is_compared(
    matrix: Matrix, store: Store, written: Document
):
    (parity,) = compare_named(matrix, store, written, [])
    assert parity.application == ""
    assert set(rows(parity, Topic.WHEEL)) == {"foo 1.0"}
    assert "libpq5" not in parity.install["debian-12"]
    assert rows(parity, Topic.TRIAL) == {}


def test_a_trial_that_fails_on_one_base_decides_the_exit_code(
    matrix: Matrix, store: Store, written: Document
):
    broken = {"install": "no matching distribution"}
    record(store, "application:shop@cp314t/ubuntu-24.04", broken)
    (parity,) = compare_named(matrix, store, written, ["shop"])
    step = rows(parity, Topic.TRIAL)["shop: installing"]
    assert (step.weight, step.values["ubuntu-24.04"]) == (Weight.BREAKS, broken["install"])
    assert exit_code([parity]) == ExitCode.FAULTS


def test_what_builds_missed_is_among_the_packages_for_builds(
    matrix: Matrix, store: Store, written: Document
):
    found = [
        {
            "kind": "header",
            "name": "bar.h",
            "packages": [["libbar-dev", "/usr/include/bar.h"], ["x", "/y"]],
        }
    ]
    record(store, "remedy:foo@debian-12", {"found": found, "unknown": []})
    (parity,) = compare_named(matrix, store, written, ["shop"])
    assert set(rows(parity, Topic.BUILD_PACKAGE)) == {"libfoo-dev", "libbar-dev"}


def test_evidence_that_cannot_be_read_counts_as_not_recorded(
    matrix: Matrix, store: Store, written: Document
):
    record(store, "audit:foo@debian-12", {"wheels": {WHEEL: {"damaged": 1}}})
    record(store, "load:foo@debian-12/debian-12", {"loads": 1})
    (parity,) = compare_named(matrix, store, written, ["shop"])
    assert rows(parity, Topic.FLOOR)["foo"].weight is Weight.NOT_RECORDED
    assert (
        rows(parity, Topic.INTERPRETER)["CPython for cp314t"].values["debian-12"] == "not recorded"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [("none", "has no application 'none'; it has shop, small"), ("small", "has one base")],
)
def test_what_cannot_be_compared_is_an_error_with_what_there_is(
    matrix: Matrix, store: Store, written: Document, name: str, said: str
):
    with pytest.raises(ParityError, match=said):
        compare_named(matrix, store, written, [name])


def test_without_a_whole_run_there_is_nothing_to_compare(matrix: Matrix, store: Store):
    with pytest.raises(ParityError, match="wheelfarm run"):
        compare_named(matrix, store, None, [])


def test_the_report_has_every_application_that_has_two_bases(
    matrix: Matrix, store: Store, written: Document
):
    parities = compare_for_report(matrix, store, written)
    assert [parity.application for parity in parities] == ["shop"]

    without = matrix.model_copy(update={"applications": {}})
    (parity,) = compare_for_report(without, store, written)
    assert parity.application == ""


def test_a_lock_that_cannot_be_read_is_left_to_the_verdict_of_the_application(
    matrix: Matrix, store: Store, written: Document
):
    (matrix.root / "shop.txt").write_text("foo>=1\n")
    assert compare_for_report(matrix, store, written) == ()
    with pytest.raises(FarmError, match="leaves the release of foo open"):
        compare_named(matrix, store, written, ["shop"])
