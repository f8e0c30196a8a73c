"""What errors look like in the logs of compilers, linkers, Meson, CMake, setuptools, Cython, Cargo, uv and auditwheel.

Excerpts of real logs, one per kind, are under tests/unit/buildlogs/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.finding_codes import FindingCode

ERROR = 0
"""The line is certainly an error: no tool prints it and goes on."""
SOFT = 1
"""The line may be the answer to an optional question of the build; it is an error only if there is no other."""
CONSEQUENCE = 2
"""The line only says that something failed before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """One kind of error in a log, and what to say about it.

    For example, `fatal error: zlib.h: No such file` becomes the error `a header is missing: zlib.h`.

    Attributes:
        code: the code of the finding.
        regex: matches the error.
        error: the text for a person: a template with the groups of the match as {0}, {1} and so on.
        remedy: what to do about it: a template like `error`, with {package} for the package's name as well.
        missing: where the groups name something that the system lacks: its kind, as judge/apt_contents.py has it, such
            as `header`; else empty.
        name: the name of what the system lacks, where no group has it.
        certainty: ERROR, SOFT or CONSEQUENCE.
    """

    code: FindingCode
    regex: re.Pattern[str]
    error: str
    remedy: str
    missing: str
    name: str
    certainty: int


def _pattern(
    code: FindingCode, regex: str, error: str, remedy: str = "", *, missing: str = "", name: str = "", certainty: int = ERROR
) -> Pattern:  # fmt: skip
    """Return a pattern, in whose regex ^ and $ match at the ends of each line; `Pattern` explains the arguments."""
    compiled = re.compile(regex, re.MULTILINE)
    return Pattern(
        code=code,
        regex=compiled,
        error=error,
        remedy=remedy,
        missing=missing,
        name=name,
        certainty=certainty,
    )


def _missing_pattern(
    regex: str, missing: str, error: str, file: str = "{0}", certainty: int = ERROR
) -> Pattern:
    """Return a pattern for something that the system lacks, with the remedy to look for the package that has it.

    Args:
        regex: matches the error; its first group is the name of what is missing.
        missing: the kind of what is missing.
        error: the text for a person.
        file: a template for the file that the package would have, such as `lib{0}.so`.
        certainty: ERROR, SOFT or CONSEQUENCE.
    """
    remedy = f"find the package with `apt-file search {file}` on the base and add it to `apt` in [packages.{{package}}]"
    return _pattern("WF202", regex, error, remedy, missing=missing, certainty=certainty)


_UNDECLARED = "the build uses the Python package {0} but does not name it in `build-system.requires`: add it there with a patch"

PATTERNS = (
    _pattern("WF208", r"^wheelfarm: patch \S*?(\d+)\.patch does not apply", "patch number {0} does not apply",
             "make it anew against this release's sdist, or remove it from `patches` in [packages.{package}]"),
    # --- compilers and linkers; what is under /tmp or called conftest is a question that a configure step asks
    _missing_pattern(r"^(?!/tmp/|conftest)\S+:\d+:\d+: fatal error: ([\w./+-]+): No such file or directory", "header", "a header is missing: {0}"),
    _pattern("WF201", r"^(?:cc1\w*|\S*g?cc|\S*[gc]\+\+|clang\S*): (?:fatal )?error: (\S+): No such file or directory",
             "a source file is missing: {0}", "the sdist does not have it: take another release, or make the sdist anew"),
    _missing_pattern(r"ld(?:\.\w+)?: cannot find -l([\w.+-]+)", "library", "a library is missing: lib{0}", "lib{0}.so"),
    _pattern("WF201", r"^(?!/tmp/|conftest)(\S+:\d+(?::\d+)?: (?:fatal )?error: .+)$", "{0}"),
    _pattern("WF201", r"^(?:\S*ld\S*: )?((?!/tmp/)\S+: undefined reference to .+)$", "{0}"),
    _pattern("WF201", r"^(error\[E\d+\]: .+)$", "Rust: {0}"),
    # --- Meson
    _missing_pattern(r"ERROR: Dependency \"?([\w.+-]+)\"? not found", "dependency", "a library is missing: {0}", "{0}.pc"),
    _missing_pattern(r"ERROR: Dependency lookup for ([\w.+-]+) with method", "dependency", "a library is missing: {0}", "{0}.pc"),
    _missing_pattern(r"ERROR: \S+ (?:shared or static |shared |static )?library '([^']+)' not found", "library", "a library is missing: lib{0}", "lib{0}.so"),
    _missing_pattern(r"ERROR: Program '?([\w.+-]+)'? not found", "program", "a program is missing: {0}", "bin/{0}"),
    _missing_pattern(r"ERROR: \S+ header '([^']+)' not found", "header", "a header is missing: {0}"),
    _missing_pattern(r"ERROR: Unknown compiler\(s\): \[\['([\w.+-]+)'", "program", "a compiler is missing: {0}", "bin/{0}"),
    _pattern("WF201", r"^(\S*meson\.build:\d+:\d+: ERROR: .+)$", "Meson: {0}"),
    # --- CMake
    _missing_pattern(r"^CMake Error at .+\n\s+Could NOT find (\w+)", "cmake", "a library is missing: {0}", "{0}Config.cmake"),
    _missing_pattern(r"^CMake Error at .+\n(?:.*\n){0,4}?\s+(?:.*\s)?package\s+configuration\s+file\s+provided\s+by\s+\"([\w.+-]+)\"", "cmake",
            "a library is missing: {0}", "{0}Config.cmake"),
    _missing_pattern(r"^CMake Error at .+\n\s+The following required packages were not found:\s+- ([^\s<>=]+)", "pkg-config",
            "a library is missing: {0}", "{0}.pc"),
    _missing_pattern(r"^CMake Error at .+\n\s+Could not find \S+ using the following names: ([\w.+-]+)", "library", "a library is missing: {0}", "lib{0}.so"),
    _pattern("WF201", r"^CMake Error at (\S+ \([^)]*\)):\s*\n\s+(.+(?:\n  \S.*)?)", "CMake: {1} ({0})"),
    _pattern("WF201", r"^(CMake Error(?: at \S+ \([^)]*\))?: ?.*)$", "{0}"),
    # --- Cython
    _pattern("WF201", r"^(\S+\.(?:pyx|pxd):\d+:\d+: '([\w.]+)\.pxd' not found)$", "Cython: {0}", _UNDECLARED.replace("{0}", "{1}")),
    _pattern("WF201", r"^(\S+\.(?:pyx|pxd|pxi|py):\d+:\d+: .+)$", "Cython: {0}"),
    # --- Rust
    _pattern("WF202", r"can't find Rust compiler", "a compiler is missing: Rust's", "add `cargo` to `apt` in [packages.{package}]",
             missing="program", name="cargo"),
    # --- requirements of the build
    _pattern("WF211", r"No solution found when resolving.*\n\s*(?:cause: |╰─▶ )?(.+)", "build requirements cannot be had: {0}"),
    _pattern("WF211", r"Failed to resolve requirements from `build-system.requires`", "build requirements cannot be had", certainty=SOFT),
    # --- setuptools, and what setup.py calls
    _missing_pattern(r"error: (?:command|unable to execute) '([\w.+-]+)'(?: failed)?: No such file", "program", "a program is missing: {0}", "bin/{0}"),
    _missing_pattern(r"^/bin/sh: \d+: ([\w.+-]+): not found", "program", "a program is missing: {0}", "bin/{0}", SOFT),
    _missing_pattern(r"_execute_child\n(?:.*\n){1,8}?FileNotFoundError: \[Errno 2\] No such file or directory: '([\w.+-]+)'", "program",
            "a program is missing: {0}", "bin/{0}", SOFT),
    _missing_pattern(r"Package '?([\w.+-]+)'?,? (?:was )?not found in the pkg-config search path", "pkg-config", "a library is missing: {0}", "{0}.pc", SOFT),
    _missing_pattern(r"No package '([\w.+-]+)' found", "pkg-config", "a library is missing: {0}", "{0}.pc", SOFT),
    _missing_pattern(r"Error: Please make sure the ([\w.+-]+)(?: and ([\w.+-]+))? development packages are installed", "development",
            "development packages are missing: {0} {1}", "{0}", SOFT),
    # --- auditwheel
    _pattern("WF210", r"^ValueError: (Cannot repair wheel, because required library \"([^\"]+)\" could not be located)", "auditwheel: {0}",
             "the build links to {1}, which the loader does not find in the image: link it statically, or leave it in a system folder"),
    _pattern("WF210", r"^(?:auditwheel: error:|ValueError:|RuntimeError:) (.*(?:ABI|glibc|policy|manylinux|platform tag).*)$", "auditwheel: {0}",
             "the wheel links to something the tag does not allow; see the log"),
    _pattern("WF210", r"auditwheel.*[Ee]rror: (.+)$", "auditwheel: {0}"),
    # --- whatever else
    _pattern("WF201", r"^\s*ModuleNotFoundError: No module named '([\w.]+)'", "ModuleNotFoundError: No module named '{0}'", _UNDECLARED,
             certainty=CONSEQUENCE),
    _pattern("WF201", r"^\s*((?:[A-Za-z_][\w.]*)?(?:Error|Exception|Exit): .+)$", "{0}", certainty=CONSEQUENCE),
    _pattern("WF201", r"^error: (?!Failed to build)(.+)$", "{0}", certainty=CONSEQUENCE),
    _pattern("WF201", r"^\s+cause: (?!The build backend returned|Call to )(.+)$", "{0}", certainty=CONSEQUENCE),
    _pattern("WF201", r"^cibuildwheel: error: (?!Command )(.+)$", "{0}", certainty=CONSEQUENCE),
)  # fmt: skip
"""All known errors. Of several that match a log, the one with the surest certainty is the error, then the one that is
earliest in the log, then the one that is first in this table."""
