"""Verdicts of a package and of an application on an ABI, from good to bad, and how severe a finding is."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """The outcome for a package on an ABI, the best first; of those that apply the last one wins."""

    COMPATIBLE = "compatible"
    DISTINCT = "distinct"
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

    @property
    def is_good(self) -> bool:
        """Whether there is nothing about the package that its users have to know."""
        return self in {Verdict.COMPATIBLE, Verdict.UNPROVEN}

    @property
    def is_fault(self) -> bool:
        """Whether a fault of the package was shown; needing the GIL is none, for the package says so itself."""
        return self.rank > Verdict.GIL_REQUIRED.rank


class ApplicationVerdict(StrEnum):
    """The outcome for an application on an ABI and a base, the best first; of those that apply the last one wins."""

    READY = "ready"
    READY_WITH_RISKS = "ready with risks"
    UNDETERMINED = "undetermined"
    BLOCKED = "blocked"

    @property
    def rank(self) -> int:
        """Position in the table: a larger one wins."""
        return list(ApplicationVerdict).index(self)


class Severity(StrEnum):
    """How bad a finding is, the least first."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """Position in the table: a larger one is worse."""
        return list(Severity).index(self)
