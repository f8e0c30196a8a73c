"""Why the farm itself could not go on, and the exit code each reason has.

What is wrong with a package is never an exception: it is evidence, and becomes a finding.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Self

from builder.verdicts.codes import FindingCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ExitCode(IntEnum):
    """What a command's exit status says, one code per class of outcome (documented in docs/exit-codes.md)."""

    ADMISSIBLE = 0
    """Every package was judged, and each verdict is `compatible`, `distinct`, `unproven` or `gil-required`."""
    FAULTS = 1
    """Every package was judged, and at least one has a worse verdict; or a gate refused a promotion."""
    USAGE = 2
    """The command line, matrix.toml or a file of dependencies is wrong. Nothing ran."""
    UNDETERMINED = 3
    """No fault was shown, but at least one package is undetermined: the infrastructure failed."""
    ENGINE = 4
    """No container engine answers. Nothing ran."""
    LOCKED = 5
    """Another process has locked this wheelhouse. Nothing ran."""
    WARNINGS = 6
    """`check` found warnings, and nothing worse."""
    INTERNAL = 70
    """A bug in wheelfarm (sysexits.h: EX_SOFTWARE)."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or a termination signal; the next run goes on from here."""


class FarmError(Exception):
    """The farm cannot go on. The text says what happened, the likely cause, and what to do."""

    exit_code = ExitCode.INTERNAL


class MatrixError(FarmError):
    """matrix.toml is wrong.

    Attributes:
        path: the file.
        mistakes: every mistake in it, as (dotted path, what is wrong and what was expected).
    """

    exit_code = ExitCode.USAGE

    def __init__(self, path: Path, mistakes: Sequence[tuple[str, str]]) -> None:
        """Make the message: how many mistakes there are, then one indented line for each.

        A mistake with an empty dotted path is about the whole file; its line is the text alone.
        """
        self.path = path
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        lines = (f"  {dotted}: {text}" if dotted else f"  {text}" for dotted, text in self.mistakes)
        super().__init__("\n".join((f"{count} in {path}", *lines)))


class DependencyFileError(FarmError):
    """A file of dependencies cannot be read or is wrong.

    Attributes:
        path: the file.
        mistakes: what is wrong in it, as (line or dotted path, what was found and what was expected).
    """

    exit_code = ExitCode.USAGE

    def __init__(self, path: Path, mistakes: Sequence[tuple[str, str]]) -> None:
        """Make the message: one line for each mistake, as `requirements.txt: line 3: what is wrong`.

        A mistake with an empty place is about the whole file; its line leaves the place out.
        """
        self.path = path
        self.mistakes = tuple(mistakes)
        lines = (
            f"{path}: {where}: {text}" if where else f"{path}: {text}"
            for where, text in self.mistakes
        )
        super().__init__("\n".join(lines))


class IndexUnreachableError(FarmError):
    """The package index does not answer, and nothing can be said without it."""

    exit_code = ExitCode.UNDETERMINED

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}. Nothing was changed; see `wheelfarm doctor`, then try again.")


class UnknownPackageError(FarmError):
    """`--only` names a package that the matrix does not have."""

    exit_code = ExitCode.USAGE

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        super().__init__(
            f"--only {name}: the matrix has no such package. It has: {', '.join(known) or 'none'}"
        )


class ReplayError(FarmError):
    """A finding cannot be replayed."""

    exit_code = ExitCode.USAGE

    def __init__(self, identity: str, reason: str) -> None:
        self.identity = identity
        super().__init__(
            f"replay {identity}: {reason}; the ids are in verdicts.json, and `wheelfarm show` lists them"
        )


class NoRecordError(FarmError):
    """A wheelhouse has no verdict on the package that was asked for."""

    exit_code = ExitCode.USAGE

    def __init__(self, name: str, wheelhouse: Path, known: Sequence[str]) -> None:
        self.name = name
        has = f"It knows: {', '.join(known)}." if known else "It has no verdicts.json yet."
        super().__init__(
            f"{wheelhouse} knows nothing of {name}. {has} Run `wheelfarm run`, or use --wheelhouse DIR."
        )


class NoNightError(FarmError):
    """A wheelhouse has no record of a night whose alert could be sent again."""

    exit_code = ExitCode.USAGE

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not there, or another version of wheelfarm wrote it: `wheelfarm nightly` and `merge` write it. "
            "Use --wheelhouse DIR, or --test for a test message."
        )


class UnknownSnapshotError(FarmError):
    """`rollback` cannot return to the snapshot that was asked for. There is a constructor for each reason."""

    exit_code = ExitCode.USAGE

    def __init__(self, reason: str, known: Sequence[str]) -> None:
        """Make the message: the reason, then the ids of all snapshots of the wheelhouse."""
        snapshots = (
            ", ".join(known) or "none; `wheelfarm run` makes one each time the index changes"
        )
        super().__init__(f"{reason}. Snapshots: {snapshots}")

    @classmethod
    def for_prefix(cls, prefix: str, known: Sequence[str]) -> Self:
        """Return the error for the beginning of an id that no snapshot has, or several have."""
        return cls(f"{prefix}: no snapshot, or more than one, has an id that begins so", known)

    @classmethod
    def for_no_previous(cls, known: Sequence[str]) -> Self:
        """Return the error for a rollback without an id where no snapshot comes before the current one."""
        return cls("there is no snapshot before the current one", known)

    @classmethod
    def for_lost_file(cls, snapshot: str, filename: str, known: Sequence[str]) -> Self:
        """Return the error for a snapshot, by its id, of which the store no longer has a file."""
        return cls(
            f"snapshot {snapshot} cannot be published again: the store no longer has {filename}",
            known,
        )


class PromotionError(FarmError):
    """Nothing can be promoted: there is no canary channel, or it does not have what was named."""

    exit_code = ExitCode.USAGE

    @classmethod
    def for_no_rollout(cls, path: Path) -> Self:
        """Return the error for a matrix without a rollout."""
        return cls(
            f"{path} has no table [rollout]: everything that policy admits is in simple/ at once. "
            "See docs/publishing.md."
        )

    @classmethod
    def for_no_canary(cls, wheelhouse: Path) -> Self:
        """Return the error for an index that was published without a canary channel."""
        return cls(
            f"{wheelhouse} has no canary channel; `wheelfarm run` makes it where the matrix has [rollout]"
        )

    @classmethod
    def for_unknown(cls, name: str) -> Self:
        """Return the error for a name that the canary channel does not have."""
        return cls(
            f"{name}: canary/ has no such package or release; `wheelfarm promote --list` shows what is pending"
        )


class TargetError(FarmError):
    """An index does not take uploads, from us or at all."""

    exit_code = ExitCode.UNDETERMINED

    def __init__(self, target: str, reason: str, *, remedy: str) -> None:
        self.target = target
        super().__init__(f"{target}: {reason}; {remedy}")


class MergeError(FarmError):
    """The shards of a run cannot be merged.

    Attributes:
        wheelhouse: the shard's wheelhouse that cannot be merged with the others.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, wheelhouse: Path, reason: str) -> None:
        self.wheelhouse = wheelhouse
        super().__init__(f"{wheelhouse}: {reason}. Nothing was published.")


class EngineMissingError(FarmError):
    """No container engine answers.

    Attributes:
        tried: (address, reason it cannot be used) of each engine that was asked.
    """

    exit_code = ExitCode.ENGINE

    def __init__(self, tried: Sequence[tuple[str, str]], remedy: str) -> None:
        self.tried = tuple(tried)
        lines = (f"  {address}: {reason}" for address, reason in self.tried)
        super().__init__("\n".join(("no container engine answers", *lines, remedy)))


class WheelhouseLockedError(FarmError):
    """Another process works in this wheelhouse and has locked it."""

    exit_code = ExitCode.LOCKED

    def __init__(self, wheelhouse: Path, holder: str) -> None:
        self.holder = holder
        super().__init__(
            f"{wheelhouse} is locked by another wheelfarm process ({holder}). "
            "Wait for it, stop it, or use --wheelhouse DIR."
        )


class NewerLedgerError(FarmError):
    """A newer wheelfarm wrote the ledger of this wheelhouse.

    Attributes:
        path: the ledger.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, path: Path, version: int, known: int) -> None:
        self.path = path
        super().__init__(
            f"{path} has schema {version}, and this wheelfarm knows {known}: a newer one wrote it. "
            "Use that version, or --wheelhouse DIR."
        )


class NoSpaceError(FarmError):
    """The disk is full: nothing more can be recorded."""

    exit_code = ExitCode.UNDETERMINED

    def __init__(self, place: Path | str) -> None:
        super().__init__(
            f"no space is left for {place}. What was finished is kept; make room (`wheelfarm gc`), then run again."
        )


class InfrastructureError(FarmError):
    """The infrastructure failed, so that nothing can be said about a package.

    Inside a job it stops nothing else: the job's evidence becomes `undetermined` with this text as the reason.

    Attributes:
        code: the finding it becomes (builder/judge/codes.toml).
    """

    exit_code = ExitCode.UNDETERMINED

    def __init__(self, reason: str, *, code: FindingCode = "WF902") -> None:
        self.code = code
        super().__init__(reason)


class Interrupted(Exception):  # noqa: N818 - it is no error: somebody asked the farm to stop
    """The farm was asked to stop, and a job noticed."""
