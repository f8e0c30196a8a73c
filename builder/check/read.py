"""Judge wheels built elsewhere, by the rules of a run. What reads them is here, what loads them in builder/loading.py.

The files are read by builder/inside/audit/ in a process of its own with a limit on memory and time, since they may
come from anywhere.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from builder import ROOT
from builder.config import catalog
from builder.distributions import abi3audit
from builder.errors import ExitCode, FarmError
from builder.judge import interfaces
from builder.judge.findings import Finding
from builder.judge.wheel import floors, rules, thread_signs
from builder.judge.wheel.subject import Subject
from builder.verdicts import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from builder.config.catalog import Base
    from builder.store.store import Store

_MEMORY_BYTES = 2 << 30
_TIMEOUT_S = 120
_READER_PROGRAM = (
    f"import sys; sys.path.append({str(ROOT)!r}); from inside.audit.audit import main; main()"
)
"""As in a container, where the programs are in a folder `inside` and nothing else of the farm is there."""

_SEVERITY_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


class NoWheelError(FarmError):
    """What `check` was given is no wheel, or the index has none."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadResult:
    """What loading a wheel showed.

    Attributes:
        facts: see builder/jobs/load.py.
    """

    abi: str
    base: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedLoad:
    """Where a wheel was not loaded though it claims to run there, and why."""

    abi: str
    base: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedWheel:
    """A wheel with what was found.

    Attributes:
        path: the file.
        facts: see builder/inside/audit/; empty where they could not be had.
        findings: the worst first.
        floors: by family of symbol versions the newest one needed: (version, symbol, object).
        abis: the interpreters of the farm that would take it.
        bases: the bases it claims to run on.
        loaded: what loading it showed; empty where it was only read.
        not_loaded: where that was wanted and could not be.
    """

    path: Path
    facts: Mapping[str, Any]
    findings: tuple[Finding, ...]
    floors: Mapping[str, tuple[str, str, str]]
    abis: tuple[str, ...]
    bases: tuple[str, ...]
    loaded: tuple[LoadResult, ...] = ()
    not_loaded: tuple[SkippedLoad, ...] = ()

    @property
    def filename(self) -> str:
        """The wheel's name."""
        return self.path.name

    @property
    def severity(self) -> Severity | None:
        """How bad the worst finding is."""
        return self.findings[0].kind.severity if self.findings else None


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Put findings in the order they are shown in: the worst first."""
    return tuple(sorted(findings, key=lambda one: (_SEVERITY_ORDER[one.kind.severity], one.code)))


def check_wheel(
    path: Path, bases: Sequence[Base] | None = None, *, static: bool = True
) -> CheckedWheel:
    """Judge one wheel file by reading it.

    Args:
        path: the file. Nothing is unpacked to disk.
        bases: where it is meant to run; all enabled ones by default.
        static: only read it; else abi3audit is asked too about a wheel of the stable ABI.

    Raises:
        NoWheelError: there is no such file.
    """
    if not path.is_file():
        raise NoWheelError(
            f"{path}: there is no such file. `check` takes wheel files, or NAME==VERSION with --upstream."
        )
    wanted = tuple(bases or (base for base in catalog.load().bases.values() if base.enabled))
    tables = interfaces.load()
    facts = _read_facts(path)
    if isinstance(facts, str):
        broken = Finding(code="WF306", detail=facts, where=path.name)
        return CheckedWheel(path=path, facts={}, findings=(broken,), floors={}, abis=(), bases=())
    if not static and not facts["faults"] and abi3audit.claims_stable_abi(path.name):
        facts["abi3audit"] = abi3audit.run_abi3audit(path, path.name)
    found = sort_findings(rules.findings(path.name, facts, wanted, tables))
    try:
        subject = Subject.from_filename(path.name, facts, wanted, tables)
    except InvalidWheelFilename:
        return CheckedWheel(path=path, facts=facts, findings=found, floors={}, abis=(), bases=())
    return CheckedWheel(
        path=path, facts=facts, findings=found, floors=floors.newest_needed(subject), abis=subject.abis,
        bases=tuple(base.name for base in subject.bases),
    )  # fmt: skip


def add_thread_changes(checked: Sequence[CheckedWheel]) -> tuple[CheckedWheel, ...]:
    """Add what changed for threads since an older release, where a wheel of it for the same ABI was given too."""
    names = {
        one.path: parse_wheel_filename(one.filename) for one in checked if one.facts and one.abis
    }
    found = []
    for one in checked:
        name, version, _, _ = names.get(one.path, ("", None, (), frozenset()))
        older = [
            (names[other.path][1], other)
            for other in checked
            if version is not None and other.path in names and names[other.path][0] == name
            and other.abis == one.abis and names[other.path][1] < version
        ]  # fmt: skip
        if older:
            before, other = max(older, key=lambda pair: pair[0])
            if told := "; ".join(thread_signs.describe_changes(other.facts, one.facts)):
                change = Finding(
                    code="WF620", detail=f"since {before} it {told}", where=one.filename
                )
                found.append(replace(one, findings=sort_findings((*one.findings, change))))
                continue
        found.append(one)
    return tuple(found)


def worst_exit_code(checked: Iterable[CheckedWheel]) -> ExitCode:
    """Return the exit code of the worst severity: 1 for errors, 6 for warnings, 0 for less."""
    found = {one.severity for one in checked}
    if Severity.ERROR in found:
        return ExitCode.FAULTS
    return ExitCode.WARNINGS if Severity.WARNING in found else ExitCode.ADMISSIBLE


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def _read_facts(path: Path) -> dict[str, Any] | str:
    """Read a wheel in a process of its own; return its facts, or why there are none."""
    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as scratch:
        output = Path(scratch) / "facts.json"
        command = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            _READER_PROGRAM,
            str(output),
            "--no-auditwheel",
            str(path.absolute()),
        ]
        try:
            done = subprocess.run(
                command, cwd=scratch, env={"TMPDIR": scratch}, preexec_fn=_limit_memory, capture_output=True, text=True,
                timeout=_TIMEOUT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"reading it takes longer than {_TIMEOUT_S} s"
        if done.returncode or not output.exists():
            last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            return f"reading it failed: {last[0]} (it may use {_MEMORY_BYTES >> 20} MiB)"
        facts: dict[str, Any] = json.loads(output.read_text())[path.name]
        return facts


def download_upstream_wheels(requirement: str, folder: Path, store: Store) -> list[Path]:
    """Download the wheels of a release for the farm's interpreters on Linux x86-64 from the index.

    Args:
        requirement: `NAME==VERSION`.
        folder: where to put them.
        store: takes their content.

    Raises:
        NoWheelError: it is no such requirement, or the index has no such wheel.
    """
    from builder import host
    from builder.sources.client import Index
    from builder.sources.errors import FileMismatchError, NoIndexAnswerError

    name, _, version = requirement.partition("==")
    if not re.fullmatch(r"[\w.-]+", name) or not version:
        raise NoWheelError(f"{requirement}: --upstream takes NAME==VERSION")
    index = Index(host.index_settings(), store)
    found = []
    try:
        releases = index.releases(str(canonicalize_name(name))) or ()
        release = next((one for one in releases if str(one.version) == version), None)
        for file in release.wheels if release else ():
            if _is_for_farm(file.filename):
                link = folder / file.filename
                link.symlink_to(store.file(index.download(file)))
                found.append(link)
    except (NoIndexAnswerError, FileMismatchError) as error:
        raise NoWheelError(f"{requirement}: {error}") from None
    if not found:
        raise NoWheelError(
            f"{requirement}: the index has no wheel of it for CPython 3.14 or 3.14t on manylinux x86-64"
        )
    return found


def _is_for_farm(filename: str) -> bool:
    tables = interfaces.load()
    try:
        subject = Subject.from_filename(filename, {}, (), tables)
    except InvalidWheelFilename:
        return False
    return bool(subject.abis) and subject.policy is not None
