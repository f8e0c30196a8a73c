"""A finding: one judged fact about a package."""

from __future__ import annotations

from dataclasses import dataclass

from builder.finding_codes import FindingCode
from builder.judge import codes
from builder.judge.codes import Code
from builder.store.hashing import digest
from builder.verdicts import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One judged fact about a package on an ABI.

    Attributes:
        detail: what was seen, for a person.
        where: the module, file or stage it is about.
        bases: where it was seen.
        remedy: what to do in this very case; empty for the code's own.
        script: a program that shows it again, if there is one.
        race: whether that program needs the race detector's interpreter.
        advisory: it does not count for the verdict, because another base made up for it.
    """

    code: FindingCode
    detail: str
    where: str = ""
    bases: tuple[str, ...] = ()
    remedy: str = ""
    log: str = ""
    script: str = ""
    race: bool = False
    advisory: bool = False

    @property
    def kind(self) -> Code:
        """Its row of the table."""
        return codes.load()[self.code]

    @property
    def verdict(self) -> Verdict | None:
        """The verdict it forces."""
        return None if self.advisory else self.kind.verdict

    def make_id(self, name: str, version: str, abi: str) -> str:
        """Return an id that stays the same from run to run."""
        return digest(name, version, abi, self.code, self.where)[:12]
