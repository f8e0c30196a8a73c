"""What bases are compared by: what is installed on each, and what was recorded of that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.config.catalog import Abi, Base
    from builder.evidence.application import ApplicationFacts
    from builder.evidence.audit import WheelFacts
    from builder.evidence.load import AbiLoad
    from builder.judge.bases import BaseOutcome
    from builder.judge.interfaces import Interfaces
    from builder.verdicts import ApplicationVerdict, Severity


_CODES_OF_BASES = frozenset({"WF302", "WF315", "WF316", "WF336"})
"""Findings about wheels that are judged against each base: symbol versions and libraries that it lacks."""

_FAMILIES_OF_LOADS = ("WF4", "WF5")
"""Findings of loading, which is tried on every base. What builds and threads show is asked on few."""


def is_about_bases(code: str) -> bool:
    """Return whether a finding that holds for some bases was looked for on the others as well."""
    return code in _CODES_OF_BASES or code.startswith(_FAMILIES_OF_LOADS)


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseFinding:
    """A finding about a package that holds for some bases.

    Attributes:
        title: its code and what it is: `WF316 missing system library`.
        bases: names of the bases that it holds for.
        remedy: what to do about it there.
    """

    title: str
    severity: Severity
    bases: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedPackage:
    """A package as it is installed with one ABI.

    Attributes:
        name: of its project.
        wheels: by base the file that an installer takes there; empty where the index serves none that fits.
        audits: what is in these files, by file name; those that nobody audited are left out, as pure ones are.
        outcomes: by base what importing its native modules showed; empty where it has none.
        loads: by base what loading the installed file showed; bases where that was not recorded are left out.
        findings: those that hold for some bases.
    """

    name: str
    version: str
    abi: Abi
    wheels: Mapping[str, str]
    audits: Mapping[str, WheelFacts] = field(default_factory=dict)
    outcomes: Mapping[str, BaseOutcome] = field(default_factory=dict)
    loads: Mapping[str, AbiLoad] = field(default_factory=dict)
    findings: tuple[BaseFinding, ...] = ()

    def audit_on(self, base: str) -> WheelFacts | None:
        """Return what is in the file that is installed on a base; None where it has none that was audited."""
        return self.audits.get(self.wheels.get(base, ""))


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What trying the application with one ABI on one base came to.

    Attributes:
        facts: what was recorded; None where it was not tried.
        threads: what came of its native calls in several threads; empty where they were not made.
    """

    verdict: ApplicationVerdict
    facts: ApplicationFacts | None = None
    threads: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemPackages:
    """System packages of one base.

    Attributes:
        needed: by name who needs it where it is run: the interpreter, the application, a package of the lock.
        for_builds: by name who needs it to be built; None for a base on which nothing is built.
        installed: versions of what the image has in which it was tried, by name; None where they were not recorded.
    """

    needed: Mapping[str, tuple[str, ...]]
    for_builds: Mapping[str, tuple[str, ...]] | None = None
    installed: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What is compared: an application, or the whole matrix, on two bases or more.

    Attributes:
        application: its name; empty for the whole matrix.
        system: by base.
        trials: by (ABI, base).
    """

    application: str
    bases: tuple[Base, ...]
    abis: tuple[Abi, ...]
    packages: tuple[ComparedPackage, ...]
    system: Mapping[str, SystemPackages]
    interfaces: Interfaces
    trials: Mapping[tuple[str, str], Trial] = field(default_factory=dict)
