"""Audit job: wheels -> ABI facts, by auditwheel and by reading them, in the image they were built in, offline.

Facts: `wheels`, by file name: see builder/inside/audit/; of a wheel of the stable ABI also `abi3audit`, what that
tool objects to (builder/distributions/abi3audit.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.distributions import abi3audit
from builder.engine.client import Limits, Task
from builder.engine.programs import program_files
from builder.errors import InfrastructureError
from builder.jobs.images.ids import role_image_id
from builder.jobs.job import Result
from builder.jobs.programs import CONTAINER_CODE, programs_digest
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Inputs, Needs, Tools

_PROGRAMS = "audit"
_OUTPUT = "/tmp/audit.json"  # noqa: S108 - inside a throw-away container
_PYTHON = "/opt/python/cp39-cp39/bin/python"


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Audit the wheels that one build made."""

    name: str
    base: str

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
        return {CONTAINER_CODE: programs_digest(_PROGRAMS)}

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        needs = self.needs
        return {
            str(needs["build"]): inputs["build"].files,
            str(needs["image"]): inputs["image"].facts["content"],
        }

    def key(self, inputs: Inputs) -> str:
        return digest("audit", 3, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        build = inputs["build"]
        if not build.files:
            return Result(facts={"wheels": {}})
        wheels = {
            f"/wheels/{filename}": tools.store.file(sha256)
            for filename, sha256 in build.files.items()
        }
        task = Task(
            image=inputs["image"].facts["tag"],
            command=[_PYTHON, "-m", "inside.audit", _OUTPUT, *wheels],
            files={**wheels, **program_files(_PROGRAMS)},
            collect=_OUTPUT,
            user="nobody",
            limits=Limits(timeout_s=300),
        )
        ended = tools.engine.run(task, log=tools.log, stop=tools.stop)
        if ended.exit_code != 0 or not ended.output:
            raise InfrastructureError(
                f"the audit ended with exit code {ended.exit_code} (log: {tools.log})"
            )
        found = json.loads(next(iter(ended.output.values())))
        for filename, sha256 in build.files.items():
            if abi3audit.claims_stable_abi(filename) and not found[filename]["faults"]:
                found[filename]["abi3audit"] = abi3audit.run_abi3audit(
                    tools.store.file(sha256), filename
                )
        return Result(facts={"wheels": found})
