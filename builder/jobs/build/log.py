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
from builder.jobs.build.error_patterns import PATTERNS
from builder.jobs.build.failure import Failure
from builder.store.hashing import digest


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
        """Tell why it made no wheel; see `explain`.

        Args:
            log: the job's log.
            package: the package's name.
        """
        with log.open("rb") as file:
            file.seek(self.log[0])
            text = file.read(self.log[1] - self.log[0]).decode(errors="replace")
        failure, abi = explain(
            text, self.exit_code, package, self.abis,
            timeout_s=self.timeout_s, memory_bytes=self.memory_bytes, processes=self.processes,
        )  # fmt: skip
        return network.add_blocked_hosts(
            failure, self.asked or network.find_unreachable_hosts(text, self.index), package
        ), abi


@cache
def rules_digest() -> str:
    """Return a hash of the rules by which logs are read, so that what other rules made of one can be told."""
    folder = ROOT / "jobs" / "build"
    return digest(
        [(folder / name).read_text() for name in ("log.py", "error_patterns.py", "network.py")]
    )[:16]


def reread_failure(failed: Mapping[str, Any], log: Path, package: str) -> dict[str, Any]:
    """Return the facts of a failure as today's rules read its log.

    Args:
        failed: `failure` and `call` as they were recorded; without a call the log does not matter.
        log: the job's log. Where it is gone, what was recorded stands.
        package: the package's name.
    """
    call = failed.get("call")
    if call is None or not log.is_file() or log.stat().st_size < call["log"][1]:
        return dict(failed)
    lists = {name: tuple(value) for name, value in call.items() if isinstance(value, list)}
    again = FailedCall(**{**call, **lists})
    return {**failed, "failure": asdict(again.explain(log, package)[0])}


_MAX_ERROR_CHARS = 300
_PURE_WHEEL_EXIT_CODE = 5
_BUILD_START = re.compile(r"^Building (\w+)-manylinux", re.MULTILINE)
_STAGES = re.compile(
    r"^(Setting up build environment|Running before_all|Building wheel|Repairing wheel"
    r"|Copying project into container)\.\.\.",
    re.MULTILINE,
)

_DISK_FULL = "No space left on device"
_CONTAINER_STARTED = "Starting container image"
_LIMITS_PREFIX = "wheelfarm-limits: "


def explain(
    log: str, exit_code: int, package: str, abis: Sequence[str], *,
    timeout_s: int | None, memory_bytes: int | None, processes: int | None,
) -> tuple[Failure, str]:  # fmt: skip
    """Tell why a call of cibuildwheel made no wheel.

    Args:
        log: what it printed.
        exit_code: its exit code.
        package: the package's name, for remedies.
        abis: what it was to build, in order.
        timeout_s: the limit on time where it was reached, in seconds.
        memory_bytes: the limit on memory where the kernel killed something for it.
        processes: the limit on processes where the kernel refused one.

    Returns:
        The failure, and the ABI that was being built.
    """
    started = list(_BUILD_START.finditer(log))
    abi = started[-1][1] if started and started[-1][1] in abis else abis[0]
    stages = _STAGES.findall(log)
    stage = stages[-1][0].lower() + stages[-1][1:] if stages else "starting the container"
    limit = _explain_limit(package, stage, timeout_s, memory_bytes, processes)
    if limit is not None:
        return limit, abi
    text = log[started[-1].start() :] if started else log
    if exit_code == _PURE_WHEEL_EXIT_CODE:
        return _explain_pure_wheel(text, package), abi
    return _first_error(text, package, stage), abi


def find_infrastructure_problem(log: str) -> str | None:
    """Tell what kept a build from its end that is no fault of the package, or return None.

    Args:
        log: what a call of cibuildwheel printed that made no wheel, and that nobody ended for its limits.
    """
    if _DISK_FULL in log:
        return "the disk is full"
    if (
        _CONTAINER_STARTED in log and _LIMITS_PREFIX not in log
    ):  # the image's entry point prints them whatever the build does
        return "the build's container ended before the build did: it, or its engine, was killed"
    return None


def _explain_limit(
    package: str, stage: str, timeout_s: int | None, memory_bytes: int | None, processes: int | None
) -> Failure | None:
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
    """The extension is optional and did not compile, or there never was one."""
    cause = _match_patterns(text, package)
    because = f": {cause.error}" if cause is not None and cause.code != "WF210" else ""
    return Failure(
        code="WF206",
        stage="building wheel",
        error=f"the build made a pure-Python wheel, without any extension module{because}",
        remedy=(cause.remedy if cause else "")
        or f"see why in the log; if {package} has no native code, the farm is not needed for it",
        missing=() if cause is None else cause.missing,
    )  # fmt: skip


def _first_error(text: str, package: str, stage: str) -> Failure:
    found = _match_patterns(text, package)
    if found is not None:
        code = "WF210" if stage == "repairing wheel" and found.code == "WF201" else found.code
        return replace(found, code=code, stage=stage)
    lines = [
        line.strip()
        for line in text.splitlines()
        if line.strip() and not line.startswith("wheelfarm-limits")
    ]
    return Failure(
        code="WF201",
        stage=stage,
        error=lines[-1][:_MAX_ERROR_CHARS] if lines else "no output",
        remedy="see the log",
    )


def _match_patterns(text: str, package: str) -> Failure | None:
    """Find the first error: of the surest kind there is, the earliest."""
    hits = [
        (pattern.certainty, text.rfind("\n", 0, match.start()), order, match)
        for order, pattern in enumerate(PATTERNS)
        if (match := pattern.regex.search(text))
    ]
    if not hits:
        return None
    _, _, order, match = min(hits, key=lambda hit: hit[:3])
    pattern = PATTERNS[order]
    groups = [" ".join((group or "").split()) for group in match.groups()]
    names = [pattern.name] if pattern.name else [name for name in groups if name]
    return Failure(
        code=pattern.code,
        stage="",
        error=(pattern.error.format(*groups) + _find_caller(text, match))[:_MAX_ERROR_CHARS],
        remedy=pattern.remedy.format(*groups, package=package),
        missing=tuple((pattern.missing, name) for name in names) if pattern.missing else (),
    )


def _find_caller(text: str, match: re.Match[str]) -> str:
    """Say which line of the package an error inside a header of the system comes from, as the compiler tells it."""
    if not match[0].startswith("/usr/"):
        return ""
    called = re.findall(
        r"^(?!/usr/)(\S+:\d+):\d+:\s+required from here$", text[: match.start()], re.MULTILINE
    )
    return f" (required from {called[-1]})" if called else ""
