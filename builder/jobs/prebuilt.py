"""Wheels that were built elsewhere, as a job that takes the place of a build.

Its evidence looks like that of a build (builder/evidence/build.py), so that load jobs need not know the difference. Its
files are the wheels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.evidence.build import AbiBuild, BuildFacts
from builder.jobs.job import Result
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Inputs, Needs, Tools


@dataclass(frozen=True, kw_only=True)
class Prebuilt:
    """The wheels of one release, one for each interpreter.

    Attributes:
        built_on: the text that stands in the job's id where a build has its base.
        wheels: (file name, sha256) by ABI; the store has the files.
    """

    name: str
    built_on: str
    wheels: Mapping[str, tuple[str, str]]

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.BUILD, self.name, self.built_on)

    @cached_property
    def needs(self) -> Needs:
        return {}

    def settings(self) -> Mapping[str, object]:
        return {"wheels": self.wheels}

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:  # noqa: ARG002 - as below
        return {}

    def key(self, inputs: Inputs) -> str:  # noqa: ARG002 - it stands on nothing
        return digest("given", self.name, self.wheels)

    def run(self, inputs: Inputs, tools: Tools) -> Result:  # noqa: ARG002 - there is nothing to do
        abis = {abi: AbiBuild(wheel=filename) for abi, (filename, _) in self.wheels.items()}

        return Result(facts=BuildFacts(abis=abis), files=dict(self.wheels.values()))
