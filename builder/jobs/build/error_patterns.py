"""What errors look like in the logs of compilers, linkers, Meson, CMake, setuptools, Cython, Cargo, uv and auditwheel.

Excerpts of real logs, one per kind, are under tests/unit/buildlogs/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.verdicts.codes import FindingCode

ERROR = 0
"""The line is certainly an error: no tool prints it and goes on."""
SOFT = 1
"""The line may be the answer to an optional question of the build; it is an error only if there is no other."""
CONSEQUENCE = 2
"""The line only says that something failed before it."""

_OLD_RUST = (
    "the base's Rust is older than that: build on a base with a newer one (`build-on` in [farm]), name a server that has newer ones "
    "(`WHEELFARM_RUSTUP_DIST_SERVER`), or take an older release"
)
_CRATES = (
    "name a sparse registry that has it in WHEELFARM_CARGO_REGISTRY, or take an sdist that has its crates in it "
    "(`cargo vendor`), or put them there with a patch (`patches` in [packages.{package}])"
)
"""What to do where a crate cannot be had."""

SEARCH_BUDGET = 1 << 20
"""Characters that one pattern is shown of one log: some ten thousand lines that look like its error and are none. No log
of the default matrix has as many."""

_MESSAGE_LINES = 12
"""How many lines are looked at for an error that is told in several, such as one of CMake, which wraps them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """One kind of error in a log, and what to say about it.

    For example, `fatal error: zlib.h: No such file` becomes the error `a header is missing: zlib.h`.

    Attributes:
        code: the code of the finding.
        hints: finds one of the words without which no line has the error. Only such lines are shown to `regex`.
        regex: matches the error in a line and those after it.
        lines: how many lines `regex` is shown: the one with the hint, and those after it.
        error: the text for a person: a template with the groups of the match as {0}, {1} and so on.
        remedy: what to do about it: a template like `error`, with {package} for the package's name as well.
        missing: where the groups name something that the system lacks: its kind, as judge/apt_contents.py has it, such
            as `header`; else empty.
        name: the name of what the system lacks, where no group has it.
        also: what else the system lacks then, as (kind, name).
        certainty: ERROR, SOFT or CONSEQUENCE.
    """

    code: FindingCode
    hints: re.Pattern[str]
    regex: re.Pattern[str]
    lines: int
    error: str
    remedy: str
    missing: str
    name: str
    certainty: int
    also: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundError:
    """An error that a pattern found in a log.

    Attributes:
        line_start: where in the log the line begins that it is in.
        line: that line, and those after it that the pattern was shown.
        match: the match in `line`.
    """

    line_start: int
    line: str
    match: re.Match[str]


def find_first(pattern: Pattern, log: str, budget: int = SEARCH_BUDGET) -> FoundError | None:
    """Return the first error of a kind in a log; None where it has none, or where the budget is spent before.

    Args:
        pattern: the kind of error.
        log: the log. Its lines are not much longer than log_excerpt.py leaves them.
        budget: how many characters the pattern is shown at most, all lines together.
    """
    position = 0
    shown = 0
    while shown < budget:
        hint = pattern.hints.search(log, position)
        if hint is None:
            return None

        line_start = log.rfind("\n", 0, hint.start()) + 1
        position = line_end = _find_line_end(log, hint.start())
        for _ in range(pattern.lines - 1):
            line_end = _find_line_end(log, line_end + 1)

        line = log[line_start:line_end]
        shown += len(line)
        match = pattern.regex.search(line)
        # What begins in a line after the first is found from there.
        if match is not None and line_start + match.start() <= position:
            return FoundError(line_start=line_start, line=line, match=match)

    return None


def _find_line_end(log: str, position: int) -> int:
    """Return where the line ends that has a position of a log: at its line break, or at the end of the log."""
    end = log.find("\n", position)
    return len(log) if end < 0 else end


def _pattern(
    code: FindingCode, hints: str | tuple[str, ...], regex: str, error: str, remedy: str = "", *, missing: str = "",
    name: str = "", certainty: int = ERROR,
) -> Pattern:  # fmt: skip
    r"""Return a pattern; `Pattern` explains the arguments.

    In the regex, ^ matches before the line with the hint alone. The regex has to take no more steps than a small
    multiple of the characters that it is shown, whatever they are, so no two parts that repeat and follow one another
    can match the same character, and none is inside another. `\S++` gives nothing back of what it took.
    """
    words = (hints,) if isinstance(hints, str) else hints
    return Pattern(
        code=code,
        hints=re.compile("|".join(map(re.escape, words))),
        regex=re.compile(regex),
        lines=_MESSAGE_LINES if r"\n" in regex else 1,
        error=error,
        remedy=remedy,
        missing=missing,
        name=name,
        certainty=certainty,
    )


def _missing_pattern(
    hint: str, regex: str, missing: str, error: str, file: str = "{0}", certainty: int = ERROR
) -> Pattern:
    """Return a pattern for something that the system lacks, with the remedy to look for the package that has it.

    Args:
        hint: a word that each line with the error has.
        regex: matches the error; its first group is the name of what is missing.
        missing: the kind of what is missing.
        error: the text for a person.
        file: a template for the file that the package would have, such as `lib{0}.so`.
        certainty: ERROR, SOFT or CONSEQUENCE.
    """
    remedy = f"find the package with `apt-file search {file}` on the base and add it to `apt` in [packages.{{package}}]"
    return _pattern("WF202", hint, regex, error, remedy, missing=missing, certainty=certainty)


UNDECLARED = "the build uses the Python package {0} but does not name it in `build-system.requires`: add it there with a patch"

_CMAKE = "CMake Error at "

_ASK_FOR_MODULE = (
    "an extension module needs no libpython, and these interpreters have none, as those of manylinux: have the project ask "
    "CMake for `Development.Module` in place of `Development` (or of PythonLibs) with a patch"
)

_NO_STABLE_ABI = (
    "there is no stable ABI without the GIL before 3.15: take a release that asks for it on other builds alone, have it leave "
    "`py_limited_api` out where `sysconfig.get_config_var('Py_GIL_DISABLED')` is 1 with a patch, or leave the ABI out: "
    '`skip = {{ cp314t = "needs the stable ABI" }}` in [packages.{package}]'
)

_CONSTRAIN = 'set build-constraints = ["{0}"] in [packages.{{package}}]: {1}'

_GONE_FROM_C = (
    "CPython 3.14 has no {1}: take a newer release; where there is none, replace it with a patch"
)

_GONE_FROM_PYTHON = (
    "asynchat|asyncore|imp|smtpd|aifc|audioop|cgi|cgitb|chunk|crypt|imghdr|mailcap|msilib|nis|nntplib|ossaudiodev|pipes"
    "|sndhdr|spwd|sunau|telnetlib|uu|xdrlib|lib2to3"
)
"""Modules that CPython 3.12 and 3.13 removed (their "What's New")."""

PATTERNS = (
    _pattern("WF208", "wheelfarm: patch ", r"^wheelfarm: patch \S*?(?<!\d)(\d++)\.patch does not apply", "patch number {0} does not apply",
             "make it anew against this release's sdist, or remove it from `patches` in [packages.{package}]"),
    # --- errors whose cause is known more closely than the tool tells it
    _pattern("WF201", "Py_LIMITED_API is not", r"^(\S+:\d+:\d+: error: #error \"Py_LIMITED_API is not .*)$", "{0}", _NO_STABLE_ABI),
    _pattern("WF201", " function '", r"^(?!/tmp/|conftest)(\S+:\d+(?::\d+)?: error: implicit declaration of function '(_?Py\w+)'.*)$", "{0}", _GONE_FROM_C),
    _pattern("WF201", "' undeclared", r"^(?!/tmp/|conftest)(\S+:\d+(?::\d+)?: error: '(_?Py\w+)' undeclared.*)$", "{0}", _GONE_FROM_C),
    _pattern("WF201", "unrecognized command-line option '-std=", r"^\S+: error: (unrecognized command-line option '-std=\S+')", "{0}",
             "the base's compiler is older than that: build on a base with a newer one (`build-on` in [farm]), or take an older release"),
    _pattern("WF201", ": 'long' is not a type identifier", r"^(\S+\.(?:pyx|pxd|pxi):\d+:\d+: 'long' is not a type identifier)$", "Cython: {0}",
             _CONSTRAIN.format("cython<3.1", "later releases know no Python 2")),
    # --- compilers and linkers; what is under /tmp or called conftest is a question that a configure step asks
    _missing_pattern(": fatal error: ", r"^(?!/tmp/|conftest)\S+:\d+:\d+: fatal error: ([\w./+-]+): No such file or directory", "header",
            "a header is missing: {0}"),
    _pattern("WF201", ": No such file or directory", r"^(?:cc1\w*|\S*g?cc|\S*[gc]\+\+|clang\S*): (?:fatal )?error: (\S+): No such file or directory",
             "a source file is missing: {0}", "the sdist does not have it: take another release, or make the sdist anew"),
    _missing_pattern(": cannot find -l", r"ld(?:\.\w+)?: cannot find -l([\w.+-]+)", "library", "a library is missing: lib{0}", "lib{0}.so"),
    _pattern("WF201", "error: ", r"^(?!/tmp/|conftest)(\S+:\d+(?::\d+)?: (?:fatal )?error: .+)$", "{0}"),
    # The linker's name comes first or not at all: a word with `ld` in it and a colon at its end.
    _pattern("WF201", ": undefined reference to ", r"^(?:(?=\S*?ld)\S++(?<=:) )?((?!/tmp/)\S++(?<=\S:) undefined reference to .+)$", "{0}"),
    _pattern("WF201", "error[E", r"^(error\[E\d+\]: .+)$", "Rust: {0}"),
    # --- Meson
    _missing_pattern("ERROR: Dependency ", r"ERROR: Dependency \"?([\w.+-]+)\"? not found", "dependency", "a library is missing: {0}", "{0}.pc"),
    _missing_pattern("ERROR: Dependency lookup for ", r"ERROR: Dependency lookup for ([\w.+-]+) with method", "dependency", "a library is missing: {0}",
            "{0}.pc"),
    _missing_pattern("library '", r"ERROR: \S+ (?:shared or static |shared |static )?library '([^']+)' not found", "library",
            "a library is missing: lib{0}", "lib{0}.so"),
    _missing_pattern("ERROR: Program ", r"ERROR: Program '?([\w.+-]+)'? not found", "program", "a program is missing: {0}", "bin/{0}"),
    _missing_pattern(" header '", r"ERROR: \S+ header '([^']+)' not found", "header", "a header is missing: {0}"),
    _missing_pattern("ERROR: Unknown compiler", r"ERROR: Unknown compiler\(s\): \[\['([\w.+-]+)'", "program", "a compiler is missing: {0}", "bin/{0}"),
    _pattern("WF201", "meson.build:", r"^(\S*meson\.build:\d+:\d+: ERROR: .+)$", "Meson: {0}"),
    # --- the interpreter's libraries and stable ABI, whichever tool asks
    _pattern("WF201", _CMAKE, r"^CMake Error at .+\n\s+(Could NOT find Python(?:3|Libs|3Libs)?) \(missing:\s+((?:\S+\s+){0,3}?(?:\S*_LIBRAR(?:Y|IES)|Development(?:\.Embed)?)(?=\s|\)))",
             "CMake: {0} (missing: {1} …)", _ASK_FOR_MODULE),
    _pattern("WF201", "py_limited_api", r"^.*?(`py_limited_api='\w+'` not supported\. .*)$", "{0}", _NO_STABLE_ABI),
    _pattern("WF201", "PyO3's maximum supported version", r"^\s*(error: the configured Python interpreter version \([\d.]+\) is newer than PyO3's maximum.*)$", "{0}",
             "take a newer release; until there is one, `env = {{ PYO3_USE_ABI3_FORWARD_COMPATIBILITY = \"1\" }}` in [packages.{package}] builds it for "
             "the stable ABI where the package has that, which serves cp314 alone"),
    # --- CMake
    _pattern("WF201", _CMAKE, r"^CMake Error at .+\n\s+(Compatibility with CMake < 3\.5 has been removed from CMake\.)", "CMake: {0}",
             "set env = {{ CMAKE_POLICY_VERSION_MINIMUM = \"3.5\" }} in [packages.{package}]"),
    _missing_pattern(_CMAKE, r"^CMake Error at .+\n\s+Could NOT find (\w+)", "cmake", "a library is missing: {0}", "{0}Config.cmake"),
    _missing_pattern(_CMAKE, r"^CMake Error at .+\n(?:.*\n){0,4}?\n*+\s.*?(?<=\s)package\s++configuration\s++file\s++provided\s++by\s++\"([\w.+-]+)\"",
            "cmake", "a library is missing: {0}", "{0}Config.cmake"),
    _missing_pattern(_CMAKE, r"^CMake Error at .+\n\s+The following required packages were not found:\s+- ([^\s<>=]+)", "pkg-config",
            "a library is missing: {0}", "{0}.pc"),
    _missing_pattern(_CMAKE, r"^CMake Error at .+\n\s+Could not find \S+ using the following names: ([\w.+-]+)", "library",
            "a library is missing: {0}", "lib{0}.so"),
    _pattern("WF201", _CMAKE, r"^CMake Error at (\S+ \([^)\n]*\)):[^\S\n]*\n\s+(.+(?:\n  \S.*)?)", "CMake: {1} ({0})"),
    _pattern("WF201", "CMake Error", r"^(CMake Error(?: at \S+ \([^)]*\))?: ?.*)$", "{0}"),
    # --- Cython
    _pattern("WF201", ".pxd' not found", r"^(\S+\.(?:pyx|pxd):\d+:\d+: '([\w.]+)\.pxd' not found)$", "Cython: {0}", UNDECLARED.replace("{0}", "{1}")),
    _pattern("WF201", (".pyx:", ".pxd:", ".pxi:", ".py:"), r"^(\S+\.(?:pyx|pxd|pxi|py):\d+:\d+: .+)$", "Cython: {0}"),
    # --- Rust
    _pattern("WF202", "can't find Rust compiler", r"can't find Rust compiler", "a compiler is missing: Rust's",
             "add `cargo` to `apt` in [packages.{package}]", missing="program", name="cargo"),
    _pattern("WF201", "wheelfarm-toolchain-refused: ", r"^wheelfarm-toolchain-refused: (.*)$", "Rust: {0}",
             "the server of Rust toolchains lists that archive with this very hash: ask who runs it, or take another (`WHEELFARM_RUSTUP_DIST_SERVER`)"),
    _pattern("WF201", "failed to run custom build command for", r"^error: failed to run custom build command for `([^`]+)`(?:.*\n){1,8}?\s*+--- stderr\n\s*+(\S.*)",
             "Rust: the build of {0} says: {1}"),
    _pattern("WF201", " is not supported by the following package", r"^error: (rustc \S+ is not supported by the following packages?):\n\s*+(\S++ requires rustc \S++)",
             "Rust: {0}: {1}", _OLD_RUST),
    _pattern("WF201", " requires rustc ", r"(package `[^`]+` cannot be built because it requires rustc \S+ or newer, while the currently active rustc version is \S+)", "Rust: {0}",
             _OLD_RUST),
    _pattern("WF225", "error: failed to get `",
             r"^error: failed to get `([\w-]+)` as a dependency of package `([^`]+)`(?:.*\n){1,8}?\s*+"
             r"(?:download of config\.json failed|[Uu]nable to update registry|failed to query replaced source registry)",
             "Rust: the crate {0}, which {1} needs, cannot be had: no registry of crates answers the build", _CRATES),
    _pattern("WF201", "error: failed to get `", r"^error: failed to get `([\w-]+)` as a dependency of package `([^`]+)`", "Rust: the crate {0}, which {1} needs, cannot be had",
             "what comes from a repository is not to be had in a build: take an sdist that has it inside (`cargo vendor`), or put it there with a patch"),
    _pattern("WF225", "error: failed to download ", r"^error: failed to download (?:from|replaced source|`)(.*)$", "Rust: a crate cannot be had{0}", _CRATES),
    _pattern("WF225", "error: no matching package named `", r"^error: no matching package named `([\w-]+)` found", "Rust: the registry of crates has no crate {0}", _CRATES),
    _pattern("WF225", "error: failed to select a version for the requirement", r"^error: failed to select a version for the requirement `([^`]+)`",
             "Rust: the registry of crates has no release that fits {0}", _CRATES),
    _pattern("WF225", "error: checksum for `", r"^error: checksum for `([^`]+)` changed between lock files", "Rust: the registry of crates has another {0} than the package locks",
             "the registry that is configured gives another file under that name: ask who runs it, or take another (`WHEELFARM_CARGO_REGISTRY`)"),
    # --- requirements of the build; (?>…) takes the first of several such words in a line, and does not try the others
    _pattern("WF211", "No solution found when resolving", r"^(?>.*?No solution found when resolving).*\n\s*(?:cause: |╰─▶ )?(.+)",
             "build requirements cannot be had: {0}"),
    _pattern("WF211", "Failed to resolve requirements", r"Failed to resolve requirements from `build-system.requires`", "build requirements cannot be had",
             certainty=SOFT),
    # --- setuptools, and what setup.py calls
    _missing_pattern("No such file", r"error: (?:command|unable to execute) '([\w.+-]+)'(?: failed)?: No such file", "program", "a program is missing: {0}",
            "bin/{0}"),
    _missing_pattern("/bin/sh: ", r"^/bin/sh: \d+: ([\w.+-]+): not found", "program", "a program is missing: {0}", "bin/{0}", SOFT),
    _missing_pattern("_execute_child", r"^.*_execute_child\n(?:.*\n){1,8}?FileNotFoundError: \[Errno 2\] No such file or directory: '([\w.+-]+)'", "program",
            "a program is missing: {0}", "bin/{0}", SOFT),
    _missing_pattern("pkg-config search path", r"Package '?([\w.+-]+)'?,? (?:was )?not found in the pkg-config search path", "pkg-config",
            "a library is missing: {0}", "{0}.pc", SOFT),
    _missing_pattern("No package '", r"No package '([\w.+-]+)' found", "pkg-config", "a library is missing: {0}", "{0}.pc", SOFT),
    _missing_pattern("development packages", r"Error: Please make sure the ([\w.+-]+)(?: and ([\w.+-]+))? development packages are installed",
            "development", "development packages are missing: {0} {1}", "{0}", SOFT),
    _missing_pattern(" executable not found", r"^(?:Error: |\w+Error: )?([\w+-]*(?:_|-)config) executable not found", "program", "a program is missing: {0}", "bin/{0}"),
    replace(_pattern("WF202", "proj executable not found", r"^(?:\w*(?:Error|Exit): )?proj executable not found", "a library is missing: PROJ",
             "add the package with proj.h and the one with the program proj to `apt` in [packages.{package}]", missing="program", name="proj"),
            also=(("header", "proj.h"),)),
    _missing_pattern(" executable not found", r"^(?:Error: |\w+Error: )?([\w+-]+) executable not found", "program", "a program is missing: {0}", "bin/{0}", SOFT),
    _missing_pattern("Could not run ", r"Could not run ([\w.+-]+-config): \[Errno 2\]", "program", "a program is missing: {0}", "bin/{0}"),
    _missing_pattern("pkg-config --exists ", r"'pkg-config --exists ([\w.+-]+)' returned non-zero", "pkg-config", "a library is missing: {0}", "{0}.pc", SOFT),
    # --- auditwheel
    _pattern("WF210", "couldn't detect libc", r"^\S*InvalidLibcError: couldn't detect libc for python extension \S*?([^\s/]+)$",
             "auditwheel: {0} names no C library", "build it again: `wheelfarm run --again {package}`; the farm says which C library it is since"),
    _pattern("WF210", "Cannot repair wheel", r"^ValueError: (Cannot repair wheel, because required library \"([^\"]+)\" could not be located)",
             "auditwheel: {0}",
             "the build links to {1}, which the loader does not find in the image: link it statically, or leave it in a system folder"),
    _pattern("WF210", ("auditwheel: error:", "ValueError:", "RuntimeError:"),
             r"^(?:auditwheel: error:|ValueError:|RuntimeError:) (.*(?:ABI|glibc|policy|manylinux|platform tag).*)$", "auditwheel: {0}",
             "the wheel links to something the tag does not allow; see the log"),
    _pattern("WF210", "auditwheel", r"^(?>.*?auditwheel).*[Ee]rror: (.+)$", "auditwheel: {0}"),
    # --- modules that are gone, from setuptools or from Python
    _pattern("WF201", "No module named 'pkg_resources'", r"^\s*ModuleNotFoundError: No module named '(pkg_resources)[\w.]*'",
             "ModuleNotFoundError: No module named '{0}'", _CONSTRAIN.format("setuptools<82", "later releases have no pkg_resources"), certainty=CONSEQUENCE),
    _pattern("WF201", "No module named 'setuptools.command.test'", r"^\s*ModuleNotFoundError: No module named '(setuptools\.command\.test)'",
             "ModuleNotFoundError: No module named '{0}'", _CONSTRAIN.format("setuptools<72", "later releases have no `test` command"), certainty=CONSEQUENCE),
    _pattern("WF201", "No module named 'distutils", r"^\s*ModuleNotFoundError: No module named '(distutils[\w.]*)'", "ModuleNotFoundError: No module named '{0}'",
             "Python 3.12 removed distutils; setuptools brings it: add setuptools to `build-system.requires` with a patch, or take a newer release",
             certainty=CONSEQUENCE),
    _pattern("WF201", "No module named 'numpy.distutils", r"^\s*ModuleNotFoundError: No module named '(numpy\.distutils[\w.]*)'",
             "ModuleNotFoundError: No module named '{0}'", "numpy has no distutils from Python 3.12 on: take a release that builds without", certainty=CONSEQUENCE),
    _pattern("WF201", "No module named '", rf"^\s*ModuleNotFoundError: No module named '({_GONE_FROM_PYTHON})'", "ModuleNotFoundError: No module named '{0}'",
             "Python 3.12 or 3.13 removed {0}: take a newer release, or replace it with a patch", certainty=CONSEQUENCE),
    _pattern("WF201", "unable to detect version for", r"LookupError: (setuptools-scm was unable to detect version for \S+?)\.?$", "{0}",
             "an archive of a repository states no version: set env = {{ SETUPTOOLS_SCM_PRETEND_VERSION = \"the version\" }} in [packages.{package}], or take the "
             "sdist of the release", certainty=CONSEQUENCE),
    _pattern("WF201", "incompatible with the project's Python requirement", r"resolved to (Python \S+, which is incompatible with the project's Python requirement: .*)$",
             "{0}", "if the code works there, lift the cap on `requires-python` in pyproject.toml with a patch (`patches` in [packages.{package}])", certainty=CONSEQUENCE),
    # --- whatever else
    _pattern("WF201", "ModuleNotFoundError: ", r"^\s*ModuleNotFoundError: No module named '([\w.]+)'", "ModuleNotFoundError: No module named '{0}'",
             UNDECLARED, certainty=CONSEQUENCE),
    _pattern("WF201", ("Error: ", "Exception: ", "Exit: "), r"^\s*((?:[A-Za-z_][\w.]*)?(?:Error|Exception|Exit): .+)$", "{0}", certainty=CONSEQUENCE),
    _pattern("WF201", "error: ", r"^error: (?!Failed to build)(.+)$", "{0}", certainty=CONSEQUENCE),
    _pattern("WF201", "cause: ", r"^\s+cause: (?!The build backend returned|Call to )(.+)$", "{0}", certainty=CONSEQUENCE),
    _pattern("WF201", "cibuildwheel: error: ", r"^cibuildwheel: error: (?!Command )(.+)$", "{0}", certainty=CONSEQUENCE),
)  # fmt: skip
"""All known errors. Of several that match a log, the one with the surest certainty is the error, then the one that is
earliest in the log, then the one that is first in this table."""
