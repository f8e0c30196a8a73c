"""What the store has about packages, images and applications that a comparison of bases reads.

What cannot be read counts as not recorded: the judgement of its own package says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from builder.evidence.application import ApplicationFacts
from builder.evidence.audit import read_wheel
from builder.evidence.base import EvidenceError, Facts
from builder.evidence.image import ImageFacts
from builder.evidence.kinds import is_readable
from builder.evidence.load import LoadFacts
from builder.evidence.remedy import RemedyFacts
from builder.jobs.images.ids import base_image_id, packages_image_id
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from builder.evidence.audit import WheelFacts
    from builder.evidence.load import AbiLoad
    from builder.store.evidence import Evidence
    from builder.store.store import Store

_Facts = TypeVar("_Facts", bound=Facts)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedEvidence:
    """The newest evidence of each job.

    Attributes:
        store: where it is recorded.
        build_on: bases that wheels are built on.
        wheels: facts of wheels that were read already, by (package, file name).
    """

    store: Store
    build_on: tuple[str, ...]
    wheels: dict[tuple[str, str], WheelFacts | None] = field(default_factory=dict)

    def read_audits(self, package: str, filenames: Iterable[str]) -> dict[str, WheelFacts]:
        """Return what is in wheels of a package, by file name; those that nobody audited are left out."""
        audits: dict[str, WheelFacts] = {}
        for filename in filenames:
            place = (package, filename)
            if place not in self.wheels:
                self.wheels[place] = self._read_audit(package, filename)
            facts = self.wheels[place]
            if facts is not None:
                audits[filename] = facts

        return audits

    def _read_audit(self, package: str, filename: str) -> WheelFacts | None:
        for base in self.build_on:
            evidence = self._find(JobId(JobKind.AUDIT, package, base))
            if evidence is None:
                continue
            try:
                facts = read_wheel(evidence, filename)
            except EvidenceError:
                continue
            if facts is not None:
                return facts

        return None

    def read_loads(self, package: str, abi: str, wheels: Mapping[str, str]) -> dict[str, AbiLoad]:
        """Return by base what loading the wheel that is installed there showed.

        Args:
            package: as the matrix names it.
            abi: the ABI that it is for.
            wheels: by base its file name.
        """
        loads: dict[str, AbiLoad] = {}
        for base, filename in wheels.items():
            for built_on in self.build_on:
                facts = self._read(LoadFacts, JobId(JobKind.LOAD, package, built_on, base))
                load = None if facts is None else facts.loads.get(abi)
                if load is not None and load.wheel == filename:
                    loads[base] = load
                    break

        return loads

    def read_remedies(self, package: str, base: str) -> set[str]:
        """Return the system packages that have what a build of a package missed on a base, the likeliest of each."""
        facts = self._read(RemedyFacts, JobId(JobKind.REMEDY, package, base))
        if facts is None:
            return set()
        return {provision.packages[0][0] for provision in facts.found}

    def read_trial(self, application: str, abi: str, base: str) -> ApplicationFacts | None:
        """Return what trying an application showed; None where that is not recorded."""
        return self._read(ApplicationFacts, JobId(JobKind.APPLICATION, application, abi, base))

    def read_system_packages(
        self, base: str, sets: Iterable[tuple[str, ...]]
    ) -> dict[str, str] | None:
        """Return the versions of the system packages of the images that things were tried in, by name.

        Args:
            base: the base.
            sets: the system packages that such an image has beside those of interpreters, for each image.

        Returns:
            None where none of the images has them recorded.
        """
        jobs = [base_image_id(base), packages_image_id(base, (), "verify")]
        jobs += [packages_image_id(base, names, "verify") for names in sorted(sets)]

        versions: dict[str, str] = {}
        for job in dict.fromkeys(jobs):
            facts = self._read(ImageFacts, job)
            if facts is not None and facts.packages is not None:
                versions |= facts.packages

        return versions or None

    def _read(self, model: type[_Facts], job: JobId) -> _Facts | None:
        evidence = self._find(job)
        if evidence is None:
            return None
        try:
            return model.read(evidence)
        except EvidenceError:
            return None

    def _find(self, job: JobId) -> Evidence | None:
        evidence = self.store.newest_evidence(job)
        return evidence if evidence is not None and is_readable(evidence) else None
