"""Exercise job: a free-threaded wheel, called by threads with the plain interpreter -> crashes, hangs, wrong results.

builder/evidence/exercise.py has the model of its facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.engine.client import Limits
from builder.evidence.exercise import ExerciseAnswer, ExerciseFacts
from builder.evidence.image import read_image_content, read_image_tag
from builder.evidence.race import RaceFacts
from builder.jobs.images.ids import INDEX_IMAGE, role_image_id
from builder.jobs.job import Result, run_requirement
from builder.jobs.programs import CONTAINER_CODE, STRESS_FOLDER, Program, ask, programs_digest
from builder.jobs.threads.race import read_plan
from builder.jobs.threads.test_wheels import FETCH_SCRIPT, TestSuite, load_test_wheels
from builder.jobs.wheels import WHEELS_FOLDER, required_wheels, wheel_files, wheel_for_abi
from builder.proxy.proxy import SessionReport
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from builder.config.catalog import Abi
    from builder.config.effort import Effort
    from builder.config.matrix import OwnTests
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.jobs.threads.test_wheels import TestWheels
    from builder.sources import Pure

_PROGRAM = Program(package="stress", module="exercise", answer=ExerciseAnswer, folder=STRESS_FOLDER)
_MEMORY_BYTES = 4 << 30  # what grows meets its own limit before (builder/inside/stress/memory.py)


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """Put one package under threads, on the base it was built on.

    Attributes:
        tests: how its own tests are run.
        requires: native packages that must be there, built on the same base.
        pure: pure wheels that must be there.
    """

    name: str
    version: str
    base: str
    abi: Abi
    effort: Effort
    sdist_filename: str
    sdist_sha256: str
    tests: OwnTests
    requires: tuple[str, ...] = ()
    pure: tuple[Pure, ...] = ()

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.EXERCISE, self.name, self.base)

    @cached_property
    def needs(self) -> Needs:
        needs = {
            "image": role_image_id("verify", self.base),
            "race": JobId(JobKind.RACE, self.name, self.base),
            "build": JobId(JobKind.BUILD, self.name, self.base),
        }
        for name in self.requires:
            needs[run_requirement(name)] = JobId(JobKind.BUILD, name, self.base)
        needs["index proxy"] = INDEX_IMAGE

        return needs

    def settings(self) -> Mapping[str, object]:
        return {
            CONTAINER_CODE: (programs_digest("stress"), FETCH_SCRIPT),
            "sdist": self.sdist_sha256,
            "effort": self.effort.record(),
            "own tests": self.tests.model_dump(),
            "ABIs": self.abi.directory,
            "pure wheels": [wheel.sha256 for wheel in self.pure],
        }

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        needs = self.needs
        found: dict[str, object] = {
            str(needs["image"]): read_image_content(inputs["image"]),
            str(needs["race"]): inputs["race"].key,
        }
        for role in ("build", *map(run_requirement, self.requires)):
            build = inputs[role]
            found[str(needs[role])] = build.files.get(wheel_for_abi(build, self.abi.name) or "")

        return found

    def key(self, inputs: Inputs) -> str:
        return digest("exercise", 2, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        wheel = wheel_for_abi(inputs["build"], self.abi.name)
        if wheel is None:
            return Result(facts=ExerciseFacts(wheel=None))

        race = RaceFacts.read(inputs["race"])
        needed = load_test_wheels(inputs["race"], race, tools)
        visit = SessionReport()
        if race.kit is None:  # there was nothing to look for races with
            needed, visit = self._fetch_test_wheels(inputs, tools)

        answer = self._ask(race, needed, inputs, tools)
        facts = {"wheel": wheel, **visit.record(), **answer.fields_for(ExerciseFacts)}
        return Result(facts=ExerciseFacts.check(facts))

    @property
    def _own_tests(self) -> TestSuite:
        return TestSuite(
            sdist_filename=self.sdist_filename,
            sdist_sha256=self.sdist_sha256,
            settings=self.tests,
            effort=self.effort,
        )

    def _fetch_test_wheels(self, inputs: Inputs, tools: Tools) -> tuple[TestWheels, SessionReport]:
        session = tools.index.session(read_image_tag(inputs["index proxy"]), self.id, tools.stop)
        image = read_image_tag(inputs["image"])
        needed = self._own_tests.fetch_wheels(image, self.abi.python, session.network, tools)

        visit = session.collect_report()
        error = visit.infrastructure_error()
        if error is not None and needed.is_unavailable:
            raise error

        tools.index.record_lock(self.id, visit, better=bool(needed.wheels))
        return needed, visit

    def _ask(
        self, race: RaceFacts, needed: TestWheels, inputs: Inputs, tools: Tools
    ) -> ExerciseAnswer:
        """Put the package under threads in a container."""
        tools.say("calling it by threads")
        plan = read_plan(inputs["race"], tools.store)
        builds = [inputs[role] for role in ("build", *map(run_requirement, self.requires))]
        request = {
            "python": self.abi.python,
            "name": self.name,
            "requirement": f"{self.name}=={self.version}",
            "wheels": WHEELS_FOLDER,
            **plan.to_json(),
            "suspects": _select_suspects(race),
            "tests": self._own_tests.make_request(needed),
            "effort": self.effort.record(),
        }
        files = {
            **wheel_files(required_wheels(self.abi.name, builds, self.pure), tools.store),
            self._own_tests.sdist_path: tools.store.file(self.sdist_sha256),
            **needed.files(),
        }
        # The plan is played more than once, and proofs take as long again; own tests run alone and in threads.
        exercise_s = 8 * self.effort.plain_s + 3 * self.effort.tests_s

        return ask(
            _PROGRAM,
            request,
            activity="exercising it",
            image=read_image_tag(inputs["image"]),
            python=self.abi.python,
            files=files,
            limits=Limits(memory_bytes=_MEMORY_BYTES, timeout_s=300 + exercise_s),
            tools=tools,
        )


def _select_suspects(race: RaceFacts) -> list[JsonValue]:
    """Return the scenarios that race: first those in which a function races with itself, for both then write."""
    suspects: list[JsonValue] = []
    for event in sorted(race.races, key=lambda event: len(event.places)):
        if event.calls is not None:
            suspects.append(event.calls.to_json())

    return suspects
