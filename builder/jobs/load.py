"""Load job: installs and imports the wheels of one build on one base, without network and without privileges.

builder/evidence/load.py has the model of its facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from builder import index
from builder.distributions.tags import runs_on
from builder.engine.tasks import Limits
from builder.errors import InfrastructureError
from builder.evidence.image import ImageFacts, read_image_content
from builder.evidence.load import AbiLoad, LoadAnswers, LoadFacts
from builder.jobs.images.ids import packages_image_id
from builder.jobs.job import Result
from builder.jobs.programs import CONTAINER_CODE, Program, ask, programs_digest
from builder.jobs.run_requirements import NO_REQUIREMENTS, RunRequirements
from builder.jobs.wheels import wheel_for_abi
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind
from builder.untrusted.package_names import project_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.config.catalog import Abi, Base
    from builder.evidence.load import LoadAnswer
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.store.store import Store

_PROGRAM = Program(package="load", answer=LoadAnswers, supervises=True)

# Enough for two installations of five minutes each, and for a minute for each import. A wheel with so many modules that
# hang that this is not enough is cut off.
_LIMITS = Limits(timeout_s=1800)


@dataclass(frozen=True, kw_only=True)
class Load:
    """Install and import the wheels of one build, on one base.

    Attributes:
        built_on: name of the base that the wheels were built on.
        base: the base that they are loaded on.
        abis: the ABIs whose wheels are loaded, each with its interpreter.
        requirements: what must be installed with it.
    """

    name: str
    version: str
    built_on: str
    base: Base
    abis: tuple[Abi, ...]
    requirements: RunRequirements = NO_REQUIREMENTS

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.LOAD, self.name, self.built_on, self.base.name)

    @cached_property
    def needs(self) -> Needs:
        """The image to load in, and the builds of the package and of what must be installed with it."""
        return {
            "image": packages_image_id(self.base.name, self.requirements.system, "verify"),
            **self.requirements.needs(self.name, self.built_on),
        }

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result besides the inputs, by names that a person understands."""
        return {
            CONTAINER_CODE: programs_digest(_PROGRAM.package),
            "ABIs": [(abi.name, abi.directory) for abi in self.abis],
            "glibc of the base": self.base.glibc,
            **self.requirements.settings(),
        }

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        """Return the part of the inputs that can change the result, by job id: the image, and all wheels of builds."""
        needs = self.needs
        parts: dict[str, object] = {str(needs["image"]): read_image_content(inputs["image"])}
        for role in self.requirements.roles:
            parts[str(needs[role])] = inputs[role].files

        return parts

    def key(self, inputs: Inputs) -> str:
        return digest("load", 2, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Load the wheel of each ABI, and return what installing and importing it showed.

        A wheel is not tried where it does not claim to run on the base, or lacks what it requires. Where no wheel is
        tried, no container is started.
        """
        loads = dict(self._plan_loads(inputs))
        abis = [abi for abi in self.abis if abi.name in loads and loads[abi.name].tried]
        if not abis:
            return Result(facts=LoadFacts(loads=loads))

        image = ImageFacts.read(inputs["image"])
        if image.tag is None:
            reason = image.explain_lack("apt-run", self.base.name)
            for abi in abis:
                loads[abi.name] = loads[abi.name].model_copy(update={"install": reason})
            return Result(facts=LoadFacts(loads=loads))

        files: dict[str, bytes | Path] = {}
        for abi in abis:
            files |= self._index_files(abi, inputs, tools.store)

        for answer in self._ask(abis, files, image.tag, tools):
            loads[answer.abi] = loads[answer.abi].with_answer(answer)
        return Result(facts=LoadFacts(loads=loads))

    def _plan_loads(self, inputs: Inputs) -> Iterator[tuple[str, AbiLoad]]:
        """Iterate over (ABI, what is known of its wheel before it is loaded).

        That is whether the wheel claims to run on the base, and which required packages have no wheel for the ABI. An
        ABI for which the build made no wheel is skipped.
        """
        for abi in self.abis:
            wheel = wheel_for_abi(inputs["build"], abi.name)
            if wheel is None:
                continue

            claimed = runs_on(wheel, self.base)
            missing = self.requirements.find_missing(abi.name, inputs)
            yield abi.name, AbiLoad(wheel=wheel, claimed=claimed, missing=missing)

    def _index_files(self, abi: Abi, inputs: Inputs, store: Store) -> dict[str, bytes | Path]:
        """Return a package index for one ABI, as files for a container: pages and wheels by absolute path.

        It has this build's wheel and the wheels that must be installed with it.
        """
        manifest = index.make_manifest(
            index.Entry(filename=name, sha256=sha256)
            for name, sha256 in self.requirements.list_wheels(abi.name, inputs)
        )

        folder = f"/farm/{abi.name}"
        files: dict[str, bytes | Path] = {}
        for path, page in index.render_pages(manifest):
            files[f"{folder}/{path}"] = page.encode()
        for project, entries in manifest.items():
            for entry in entries:
                files[f"{folder}/simple/{project}/{entry.filename}"] = store.file(entry.sha256)

        return files

    def _ask(
        self, abis: Sequence[Abi], files: Mapping[str, bytes | Path], image: str, tools: Tools
    ) -> Sequence[LoadAnswer]:
        """Load the wheels of some ABIs in a container, and return one answer for each, in the same order.

        Args:
            abis: the ABIs.
            files: their package indexes, by absolute path.
            image: full name of the image to load them in.
            tools: of the job.

        Raises:
            InfrastructureError: there is no answer, or it is about other ABIs.
            Interrupted: the farm was asked to stop.
        """
        activity = f"loading on {self.base.name}"
        request = [self._request_item(abi) for abi in abis]
        answers = ask(
            _PROGRAM,
            request,
            activity=activity,
            image=image,
            python=abis[0].python,
            files=files,
            limits=_LIMITS,
            tools=tools,
        ).answers

        asked = [(item["abi"], item["requirement"]) for item in request]
        answered = [(answer.abi, answer.requirement) for answer in answers]
        if answered != asked:
            raise InfrastructureError(
                f"{activity}: the answer is about other ABIs than were asked, or another wheel (log: {tools.log})"
            )
        return answers

    def _request_item(self, abi: Abi) -> dict[str, Any]:
        """Return the part of the request that is about one ABI: what to install, from where, with which interpreter."""
        item: dict[str, Any] = {
            "abi": abi.name,
            "python": abi.python,
            "requirement": f"{project_of(self.name)}=={self.version}",
            "index": f"file:///farm/{abi.name}/simple/",
        }
        if self.requirements.first:
            item["after"] = list(self.requirements.first)
        return item
