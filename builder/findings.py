"""The table of finding codes: how bad each is, which verdict it forces, what it means and what to do.

WF1xx sources · WF2xx build · WF3xx ABI · WF4xx load · WF5xx GIL and interpreters · WF9xx the farm itself.
docs/findings.md is generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from builder.store import digest


class Verdict(StrEnum):
    """The outcome for a package on an ABI, the best first; of those that apply the last one wins."""

    COMPATIBLE = "compatible"
    UNPROVEN = "unproven"
    UNDETERMINED = "undetermined"
    GIL_REQUIRED = "gil-required"
    RACY = "racy"
    THREAD_UNSAFE = "thread-unsafe"
    ABI_MISMATCH = "abi-mismatch"
    IMPORT_FAILURE = "import-failure"
    BUILD_FAILURE = "build-failure"

    @property
    def rank(self) -> int:
        """Position in the table: a larger one wins."""
        return list(Verdict).index(self)


class Severity(StrEnum):
    """How bad a finding is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """One kind of finding.

    Attributes:
        title: a few words for a table.
        verdict: the verdict it forces, or None where it is only worth knowing.
        meaning: what was found, for someone who has never heard of it.
        remedy: what to do about it.
    """

    code: str
    severity: Severity
    title: str
    verdict: Verdict | None
    meaning: str
    remedy: str


def _error(code: str, title: str, verdict: Verdict | None, meaning: str, remedy: str) -> Code:
    return Code(code=code, severity=Severity.ERROR, title=title, verdict=verdict, meaning=meaning, remedy=remedy)


def _warning(code: str, title: str, verdict: Verdict | None, meaning: str, remedy: str) -> Code:
    return Code(code=code, severity=Severity.WARNING, title=title, verdict=verdict, meaning=meaning, remedy=remedy)


_B = Verdict.BUILD_FAILURE
_I = Verdict.IMPORT_FAILURE
_A = Verdict.ABI_MISMATCH
_G = Verdict.GIL_REQUIRED
_U = Verdict.UNDETERMINED

CODES = {
    code.code: code
    for code in (
        _error("WF101", "unknown name", _B, "The package index knows no project of this name.",
               "Correct the table's name in matrix.toml, or point pip's index setting at the index that has it."),
        _error("WF102", "no sdist", _B, "The release has wheels only, so there is nothing to build from.",
               "Choose a release that has an sdist with `version`, or give a local one with `sdist`."),
        _error("WF103", "wrong hash", _B, "A file is not the one its sha256 promises. It was not used.",
               "Find out who changed the file. If the change is legitimate, correct `sha256` in matrix.toml."),
        _error("WF104", "no matching release", _B, "No release of the project satisfies `version`.",
               "Widen `version` in matrix.toml. Pre-releases and yanked releases have to be named."),
        _error("WF105", "unusable sdist", _B, "The sdist is missing, damaged, or of another package.",
               "Correct `sdist` in matrix.toml, or make the sdist anew with `python -m build --sdist`."),
        _error("WF106", "index silent", _U, "The package index did not answer, so the farm cannot tell what it has.",
               "Run `wheelfarm doctor`, then run again. What was finished is kept."),
        _error("WF107", "Python excluded", _B, "The release's requires-python leaves this Python out, so pip would not install it.",
               "Choose a newer release, or patch the metadata if the code works."),
        _error("WF108", "patch missing", _B, "A patch that matrix.toml names is not there.", "Correct `patches` in matrix.toml."),
        _warning("WF109", "dependencies unknown", None, "What the package needs at run time could not be resolved.",
                 "Read the detail; a pin in the matrix may contradict the package's own requirements."),
        _error("WF201", "build error", _B, "The build stopped with an error.", "Read the log; the first error is quoted."),
        _error("WF202", "missing header, library or program", _B, "The build needs something of the system that is not installed.",
               "Add the system package that has it to `apt`."),
        _error("WF203", "build timed out", _B, "The build did not end in the time it may take.", "Raise `timeout_s` if it is honest work."),
        _error("WF204", "build out of memory", _B, "The build needed more memory than it may have.", "Raise `memory` if it is honest work."),
        _error("WF205", "build forked too much", _B, "The build started more processes than it may have.", "Mend the build."),
        _error("WF206", "no native code built", _B, "The build made no wheel for the ABI, or one without extension modules: "
               "extensions that are optional are left out in silence when they do not compile.",
               "Read the log for the compiler's error."),
        _error("WF207", "unknown system package", _B, "The base's distribution has no package of this name.",
               "Correct `apt`; names differ between distributions, and a table by distribution is possible."),
        _error("WF208", "patch does not apply", _B, "A patch of the matrix does not fit the sdist.", "Make it anew against this release."),
        _warning("WF209", "skipped", _U, "The matrix says not to build this ABI.", "Remove `skip` from matrix.toml to have it judged."),
        _error("WF210", "repair failed", _B, "auditwheel could not make a manylinux wheel of what was built.",
               "See the log: a library is too new for any policy, or cannot be found."),
        _error("WF211", "build requirements unavailable", _B, "What the build backend needs could not be installed.",
               "A build requirement may not support this Python yet; see the log."),
        _error("WF301", "extension for another ABI", _A, "An extension module's suffix names another ABI than the wheel's tag, "
               "so the interpreter will not find it (PEP 3149).", "Mend the build: it takes the suffix from another interpreter."),
        _error("WF302", "platform tag too good", _A, "The wheel needs a newer C library than its platform tag promises (PEP 600).",
               "Rebuild on an older base, or let auditwheel set the tag."),
        _warning("WF303", "not auditable", _U, "auditwheel could not judge the wheel.", "Read the detail."),
        _error("WF401", "does not install", _I, "pip refuses to install the wheel from the farm's index.", "Read pip's message."),
        _error("WF402", "import fails", _I, "Importing the package or one of its native modules raises an exception.",
               "Read the exception; a system library that auditwheel leaves outside may be missing."),
        _error("WF403", "import crashes", _I, "The interpreter dies while importing.", "See the log for the stack."),
        _error("WF404", "import hangs", _I, "The import does not end.", "See the log."),
        _error("WF405", "dependency without wheel", _I, "A native package it needs has no wheel for this ABI.",
               "Mend that package first, or choose a release that does not need it."),
        _warning("WF406", "optional module needs more", None, "A native module needs a package that the metadata does not require.",
                 "Install that package to use the module."),
        _error("WF501", "import turns the GIL on", _G, "Importing the package turns the GIL back on for the whole process, because "
               "an extension module does not declare that it works without it (PEP 703, `Py_mod_gil`).",
               "Stay on cp314 for this package, or ask its maintainers for free-threaded support."),
        _error("WF502", "submodule turns the GIL on", _G, "A native submodule turns the GIL back on when it is imported, which may be late.",
               "Avoid the submodule, or stay on cp314 for this package."),
        _warning("WF901", "base not to be had", _U, "The base could not be had, so nothing is known about it.",
                 "Run `wheelfarm doctor`; leave the base out of `[farm] bases` if it is not needed."),
        _warning("WF902", "farm could not tell", _U, "The infrastructure failed, not the package.",
                 "Run again; what was finished is kept. `wheelfarm doctor` checks this machine."),
    )
}  # fmt: skip
"""Every code, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One judged fact about a package on an ABI.

    Attributes:
        detail: what was seen, for a person.
        where: the module, file or stage it is about.
        bases: where it was seen.
        remedy: what to do in this very case; empty for the code's own.
        advisory: it does not count for the verdict, because another base made up for it.
    """

    code: str
    detail: str
    where: str = ""
    bases: tuple[str, ...] = ()
    remedy: str = ""
    log: str = ""
    advisory: bool = False

    @property
    def kind(self) -> Code:
        """Its row of the table."""
        return CODES[self.code]

    @property
    def verdict(self) -> Verdict | None:
        """The verdict it forces."""
        return None if self.advisory else self.kind.verdict

    def identity(self, name: str, version: str, abi: str) -> str:
        """Return an id that stays the same from run to run."""
        return digest(name, version, abi, self.code, self.where)[:12]
