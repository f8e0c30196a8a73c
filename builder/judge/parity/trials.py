"""What ran on each base: imports of packages, trials of the application, and with which interpreter. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.judge.bases import BaseOutcome
from builder.judge.parity.model import NOT_RECORDED, NOTHING, Row, Topic, Weight, weigh
from builder.verdicts import ApplicationVerdict, Severity
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.config.catalog import Abi
    from builder.evidence.application import ApplicationFacts, CommandRun
    from builder.judge.parity.subject import Comparison, Trial

_MOST_NAMED = 5
"""Modules or messages that a value names: the job's log has all."""

_WELL = "ends with exit code 0"


def compare_imports(comparison: Comparison) -> Iterator[Row]:
    """Yield a row for each package with native modules: whether they can be imported on each base."""
    for package in comparison.packages:
        if not package.outcomes:
            continue

        outcomes = {
            base.name: package.outcomes.get(base.name)
            for base in comparison.bases
        }  # fmt: skip
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
            base.name: comparison.trials.get((abi.name, base.name))
            for base in comparison.bases
        }  # fmt: skip
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


def _compare_steps(name: str, abi: Abi, trials: Mapping[str, Trial | None]) -> Iterator[Row]:
    """Yield a row for each step that some base was tried with; bases where it was not tried say so."""
    steps: dict[str, dict[str, str]] = {}
    for base, trial in trials.items():
        facts = None if trial is None else trial.facts
        if facts is not None:
            for step, value in _list_steps(facts):
                steps.setdefault(step, {})[base] = value
        if trial is not None and trial.threads:
            steps.setdefault("native calls by several threads", {})[base] = trial.threads

    for step, found in steps.items():
        values = {base: found.get(base, NOT_RECORDED) for base in trials}
        well = {value in {_WELL, "all of it", "nothing"} for value in found.values()}
        is_judged = step != "native calls by several threads"
        breaks = is_judged and len(well) > 1
        yield Row(
            topic=Topic.TRIAL,
            name=f"{name}: {step}",
            values=values,
            weight=Weight.BREAKS if breaks else weigh(values),
            abis=(abi.name,),
        )


def _list_steps(facts: ApplicationFacts) -> Iterator[tuple[str, str]]:
    """Yield each step of a trial with what it showed."""
    yield "installing", facts.install or "all of it"
    if facts.install is not None:
        return

    unmet = join_names(list(facts.unmet), _MOST_NAMED)
    yield "requirements that are not met", unmet or "nothing"
    if facts.imports is not None:
        failed = [f"{failure.module} ({failure.error})" for failure in facts.imports.failed]
        ended = facts.imports.signal or facts.imports.hang or facts.imports.fault
        if ended:
            failed.insert(0, ended)
        yield "modules that cannot be imported", join_names(failed, _MOST_NAMED) or "nothing"
    for run in facts.smoke:
        yield f"`{run.command}`", _describe_run(run)
    if facts.tests is not None:
        yield f"`{facts.tests.command}`", _describe_run(facts.tests)


def _describe_run(run: CommandRun) -> str:
    if run.exit_code is None:
        return "does not end in time"
    return f"ends with exit code {run.exit_code}"
