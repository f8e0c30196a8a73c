"""What went wrong in a build: the first error of its log, the stage it was in, and what helps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why there is no wheel.

    Attributes:
        code: the finding's code (builder/findings.py).
        stage: where it happened, in cibuildwheel's words.
        error: the first error, for a person.
        remedy: what to do, or empty where nothing is known.
    """

    code: str
    stage: str
    error: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pattern:
    """One kind of error line. `error` and `remedy` are templates for the match's groups."""

    code: str
    regex: re.Pattern[str]
    error: str
    remedy: str


def _pattern(code: str, regex: str, error: str, remedy: str = "") -> _Pattern:
    return _Pattern(code=code, regex=re.compile(regex, re.MULTILINE), error=error, remedy=remedy)


_ADD_APT = "find the package with `apt-file search {0}` on the base and add it to `apt` in [packages.{package}]"

# Where several match, the one that comes first in the log wins; at the same place, the one that comes first here.
_PATTERNS = (
    _pattern("WF208", r"^wheelfarm: patch \S*?(\d+)\.patch does not apply", "patch number {0} does not apply",
             "make it anew against this release's sdist, or remove it from `patches` in [packages.{package}]"),
    _pattern("WF202", r"fatal error: ([\w./+-]+): No such file or directory", "a header is missing: {0}", _ADD_APT),
    _pattern("WF202", r"(?:/ld|ld\.\w+|ld): cannot find -l([\w.+-]+)", "a library is missing: lib{0}", _ADD_APT.replace("{0}", "lib{0}.so")),
    _pattern("WF202", r"Dependency \"?([\w.+-]+)\"? not found", "a library is missing: {0}", _ADD_APT.replace("{0}", "{0}.pc")),
    _pattern("WF202", r"(?:Package|package) '?([\w.+-]+)'?,? (?:was )?not found in the pkg-config search path",
             "a library is missing: {0}", _ADD_APT.replace("{0}", "{0}.pc")),
    _pattern("WF202", r"Could NOT find (\w+)", "a library is missing: {0}", "add its development package to `apt` in [packages.{package}]"),
    _pattern("WF202", r"Error: (Please make sure the [\w ,]+ development packages are installed)", "{0}",
             "add them to `apt` in [packages.{package}]"),
    _pattern("WF202", r"error: (?:command|\[Errno 2\] No such file or directory:) '([\w.+-]+)'(?: not found|$|: No such)",
             "a program is missing: {0}", _ADD_APT.replace("{0}", "bin/{0}")),
    _pattern("WF201", r"^(\S+\.(?:pyx|pxd|pxi):\d+:\d+: .+)$", "Cython: {0}"),
    _pattern("WF201", r"^(\S+:\d+(?::\d+)?: (?:fatal )?error: .+)$", "{0}"),
    _pattern("WF201", r"^(?:\S+ )?(\S*: undefined reference to .+)$", "{0}"),
    _pattern("WF201", r"^(\.\./\S+meson\.build:\d+:\d+: ERROR: .+)$", "meson: {0}"),
    _pattern("WF201", r"^(CMake Error at .+)$", "{0}"),
    _pattern("WF211", r"No solution found when resolving:? .*\n\s*(?:╰─▶|╰|-)?\s*(.+)", "build requirements cannot be had: {0}"),
    _pattern("WF211", r"Failed to resolve requirements from `build-system.requires`", "build requirements cannot be had"),
    _pattern("WF210", r"^(?:auditwheel: error:|ValueError:|RuntimeError:) (.*(?:ABI|glibc|policy|manylinux|platform tag).*)$", "auditwheel: {0}",
             "the wheel links to something the tag does not allow; see the log"),
    _pattern("WF210", r"auditwheel.*[Ee]rror: (.+)$", "auditwheel: {0}"),
    _pattern("WF201", r"^\s*((?:[A-Za-z_][\w.]*)?(?:Error|Exception|Exit): .+)$", "{0}"),
    _pattern("WF201", r"^error: (.+)$", "{0}"),
)  # fmt: skip

_PURE_WHEEL_EXIT_CODE = 5
_BUILDING = re.compile(r"^Building (\w+)-manylinux", re.MULTILINE)
_STAGES = re.compile(
    r"^(Setting up build environment|Running before_all|Building wheel|Repairing wheel|Copying project into container)\.\.\.",
    re.MULTILINE,
)


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
    started = list(_BUILDING.finditer(log))
    abi = started[-1][1] if started and started[-1][1] in abis else abis[0]
    stages = _STAGES.findall(log)
    stage = stages[-1][0].lower() + stages[-1][1:] if stages else "starting the container"
    limit = _limit(package, stage, timeout_s, memory_bytes, processes)
    if limit is not None:
        return limit, abi
    text = log[started[-1].start() :] if started else log
    if exit_code == _PURE_WHEEL_EXIT_CODE:
        return _pure(text, package), abi
    return _first_error(text, package, stage), abi


def _limit(
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
            remedy=f"raise `memory` in {where} if it is honest work, or lower its parallelism through `env`",
        )
    if timeout_s is not None:
        return Failure(
            code="WF203",
            stage=stage,
            error=f"the build did not end within {timeout_s} s",
            remedy=f"raise `timeout_s` in {where} if it is honest work; the log's end says what it was doing",
        )
    return None


def _pure(text: str, package: str) -> Failure:
    """The extension is optional and did not compile, or there never was one."""
    cause = _match(text, package)
    because = f": {cause.error}" if cause is not None and cause.code != "WF210" else ""
    return Failure(
        code="WF206",
        stage="building wheel",
        error=f"the build made a pure-Python wheel, without any extension module{because}",
        remedy=cause.remedy if cause is not None and cause.remedy else f"see why in the log; if {package} has no native code, "
        "the farm is not needed for it",
    )  # fmt: skip


def _first_error(text: str, package: str, stage: str) -> Failure:
    found = _match(text, package)
    if found is not None:
        code = "WF210" if stage == "repairing wheel" and found.code == "WF201" else found.code
        return Failure(code=code, stage=stage, error=found.error, remedy=found.remedy)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("wheelfarm-limits")]
    return Failure(code="WF201", stage=stage, error=lines[-1][:300] if lines else "no output", remedy="see the log")


def _match(text: str, package: str) -> Failure | None:
    """Find the first error: the earliest line that any pattern knows."""
    hits = [(match.start(), order, pattern, match)
            for order, pattern in enumerate(_PATTERNS) if (match := pattern.regex.search(text))]  # fmt: skip
    if not hits:
        return None
    # A general pattern must not win over a telling one that describes the same error a few lines on.
    telling = [hit for hit in hits if hit[2].code in {"WF202", "WF208"}]
    _, _, pattern, match = min(telling or hits, key=lambda hit: hit[:2])
    groups = [group or "" for group in match.groups()]
    return Failure(
        code=pattern.code,
        stage="",
        error=pattern.error.format(*groups, package=package)[:300],
        remedy=pattern.remedy.format(*groups, package=package),
    )
