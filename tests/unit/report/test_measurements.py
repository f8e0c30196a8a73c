"""What was measured: the page of the report, and the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder.evidence.measurement import MeasurementFacts
from builder.judge.measurements.application import judge_with_history
from builder.report.amounts import show_amount, show_change
from builder.report.documents.measurements import MeasureDocument, make_measure_document
from builder.report.history import History
from builder.report.site import plots, site
from builder.report.terminal.measurements import print_measurements
from tests.unit.documents import HOSTILE, document
from tests.unit.measurement_samples import canary_facts, facts, readings
from tests.unit.report.pages import print_narrow, render_pages

SLOWER = {"cp313/1": {}, "cp314/1": {"p99": 1.12, "p50": 0.85}}
BEFORE = facts(readings({"cp313/1": {}, "cp314/1": {}}), moment="2026-11-20T10:00:00+00:00")
AFTER = facts(readings(SLOWER, seed=8), lacking={"cp314t": f"foo 1.0 has no wheel {HOSTILE}"})


def made(*history: MeasurementFacts) -> MeasureDocument:
    record = history[-2] if len(history) > 1 else None
    judged = judge_with_history("shop", "debian-12", history, record)
    return make_measure_document([judged], {})


def render(measurements: MeasureDocument | None) -> dict[str, str]:
    return render_pages(measurements=measurements)


def show(measurements: MeasureDocument) -> str:
    return print_narrow(print_measurements, measurements)


def test_a_document_has_every_metric_with_its_threshold_change_and_trend():
    (part,) = made(BEFORE, AFTER).measurements
    assert (part.title, part.earlier) == ("shop on debian-12: interpreters", BEFORE.moment)
    baseline, variant = part.scenarios[0].variants
    assert all(metric.comparison is None for metric in baseline.metrics)
    p99 = variant.metrics[1]
    assert (p99.name, p99.threshold, len(p99.trend)) == ("p99", "5%", 2)
    assert p99.comparison is not None
    assert p99.change is not None
    assert (p99.comparison.answer.value, p99.change.answer.value) == ("worse", "worse")
    assert (variant.list_metrics("worse"), variant.list_metrics("better")) == (["p99"], ["p50"])


def test_releases_that_wait_are_named():
    pending = canary_facts(readings({"cp314/1": {}, "cp314 canary/1": {}}), hashes=("a",))
    (part,) = made(pending).measurements
    assert (part.channel, part.releases) == ("canary", ["foo==2.0"])
    assert (
        "What waits in canary beside what simple has: foo==2.0"
        in render(made(pending))["measurements.html"]
    )


def test_the_page_has_a_plot_for_each_interval_and_each_trend():
    page = render(made(BEFORE, AFTER))["measurements.html"]
    assert page.count("<circle cx=") == 3
    assert page.count('<polyline class="trend"') == 6
    assert "worse: p99; better: p50" in page
    assert "Not measured with cp314t: foo 1.0 has no wheel" in page
    assert "<script>alert" not in page
    assert "http" not in re.sub(r"<meta [^>]*>", "", page)


def test_without_earlier_measurements_there_is_no_trend():
    assert "<polyline" not in render(made(AFTER))["measurements.html"]


def test_the_overview_leads_to_the_page_where_there_is_one(tmp_path: Path):
    assert 'href="measurements.html"' in render(made(AFTER))["index.html"]
    assert 'href="measurements.html"' not in render(None)["index.html"]
    site.write_measurements(made(AFTER), tmp_path)
    assert (tmp_path / "measurements.html").exists()
    assert (tmp_path / "report.css").exists()
    data = site.SiteData(
        document=document({}), history=History(runs={"r1": {}}), run="r1", runs={}, logs={}
    )
    site.write_site(data, tmp_path)
    assert not (tmp_path / "measurements.html").exists()


def test_the_table_is_whole_in_a_pipe_and_says_what_is_worse():
    printed = show(made(BEFORE, AFTER))
    (row,) = [line for line in printed.splitlines() if line.startswith("cp314/1")]
    assert re.fullmatch(r"cp314/1 +-1[45] % better +\+1\d % worse +[+-]0\.\d % same", row.rstrip())
    assert "worse: list: 99th percentile of the latency of cp314/1 is 22." in printed
    assert "threshold 5%)" in printed
    assert f"since {BEFORE.moment}: list: 99th percentile" in printed
    assert "not measured with cp314t: foo 1.0" in printed


def test_what_is_not_measurable_is_said_with_the_reason():
    few = facts(readings(SLOWER, rounds=3, failures={"cp314/1": "exit code 1"}))
    printed = show(made(few))
    assert "list: not measurable here, too few rounds: p50 of cp314/1, p99 of cp314/1" in printed
    assert "list: a reading of cp314/1 failed: exit code 1" in printed
    assert "shop was not measured: no lock" in show(make_measure_document([], {"shop": "no lock"}))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"),
        (1.5, "s", "1.5 s"),
        (2e-7, "s", "200 ns"),
        (0.0, "s", "0 s"),
        (50_442_240.0, "B", "48.1 MiB"),
        (12.0, "B", "12 B"),
        (812.4, "1/s", "812 /s"),
        (12345.6, "1/s", "12346 /s"),
    ],
)
def test_an_amount_has_three_digits_and_a_unit(value: float, unit: str, text: str):
    assert show_amount(value, unit) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(1.081, "+8.1 %"), (0.88, "-12 %"), (1.0, "+0.0 %"), (2.4, "2.4 times")]
)
def test_a_ratio_is_shown_as_a_change(ratio: float, text: str):
    assert show_change(ratio) == text


def test_plots_of_a_scenario_have_one_scale_and_stay_inside():
    scenario = (
        made(facts(readings({"cp313/1": {}, "cp314/1": {"p50": 40.0}})))
        .measurements[0]
        .scenarios[0]
    )
    reach = plots.find_reach(scenario)
    metrics = {metric.name: metric for metric in scenario.variants[1].metrics}
    large = plots.plot_interval(metrics["p50"], reach)
    small = plots.plot_interval(metrics["cpu"], reach)
    assert large is not None
    assert small is not None
    assert large.point == large.line[1] == plots.WIDTH - 4
    assert small.point == pytest.approx(plots.WIDTH / 2, abs=1)
    assert plots.plot_interval(scenario.variants[0].metrics[0], reach) is None


def test_the_bottom_of_a_trend_is_half_of_its_largest_value():
    assert plots.plot_trend([1.0]) == ""
    assert plots.plot_trend([0.0, 0.0]) == "4.0,16.0 156.0,16.0"
    assert plots.plot_trend([0.5, 1.0, 1.5, 2.0]) == "4.0,16.0 54.7,16.0 105.3,9.0 156.0,2.0"
