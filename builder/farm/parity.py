"""What differs between the bases of an application, or of the whole matrix, by what the last whole run recorded.

No job is started: what was not recorded is not known, and is said to be so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from builder import index
from builder.config import catalog
from builder.errors import ExitCode, FarmError
from builder.farm.application_files import read_lock
from builder.farm.parity_evidence import RecordedEvidence
from builder.judge import interfaces
from builder.judge.application import LockedPackage
from builder.judge.parity.compare import compare_bases
from builder.judge.parity.model import Weight
from builder.judge.parity.subject import (
    BaseFinding,
    ComparedPackage,
    Comparison,
    SystemPackages,
    Trial,
    is_about_bases,
)
from builder.judge.parity.wheels import choose_wheel, rank_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.tags import Tag

    from builder.config.catalog import Abi, Base
    from builder.config.matrix import Application, Matrix, Package
    from builder.index import Manifest
    from builder.judge.parity.model import Parity
    from builder.report.documents.packages import PackagePart
    from builder.report.documents.verdicts_json import Document
    from builder.store.store import Store

_FEWEST_BASES = 2
"""Fewer cannot be compared."""

_INTERPRETER = "the interpreter"
_APPLICATION = "the application"
"""Who needs a system package that no package of the lock needs."""


class ParityError(FarmError):
    """There is nothing to compare: no whole run, no such application, or one base alone."""

    exit_code = ExitCode.USAGE


def compare_named(
    matrix: Matrix, store: Store, document: Document | None, names: Sequence[str]
) -> tuple[Parity, ...]:
    """Compare the bases of each named application, or of the whole matrix where none is named.

    Args:
        matrix: has the applications, and what system packages they and their packages need.
        store: has the evidence of the last whole run.
        document: the verdicts of that run; None where there was none.
        names: of applications.

    Raises:
        ParityError: there is nothing to compare.
        FarmError: a lock cannot be read.
    """
    if document is None:
        raise ParityError(
            f"{store.wheelhouse / 'verdicts.json'} has no verdicts of a whole run; start `wheelfarm run`"
        )
    unknown = [name for name in names if name not in matrix.applications]
    if unknown:
        known = ", ".join(matrix.applications) or "none"
        raise ParityError(f"{matrix.file} has no application {unknown[0]!r}; it has {known}")

    farm = _Farm.open(matrix, store, document)
    parities: list[Parity] = []
    for name in names or ("",):
        bases = farm.find_bases(name)
        if len(bases) < _FEWEST_BASES:
            what = f"the application {name!r}" if name else "the matrix"
            raise ParityError(
                f"{what} has one base, {bases[0].name}; name two in `bases` of {matrix.file}"
            )
        parities.append(compare_bases(farm.gather(name, bases)))

    return tuple(parities)


def compare_for_report(matrix: Matrix, store: Store, document: Document) -> tuple[Parity, ...]:
    """Compare the bases of every application, or of the whole matrix where it has none.

    What has one base alone, and an application whose lock cannot be read, are left out.
    """
    farm = _Farm.open(matrix, store, document)
    parities: list[Parity] = []
    for name in matrix.applications or ("",):
        bases = farm.find_bases(name)
        if len(bases) < _FEWEST_BASES:
            continue
        try:
            comparison = farm.gather(name, bases)
        except FarmError:
            continue  # what is wrong with the lock is the application's verdict
        parities.append(compare_bases(comparison))

    return tuple(parities)


def exit_code(parities: Iterable[Parity]) -> ExitCode:
    """Return the exit code for some comparisons: a base that lacks what another has, then what could not be told."""
    weights: set[Weight] = set()
    for parity in parities:
        weights.update(row.weight for row in parity.rows)

    if Weight.BREAKS in weights:
        return ExitCode.FAULTS
    if Weight.UNDETERMINED in weights:
        return ExitCode.UNDETERMINED
    return ExitCode.ADMISSIBLE


@dataclass(frozen=True, kw_only=True, slots=True)
class _Farm:
    """What is compared, and where it is recorded.

    Attributes:
        parts: the packages of the last whole run, by (project, version).
        ranks: the place of each tag in pip's order, by (ABI, base): they are asked for thousands of times.
    """

    matrix: Matrix
    document: Document
    served: Manifest
    recorded: RecordedEvidence
    parts: Mapping[tuple[str, Version], PackagePart]
    ranks: dict[tuple[str, str], Mapping[Tag, int]] = field(default_factory=dict)

    @classmethod
    def open(cls, matrix: Matrix, store: Store, document: Document) -> _Farm:
        """Return a farm with the state of its index and of its last whole run."""
        parts: dict[tuple[str, Version], PackagePart] = {}
        for part in document.packages:
            if part.version:
                parts[part.project or part.name, Version(part.version)] = part

        return cls(
            matrix=matrix,
            document=document,
            served=index.current_manifests(store)[index.SERVED_CHANNEL],
            recorded=RecordedEvidence(store=store, build_on=matrix.build_on),
            parts=parts,
        )

    def find_bases(self, name: str) -> tuple[Base, ...]:
        """Return the bases of an application, or of the whole matrix where the name is empty."""
        application = self.matrix.applications.get(name)
        names = (application.bases if application else ()) or self.matrix.bases
        return tuple(catalog.load().bases[base] for base in names)

    def gather(self, name: str, bases: tuple[Base, ...]) -> Comparison:
        """Return all that is known of an application, or of the whole matrix where the name is empty.

        Raises:
            FarmError: the lock of the application cannot be read.
        """
        application = self.matrix.applications.get(name)
        abis = tuple(catalog.load().abis[abi] for abi in self.matrix.abis)

        packages: list[ComparedPackage] = []
        for abi in abis:
            locked = self._list_packages(application, abi)
            packages += [self._describe_package(package, abi, bases) for package in locked]

        parts = self._find_parts(packages)
        return Comparison(
            application=name,
            bases=bases,
            abis=abis,
            packages=tuple(packages),
            system={base.name: self._describe_system(application, parts, base) for base in bases},
            interfaces=interfaces.load(),
            trials=self._find_trials(name, bases),
        )

    def _list_packages(self, application: Application | None, abi: Abi) -> list[LockedPackage]:
        """Return what is installed with an ABI: what an application locks, or all that the last run has of it."""
        if application is not None:
            return read_lock(self.matrix, application, abi)

        return [
            LockedPackage(name=project, version=str(version))
            for (project, version), part in self.parts.items()
            if abi.name in part.abis
        ]

    def _find_parts(self, packages: Iterable[ComparedPackage]) -> list[PackagePart]:
        """Return the packages of the last run that are compared, each once."""
        parts: dict[str, PackagePart] = {}
        for package in packages:
            part = self.parts.get((package.name, Version(package.version)))
            if part is not None:
                parts[part.name] = part

        return list(parts.values())

    # --- packages -----------------------------------------------------------------------------------------------------

    def _describe_package(
        self, locked: LockedPackage, abi: Abi, bases: Sequence[Base]
    ) -> ComparedPackage:
        """Return a package as each base installs it with an ABI."""
        filenames = self._list_files(locked)
        wheels = {base.name: choose_wheel(filenames, self._rank(abi, base)) for base in bases}

        part = self.parts.get((locked.name, Version(locked.version)))
        verdict = None if part is None else part.abis.get(abi.name)
        if part is None or verdict is None:
            return ComparedPackage(name=locked.name, version=locked.version, abi=abi, wheels=wheels)

        findings: list[BaseFinding] = []
        for finding in verdict.findings:
            if is_about_bases(finding.code) and finding.bases:
                findings.append(
                    BaseFinding(
                        title=f"{finding.code} {finding.title}",
                        severity=finding.severity,
                        bases=tuple(finding.bases),
                        remedy=finding.remedy,
                    )
                )

        names = [base.name for base in bases]
        return ComparedPackage(
            name=locked.name,
            version=locked.version,
            abi=abi,
            wheels=wheels,
            audits=self.recorded.read_audits(part.name, wheels.values()),
            outcomes={base: verdict.on[base] for base in names if base in verdict.on},
            loads=self.recorded.read_loads(part.name, abi.name, wheels),
            findings=tuple(findings),
        )

    def _list_files(self, locked: LockedPackage) -> list[str]:
        """Return the files that the index serves of a release."""
        version = Version(locked.version)
        entries = self.served.get(locked.name, ())
        return [
            entry.filename
            for entry in entries
            if parse_wheel_filename(entry.filename)[1] == version
        ]

    def _rank(self, abi: Abi, base: Base) -> Mapping[Tag, int]:
        place = (abi.name, base.name)
        if place not in self.ranks:
            self.ranks[place] = rank_tags(abi, base)
        return self.ranks[place]

    # --- system packages ----------------------------------------------------------------------------------------------

    def _describe_system(
        self, application: Application | None, parts: Sequence[PackagePart], base: Base
    ) -> SystemPackages:
        """Return which system packages are needed on a base, by whom, and what its images have."""
        needed: dict[str, list[str]] = {}
        for name in base.runtime:
            needed.setdefault(name, []).append(_INTERPRETER)
        own = () if application is None else application.apt_packages(base)
        for name in own:
            needed.setdefault(name, []).append(_APPLICATION)

        of_packages: set[tuple[str, ...]] = set()
        for part in parts:
            settings = self.matrix.packages.get(part.name)
            names = () if settings is None else settings.run_packages(base)
            of_packages.add(names)
            for name in names:
                needed.setdefault(name, []).append(part.name)

        # An application is tried with all of them, a package with its own.
        together = set(own).union(*of_packages)
        images = {tuple(sorted(together)), *of_packages}
        return SystemPackages(
            needed={name: tuple(needers) for name, needers in needed.items()},
            for_builds=self._list_build_packages(parts, base),
            installed=self.recorded.read_system_packages(base.name, images),
        )

    def _list_build_packages(
        self, parts: Iterable[PackagePart], base: Base
    ) -> dict[str, tuple[str, ...]] | None:
        """Return which system packages builds need on a base, and what has what they missed; None without builds."""
        if base.name not in self.matrix.build_on:
            return None

        needed: dict[str, list[str]] = {}
        for part in parts:
            settings: Package | None = self.matrix.packages.get(part.name)
            names = set(() if settings is None else settings.apt_packages(base))
            names.update(self.recorded.read_remedies(part.name, base.name))
            for name in names:
                needed.setdefault(name, []).append(part.name)

        return {name: tuple(needers) for name, needers in needed.items()}

    # --- trials -------------------------------------------------------------------------------------------------------

    def _find_trials(self, name: str, bases: Iterable[Base]) -> dict[tuple[str, str], Trial]:
        """Return what trying an application came to, by (ABI, base)."""
        names = {base.name for base in bases}
        trials: dict[tuple[str, str], Trial] = {}
        for part in self.document.applications:
            if part.name != name or part.base not in names:
                continue

            was_tried = part.log != ""
            facts = self.recorded.read_trial(name, part.abi, part.base) if was_tried else None
            trials[part.abi, part.base] = Trial(
                verdict=part.verdict, facts=facts, threads=part.threads
            )

        return trials
