"""Speed job: calls of a package's native code on 1, 2 and 4 threads, with and without the GIL -> calls per second.

It stands by itself and runs while nothing else does: docs/decisions/0012-speed-alone.md.

Facts: `wheel` (file name of the free-threaded wheel, or None: then there is nothing else), `unknown` (why there is
nothing to call, or None) and, where there is, what builder/inside/stress/speed.py answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from builder.engine.client import Limits
from builder.jobs.images.ids import role_image_id
from builder.jobs.job import Result, run_requirement
from builder.jobs.programs import CONTAINER_CODE, programs_digest, run_json_task, stress_task
from builder.jobs.wheels import required_wheels, wheel_for_abi
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.config.catalog import Abi
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.sources import Pure
    from builder.store.evidence import Evidence

_CPUS = 4.0
"""As many as there are threads at most."""


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
            str(needs["image"]): inputs["image"].facts["content"],
            str(needs["race"]): _select_calls(inputs["race"]),
        }
        for role in ("build", *map(run_requirement, self.requires)):
            wheels = [wheel_for_abi(inputs[role], abi.name) or "" for abi in self.abis]
            found[str(needs[role])] = [inputs[role].files.get(wheel) for wheel in wheels]

        return found

    def key(self, inputs: Inputs) -> str:
        return digest("speed", 1, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        build = inputs["build"]
        others = [inputs[run_requirement(name)] for name in self.requires]
        free = self.abis[0]
        wheel = wheel_for_abi(build, free.name)
        if wheel is None:
            return Result(facts={"wheel": None})
        known = _select_calls(inputs["race"])
        if known is None:
            return Result(facts={"wheel": wheel, "unknown": "it is not known how to call it"})
        abis = [abi for abi in self.abis if wheel_for_abi(build, abi.name) is not None]
        served = {
            name: sha256
            for abi in abis
            for name, sha256 in required_wheels(abi.name, (build, *others), self.pure)
        }
        interpreters = {abi.name: f"/opt/python/{abi.directory}/bin/python" for abi in abis}
        request = {
            "requirement": f"{self.name}=={self.version}",
            "wheels": "/farm/wheels",
            **known,
            "interpreters": interpreters,
            "cpus": _CPUS,
            "seconds": self.seconds,
        }
        tools.say("measuring its speed")
        task = stress_task(
            "speed",
            image=inputs["image"].facts["tag"],
            python=interpreters[free.name],
            request=request,
            files={
                f"/farm/wheels/{name}": tools.store.file(sha256) for name, sha256 in served.items()
            },
            limits=Limits(memory_bytes=4 << 30, cpus=_CPUS, timeout_s=180 + 4 * self.seconds),
        )
        return Result(
            facts={
                "wheel": wheel,
                "unknown": None,
                **run_json_task(task, "measuring its speed", tools),
            }
        )


def _select_calls(race: Evidence) -> dict[str, Any] | None:
    """Return which modules to import and which calls to measure, or None where calling it was never learnt."""
    surface = race.facts.get("surface")
    return None if not surface else {name: surface[name] for name in ("prelude", "calls")}
