"""Upstream's own wheels, as a job that takes the place of a build: they are taken byte for byte, and nothing is run.

Its evidence looks like that of a build (builder/evidence/build.py), so that the jobs that audit, load and exercise
wheels need not know the difference. Its files are the wheels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.distributions.identity import explain_file_mismatch
from builder.distributions.metadata import NotADistributionError, wheel_metadata
from builder.evidence.build import AbiBuild, BuildFacts, Failure
from builder.jobs.job import Result
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind
from builder.untrusted.package_names import project_of
from builder.untrusted.text import show_unquoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Inputs, Needs, Tools
    from builder.sources import UpstreamWheel
    from builder.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """Take the wheels that a project released, one for each ABI.

    Attributes:
        base: the base that it stands for a build on. The wheels are the same on each.
        wheels: upstream's wheels; the store has the files.
        lacking: ABIs that upstream has no wheel for, each with what it has instead.
        skip: the ABIs that the matrix leaves out, each with its reason.
    """

    name: str
    version: str
    base: str
    wheels: tuple[UpstreamWheel, ...]
    lacking: tuple[tuple[str, str], ...]
    skip: Mapping[str, str]

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.BUILD, self.name, self.base)

    @cached_property
    def needs(self) -> Needs:
        return {}

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result, by names that a person understands."""
        return {
            "release": (project_of(self.name), self.version),
            "upstream's wheels": [asdict(wheel) for wheel in self.wheels],
            "ABIs without one": self.lacking,
            "ABIs": sorted(self.skip),
        }

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:  # noqa: ARG002 - it stands on nothing
        return {}

    def key(self, inputs: Inputs) -> str:  # noqa: ARG002 - as above
        return digest("upstream", 1, self.settings())

    def run(self, inputs: Inputs, tools: Tools) -> Result:  # noqa: ARG002 - as above
        """Return the wheels, and why there is none for an ABI."""
        abis: dict[str, AbiBuild] = {}
        files: dict[str, str] = {}
        for wheel in self.wheels:
            if wheel.abi in self.skip:
                continue
            abis[wheel.abi] = take_wheel(project_of(self.name), self.version, wheel, tools.store)
            if abis[wheel.abi].wheel is not None:
                files[wheel.filename] = wheel.sha256

        for abi, reason in self.lacking:
            if abi not in self.skip:
                failure = describe_lack(project_of(self.name), self.version, reason)
                abis[abi] = AbiBuild(failure=failure)

        return Result(facts=BuildFacts(abis=abis), files=files)


def describe_lack(name: str, version: str, reason: str) -> Failure:
    """Return the failure of an ABI that upstream has no wheel for.

    Args:
        name: the package.
        version: the release.
        reason: what it has instead.
    """
    return Failure(
        code="WF220",
        stage="upstream's wheels",
        error=f"{name} {version}: {reason}",
        remedy="",  # judge/ways_out.py: what helps depends on what is known by then
    )


def take_wheel(name: str, version: str, wheel: UpstreamWheel, store: Store) -> AbiBuild:
    """Return what one of upstream's wheels comes to: the wheel, or a failure where it is none of the release.

    Args:
        name: the package.
        version: the release.
        wheel: what was taken from the index.
        store: has the file.
    """
    path = store.file(wheel.sha256)
    mismatch = explain_file_mismatch(name, version, wheel.filename, path)
    try:
        requires_python = wheel_metadata(path).get("requires_python", "")
    except NotADistributionError as error:
        mismatch = mismatch or f"it is no wheel of {name} {version}: {show_unquoted(str(error))}"
    if mismatch:
        failure = Failure(code="WF215", stage="upstream's wheels", error=mismatch, remedy="")
        return AbiBuild(failure=failure)

    return AbiBuild(wheel=wheel.filename, requires_python=requires_python, origin="upstream")
