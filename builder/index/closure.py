"""What an index serves, it serves with what that needs: verdicts and requirements -> what is held back. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from builder.index.policy import is_admitted
from builder.judge.findings import Finding
from builder.sources import Source
from builder.sources.markers import marker_applies
from builder.untrusted.names import UntrustedNameError, parse_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from builder.config.catalog import Abi
    from builder.judge.package import JudgedPackage, Judgement
    from builder.sources import Pure

Withheld = dict[str, dict[tuple[str, str], str]]
"""By ABI: pure wheels, as (project, version), that lack there what they need, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Closure:
    """What is left of an index once nothing is served that lacks what it needs.

    Attributes:
        packages: the judged packages; `held` of a judgement says why policy admits it and the index does not.
        withheld: pure wheels that come with packages and lack what they need on an ABI.
    """

    packages: tuple[JudgedPackage, ...]
    withheld: Withheld


def close_index(
    judged: Sequence[JudgedPackage], publish: Iterable[str], abis: Iterable[Abi]
) -> Closure:
    """Return judged packages in which what lacks a requirement on an ABI is held back there.

    A package lacks what it needs if the index serves no wheel of that on the ABI, be it in quarantine, not there, or
    held back itself.

    Args:
        judged: packages with their verdicts.
        publish: verdicts whose wheels are served.
        abis: those of the matrix.
    """
    allowed = frozenset(publish)
    pure_wheels = _collect_pure_wheels(judged)
    packages = list(judged)
    withheld: Withheld = defaultdict(dict)
    for abi in abis:
        search = _Search(judged, allowed, abi, pure_wheels)
        search.run()
        withheld[abi.name] = search.withheld
        packages = [_hold(package, abi.name, search.held) for package in packages]

    return Closure(packages=tuple(packages), withheld=dict(withheld))


def _collect_pure_wheels(judged: Iterable[JudgedPackage]) -> dict[tuple[str, str], Pure]:
    """Return the pure wheels that come with packages, by project and version."""
    wheels: dict[tuple[str, str], Pure] = {}
    for package in judged:
        if isinstance(package.source, Source):
            for wheel in package.source.pure:
                wheels[canonicalize_name(wheel.name), wheel.version] = wheel

    return wheels


class _Search:
    """Finds what an index cannot serve on one ABI, until nothing that is left lacks anything.

    Attributes:
        held: by package, why it is held back.
        withheld: the same by pure wheel.
    """

    def __init__(
        self,
        judged: Sequence[JudgedPackage],
        allowed: frozenset[str],
        abi: Abi,
        pure_wheels: Mapping[tuple[str, str], Pure],
    ) -> None:
        self._abi = abi
        self._judgements: dict[str, Judgement] = {}
        self._admitted: dict[str, JudgedPackage] = {}
        self._names: dict[str, list[str]] = {}  # packages of each project
        for package in judged:
            judgement = package.abis.get(abi.name)
            if judgement is None:
                continue
            self._judgements[package.name] = judgement
            self._names.setdefault(package.project, []).append(package.name)
            if is_admitted(judgement, allowed) and _has_wheel(package, judgement):
                self._admitted[package.name] = package

        # What is wrong with a requirement is said where it is resolved; of other projects nothing is known.
        python = Version(abi.release)
        self._needs: dict[tuple[str, str], list[str]] = {}
        for key, wheel in pure_wheels.items():
            projects = [
                project for project in _list_needed(wheel, python) if project in self._names
            ]
            if projects:
                self._needs[key] = projects

        self.held: dict[str, str] = {}
        self.withheld: dict[tuple[str, str], str] = {}

    def run(self) -> None:
        """Hold back what lacks something, and what needs that, until nothing changes."""
        has_changed = True
        while has_changed:
            has_changed = False
            for name, package in self._admitted.items():
                reason = "" if name in self.held else self._explain_lack(package)
                if reason:
                    self.held[name] = reason
                    has_changed = True
            for key in self._needs:
                reason = "" if key in self.withheld else self._explain_lack_of_pure(key)
                if reason:
                    self.withheld[key] = reason
                    has_changed = True

    def _explain_lack(self, package: JudgedPackage) -> str:
        """Return why a package cannot be installed; empty where it can."""
        source = package.source
        if not isinstance(source, Source):
            return ""

        for need in source.needs:
            if not self._is_served(need):
                return f"it needs {need}, {self._explain_absence(need)}"
        for wheel in source.pure:
            key = (canonicalize_name(wheel.name), wheel.version)
            if key in self.withheld:
                return f"it needs {wheel.name}; {self.withheld[key]}"

        return ""

    def _explain_lack_of_pure(self, key: tuple[str, str]) -> str:
        """Return why a pure wheel cannot be installed; empty where it can."""
        for project in self._needs[key]:
            if not any(self._is_served(name) for name in self._names[project]):
                return f"{key[0]} needs {project}, {self._explain_absence(project)}"

        return ""

    def _is_served(self, name: str) -> bool:
        return name in self._admitted and name not in self.held

    def _explain_absence(self, name: str) -> str:
        """Return why the index does not serve a package on the ABI."""
        judgement = self._judgements.get(name)
        if name in self.held:
            return f"which is held back on {self._abi.name} itself"
        if judgement is None:
            return f"of which nothing is known on {self._abi.name}"
        if not judgement.wheels:
            return f"of which there is no wheel for {self._abi.name} ({judgement.verdict.value})"
        return f"which is in quarantine on {self._abi.name} ({judgement.verdict.value})"


def _list_needed(wheel: Pure, python: Version) -> list[str]:
    """Return the projects that a pure wheel needs, its extras left out; requirements that are none are skipped."""
    projects: list[str] = []
    for text in wheel.requires:
        try:
            requirement = parse_requirement(text)
        except UntrustedNameError:
            continue
        if marker_applies(requirement.marker, python):
            projects.append(canonicalize_name(requirement.name))

    return projects


def _has_wheel(package: JudgedPackage, judgement: Judgement) -> bool:
    """Return whether there is a wheel of a package for an ABI: its own, or a pure one of the package index."""
    has_pure = isinstance(package.source, Source) and package.source.only_pure is not None
    return bool(judgement.wheels) or has_pure


def _hold(package: JudgedPackage, abi: str, held: Mapping[str, str]) -> JudgedPackage:
    """Return a package with its judgement on an ABI held back, where there is a reason; else as it is."""
    reason = held.get(package.name)
    if reason is None:
        return package

    judgement = package.abis[abi]
    finding = Finding(code="WF418", detail=f"held back on {abi}: {reason}", where=abi)
    finding = finding.assign_to(package.name, package.version, abi)
    held_judgement = replace(judgement, held=reason, findings=(*judgement.findings, finding))

    return replace(package, abis={**package.abis, abi: held_judgement})
