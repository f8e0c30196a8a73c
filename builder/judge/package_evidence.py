"""What a package is judged by: the evidence of its jobs, and the facts in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from builder.distributions.identity import StatedIdentity, explain_mismatch
from builder.evidence.audit import AuditFacts
from builder.evidence.base import Facts
from builder.evidence.build import AbiBuild, BuildFacts, Failure
from builder.evidence.exercise import ExerciseFacts
from builder.evidence.load import LoadFacts
from builder.evidence.race import RaceFacts
from builder.judge.import_remedies import Neighbours
from builder.judge.wheel.installs import Owners

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from builder.config.catalog import Base
    from builder.judge.interfaces import Interfaces
    from builder.judge.ways_out import PastBuild
    from builder.sources import Source
    from builder.store.evidence import Evidence

_Facts = TypeVar("_Facts", bound=Facts)


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageEvidence:
    """What there is to judge a package by: evidence per base it was built on, and per base it was loaded on.

    Attributes:
        builds: by base.
        audits: by base.
        loads: by (built on, loaded on).
        skip: reasons by ABI that the matrix leaves out.
        bases: where the wheels are meant to run.
        interfaces: what interpreters and bases offer.
        race: what the race detector saw, where it was asked.
        exercise: what threads did to it, where that was tried.
        speed: how fast it is, where that was measured.
        remedies: what was found out about what a build missed, by base.
        system: system packages the matrix has for it, by base it is built on.
        owners: who in the run brings which packages and modules.
        excluded: shared libraries that the matrix leaves to the system.
        after: packages that are imported before it wherever it is tried.
        neighbours: the other packages of the run, for advice.
        pure: ABIs that the matrix takes upstream's wheel without native code for.
        past_builds: by ABI, what building the same sdist came to in earlier runs, where upstream has no wheel.
    """

    source: Source
    builds: Mapping[str, Evidence]
    audits: Mapping[str, Evidence]
    loads: Mapping[tuple[str, str], Evidence]
    skip: Mapping[str, str]
    bases: tuple[Base, ...]
    interfaces: Interfaces
    race: Evidence | None = None
    exercise: Evidence | None = None
    speed: Evidence | None = None
    remedies: Mapping[str, Evidence] = field(default_factory=dict)
    system: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    owners: Owners = field(default_factory=Owners)
    excluded: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    neighbours: Neighbours = field(default_factory=Neighbours)
    pure: tuple[str, ...] = ()
    past_builds: Mapping[str, PastBuild] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageFacts:
    """What the evidence of a package says, checked once and read many times; None of what is undetermined.

    Attributes:
        builds: by base.
        audits: by base.
        loads: by (built on, loaded on).
    """

    builds: Mapping[str, BuildFacts | None]
    audits: Mapping[str, AuditFacts | None]
    loads: Mapping[tuple[str, str], LoadFacts | None]
    race: RaceFacts | None
    exercise: ExerciseFacts | None

    @classmethod
    def read(cls, evidence: PackageEvidence) -> PackageFacts:
        """Return the checked facts of every determined job; None for a job that is missing or undetermined.

        A wheel of another package counts as none: its build failed, and nothing that it was tried by is about this
        package.

        Raises:
            builder.evidence.base.EvidenceError: what is recorded is not what its model describes.
        """
        builds = {base: _read(BuildFacts, build) for base, build in evidence.builds.items()}
        audits = {base: _read(AuditFacts, audit) for base, audit in evidence.audits.items()}
        loads = {bases: _read(LoadFacts, load) for bases, load in evidence.loads.items()}
        race = _read(RaceFacts, evidence.race)
        exercise = _read(ExerciseFacts, evidence.exercise)

        own_builds: dict[str, BuildFacts | None] = {}
        own_wheels: set[str] = set()
        for base, build in builds.items():
            own = _without_foreign_wheels(evidence.source, build, audits.get(base))
            own_builds[base] = own
            if own is not None:
                own_wheels.update(outcome.wheel for outcome in own.abis.values() if outcome.wheel)

        # What tried a wheel of another package says nothing of this one.
        if race is not None and not _is_about(race.wheel, own_wheels):
            race = None
        if exercise is not None and not _is_about(exercise.wheel, own_wheels):
            exercise = None

        return cls(
            builds=own_builds,
            audits=audits,
            loads={bases: _select_loads(load, own_wheels) for bases, load in loads.items()},
            race=race,
            exercise=exercise,
        )

    def wheel_of(self, base: str, abi: str) -> str | None:
        """Return the file name of the wheel that a base made for an ABI, or None where there is none."""
        build = self.builds[base]
        return None if build is None else build.wheel_of(abi)


def _read(model: type[_Facts], evidence: Evidence | None) -> _Facts | None:
    if evidence is None or not evidence.is_determined:
        return None
    return model.read(evidence)


def _without_foreign_wheels(
    source: Source, build: BuildFacts | None, audit: AuditFacts | None
) -> BuildFacts | None:
    """Return a build's facts with a failure (WF215) in place of each wheel that is not one of the package's release.

    Args:
        source: the package.
        build: what was built on one base; None where that is not known.
        audit: what its wheels say inside; None where only their file names tell.
    """
    if build is None:
        return None

    abis: dict[str, AbiBuild] = {}
    for abi, outcome in build.abis.items():
        mismatch = ""
        if outcome.wheel is not None:
            stated = _stated_identity(outcome.wheel, audit)
            mismatch = explain_mismatch(source.project, source.version, outcome.wheel, stated)
        abis[abi] = _fail_foreign(mismatch) if mismatch else outcome

    return build.model_copy(update={"abis": abis})


def _stated_identity(filename: str, audit: AuditFacts | None) -> StatedIdentity | None:
    """Return what a wheel says inside that it is; None where that was not audited, or could not be read."""
    wheel = None if audit is None else audit.wheels.get(filename)
    if wheel is None or not wheel.members:
        return (
            None  # an archive that could not be read is a finding of its own, whatever it is called
        )

    return StatedIdentity(
        dist_info=wheel.dist_info,
        names=wheel.metadata.get("name", ()),
        versions=wheel.metadata.get("version", ()),
    )


def _fail_foreign(mismatch: str) -> AbiBuild:
    failure = Failure(code="WF215", stage="build", error=mismatch, remedy="")
    return AbiBuild(failure=failure)


def _is_about(wheel: str | None, own_wheels: Collection[str]) -> bool:
    """Return whether a job tried a wheel of the package's own, or none at all."""
    return wheel is None or wheel in own_wheels


def _select_loads(load: LoadFacts | None, own_wheels: Collection[str]) -> LoadFacts | None:
    """Return what loading showed of wheels that are the package's own."""
    if load is None:
        return None

    own = {abi: abi_load for abi, abi_load in load.loads.items() if abi_load.wheel in own_wheels}
    return load.model_copy(update={"loads": own})
