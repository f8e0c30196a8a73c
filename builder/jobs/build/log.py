"""Find out from a build's log why it failed: the first error, the stage of the build it was in, and a remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from builder import ROOT
from builder.jobs.build import network
from builder.jobs.build.error_patterns import (
    PATTERNS,
    UNDECLARED,
    FoundError,
    Pattern,
    find_first,
)
from builder.jobs.build.failure import Failure
from builder.jobs.build.log_excerpt import BUILD_START, STAGE_START, read_log
from builder.store.hashing import digest
from builder.untrusted.package_names import project_of, table_key
from builder.untrusted.text import clean_line
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from builder.verdicts.codes import FindingCode

_MAX_ERROR_CHARS = 300
"""How long an error may be: it is one line of a report, and some compilers print whole types."""

_MAX_NAMED_TOOLCHAINS = 2  # a build asks for one

_PURE_WHEEL_EXIT_CODE = 5
"""cibuildwheel's exit code where a build made a wheel without native code (cibuildwheel/errors.py)."""

_SDIST_REFUSED = re.compile(r"^wheelfarm-sdist-refused: (.*)$", re.MULTILINE)
"""What builder/inside/stress/package/sdists.py prints of an sdist that it does not unpack."""

_REQUIRED_HINT = "required from here"
_REQUIRED_FROM = re.compile(r"^(?!/usr/)(\S+:\d+):\d+:\s+required from here$")
"""Which line of the package includes a template that does not compile, as the compiler prints it before the error."""

_MAX_CALLERS = 1000
"""How many lines that look as if they named such a line are looked at, from the error backwards. Not measured."""

_LAST_LINE_CHARS = 64 << 10
"""How far from the end of a log its last line is looked for."""

_DISK_FULL = "No space left on device"
_CONTAINER_STARTED = "Starting container image"
_LIMITS_PREFIX = "wheelfarm-limits: "

_LIMIT_CODES: frozenset[FindingCode] = frozenset({"WF203", "WF204", "WF205", "WF217"})
"""Failures for a limit that was met: they say why a container ended, too."""

_RULES = ("log.py", "log_excerpt.py", "error_patterns.py", "network.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedCall:
    """One call of cibuildwheel that failed, with all that is needed to explain why except the log itself.

    It is recorded with the evidence, so that the log can be read again when the rules have changed.

    Attributes:
        abis: the ABIs that it was to build, in order.
        exit_code: its exit code.
        log: which bytes of the job's log it printed: the first, and the one after the last.
        timeout_s: the limit on time in seconds, if it was reached; else None.
        memory_bytes: the limit on memory, if the kernel killed a process for it; else None.
        processes: the limit on processes, if the kernel refused one for it; else None.
        disk: what it wrote too much of, if it was ended for that; else None.
        ended: exit code of the container, if something of the build ended it before the build was done; else None.
        asked: hosts that the build asked the index proxy for and that no build reaches.
        index: address of the index proxy.
        lacking: Rust toolchains that were wanted and not had: what was asked, and what it answered.
    """

    abis: tuple[str, ...]
    exit_code: int
    log: tuple[int, int]
    timeout_s: int | None
    memory_bytes: int | None
    processes: int | None
    asked: tuple[str, ...] = ()
    index: str = ""
    disk: str | None = None
    ended: int | None = None
    lacking: tuple[str, ...] = ()

    def explain(self, log: Path, package: str) -> tuple[Failure, str]:
        """Return why the call made no wheel, and the ABI that it was building when it failed.

        Args:
            log: the job's log.
            package: the package's name, for remedies.
        """
        text = read_log(log, *self.log)
        failure, abi = explain(
            text,
            self.exit_code,
            package,
            self.abis,
            timeout_s=self.timeout_s,
            memory_bytes=self.memory_bytes,
            processes=self.processes,
            disk=self.disk,
        )
        if self.ended is not None and failure.code not in _LIMIT_CODES:
            failure = _explain_own_end(self.ended, failure.stage)
        if self.lacking and failure.code == "WF201":
            asked = join_names(self.lacking, _MAX_NAMED_TOOLCHAINS)
            failure = replace(
                failure,
                error=f"{failure.error}; a newer Rust was asked for and not had: {asked}",
            )
        # The proxy's record is sure. The log is searched only for connections that did not use the proxy.
        hosts = self.asked or network.find_unreachable_hosts(text, self.index)

        return network.add_blocked_hosts(failure, hosts, package, text), abi


@cache
def rules_digest() -> str:
    """Return a hash of the source text of the rules by which logs are read.

    It is recorded with each failure. A log whose failure was read by other rules is read again.
    """
    folder = ROOT / "jobs" / "build"
    texts = [(folder / name).read_text() for name in _RULES]

    return digest(texts)[:16]


def reread_failure(failed: Mapping[str, Any], log: Path, package: str) -> dict[str, Any]:
    """Return the facts of a failure as today's rules read its log.

    They come back as they were recorded where the failure was not read from a log, or where the log is gone or shorter
    than it was.

    Args:
        failed: the recorded facts of an ABI that failed: `failure` (`stands_for` where upstream's wheel stands in its
            place) and, if it was read from a log, `call`.
        log: the job's log.
        package: the package's name, for remedies.
    """
    call = failed.get("call")
    if call is None:
        return dict(failed)

    _, log_end = call["log"]
    has_log = log.is_file() and log.stat().st_size >= log_end
    if not has_log:
        return dict(failed)

    # JSON has lists where a `FailedCall` has tuples.
    fields: dict[str, Any] = {}
    for name, value in call.items():
        fields[name] = tuple(value) if isinstance(value, list) else value
    failure, _ = FailedCall(**fields).explain(log, package)

    field_name = "failure" if "failure" in failed else "stands_for"
    return {**failed, field_name: asdict(failure)}


def explain(
    log: str,
    exit_code: int,
    package: str,
    abis: Sequence[str],
    *,
    timeout_s: int | None,
    memory_bytes: int | None,
    processes: int | None,
    disk: str | None = None,
) -> tuple[Failure, str]:
    """Return why a call of cibuildwheel made no wheel, and the ABI that it was building when it failed.

    A limit that was reached explains the failure before anything in the log does.

    Args:
        log: what the call printed, as `read_log` returns it.
        exit_code: its exit code.
        package: the package's name, for remedies.
        abis: the ABIs that it was to build, in order.
        timeout_s: the limit on time in seconds, if it was reached; else None.
        memory_bytes: the limit on memory, if the kernel killed a process for it; else None.
        processes: the limit on processes, if the kernel refused one for it; else None.
        disk: what it wrote too much of, if it was ended for that; else None.
    """
    refusal = _find_sdist_refusal(log)
    if refusal is not None:
        return refusal, abis[0]

    abi, text = _last_build(log, abis)
    stage = _last_stage(log)

    if disk is not None:
        return _explain_disk(disk, stage), abi

    limit = _explain_limit(package, stage, timeout_s, memory_bytes, processes)
    if limit is not None:
        return limit, abi
    if exit_code == _PURE_WHEEL_EXIT_CODE:
        return _explain_pure_wheel(text, package), abi

    return _first_error(text, package, stage), abi


def find_infrastructure_problem(
    log: str, *, disk_was_full: bool | None, has_ended_itself: bool = False
) -> str | None:
    """Return the reason of a failure that is no fault of the package, such as a full disk; None where there is none.

    Args:
        log: what a call of cibuildwheel printed that failed without reaching a limit, as `read_log` returns it.
        disk_was_full: whether the disk was seen to be full meanwhile. None where nobody can see it, as for an engine
            on another machine: only then the log is believed, in which a package may write what it likes.
        has_ended_itself: whether the container is known to have ended by what ran in it.
    """
    says_full = _DISK_FULL in log
    is_full = says_full if disk_was_full is None else disk_was_full
    if is_full:
        return "the disk is full"

    # At its end, the image's entry point prints what was used of the limits, whether the build succeeds or not.
    came_to_its_end = _LIMITS_PREFIX in log
    if _CONTAINER_STARTED in log and not came_to_its_end and not has_ended_itself:
        return "the build's container ended before the build did: it, or its engine, was killed"

    return None


def _find_sdist_refusal(log: str) -> Failure | None:
    """Return the failure of a call that did not unpack the sdist; None where it did.

    Only what was printed before cibuildwheel began to build is searched: nothing of the package has run until then, so
    it cannot have printed the line itself.
    """
    start = BUILD_START.search(log)
    before = log if start is None else log[: start.start()]
    refusal = _SDIST_REFUSED.search(before)
    if refusal is None:
        return None

    return Failure(
        code="WF105",
        stage="unpack",
        error=f"the sdist does not unpack: {clean_line(refusal[1])}"[:_MAX_ERROR_CHARS],
        remedy="",
    )


def _last_build(log: str, abis: Sequence[str]) -> tuple[str, str]:
    """Return the ABI whose build began last, and what was printed since then.

    Where no build began, they are the first ABI and the whole log.
    """
    starts = list(BUILD_START.finditer(log))
    if not starts:
        return abis[0], log

    start = starts[-1]
    abi = start[1] if start[1] in abis else abis[0]

    return abi, log[start.start() :]


def _last_stage(log: str) -> str:
    """Return the last stage that cibuildwheel announced: `'... Repairing wheel...' -> 'repairing wheel'`."""
    stages = STAGE_START.findall(log)
    if not stages:
        return "starting the container"

    stage: str = stages[-1]
    return stage[0].lower() + stage[1:]


def _explain_disk(disk: str, stage: str) -> Failure:
    """Return the failure of a build that was ended because it wrote too much."""
    return Failure(
        code="WF217",
        stage=stage,
        error=f"the build wrote more than it may: {disk}",
        remedy="a build that writes without end is at fault; the log names what it ran",
    )


def _explain_own_end(exit_code: int, stage: str) -> Failure:
    """Return the failure of a build that ended the container in which it was made."""
    return Failure(
        code="WF218",
        stage=stage,
        error=f"the build ended its own container before it was done: that ended with exit code {exit_code}",
        remedy="a build that kills the processes around it is at fault; the log's end says what it was doing",
    )


def _explain_limit(
    package: str, stage: str, timeout_s: int | None, memory_bytes: int | None, processes: int | None
) -> Failure | None:
    """Return the failure of a build that reached a limit; None where it reached none.

    Of several limits, processes count first, then memory, then time.
    """
    table = f"[packages.{table_key(package)}]"

    if processes is not None:
        return Failure(
            code="WF205",
            stage=stage,
            error=f"the build started more than the {processes} processes it may have",
            remedy="a build that forks without end is at fault; the log names what it ran",
        )
    if memory_bytes is not None:
        return Failure(
            code="WF204",
            stage=stage,
            error=f"the build needed more than the {memory_bytes >> 20} MiB of memory it may have, and was killed",
            remedy=(
                f"raise `memory` in {table} if the build legitimately needs more, "
                "or lower its parallelism through `env`"
            ),
        )
    if timeout_s is not None:
        return Failure(
            code="WF203",
            stage=stage,
            error=f"the build did not end within {timeout_s} s",
            remedy=(
                f"raise `timeout_s` in {table} if the build legitimately needs longer; "
                "the log's end says what it was doing"
            ),
        )
    return None


def _explain_pure_wheel(text: str, package: str) -> Failure:
    """Return the failure of a build whose wheel has no native code.

    Either its extension modules are optional and did not compile, and then the log has an error that explains it, or it
    has none at all.
    """
    error = "the build made a pure-Python wheel, without any extension module"
    remedy = f"see why in the log; if {package} has no native code, the farm is not needed for it"
    missing: tuple[tuple[str, str], ...] = ()

    cause = _match_patterns(text, package)
    if cause is not None:
        # WF210 is about repairing the wheel, which comes after building it.
        if cause.code != "WF210":
            error = f"{error}: {cause.error}"
        remedy = cause.remedy or remedy
        missing = cause.missing

    return Failure(
        code="WF206",
        stage="building wheel",
        error=error,
        remedy=remedy,
        missing=missing,
    )


def _first_error(text: str, package: str, stage: str) -> Failure:
    """Return the failure for the first error in a log that a pattern matches or, without any, for its last line.

    Args:
        text: what was printed while the wheel was built.
        package: the package's name, for remedies.
        stage: the stage of the build that failed.
    """
    failure = _match_patterns(text, package)
    if failure is not None:
        # An error that is not known more closely is auditwheel's if it happened while auditwheel repaired the wheel.
        is_auditwheels = stage == "repairing wheel" and failure.code == "WF201"
        return replace(failure, code="WF210" if is_auditwheels else failure.code, stage=stage)

    error = "no output"
    for line in text[-_LAST_LINE_CHARS:].splitlines():
        # The container's entry point prints the limits after the build has ended.
        if line.strip() and not line.startswith(_LIMITS_PREFIX):
            error = line.strip()

    return Failure(
        code="WF201",
        stage=stage,
        error=clean_line(error)[:_MAX_ERROR_CHARS],
        remedy="see the log",
    )


def _match_patterns(text: str, package: str) -> Failure | None:
    """Return the failure for the error in a log: the earliest of those with the surest certainty.

    None where no pattern matches. The stage of the failure is left empty.
    """
    best_rank: tuple[int, int] | None = None
    best_pattern = None
    best_error = None
    for pattern in PATTERNS:
        found = find_first(pattern, text)
        if found is None:
            continue
        # By line, not by character: if two patterns match in the same line, the first in the table wins.
        rank = (pattern.certainty, found.line_start)
        if best_rank is None or rank < best_rank:
            best_rank, best_pattern, best_error = rank, pattern, found

    if best_pattern is None or best_error is None:
        return None
    return _make_failure(best_pattern, best_error, text, package)


def _make_failure(pattern: Pattern, found: FoundError, text: str, package: str) -> Failure:
    """Return the failure for an error that a pattern found. Its stage is left empty: the caller knows it.

    Args:
        pattern: the pattern.
        found: what it found in the log.
        text: the log.
        package: the package's name, for remedies.
    """
    groups = [clean_line(" ".join((group or "").split())) for group in found.match.groups()]
    error = pattern.error.format(*groups) + _find_caller(pattern, found, text)

    missing: list[tuple[str, str]] = []
    if pattern.missing:
        names = [pattern.name] if pattern.name else groups
        missing = [(pattern.missing, name) for name in names if name]
        missing += pattern.also

    remedy = pattern.remedy.format(*groups, package=table_key(package))
    if pattern.remedy == UNDECLARED and _is_own_module(groups[0], package):
        remedy = "it is a module of the package itself: take the sdist of the release, or another release"

    return Failure(
        code=pattern.code,
        stage="",
        error=error[:_MAX_ERROR_CHARS],
        remedy=remedy,
        missing=tuple(missing),
    )


def _is_own_module(module: str, package: str) -> bool:
    """Return whether a module is the package's own, as far as their names tell."""
    top, _, _ = module.partition(".")
    return canonicalize_name(top) == canonicalize_name(project_of(package))


def _find_caller(pattern: Pattern, found: FoundError, text: str) -> str:
    """Return which line of the package caused an error inside a header of the system: ` (required from src/a.cpp:12)`.

    The compiler prints that before the error. Empty for an error elsewhere, or where the compiler did not print it.

    Args:
        pattern: the pattern that found the error.
        found: the error.
        text: the log that it is in.
    """
    is_compilers = pattern.code in {"WF201", "WF202"}
    if not is_compilers or not found.match[0].startswith("/usr/"):
        return ""

    line_end = found.line_start
    for _ in range(_MAX_CALLERS):
        hint = text.rfind(_REQUIRED_HINT, 0, line_end)
        if hint < 0:
            return ""

        line_start = text.rfind("\n", 0, hint) + 1
        caller = _REQUIRED_FROM.match(text[line_start : hint + len(_REQUIRED_HINT)])
        if caller is not None:
            return clean_line(f" (required from {caller[1]})")
        line_end = line_start

    return ""
