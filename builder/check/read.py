"""Judge wheels built elsewhere by reading them, by the rules of a run. What loads them is in builder/check/load.py.

The files are read by builder/inside/audit/ in a process of its own with a limit on memory and time, since they may
come from anywhere.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from builder import ROOT
from builder.config import catalog
from builder.distributions import abi3audit
from builder.distributions.tags import accepts_wheel, glibc_floors
from builder.errors import ExitCode, FarmError
from builder.evidence.audit import AuditAnswer
from builder.evidence.base import MalformedFactsError
from builder.judge import interfaces
from builder.judge.findings import Finding
from builder.judge.wheel import floors, rules, thread_signs
from builder.judge.wheel.subject import Subject
from builder.untrusted.interpreter import ProcessLimits, TimeLimitError, run_confined
from builder.verdicts import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.version import Version

    from builder.config.catalog import Base
    from builder.evidence.audit import WheelFacts
    from builder.evidence.load import AbiLoad
    from builder.judge.threads.coverage import ThreadCoverage
    from builder.sources.client import Index
    from builder.sources.index_file import IndexFile
    from builder.store.store import Store

_LIMITS = ProcessLimits(memory_bytes=2 << 30, cpu_s=120, file_bytes=8 << 30, wall_s=120)
"""For reading a wheel: a bound on hostile files, chosen well above what large wheels take; not measured. Files are
members of the wheel that are too large for the memory."""


class _UnreadableWheelError(Exception):
    """A wheel could not be read; the text says why."""


class NoWheelError(FarmError):
    """An argument of `check` is no wheel, or the index has none."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadResult:
    """The result of loading a wheel on one base with one interpreter."""

    abi: str
    base: str
    facts: AbiLoad


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedLoad:
    """A base and an interpreter that a wheel claims to support, on which it was not loaded, and why."""

    abi: str
    base: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadTrial:
    """What came of putting a wheel under threads.

    Attributes:
        abi: the free-threaded interpreter; empty where it was not tried.
        base: where it was tried; empty where it was not.
        coverage: how much of its native code threads called; None without a result.
        reason: why there is no result; empty where there is one.
    """

    abi: str = ""
    base: str = ""
    coverage: ThreadCoverage | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedWheel:
    """A wheel with the findings about it.

    Attributes:
        path: the wheel file.
        facts: what reading the file showed; None if it could not be read.
        findings: the findings, the worst first.
        floors: the newest symbol version needed, (version, symbol, object), by family such as `GLIBC`.
        abis: the farm's interpreters that accept the wheel.
        bases: the bases that it claims to run on.
        loaded: results of loading it; empty if it was only read.
        not_loaded: claimed bases and interpreters on which it was not loaded.
        threads: what came of putting it under threads; None where that was not asked for.
    """

    path: Path
    facts: WheelFacts | None
    findings: tuple[Finding, ...]
    floors: Mapping[str, tuple[str, str, str]]
    abis: tuple[str, ...]
    bases: tuple[str, ...]
    loaded: tuple[LoadResult, ...] = ()
    not_loaded: tuple[SkippedLoad, ...] = ()
    threads: ThreadTrial | None = None

    @property
    def filename(self) -> str:
        """The wheel's name."""
        return self.path.name

    @property
    def severity(self) -> Severity | None:
        """The severity of the worst finding; None if there is no finding."""
        if not self.findings:
            return None
        return self.findings[0].severity


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings sorted by severity, the worst first, and by code within one severity."""
    return tuple(sorted(findings, key=_finding_order))


def _finding_order(finding: Finding) -> tuple[int, str]:
    return -finding.severity.rank, finding.code


def check_wheel(
    path: Path, bases: Sequence[Base] | None = None, *, static: bool = True
) -> CheckedWheel:
    """Read a wheel file and judge it by the rules of a run, without loading it.

    A file that cannot be read, or whose name is malformed, comes back with the finding that says so.

    Args:
        path: the wheel file. Nothing of it is unpacked to disk.
        bases: the bases it is meant to run on; all enabled ones by default.
        static: whether reading the file is all; otherwise a wheel of the stable ABI is also checked by abi3audit.

    Raises:
        NoWheelError: there is no such file.
    """
    if not path.is_file():
        raise NoWheelError(
            f"{path}: there is no such file. `check` takes wheel files, or NAME==VERSION with --upstream."
        )

    try:
        facts = _read_facts(path)
    except _UnreadableWheelError as error:
        return _make_unjudged_wheel(
            path, None, Finding(code="WF306", detail=str(error), where=path.name)
        )
    needs_abi3audit = not static and not facts.faults
    if needs_abi3audit and abi3audit.claims_stable_abi(path.name):
        objections = abi3audit.run_abi3audit(path, path.name)
        facts = facts.model_copy(update={"abi3audit": tuple(objections)})

    enabled_bases = [base for base in catalog.load().bases.values() if base.enabled]
    wanted_bases = tuple(bases or enabled_bases)
    try:
        subject = Subject.from_filename(path.name, facts, wanted_bases, interfaces.load())
    except InvalidWheelFilename as error:
        return _make_unjudged_wheel(
            path, facts, Finding(code="WF305", detail=str(error), where=path.name)
        )

    return CheckedWheel(
        path=path,
        facts=facts,
        findings=sort_findings(rules.judge_subject(subject)),
        floors=floors.newest_needed(subject),
        abis=subject.abis,
        bases=tuple(base.name for base in subject.bases),
    )


def _make_unjudged_wheel(path: Path, facts: WheelFacts | None, finding: Finding) -> CheckedWheel:
    """Return a file that cannot be judged as a checked wheel with one finding, which says why."""
    return CheckedWheel(path=path, facts=facts, findings=(finding,), floors={}, abis=(), bases=())


@dataclass(frozen=True, kw_only=True, slots=True)
class _ReadWheel:
    """A wheel that could be read, with what its file name says."""

    name: str
    version: Version
    facts: WheelFacts
    wheel: CheckedWheel


def add_thread_changes(checked: Sequence[CheckedWheel]) -> tuple[CheckedWheel, ...]:
    """Add to each wheel a finding about what changed for threads since the newest older release.

    The older release has to be among the checked wheels, with a wheel for the same ABIs; otherwise nothing is added.
    Wheels that could not be read, or that no interpreter of the farm accepts, are not compared.
    """
    releases: list[_ReadWheel] = []
    for wheel in checked:
        if wheel.facts is None or not wheel.abis:
            continue
        name, version, _, _ = parse_wheel_filename(wheel.filename)
        releases.append(_ReadWheel(name=name, version=version, facts=wheel.facts, wheel=wheel))

    changes = {release.wheel.path: _find_change(release, releases) for release in releases}
    completed: list[CheckedWheel] = []
    for wheel in checked:
        change = changes.get(wheel.path)
        if change is None:
            completed.append(wheel)
        else:
            findings = sort_findings([*wheel.findings, change])
            completed.append(replace(wheel, findings=findings))

    return tuple(completed)


def _find_change(release: _ReadWheel, releases: Iterable[_ReadWheel]) -> Finding | None:
    """Return a finding about what changed for threads since the newest older release.

    None means that no older release for the same ABIs is among the wheels, or that nothing changed.

    Args:
        release: the wheel to compare.
        releases: all wheels to compare it with; it may be among them.
    """
    older_releases: list[_ReadWheel] = []
    for other in releases:
        is_same_kind = other.name == release.name and other.wheel.abis == release.wheel.abis
        if is_same_kind and other.version < release.version:
            older_releases.append(other)
    if not older_releases:
        return None

    previous = max(older_releases, key=lambda other: other.version)
    changes = thread_signs.describe_changes(previous.facts, release.facts)
    description = "; ".join(changes)
    if not description:
        return None

    filename = release.wheel.filename
    return Finding(
        code="WF620", detail=f"since {previous.version} it {description}", where=filename
    )


def worst_exit_code(checked: Iterable[CheckedWheel]) -> ExitCode:
    """Return the exit code for all findings: 1 if there is an error, 6 if there are only warnings, otherwise 0."""
    severities = {wheel.severity for wheel in checked}
    if Severity.ERROR in severities:
        return ExitCode.FAULTS
    if Severity.WARNING in severities:
        return ExitCode.WARNINGS
    return ExitCode.ADMISSIBLE


def _read_facts(path: Path) -> WheelFacts:
    """Return the facts about a wheel, read in a process of its own with limits on memory and time.

    The file may come from anywhere, so reading it may fail in any way.

    Raises:
        _UnreadableWheelError: reading takes too long or too much memory, or the reader failed.
    """
    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as scratch:
        output = Path(scratch) / "facts.json"
        arguments = [str(output), "--no-auditwheel", str(path.absolute())]
        try:
            # As in a container, where nothing else of the farm is there, and without installed packages.
            ended = run_confined("inside.audit", arguments, Path(scratch), _LIMITS, only=ROOT)
        except TimeLimitError as error:
            raise _UnreadableWheelError(f"reading {error}") from None  # the message has the cause

        if ended.exit_code or not output.exists():
            lines = ended.errors.strip().splitlines()
            reason = lines[-1] if lines else f"exit code {ended.exit_code}"
            limit_mib = _LIMITS.memory_bytes >> 20
            raise _UnreadableWheelError(f"reading it failed: {reason} (it may use {limit_mib} MiB)")

        try:
            return AuditAnswer.parse(output.read_bytes()).wheels[path.name]
        except (MalformedFactsError, KeyError) as error:
            raise _UnreadableWheelError(
                f"reading it failed: {error}"
            ) from None  # the message has the cause


def download_upstream_wheels(requirement: str, folder: Path, store: Store) -> list[Path]:
    """Download a release's wheels that the farm's interpreters accept on manylinux x86-64, and return their paths.

    Args:
        requirement: the release, as `NAME==VERSION`.
        folder: takes a link to each wheel, under the wheel's own name.
        store: takes the content of the wheels.

    Raises:
        NoWheelError: the text is not NAME==VERSION, or the index has no such wheel or does not answer.
    """
    from builder.host import settings as host
    from builder.sources.client import Index
    from builder.sources.errors import ANSWER_ERRORS

    name, _, version = requirement.partition("==")
    if not re.fullmatch(r"[\w.-]+", name) or not version:
        raise NoWheelError(f"{requirement}: --upstream takes NAME==VERSION")

    index = Index(host.index_settings(), store)
    wheels: list[Path] = []
    try:
        for file in _find_release_wheels(index, name, version):
            if _is_for_farm(file.filename):
                link = folder / file.filename
                link.symlink_to(store.file(index.download(file)))
                wheels.append(link)
    except ANSWER_ERRORS as error:
        raise NoWheelError(f"{requirement}: {error}") from None  # the message has the cause
    if not wheels:
        raise NoWheelError(
            f"{requirement}: the index has no wheel of it for CPython 3.14 or 3.14t on manylinux x86-64"
        )

    return wheels


def _find_release_wheels(index: Index, name: str, version: str) -> Sequence[IndexFile]:
    """Return all wheels of a release; none if the index does not have the package or the release."""
    for release in index.releases(str(canonicalize_name(name))) or ():
        if str(release.version) == version:
            return release.wheels

    return ()


def _is_for_farm(filename: str) -> bool:
    """Return whether an interpreter of the farm accepts a wheel, and its platform tag states a glibc version.

    A file with a malformed name is not for the farm.
    """
    try:
        names_glibc = bool(glibc_floors(filename))
    except InvalidWheelFilename:
        return False

    return names_glibc and any(accepts_wheel(filename, abi) for abi in catalog.load().abis)
