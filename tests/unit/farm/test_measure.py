"""What `wheelfarm measure` measures with which wheels, what it says of that, and what it remembers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder import index
from builder.config.matrix import Matrix
from builder.errors import ExitCode
from builder.farm import measurement_jobs
from builder.farm.measure import (
    MeasureResult,
    exit_code,
    measure_applications,
    recall_applications,
)
from builder.farm.measure_request import MeasureError, MeasureRequest
from builder.host import settings as host
from builder.index import channels
from builder.index.channels import PromotionRequest
from builder.jobs.measurement import Measurement
from builder.store.store import Store
from tests.unit.farm.measure_samples import PURE, describe, native, play, publish, write_project
from tests.unit.local_index import LocalIndex, serving, wheel

OWN = (native("1.0", "cp314"), native("1.0", "cp314t"), PURE)
OF_313 = native("1.0", "cp313", "cp313")


class Quiet:
    """Shows nothing."""

    def say(self, text: str) -> None: ...


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


@pytest.fixture
def matrix(tmp_path: Path) -> Matrix:
    return write_project(tmp_path)


@pytest.fixture(autouse=True)
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalIndex]:
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (served, settings):
        monkeypatch.setattr(host, "index_settings", lambda: settings)
        yield served


def measure(matrix: Matrix, store: Store, **request: Any) -> MeasureResult:
    return measure_applications(
        matrix,
        store,
        MeasureRequest(**request),
        Quiet(),  # type: ignore[arg-type]
        threading.Event(),
    )


def set_moment(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    monkeypatch.setattr(measurement_jobs, "read_clock", lambda: moment)


def list_wheels(job: Measurement) -> dict[str, list[str]]:
    """Return the names of the wheels of each environment."""
    listed: dict[str, list[str]] = {}
    for name, environment in job.environments.items():
        listed[name] = [wheels.wheels[0][0] for wheels in environment.locked]
    return listed


def test_own_wheels_come_from_the_index_and_those_of_an_older_release_from_upstream(
    matrix: Matrix, store: Store, upstream: LocalIndex, monkeypatch: pytest.MonkeyPatch
):
    publish(store, *OWN)
    sha256 = upstream.add("foo", OF_313, wheel("foo", "1.0"))
    (job,) = measure_then(matrix, store, monkeypatch)
    assert list_wheels(job) == {
        "cp313": [OF_313, PURE],
        "cp314": [OWN[0], PURE],
        "cp314t": [OWN[1], PURE],
        "cp314-jit": [OWN[0], PURE],
    }
    assert job.environments["cp313"].locked[0].wheels == ((OF_313, sha256),)
    assert store.file(sha256).exists()
    assert (job.base, job.packages, dict(job.variables)) == (
        "debian-12",
        ("libfoo1", "libpq5"),
        {"A": "1"},
    )
    assert list(job.files) == ["shop/__init__.py"]
    assert [one.name for one in job.variants if one.threads == 1] == [
        "cp313/1",
        "cp313 again/1",
        "cp314/1",
        "cp314t/1",
        "cp314-jit off/1",
        "cp314-jit on/1",
    ]
    assert {one.baseline for one in job.variants} == {"", "cp313/1", "cp313/2"}


def measure_then(
    matrix: Matrix, store: Store, monkeypatch: pytest.MonkeyPatch, **request: Any
) -> list[Measurement]:
    """Measure, and return the jobs that were asked for."""
    asked = play(monkeypatch, {})
    measure(matrix, store, **request)
    return asked


def test_an_interpreter_that_a_package_has_no_wheel_for_is_left_out_and_said(
    matrix: Matrix, store: Store, monkeypatch: pytest.MonkeyPatch
):
    publish(store, OWN[0], PURE)
    (job,) = measure_then(matrix, store, monkeypatch)
    assert list(job.environments) == ["cp314", "cp314-jit"]
    assert set(job.lacking) == {"cp313", "cp314t"}
    assert "foo 1.0 is not on the package index" in job.lacking["cp313"]
    assert "no wheel of foo 1.0 for cp314t on debian-12" in job.lacking["cp314t"]


def test_the_index_is_not_asked_about_a_package_with_a_local_sdist(
    tmp_path: Path,
    matrix: Matrix,
    store: Store,
    upstream: LocalIndex,
    monkeypatch: pytest.MonkeyPatch,
):
    publish(store, *OWN)
    foo = matrix.packages["foo"].model_copy(update={"sdist": "foo.tar.gz"})
    local = matrix.model_copy(update={"packages": {**matrix.packages, "foo": foo}})
    (job,) = measure_then(local, store, monkeypatch)
    assert "is built from a local sdist" in job.lacking["cp313"]
    assert not [path for path in upstream.asked if "foo" in path]


def test_with_nothing_to_compare_nothing_is_measured(
    matrix: Matrix, store: Store, monkeypatch: pytest.MonkeyPatch
):
    publish(store, PURE)
    play(monkeypatch, {})
    result = measure(matrix, store, interpreters=("cp314", "cp314t"))
    assert "there are not two interpreters to compare" in result.failures["shop"]
    assert exit_code(result) is ExitCode.UNDETERMINED


def test_what_is_worse_is_found_and_remembered(
    tmp_path: Path, matrix: Matrix, store: Store, monkeypatch: pytest.MonkeyPatch
):
    publish(store, *OWN)
    own = {"interpreters": ("cp314", "cp314t")}
    play(monkeypatch, {})
    first = measure(matrix, store, **own)
    assert exit_code(first) is ExitCode.ADMISSIBLE
    assert first.judged[0].earlier == ""

    play(monkeypatch, {"cp314t/2": {"p99": 1.2}})
    request = MeasureRequest(**own)  # type: ignore[arg-type]
    second = measure(matrix, store, **own)
    assert exit_code(second) is ExitCode.FAULTS
    (scenario, _) = second.judged[0].scenarios
    worse = [one for one in scenario.comparisons if one.answer.value == "worse"]
    assert [(one.variant, one.metric) for one in worse] == [("cp314t/2", "p99")]
    (judged,) = recall_applications(matrix, store, request).judged
    assert judged.facts == second.judged[0].facts
    assert (tmp_path / "wheelhouse" / "report" / "measurements.html").exists()


def test_later_measurements_are_compared_with_the_one_that_was_pinned(
    matrix: Matrix, store: Store, monkeypatch: pytest.MonkeyPatch
):
    publish(store, *OWN)
    asked = play(monkeypatch, {})
    own = {"interpreters": ("cp314", "cp314t")}
    measure(matrix, store, pins=True, **own)
    set_moment(monkeypatch, "2030-01-01T00:00:00+00:00")
    measure(matrix, store, **own)
    set_moment(monkeypatch, "2031-01-01T00:00:00+00:00")
    (third,) = measure(matrix, store, **own).judged
    assert third.earlier == asked[0].moment
    assert {len(figures) for figures in third.trends.values()} == {3}


def test_a_look_at_one_scenario_is_not_what_a_whole_measurement_is_compared_with(
    matrix: Matrix, store: Store, monkeypatch: pytest.MonkeyPatch
):
    publish(store, *OWN)
    asked = play(monkeypatch, {})
    own = {"interpreters": ("cp314", "cp314t")}
    measure(matrix, store, **own)
    set_moment(monkeypatch, "2030-01-01T00:00:00+00:00")
    measure(matrix, store, scenarios=("list",), **own)
    set_moment(monkeypatch, "2031-01-01T00:00:00+00:00")
    (judged,) = measure(matrix, store, **own).judged
    assert judged.earlier == asked[0].moment


def test_what_could_not_be_found_out_is_a_failure(
    matrix: Matrix, store: Store, monkeypatch: pytest.MonkeyPatch
):
    publish(store, *OWN)
    play(monkeypatch, {}, reason="the container gave no answer")
    result = measure(matrix, store, interpreters=("cp314", "cp314t"))
    assert result.failures == {"shop": "the container gave no answer"}
    assert exit_code(result) is ExitCode.UNDETERMINED


def test_what_waits_in_canary_is_measured_beside_what_simple_has_and_its_gate_goes_by_that(
    matrix: Matrix, store: Store, monkeypatch: pytest.MonkeyPatch
):
    newer = native("2.0", "cp314")
    publish(store, *OWN, canary=(newer,))
    asked = play(monkeypatch, {"cp314 canary/1": {"p99": 1.2}})
    result = measure(matrix, store, is_canary=True)
    (job,) = asked
    assert list_wheels(job) == {
        "cp314 simple": [OWN[0], PURE],
        "cp314 canary": [newer, PURE],
    }
    assert str(job.id) == "measurement:shop@debian-12/canary"
    assert exit_code(result) is ExitCode.FAULTS
    (refused,) = channels.promote(store, matrix, PromotionRequest(by="ada")).refused
    assert refused.release.name == "foo==2.0"
    assert "p99 of cp314 canary/1 is worse" in refused.refusal

    play(monkeypatch, {})
    set_moment(monkeypatch, "2030-01-01T00:00:00+00:00")
    measure(matrix, store, is_canary=True)
    (promoted,) = channels.promote(store, matrix, PromotionRequest(by="ada")).promoted
    assert promoted.release.name == "foo==2.0"


def test_a_release_that_simple_does_not_have_yet_is_compared_with_its_newest(
    matrix: Matrix, store: Store, monkeypatch: pytest.MonkeyPatch
):
    locked = OWN[0]
    older = native("0.9", "cp314")
    publish(store, older, PURE, canary=(locked,))
    (job,) = measure_then(matrix, store, monkeypatch, is_canary=True)
    assert list_wheels(job) == {"cp314 simple": [older, PURE], "cp314 canary": [locked, PURE]}


def test_where_nothing_waits_nothing_is_measured(
    matrix: Matrix, store: Store, monkeypatch: pytest.MonkeyPatch
):
    publish(store, *OWN)
    play(monkeypatch, {})
    result = measure(matrix, store, is_canary=True)
    assert "nothing that shop locks waits in canary/" in result.failures["shop"]


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({"applications": ("till",)}, "has no application 'till'; it has shop, quiet"),
        ({"applications": ("quiet",)}, r"add one, such as \[applications.quiet.scenarios.start\]"),
        ({"scenarios": ("buy",)}, "no scenario 'buy'; there are list, start"),
        ({"interpreters": ("cp312",)}, "no interpreter 'cp312'; there are cp313, cp314, cp314t, cp314-jit"),
        ({"interpreters": ("cp314",)}, "nothing to compare cp314 with"),
        ({"base": "ubuntu-24.04"}, "no base 'ubuntu-24.04'; the application has debian-12, debian-13"),
        ({"is_canary": True, "interpreters": ("cp313",)}, "there are cp314, cp314t"),
    ],
    ids=["application", "no scenario", "scenario", "interpreter", "alone", "base", "canary"],
)  # fmt: skip
def test_what_is_not_there_is_said_with_what_is(
    matrix: Matrix, store: Store, request_: dict[str, Any], complaint: str
):
    publish(store, *OWN)
    with pytest.raises(MeasureError, match=complaint):
        measure(matrix, store, **request_)


def test_without_an_index_there_is_nothing_to_install(matrix: Matrix, store: Store):
    with pytest.raises(MeasureError, match="has no index yet; start `wheelfarm run`"):
        measure(matrix, store)


def test_where_all_waits_in_canary_it_has_to_be_promoted_once(matrix: Matrix, store: Store):
    waiting = describe(store, OWN)
    index.publish({}, store, {}, canary=waiting)
    with pytest.raises(MeasureError, match="simple/ has nothing yet to measure"):
        measure(matrix, store, is_canary=True)


def test_what_was_never_measured_cannot_be_shown_again(matrix: Matrix, store: Store):
    result = recall_applications(matrix, store, MeasureRequest())
    assert result.failures == {"shop": "it was not measured on debian-12 yet"}


def test_one_scenario_and_one_base_can_be_chosen(
    matrix: Matrix, store: Store, monkeypatch: pytest.MonkeyPatch
):
    publish(store, *OWN)
    request = {"scenarios": ("start",), "base": "debian-13", "interpreters": ("cp314", "cp314t")}
    (job,) = measure_then(matrix, store, monkeypatch, **request)
    assert (list(job.scenarios), job.base) == (["start"], "debian-13")
    assert not job.is_whole
    assert [one.name for one in job.variants] == ["cp314/1", "cp314 again/1", "cp314t/1"]
