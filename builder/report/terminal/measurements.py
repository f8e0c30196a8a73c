"""What `wheelfarm measure` prints: a table for each scenario, what is worse, and what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from builder.config.metrics import METRICS
from builder.judge.measurements.answers import Answer
from builder.report.amounts import show_amount, show_change
from builder.report.terminal.consoles import make_wide_console, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from builder.report.documents.measurements import (
        MeasureDocument,
        MeasurementPart,
        MetricPart,
        ScenarioPart,
    )

_STYLES = {
    Answer.WORSE: "bold red",
    Answer.BETTER: "green",
    Answer.SAME: "",
    Answer.UNKNOWN: "dim",
}
"""Styles of rich."""

_MARKS = {Answer.WORSE: "worse", Answer.BETTER: "better", Answer.SAME: "same", Answer.UNKNOWN: "?"}
"""What stands beside a change."""


def print_measurements(console: Console, document: MeasureDocument) -> None:
    """Print every measurement of a document, and why others were not made."""
    wide = make_wide_console(console)
    for part in document.measurements:
        wide.print()
        wide.print(Text(part.title, style="bold"), soft_wrap=True)
        wide.print(Text(f"  {part.measured_at}, {part.machine}", style="dim"), soft_wrap=True)
        for scenario in part.scenarios:
            wide.print()
            print_table(wide, _make_table(scenario))
        _print_rest(wide, part)

    for application, reason in document.failures.items():
        text = Text(f"{application} was not measured: {reason}", style="bold magenta")
        wide.print(text, soft_wrap=True)


def _make_table(scenario: ScenarioPart) -> Table:
    """Return a row for each variant, with a column for each metric."""
    measured: set[str] = set()
    for variant in scenario.variants:
        measured.update(metric.name for metric in variant.metrics)
    titles = [name for name in METRICS if name in measured]

    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column(scenario.name, no_wrap=True)
    for name in titles:
        table.add_column(name, no_wrap=True, justify="right")
    for variant in scenario.variants:
        cells: dict[str, Text] = {}
        for metric in variant.metrics:
            cells[metric.name] = _show_cell(metric)

        note = " (GIL on)" if variant.gil else ""
        table.add_row(Text(f"{variant.name}{note}"), *[cells.get(name, "") for name in titles])

    return table


def _show_cell(metric: MetricPart) -> Text:
    """Return the amount of a baseline, and the change of what is compared with it: `+8.1 % worse`."""
    comparison = metric.comparison
    if comparison is None:
        return Text(show_amount(metric.value, metric.unit))

    change = "" if comparison.ratio is None else f"{show_change(comparison.ratio.ratio)} "
    return Text(f"{change}{_MARKS[comparison.answer]}", style=_STYLES[comparison.answer])


def _print_rest(console: Console, part: MeasurementPart) -> None:
    """Print in sentences what is worse, what changed since an earlier measurement, and what is not known."""
    console.print()
    for sentence in _describe_worse(part):
        console.print(Text(f"  worse: {sentence}", style="bold red"), soft_wrap=True)
    for sentence in _describe_changes(part):
        console.print(Text(f"  since {part.earlier}: {sentence}"), soft_wrap=True)
    for sentence in _describe_lacks(part):
        console.print(Text(f"  {sentence}", style="dim"), soft_wrap=True)


def _describe_worse(part: MeasurementPart) -> Iterator[str]:
    """Yield what is worse than its baseline, with amounts, interval and threshold."""
    for scenario in part.scenarios:
        for variant in scenario.variants:
            for metric in variant.metrics:
                comparison = metric.comparison
                if comparison is None or comparison.answer is not Answer.WORSE:
                    continue
                assert comparison.ratio is not None, "an answer has an interval"
                interval = f"{comparison.ratio.low:.3g} to {comparison.ratio.high:.3g}"
                yield (
                    f"{scenario.name}: {metric.title} of {variant.name} is {show_amount(metric.value, metric.unit)}, "
                    f"{comparison.ratio.ratio:.3g} times that of {variant.baseline} ({interval}; threshold "
                    f"{metric.threshold})"
                )


def _describe_changes(part: MeasurementPart) -> Iterator[str]:
    """Yield what got worse or better since the earlier measurement."""
    for scenario in part.scenarios:
        for variant in scenario.variants:
            for metric in variant.metrics:
                change = metric.change
                if change is None or change.ratio is None or not change.answer.is_change:
                    continue
                yield (
                    f"{scenario.name}: {metric.title} of {variant.name} got {change.answer}, "
                    f"{change.ratio.ratio:.3g} times ({change.ratio.low:.3g} to {change.ratio.high:.3g}; by "
                    f"{change.basis})"
                )


def _describe_lacks(part: MeasurementPart) -> Iterator[str]:
    """Yield what was not measured, and what is not measurable here by reason."""
    for interpreter, reason in part.lacking.items():
        yield f"not measured with {interpreter}: {reason}"
    for scenario in part.scenarios:
        metrics_by_reason: dict[str, list[str]] = {}
        for variant in scenario.variants:
            if variant.failure:
                yield f"{scenario.name}: a reading of {variant.name} failed: {variant.failure}"
            for metric in variant.metrics:
                if metric.comparison is not None and metric.comparison.reason is not None:
                    subject = f"{metric.name} of {variant.name}"
                    reason = metric.comparison.reason.value
                    metrics_by_reason.setdefault(reason, []).append(subject)
        for reason, subjects in metrics_by_reason.items():
            yield f"{scenario.name}: {Answer.UNKNOWN}, {reason}: {', '.join(subjects)}"
