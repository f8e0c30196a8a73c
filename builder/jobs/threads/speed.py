"""Speed job: calls of a package's native code on 1, 2 and 4 threads, with and without the GIL -> calls per second.

It stands by itself and runs while nothing else does: docs/decisions/0012-speed-alone.md. builder/evidence/speed.py has
the model of its facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.engine.client import Limits
from builder.evidence.image import read_image_content, read_image_tag
from builder.evidence.speed import SpeedAnswer, SpeedFacts
from builder.jobs.images.ids import role_image_id
from builder.jobs.job import Result, run_requirement
from builder.jobs.programs import CONTAINER_CODE, STRESS_FOLDER, Program, ask, programs_digest
from builder.jobs.wheels import WHEELS_FOLDER, required_wheels, wheel_files, wheel_for_abi
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from builder.config.catalog import Abi
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.sources import Pure
    from builder.store.evidence import Evidence

_PROGRAM = Program(package="stress", module="speed", answer=SpeedAnswer, folder=STRESS_FOLDER)
_CPUS = 4.0  # as many as there are threads at most
_MEMORY_BYTES = 4 << 30


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Measure one package, on the base it was built on.

    Attributes:
        abis: the one without the GIL first, then one with it, where the matrix has one.
        seconds: most time to measure.
        requires: native packages that must be there, built on the same base.
        pure: pure wheels that must be there.
    """

    name: str
    version: str
    base: str
    abis: tuple[Abi, ...]
    seconds: float
    requires: tuple[str, ...] = ()
    pure: tuple[Pure, ...] = ()

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.SPEED, self.name, self.base)

    @cached_property
    def needs(self) -> Needs:
        needs = {
            "image": role_image_id("verify", self.base),
            "race": JobId(JobKind.RACE, self.name, self.base),
            "build": JobId(JobKind.BUILD, self.name, self.base),
        }
        for name in self.requires:
            needs[run_requirement(name)] = JobId(JobKind.BUILD, name, self.base)

        return needs

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result beside its inputs, by a name that a person understands."""
        return {
            CONTAINER_CODE: programs_digest("stress"),
            "effort": self.seconds,
            "ABIs": [(abi.name, abi.directory) for abi in self.abis],
            "pure wheels": [wheel.sha256 for wheel in self.pure],
        }

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        """Return what of its inputs can change the result, by job id."""
        needs = self.needs
        found: dict[str, object] = {
            str(needs["image"]): read_image_content(inputs["image"]),
            str(needs["race"]): _select_calls(inputs["race"]),
        }
        for role in ("build", *map(run_requirement, self.requires)):
            wheels = [wheel_for_abi(inputs[role], abi.name) or "" for abi in self.abis]
            found[str(needs[role])] = [inputs[role].files.get(wheel) for wheel in wheels]

        return found

    def key(self, inputs: Inputs) -> str:
        return digest("speed", 1, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        wheel = wheel_for_abi(inputs["build"], self.abis[0].name)
        if wheel is None:
            return Result(facts=SpeedFacts(wheel=None))

        calls = _select_calls(inputs["race"])
        if calls is None:
            why = "it is not known how to call it"
            return Result(facts=SpeedFacts(wheel=wheel, unknown=why))

        answer = self._ask(calls, inputs, tools)
        facts = {"wheel": wheel, "unknown": None, **answer.fields_for(SpeedFacts)}
        return Result(facts=SpeedFacts.check(facts))

    def _ask(self, calls: Mapping[str, JsonValue], inputs: Inputs, tools: Tools) -> SpeedAnswer:
        """Measure in a container.

        Args:
            calls: which modules to import, and which calls to measure.
            inputs: of the job.
            tools: of the job.
        """
        tools.say("measuring its speed")
        builds = [inputs[role] for role in ("build", *map(run_requirement, self.requires))]
        interpreters: dict[str, JsonValue] = {}
        files: dict[str, bytes | Path] = {}
        for abi in self.abis:
            if wheel_for_abi(inputs["build"], abi.name) is not None:
                interpreters[abi.name] = abi.python
                files |= wheel_files(required_wheels(abi.name, builds, self.pure), tools.store)

        request: dict[str, JsonValue] = {
            "requirement": f"{self.name}=={self.version}",
            "wheels": WHEELS_FOLDER,
            **calls,
            "interpreters": interpreters,
            "cpus": _CPUS,
            "seconds": self.seconds,
        }
        # Installing, and finding out which calls can be measured, take their time besides.
        timeout_s = 180 + 4 * self.seconds

        return ask(
            _PROGRAM,
            request,
            activity="measuring its speed",
            image=read_image_tag(inputs["image"]),
            python=self.abis[0].python,
            files=files,
            limits=Limits(memory_bytes=_MEMORY_BYTES, cpus=_CPUS, timeout_s=timeout_s),
            tools=tools,
        )


def _select_calls(race: Evidence) -> dict[str, JsonValue] | None:
    """Return which modules to import and which calls to measure, or None where calling it was never learnt.

    The key of every speed job asks for it, also where nothing changed, so the facts are not checked for that.
    """
    surface = race.facts.get("surface")
    if not surface:
        return None

    return {"prelude": surface["prelude"], "calls": surface["calls"]}
