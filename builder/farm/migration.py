"""The checklist of an application's move, by what the wheelhouse has on record. No job is started."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from builder import index
from builder.config import DEFAULT_WHEELHOUSE, catalog
from builder.dependencies import files as dependency_files
from builder.dependencies.survey_record import read_survey
from builder.errors import ExitCode, FarmError
from builder.farm.application_files import read_lock
from builder.farm.applications import list_lock_words, list_matrix_words
from builder.farm.migration_releases import RecordedReleases, select_waiting
from builder.farm.observations import find_observation, name_command
from builder.index import channels, constraints
from builder.judge.migration.checklist import check_move
from builder.judge.migration.commands import Commands
from builder.judge.migration.facts import MoveFacts, Observation, TrialFacts
from builder.judge.migration.model import State, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from builder.config.catalog import Abi
    from builder.config.matrix import Application, Matrix
    from builder.index.promotion import Candidate
    from builder.judge.application import LockedPackage
    from builder.judge.migration.model import Checklist
    from builder.report.documents.verdicts_json import Document
    from builder.store.publications import ChannelChange
    from builder.store.store import Store

_OBSERVED_STEPS = (Step.MEASURE, Step.SOAK)


class MigrationError(FarmError):
    """There is no application to make a checklist of."""

    exit_code = ExitCode.USAGE


def check_named(
    matrix: Matrix,
    store: Store,
    document: Document | None,
    names: Sequence[str] = (),
    abis: Sequence[str] = (),
) -> tuple[Checklist, ...]:
    """Return the checklist of each named application on each named ABI.

    Args:
        matrix: has the applications.
        store: has what is on record.
        document: the verdicts of the last whole run; None where there are none.
        names: of applications; all of the matrix without any.
        abis: names of ABIs; all of the matrix without any.

    Raises:
        MigrationError: the matrix has no application, or not what is named.
        FarmError: a lock cannot be read.
    """
    _check_names(matrix, names, abis)
    farm = _Farm.open(matrix, store, document)

    checklists: list[Checklist] = []
    for name in names or matrix.applications:
        for abi in abis or matrix.abis:
            checklists.append(check_move(farm.gather(name, catalog.load().abis[abi])))

    return tuple(checklists)


def check_for_report(matrix: Matrix, store: Store, document: Document) -> tuple[Checklist, ...]:
    """Return the checklists of all applications, but for those whose lock cannot be read: their verdict says so."""
    farm = _Farm.open(matrix, store, document)
    checklists: list[Checklist] = []
    for name in matrix.applications:
        for abi in matrix.abis:
            try:
                facts = farm.gather(name, catalog.load().abis[abi])
            except FarmError:
                continue
            checklists.append(check_move(facts))

    return tuple(checklists)


def exit_code(checklists: Iterable[Checklist]) -> ExitCode:
    """Return the exit code for some checklists: a step that failed, then one that is not done, then success."""
    states: set[State] = set()
    for checklist in checklists:
        states.update(result.state for result in checklist.results)

    if State.FAILED in states:
        return ExitCode.FAULTS
    return ExitCode.ADMISSIBLE if states <= {State.DONE} else ExitCode.UNDETERMINED


def _check_names(matrix: Matrix, names: Sequence[str], abis: Sequence[str]) -> None:
    """Go on where the matrix has what is named.

    Raises:
        MigrationError: it has not.
    """
    if not matrix.applications:
        raise MigrationError(
            f"{matrix.file} has no applications; name one as [applications.NAME] "
            'with `lock = "uv.lock"` (docs/applications.md)'
        )

    for name in names:
        if name not in matrix.applications:
            known = ", ".join(matrix.applications)
            raise MigrationError(f"{matrix.file} has no application {name!r}; it has {known}")
    for abi in abis:
        if abi not in matrix.abis:
            known = ", ".join(matrix.abis)
            raise MigrationError(f"{matrix.file} has no ABI {abi!r}; it has {known}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Farm:
    """What checklists are made from.

    Attributes:
        document: the verdicts of the last whole run; None where there are none.
        is_run_damaged: whether there is a file of verdicts that cannot be read.
        releases: what is on record of packages.
        candidates: everything that waits in `canary/`.
        has_canary: whether the index has the channel.
        changes: promotions and rollbacks, the newest first.
    """

    matrix: Matrix
    store: Store
    document: Document | None
    is_run_damaged: bool
    releases: RecordedReleases
    candidates: Sequence[Candidate]
    has_canary: bool
    changes: Sequence[ChannelChange]

    @classmethod
    def open(cls, matrix: Matrix, store: Store, document: Document | None) -> _Farm:
        """Return a farm with what it has on record."""
        manifests = index.current_manifests(store)
        has_canary = index.CANARY_CHANNEL in manifests
        can_promote = matrix.rollout is not None and has_canary
        has_file = (store.wheelhouse / "verdicts.json").exists()

        return cls(
            matrix=matrix,
            store=store,
            document=document,
            is_run_damaged=document is None and has_file,
            releases=RecordedReleases.open(matrix, document, manifests),
            candidates=channels.list_pending(store, matrix) if can_promote else (),
            has_canary=has_canary,
            changes=store.publications.channel_changes(),
        )

    def gather(self, name: str, abi: Abi) -> MoveFacts:
        """Return all that is on record of an application on an ABI.

        Raises:
            FarmError: its lock cannot be read.
        """
        application = self.matrix.applications[name]
        locked = read_lock(self.matrix, application, abi)
        survey = read_survey(
            self.store, dependency_files.find_file(self.matrix.root / application.lock)
        )
        releases = [self.releases.describe(package, abi, survey) for package in locked]

        return MoveFacts(
            application=name,
            abi=abi.name,
            releases=tuple(releases),
            bases=application.bases or self.matrix.bases,
            commands=self._make_commands(name, application),
            surveyed_at="" if survey is None else survey.at,
            judged_at="" if self.document is None else self.document.generated_at,
            is_run_damaged=self.is_run_damaged,
            trials=dict(self._find_trials(name, abi)),
            tried_lock=constraints.read_application(name, abi.name, self.store.wheelhouse),
            observations=dict(self._find_observations(name, abi)),
            has_rollout=self.matrix.rollout is not None,
            has_canary=self.has_canary,
            waiting=tuple(select_waiting(self.candidates, locked, abi)),
            last_promotion=self._describe_last_promotion(locked),
        )

    def _make_commands(self, name: str, application: Application) -> Commands:
        measuring = {step: name_command(step, name) for step in _OBSERVED_STEPS}
        return Commands(
            application=name,
            lock=tuple(list_lock_words(self.matrix, application)),
            matrix=tuple(list_matrix_words(self.matrix)),
            wheelhouse=tuple(_list_wheelhouse_words(self.store.wheelhouse)),
            measuring=measuring,
        )

    def _find_trials(self, name: str, abi: Abi) -> Iterator[tuple[str, TrialFacts]]:
        """Yield what the last whole run said of an application on an ABI, by base."""
        for part in () if self.document is None else self.document.applications:
            if part.name == name and part.abi == abi.name:
                trial = TrialFacts(
                    verdict=part.verdict,
                    reason=part.reason,
                    risks=len(part.risks),
                    way_out=part.way_out,
                )
                yield part.base, trial

    def _find_observations(self, name: str, abi: Abi) -> Iterator[tuple[Step, Observation]]:
        for step in _OBSERVED_STEPS:
            observation = find_observation(self.store, step, name, abi.name)
            if observation is not None:
                yield step, observation

    def _describe_last_promotion(self, locked: Iterable[LockedPackage]) -> str:
        """Return the newest promotion of something that is locked, in a sentence; empty where there was none."""
        releases = {(package.name, Version(package.version)) for package in locked}
        for change in self.changes:
            if change.kind != "promotion":
                continue
            moved = {(part["project"], Version(part["version"])) for part in change.releases}
            if moved.isdisjoint(releases):
                continue

            moment = datetime.datetime.fromtimestamp(change.at, datetime.UTC)
            why = f": {change.reason}" if change.reason else ""
            return f"the last promotion was by {change.by} at {moment:%Y-%m-%d %H:%M UTC}{why}"

        return ""


def _list_wheelhouse_words(wheelhouse: Path) -> list[str]:
    """Return the option that names a wheelhouse to a command, from this folder; none for the default one."""
    here = Path.cwd()
    if wheelhouse.resolve() == (here / DEFAULT_WHEELHOUSE).resolve():
        return []
    return ["--wheelhouse", os.path.relpath(wheelhouse, here)]
