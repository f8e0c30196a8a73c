"""What ran on each base: imports of packages, trials of the application, and with which interpreter. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from builder.judge.bases import BaseOutcome
from builder.judge.parity.model import NOT_RECORDED, NOTHING, Row, Topic, Weight, weigh
from builder.verdicts import ApplicationVerdict, Severity
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.config.catalog import Abi
    from builder.evidence.application import ApplicationFacts, CommandRun, Imports
    from builder.judge.parity.subject import Comparison, Trial

_MOST_NAMED = 5
"""Modules or messages that a value names: the job's log has all."""


def compare_imports(comparison: Comparison) -> Iterator[Row]:
    """Yield a row for each package with native modules: whether they can be imported on each base."""
    for package in comparison.packages:
        if not package.outcomes:
            continue

        outcomes = {base.name: package.outcomes.get(base.name) for base in comparison.bases}
        values = {
            base: NOT_RECORDED if outcome is None else outcome.value.replace("-", " ")
            for base, outcome in outcomes.items()
        }
        yield Row(
            topic=Topic.IMPORT,
            name=package.name,
            values=values,
            weight=_weigh_outcomes(outcomes, values),
            abis=(package.abi.name,),
        )


def _weigh_outcomes(
    outcomes: Mapping[str, BaseOutcome | None], values: Mapping[str, str]
) -> Weight:
    found = set(outcomes.values())
    if BaseOutcome.IMPORTS in found and found - {
        BaseOutcome.IMPORTS,
        BaseOutcome.UNDETERMINED,
        None,
    }:
        return Weight.BREAKS
    if BaseOutcome.UNDETERMINED in found:
        return Weight.UNDETERMINED
    return weigh(values)


def compare_findings(comparison: Comparison) -> Iterator[Row]:
    """Yield a row for each finding that holds for some bases and not for others, with what to do there."""
    names = [base.name for base in comparison.bases]
    for package in comparison.packages:
        for finding in package.findings:
            values = {name: finding.remedy if name in finding.bases else NOTHING for name in names}
            if NOTHING not in values.values():
                continue

            is_error = finding.severity is Severity.ERROR
            yield Row(
                topic=Topic.FINDING,
                name=f"{package.name}: {finding.title}",
                values=values,
                weight=Weight.BREAKS if is_error else Weight.DIFFERS,
                abis=(package.abi.name,),
            )


def compare_interpreters(comparison: Comparison) -> Iterator[Row]:
    """Yield for each ABI the interpreter that loaded its wheels on each base."""
    for abi in comparison.abis:
        values: dict[str, str] = {}
        for base in comparison.bases:
            versions: set[str] = set()
            for package in comparison.packages:
                load = package.loads.get(base.name)
                if package.abi.name == abi.name and load is not None and load.python_version:
                    versions.add(load.python_version)
            values[base.name] = _describe_interpreter(versions, abi)

        yield Row(
            topic=Topic.INTERPRETER,
            name=f"CPython for {abi.name}",
            values=values,
            weight=weigh(values),
            detail="the farm compiles each interpreter once, and all bases have that build",
        )


def _describe_interpreter(versions: set[str], abi: Abi) -> str:
    """Return the versions that were seen, with the options of the build: `3.14.5 (--disable-gil)`."""
    if not versions:
        return NOT_RECORDED

    options = f" ({' '.join(abi.configure)})" if abi.configure else ""
    return ", ".join(sorted(versions)) + options


# --- trials -----------------------------------------------------------------------------------------------------------


def compare_trials(comparison: Comparison) -> Iterator[Row]:
    """Yield for each ABI the application's answer on each base, then what each step of trying it showed."""
    for abi in comparison.abis:
        trials = {
            base.name: comparison.trials.get((abi.name, base.name)) for base in comparison.bases
        }
        if any(trials.values()):
            yield _compare_verdicts(comparison.application, abi, trials)
            yield from _compare_steps(comparison.application, abi, trials)


def _compare_verdicts(name: str, abi: Abi, trials: Mapping[str, Trial | None]) -> Row:
    verdicts = {base: trial.verdict if trial else None for base, trial in trials.items()}
    values = {
        base: verdict.value if verdict else NOT_RECORDED for base, verdict in verdicts.items()
    }
    found = set(verdicts.values())

    weight = weigh(values)
    runs_somewhere = found & {ApplicationVerdict.READY, ApplicationVerdict.READY_WITH_RISKS}
    if ApplicationVerdict.BLOCKED in found and runs_somewhere:
        weight = Weight.BREAKS
    elif ApplicationVerdict.UNDETERMINED in found:
        weight = Weight.UNDETERMINED

    return Row(topic=Topic.TRIAL, name=name, values=values, weight=weight, abis=(abi.name,))


class _Step(NamedTuple):
    """A step of a trial: what it showed, and whether that is as it should be; None where that is not judged."""

    name: str
    value: str
    is_well: bool | None


def _compare_steps(name: str, abi: Abi, trials: Mapping[str, Trial | None]) -> Iterator[Row]:
    """Yield a row for each step that was tried on some base; bases where it was not say so."""
    steps: dict[str, dict[str, _Step]] = {}
    for base, trial in trials.items():
        if trial is not None:
            for step in _list_steps(trial):
                steps.setdefault(step.name, {})[base] = step

    for step_name, found in steps.items():
        values = {base: found[base].value if base in found else NOT_RECORDED for base in trials}
        breaks = {step.is_well for step in found.values()} == {True, False}
        yield Row(
            topic=Topic.TRIAL,
            name=f"{name}: {step_name}",
            values=values,
            weight=Weight.BREAKS if breaks else weigh(values),
            abis=(abi.name,),
        )


def _list_steps(trial: Trial) -> Iterator[_Step]:
    """Yield each step of a trial; none where it was not tried."""
    if trial.facts is not None:
        yield from _list_tried_steps(trial.facts)
    if trial.threads:
        yield _Step("native calls by several threads", trial.threads, None)


def _list_tried_steps(facts: ApplicationFacts) -> Iterator[_Step]:
    yield _Step("installing", facts.install or "all of it", facts.install is None)
    if facts.install is not None:
        return

    unmet = join_names(list(facts.unmet), _MOST_NAMED)
    yield _Step("requirements that are not met", unmet or "none", not unmet)
    if facts.imports is not None:
        failures = _list_failures(facts.imports)
        failed = join_names(failures, _MOST_NAMED)
        yield _Step("modules that cannot be imported", failed or "none", not failed)

    runs = facts.smoke if facts.tests is None else (*facts.smoke, facts.tests)
    for run in runs:
        yield _Step(f"`{run.command}`", _describe_run(run), run.exit_code == 0)


def _list_failures(imports: Imports) -> list[str]:
    """Return how the process ended that imports everything, if too early, then each module that failed."""
    ended = imports.signal or imports.hang or imports.fault
    failures = [] if ended is None else [ended]
    for failure in imports.failed:
        failures.append(f"{failure.module} ({failure.error})")

    return failures


def _describe_run(run: CommandRun) -> str:
    if run.exit_code is None:
        return "does not end in time"
    return f"ends with exit code {run.exit_code}"
