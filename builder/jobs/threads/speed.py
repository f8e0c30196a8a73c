"""Speed job: measures how often per second a package's native code can be called on 1, 2 and 4 threads.

It measures with and without the GIL. It is a job of its own, so that it can run while no other job does:
docs/decisions/0012-speed-alone.md. builder/evidence/speed.py has the model of its facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.engine.tasks import Limits
from builder.evidence.image import ImageFacts, read_image_content, read_image_tag
from builder.evidence.speed import SpeedAnswer, SpeedFacts
from builder.jobs.images.ids import packages_image_id
from builder.jobs.job import Result
from builder.jobs.programs import CONTAINER_CODE, STRESS_FOLDER, Program, ask, programs_digest
from builder.jobs.run_requirements import NO_REQUIREMENTS, RunRequirements
from builder.jobs.wheels import WHEELS_FOLDER, wheel_files, wheel_for_abi, wheel_hash
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind
from builder.untrusted.package_names import project_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from builder.config.catalog import Abi
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.store.evidence import Evidence

_PROGRAM = Program(
    package="stress", module="speed", answer=SpeedAnswer, supervises=True, folder=STRESS_FOLDER
)
_CPUS = 4.0  # one for each thread, of which there are 4 at most
_MEMORY_BYTES = 4 << 30


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Measure the speed of one package, on the base it was built on.

    Attributes:
        abis: the free-threaded ABI and, where the matrix has one, an ABI with the GIL to compare it with.
        seconds: the most time to measure.
        requirements: what must be installed with it.
    """

    name: str
    version: str
    base: str
    abis: tuple[Abi, ...]
    seconds: float
    requirements: RunRequirements = NO_REQUIREMENTS

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.SPEED, self.name, self.base)

    @cached_property
    def needs(self) -> Needs:
        """The image to run in, the race job, and the builds of the package and of what must be installed with it."""
        return {
            "image": packages_image_id(self.base, self.requirements.system, "verify"),
            "race": JobId(JobKind.RACE, self.name, self.base),
            **self.requirements.needs(self.name, self.base),
        }

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result besides the inputs, by names that a person understands."""
        return {
            CONTAINER_CODE: programs_digest("stress"),
            "effort": self.seconds,
            "ABIs": [(abi.name, abi.directory) for abi in self.abis],
            **self.requirements.settings(),
        }

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        """Return the part of the inputs that can change the result, by job id.

        Of the image, that is its content; of the race job, the calls to measure; of each build, the SHA-256 of its
        wheel for each ABI, or None where it made no such wheel.
        """
        needs = self.needs
        parts: dict[str, object] = {
            str(needs["image"]): read_image_content(inputs["image"]),
            str(needs["race"]): _select_calls(inputs["race"]),
        }
        for role in self.requirements.roles:
            parts[str(needs[role])] = [wheel_hash(inputs[role], abi.name) for abi in self.abis]

        return parts

    def key(self, inputs: Inputs) -> str:
        return digest("speed", 1, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Measure how often per second the package's native code can be called, and return the figures.

        `inputs` has the results of the jobs named in `needs`, by the same keys: "build" made the package's wheels, and
        "race", the job that looks for data races, found out which of its functions can be called, and with what.

        Nothing is measured, and no container is started, if the build made no free-threaded wheel or the race job
        found no calls. The facts then say so.
        """
        free_threaded_abi = self.abis[0]  # an ABI with the GIL, if any, comes after it
        wheel = wheel_for_abi(inputs["build"], free_threaded_abi.name)
        # Without the system packages that it needs, it cannot be tried.
        has_image = ImageFacts.read(inputs["image"]).tag is not None
        if wheel is None or not has_image:
            return Result(facts=SpeedFacts(wheel=None))

        calls = _select_calls(inputs["race"])
        if calls is None:
            reason = "it is not known how to call it"
            return Result(facts=SpeedFacts(wheel=wheel, unknown=reason))

        answer = self._measure_in_container(calls, inputs, tools)
        measured_fields = answer.fields_for(SpeedFacts)

        # A program in the container gave these fields, so SpeedFacts checks them as it does stored facts.
        facts = SpeedFacts.check({"wheel": wheel, "unknown": None, **measured_fields})
        return Result(facts=facts)

    def _measure_in_container(
        self, calls: Mapping[str, JsonValue], inputs: Inputs, tools: Tools
    ) -> SpeedAnswer:
        """Measure in a container, with the interpreter of each ABI that there is a wheel for.

        Args:
            calls: which modules to import, and which calls to measure, as `_select_calls` returns it.
            inputs: results of the jobs named in `needs`, by the same keys.
            tools: the store that has the wheels, the container engine, and `say`, which shows progress.
        """
        tools.say("measuring its speed")
        interpreters: dict[str, JsonValue] = {}
        files: dict[str, bytes | Path] = {}
        for abi in self.abis:
            if wheel_for_abi(inputs["build"], abi.name) is not None:
                interpreters[abi.name] = abi.python
                files |= wheel_files(self.requirements.list_wheels(abi.name, inputs), tools.store)

        request: dict[str, JsonValue] = {
            "requirement": f"{project_of(self.name)}=={self.version}",
            "after": list(self.requirements.first),
            "wheels": WHEELS_FOLDER,
            **calls,
            "interpreters": interpreters,
            "cpus": _CPUS,
            "seconds": self.seconds,
        }
        # Measuring is not all: installing, and finding out which calls can be measured, take time, too.
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
    """Return which modules to import ("prelude") and which calls to measure ("calls").

    None where the race job did not learn how to call the package. What it learned is its fact "surface".

    The facts are read as plain data, not as a checked model: the key of every speed job is made with this function,
    also when nothing has changed, and checking takes too long for that.
    """
    surface = race.facts.get("surface")
    if not surface:
        return None

    return {"prelude": surface["prelude"], "calls": surface["calls"]}
