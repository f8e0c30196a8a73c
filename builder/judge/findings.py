"""A finding: one judged fact about a package."""

from __future__ import annotations

from dataclasses import dataclass, replace

from builder.judge import codes
from builder.judge.codes import Code
from builder.judge.levels import ThreadFault
from builder.judge.location import Location
from builder.judge.ways_out import WayOut
from builder.store.hashing import digest
from builder.verdicts import Severity, Verdict
from builder.verdicts.codes import FindingCode

_ID_LENGTH = 12  # hexadecimal digits: short enough to type, and unique among the findings of a run


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One judged fact about a package on an ABI.

    Attributes:
        detail: what was seen, for a person.
        where: the module, file, functions or stage it is about: with the code, what tells findings of a package apart.
        locations: the lines of source code it is about, where they are known.
        package: empty where a wheel is judged by itself (`wheelfarm check`); so are version and ABI.
        bases: where it was seen.
        remedy: what to do in this very case; empty for the code's own.
        ways_out: the same as single steps, those that are known to work first; empty where the remedy is one step.
        script: a program that shows it again, if there is one.
        short: a program of a few lines that makes the same calls, for people; empty where there is none.
        race: whether that program needs the race detector's interpreter.
        cause: what all findings with the same cause are called; empty where that is not known.
        functions: dotted names of the package's functions that it is about.
        places: of a race, the native functions that race, each with its file.
        also: what else it is about, each as `where` has it for a finding of its own: places of the same cause.
        calls: the calls that show a fault under threads, in words; empty for any other.
        seen: a wrong result that was met, beside the right one; empty where there was none.
        threads: what is known of a fault under threads: it decides the verdict; None for any other finding.
        shares: whether threads shared an object or an argument when it was seen.
        advisory: it does not count for the verdict, because another base made up for it, or a fault explains it.
    """

    code: FindingCode
    detail: str
    where: str = ""
    locations: tuple[Location, ...] = ()
    package: str = ""
    version: str = ""
    abi: str = ""
    bases: tuple[str, ...] = ()
    remedy: str = ""
    ways_out: tuple[WayOut, ...] = ()
    log: str = ""
    script: str = ""
    short: str = ""
    race: bool = False
    cause: str = ""
    functions: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    calls: str = ""
    seen: str = ""
    threads: ThreadFault | None = None
    shares: bool = False
    advisory: bool = False

    @property
    def kind(self) -> Code:
        """Its row of the table."""
        return codes.load()[self.code]

    @property
    def verdict(self) -> Verdict | None:
        """The verdict it forces."""
        if self.advisory:
            return None
        return self.kind.verdict if self.threads is None else self.threads.verdict

    @property
    def severity(self) -> Severity:
        """How bad it is: what users avoid by sharing nothing is a warning."""
        if self.threads is not None and self.threads.verdict is Verdict.DISTINCT:
            return Severity.WARNING
        return self.kind.severity

    @property
    def verdict_rank(self) -> int:
        """How bad the verdict is that it forces; -1 where it forces none."""
        return -1 if self.verdict is None else self.verdict.rank

    @property
    def id(self) -> str:
        """Stays the same from run to run."""
        return digest(self.package, self.version, self.abi, self.code, self.where)[:_ID_LENGTH]

    def assign_to(self, package: str, version: str, abi: str) -> Finding:
        """Return the finding as one about a package on an ABI."""
        return replace(self, package=package, version=version, abi=abi)
