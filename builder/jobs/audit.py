"""Audit job: reads the wheels of one build, to say what they claim and what their native code needs.

The wheels are read by builder/inside/audit/ and by auditwheel, in the image they were built in and without network.
Those that claim the stable ABI are read by abi3audit as well. builder/evidence/audit.py has the model of its facts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.config.catalog import interpreter_path
from builder.distributions import abi3audit
from builder.engine.programs import program_files
from builder.engine.tasks import Limits, Task
from builder.errors import InfrastructureError
from builder.evidence.audit import AuditAnswer, AuditFacts
from builder.evidence.base import COLLECTED_ANSWER_BYTES
from builder.evidence.image import read_image_content, read_image_tag
from builder.jobs.images.ids import role_image_id
from builder.jobs.job import Result
from builder.jobs.programs import CONTAINER_CODE, programs_digest, read_answer
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.evidence.audit import WheelFacts
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.sources import UpstreamWheel
    from builder.store.evidence import Evidence
    from builder.store.store import Store

_PROGRAMS = "audit"
_OUTPUT = "/tmp/audit.json"  # noqa: S108 - inside a throw-away container
# The interpreter in whose environment manylinux images have auditwheel. images/builder.Dockerfile gives it this name.
_PYTHON = interpreter_path("cp39-cp39")


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Audit the wheels that one build made.

    Attributes:
        upstream: upstream's wheels to compare them with, which are audited as well.
    """

    name: str
    base: str
    upstream: tuple[UpstreamWheel, ...] = ()

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.AUDIT, self.name, self.base)

    @cached_property
    def needs(self) -> Needs:
        return {
            "build": JobId(JobKind.BUILD, self.name, self.base),
            "image": role_image_id("builder", self.base),
        }

    def settings(self) -> Mapping[str, object]:
        settings: dict[str, object] = {CONTAINER_CODE: programs_digest(_PROGRAMS)}
        if self.upstream:
            settings["upstream's wheels"] = [asdict(wheel) for wheel in self.upstream]
        return settings

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        needs = self.needs
        return {
            str(needs["build"]): inputs["build"].files,
            str(needs["image"]): read_image_content(inputs["image"]),
        }

    def key(self, inputs: Inputs) -> str:
        return digest("audit", 3, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Audit each wheel that the build made; without any, nothing is run and there are no facts.

        Raises:
            InfrastructureError: there is no answer, or it is about other wheels.
            Interrupted: the farm was asked to stop.
        """
        files = inputs["build"].files
        if not files:
            return Result(facts=AuditFacts(wheels={}))

        image = read_image_tag(inputs["image"])
        audited = self._ask(files, image, tools)
        wheels = {}
        for filename, sha256 in files.items():
            wheels[filename] = _add_abi3audit(audited[filename], filename, sha256, tools.store)

        compared = self._select_compared(inputs["build"])
        if not compared:
            return Result(facts=AuditFacts(wheels=wheels))
        return Result(facts=AuditFacts(wheels=wheels, upstream=self._ask(compared, image, tools)))

    def _select_compared(self, build: Evidence) -> dict[str, str]:
        """Return upstream's wheels for ABIs that the farm built a wheel for: sha256 by file name."""
        compared: dict[str, str] = {}
        for wheel in self.upstream:
            outcome = build.facts["abis"].get(wheel.abi, {})
            is_built = outcome.get("wheel") and outcome.get("origin", "built") == "built"
            if is_built:
                compared[wheel.filename] = wheel.sha256

        return compared

    def _ask(self, files: Mapping[str, str], image: str, tools: Tools) -> dict[str, WheelFacts]:
        """Audit wheels in a container, all at once, and return the facts of each, by file name.

        Args:
            files: the wheels: sha256 by file name.
            image: full name of the image to audit them in.
            tools: of the job.

        Raises:
            InfrastructureError: there is no answer, or it is about other wheels.
            Interrupted: the farm was asked to stop.
        """
        wheels = {f"/wheels/{name}": tools.store.file(sha256) for name, sha256 in files.items()}
        task = Task(
            image=image,
            command=[_PYTHON, "-m", "inside.audit", _OUTPUT, *wheels],
            files={**wheels, **program_files(_PROGRAMS)},
            collect=_OUTPUT,
            collect_bytes=COLLECTED_ANSWER_BYTES,
            user="nobody",
            limits=Limits(timeout_s=300),
        )
        answer = read_answer(task, AuditAnswer, "the audit", tools)
        if answer.wheels.keys() != files.keys():
            raise InfrastructureError(
                f"the audit: the answer is about other wheels than were asked (log: {tools.log})"
            )
        return answer.wheels


def _add_abi3audit(facts: WheelFacts, filename: str, sha256: str, store: Store) -> WheelFacts:
    """Return the facts of a wheel with what abi3audit objects to.

    They come back as they are where the wheel does not claim the stable ABI, or is malformed, so that it cannot be
    unpacked safely.
    """
    if facts.faults or not abi3audit.claims_stable_abi(filename):
        return facts

    objections = tuple(abi3audit.run_abi3audit(store.file(sha256), filename))
    return facts.model_copy(update={"abi3audit": objections})
