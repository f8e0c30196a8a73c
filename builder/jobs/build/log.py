"""What went wrong in a build: the first error of its log, the stage it was in, and what helps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from builder import ROOT
from builder.jobs.build import network
from builder.jobs.build.error_patterns import PATTERNS, Pattern
from builder.jobs.build.failure import Failure
from builder.store.hashing import digest

_MAX_ERROR_CHARS = 300
"""An error is one line of a report; some compilers print whole types."""

_PURE_WHEEL_EXIT_CODE = 5
"""How cibuildwheel ends where a build made a wheel without native code (cibuildwheel/errors.py)."""

_BUILD_START = re.compile(r"^Building (\w+)-manylinux", re.MULTILINE)
_STAGES = re.compile(
    r"^(Setting up build environment|Running before_all|Building wheel|Repairing wheel"
    r"|Copying project into container)\.\.\.",
    re.MULTILINE,
)
_REQUIRED_FROM = re.compile(r"^(?!/usr/)(\S+:\d+):\d+:\s+required from here$", re.MULTILINE)

_DISK_FULL = "No space left on device"
_CONTAINER_STARTED = "Starting container image"
_LIMITS_PREFIX = "wheelfarm-limits: "

_RULES = ("log.py", "error_patterns.py", "network.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedCall:
    """One call of cibuildwheel that failed: all there is to tell why, but for the log itself.

    Attributes:
        abis: what it was to build, in order.
        exit_code: its exit code.
        log: where in the job's log its output is: first byte, and the one after the last.
        timeout_s: the limit on time where it was reached, in seconds.
        memory_bytes: the limit on memory where the kernel killed something for it.
        processes: the limit on processes where the kernel refused one.
        asked: hosts that it asked the index proxy for and that no build reaches.
        index: address of the index proxy.
    """

    abis: tuple[str, ...]
    exit_code: int
    log: tuple[int, int]
    timeout_s: int | None
    memory_bytes: int | None
    processes: int | None
    asked: tuple[str, ...] = ()
    index: str = ""

    def explain(self, log: Path, package: str) -> tuple[Failure, str]:
        """Return why it made no wheel, and the ABI that was being built.

        Args:
            log: the job's log.
            package: the package's name, for remedies.
        """
        start, end = self.log
        with log.open("rb") as file:
            file.seek(start)
            text = file.read(end - start).decode(errors="replace")

        failure, abi = explain(
            text,
            self.exit_code,
            package,
            self.abis,
            timeout_s=self.timeout_s,
            memory_bytes=self.memory_bytes,
            processes=self.processes,
        )
        hosts = self.asked or network.find_unreachable_hosts(text, self.index)

        return network.add_blocked_hosts(failure, hosts, package), abi


@cache
def rules_digest() -> str:
    """Return a hash of the rules by which logs are read: what other rules made of a log is read again."""
    folder = ROOT / "jobs" / "build"
    texts = [(folder / name).read_text() for name in _RULES]

    return digest(texts)[:16]


def reread_failure(failed: Mapping[str, Any], log: Path, package: str) -> dict[str, Any]:
    """Return the facts of a failure as today's rules read its log.

    Args:
        failed: `failure` and `call` as they were recorded; without a call the log does not matter.
        log: the job's log. Where it is gone, what was recorded stands.
        package: the package's name.
    """
    recorded = failed.get("call")
    if recorded is None or not log.is_file() or log.stat().st_size < recorded["log"][1]:
        return dict(failed)

    # JSON has lists where the call has tuples.
    fields: dict[str, Any] = {}
    for name, value in recorded.items():
        fields[name] = tuple(value) if isinstance(value, list) else value
    failure, _ = FailedCall(**fields).explain(log, package)

    return {**failed, "failure": asdict(failure)}


def explain(
    log: str,
    exit_code: int,
    package: str,
    abis: Sequence[str],
    *,
    timeout_s: int | None,
    memory_bytes: int | None,
    processes: int | None,
) -> tuple[Failure, str]:
    """Return why a call of cibuildwheel made no wheel, and the ABI that was being built.

    Args:
        log: what it printed.
        exit_code: its exit code.
        package: the package's name, for remedies.
        abis: what it was to build, in order.
        timeout_s: the limit on time where it was reached, in seconds.
        memory_bytes: the limit on memory where the kernel killed something for it.
        processes: the limit on processes where the kernel refused one.
    """
    abi, text = _last_build(log, abis)
    stage = _last_stage(log)

    limit = _explain_limit(package, stage, timeout_s, memory_bytes, processes)
    if limit is not None:
        return limit, abi
    if exit_code == _PURE_WHEEL_EXIT_CODE:
        return _explain_pure_wheel(text, package), abi

    return _first_error(text, package, stage), abi


def find_infrastructure_problem(log: str) -> str | None:
    """Return what kept a build from its end that is no fault of the package, or None.

    Args:
        log: what a call of cibuildwheel printed that made no wheel, and that nobody ended for its limits.
    """
    if _DISK_FULL in log:
        return "the disk is full"

    # The image's entry point prints what was used of the limits, whatever the build does.
    has_ended = _LIMITS_PREFIX in log
    if _CONTAINER_STARTED in log and not has_ended:
        return "the build's container ended before the build did: it, or its engine, was killed"

    return None


def _last_build(log: str, abis: Sequence[str]) -> tuple[str, str]:
    """Return the ABI that was being built, and what was printed since its build began."""
    starts = list(_BUILD_START.finditer(log))
    if not starts:
        return abis[0], log

    start = starts[-1]
    abi = start[1] if start[1] in abis else abis[0]

    return abi, log[start.start() :]


def _last_stage(log: str) -> str:
    """Return what cibuildwheel said last that it was doing."""
    stages = _STAGES.findall(log)
    if not stages:
        return "starting the container"

    stage: str = stages[-1]
    return stage[0].lower() + stage[1:]


def _explain_limit(
    package: str, stage: str, timeout_s: int | None, memory_bytes: int | None, processes: int | None
) -> Failure | None:
    """Return the limit that ended a build as a failure; the surest cause first."""
    where = f"[packages.{package}]"

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
                f"raise `memory` in {where} if the build legitimately needs more, "
                "or lower its parallelism through `env`"
            ),
        )
    if timeout_s is not None:
        return Failure(
            code="WF203",
            stage=stage,
            error=f"the build did not end within {timeout_s} s",
            remedy=(
                f"raise `timeout_s` in {where} if the build legitimately needs longer; "
                "the log's end says what it was doing"
            ),
        )
    return None


def _explain_pure_wheel(text: str, package: str) -> Failure:
    """Explain a wheel without native code: the extension is optional and did not compile, or there never was one."""
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
    """Return the first error that a pattern knows; without any, the last line that was printed."""
    failure = _match_patterns(text, package)
    if failure is not None:
        is_auditwheels = stage == "repairing wheel" and failure.code == "WF201"
        return replace(failure, code="WF210" if is_auditwheels else failure.code, stage=stage)

    error = "no output"
    for line in text.splitlines():
        if line.strip() and not line.startswith(_LIMITS_PREFIX):
            error = line.strip()

    return Failure(
        code="WF201",
        stage=stage,
        error=error[:_MAX_ERROR_CHARS],
        remedy="see the log",
    )


def _match_patterns(text: str, package: str) -> Failure | None:
    """Find the first error: of the surest kind there is, the earliest."""
    best: tuple[int, int] | None = None
    pattern = None
    match = None
    for candidate in PATTERNS:
        found = candidate.regex.search(text)
        if found is None:
            continue
        # By line, not by character: of two that know the same line, the first in the table wins.
        line_start = text.rfind("\n", 0, found.start())
        rank = (candidate.certainty, line_start)
        if best is None or rank < best:
            best, pattern, match = rank, candidate, found

    if pattern is None or match is None:
        return None
    return _make_failure(pattern, match, text, package)


def _make_failure(pattern: Pattern, match: re.Match[str], text: str, package: str) -> Failure:
    """Return the error that a pattern matched as a failure; in which stage it was is for the caller to say."""
    groups = [" ".join((group or "").split()) for group in match.groups()]
    error = pattern.error.format(*groups) + _find_caller(text, match)

    missing: list[tuple[str, str]] = []
    if pattern.missing:
        names = [pattern.name] if pattern.name else groups
        missing = [(pattern.missing, name) for name in names if name]

    return Failure(
        code=pattern.code,
        stage="",
        error=error[:_MAX_ERROR_CHARS],
        remedy=pattern.remedy.format(*groups, package=package),
        missing=tuple(missing),
    )


def _find_caller(text: str, match: re.Match[str]) -> str:
    """Return which line of the package an error inside a header of the system comes from, as the compiler tells it."""
    if not match[0].startswith("/usr/"):
        return ""
    callers = _REQUIRED_FROM.findall(text[: match.start()])
    if not callers:
        return ""

    return f" (required from {callers[-1]})"
