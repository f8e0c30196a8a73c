"""Exercise job: calls a free-threaded wheel by threads, to find crashes, hangs and wrong results.

Other than the race job it uses the wheel that the farm serves and an interpreter without ThreadSanitizer (the plain
one). builder/evidence/exercise.py has the model of its facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.distributions.tags import is_pure_wheel
from builder.engine.tasks import Limits
from builder.evidence.exercise import ExerciseAnswer, ExerciseFacts
from builder.evidence.image import ImageFacts, read_image_content, read_image_tag
from builder.evidence.race import RaceFacts
from builder.jobs.images.ids import INDEX_IMAGE, packages_image_id
from builder.jobs.job import Result
from builder.jobs.programs import CONTAINER_CODE, STRESS_FOLDER, Program, ask, programs_digest
from builder.jobs.run_requirements import NO_REQUIREMENTS, RunRequirements
from builder.jobs.threads.plan_file import read_plan
from builder.jobs.threads.test_wheels import FETCH_SCRIPT, TestSuite, load_test_wheels
from builder.jobs.wheels import WHEELS_FOLDER, wheel_files, wheel_for_abi, wheel_hash
from builder.proxy.report import SessionReport
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind
from builder.untrusted.package_names import project_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from builder.config.catalog import Abi
    from builder.config.effort import Effort
    from builder.config.matrix import OwnTests
    from builder.evidence.events import Harm
    from builder.evidence.scenarios import Scenario
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.jobs.threads.test_wheels import TestWheels

_PROGRAM = Program(
    package="stress",
    module="exercise",
    answer=ExerciseAnswer,
    supervises=True,
    folder=STRESS_FOLDER,
)
_MEMORY_BYTES = 4 << 30
"""A process that grows without end meets a lower limit before (builder/inside/stress/process/memory.py)."""


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """Call one package by threads, on the base it was built on.

    Attributes:
        tests: how its own tests are run.
        requirements: what must be installed with it.
    """

    name: str
    version: str
    base: str
    abi: Abi
    effort: Effort
    sdist_filename: str
    sdist_sha256: str
    tests: OwnTests
    requirements: RunRequirements = NO_REQUIREMENTS

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.EXERCISE, self.name, self.base)

    @cached_property
    def needs(self) -> Needs:
        """The image to run in, the race job, and the builds of the package and of what must be installed with it.

        The index proxy is needed only to be there first; it counts in no key.
        """
        return {
            "image": packages_image_id(self.base, self.requirements.system, "verify"),
            "race": JobId(JobKind.RACE, self.name, self.base),
            **self.requirements.needs(self.name, self.base),
            "index proxy": INDEX_IMAGE,
        }

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result besides the inputs, by names that a person understands."""
        return {
            CONTAINER_CODE: (programs_digest("stress"), FETCH_SCRIPT),
            "sdist": self.sdist_sha256,
            "effort": self.effort.record(),
            "own tests": self.tests.model_dump(),
            "ABIs": self.abi.directory,
            **self.requirements.settings(),
        }

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        """Return the part of the inputs that can change the result, by job id.

        Of a build that is the wheel for the free-threaded ABI; None if it made none.
        """
        needs = self.needs
        parts: dict[str, object] = {
            str(needs["image"]): read_image_content(inputs["image"]),
            str(needs["race"]): inputs["race"].key,
        }
        for role in self.requirements.roles:
            parts[str(needs[role])] = wheel_hash(inputs[role], self.abi.name)

        return parts

    def key(self, inputs: Inputs) -> str:
        return digest("exercise", 2, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Call the package by threads and run its own tests; return what went wrong.

        Nothing is run without a free-threaded wheel, or where it has no native code. The wheels that the package's own
        tests need are those that the race job fetched; they are fetched here only where that job could not run.
        """
        wheel = wheel_for_abi(inputs["build"], self.abi.name)
        # Without the system packages that it needs, it cannot be tried.
        has_image = ImageFacts.read(inputs["image"]).tag is not None
        if wheel is None or is_pure_wheel(wheel) or not has_image:
            return Result(facts=ExerciseFacts(wheel=None))

        race = RaceFacts.read(inputs["race"])
        test_wheels = load_test_wheels(inputs["race"], race, tools)
        visit = SessionReport()
        if race.kit is None:  # the race job did not run, so that it fetched nothing
            test_wheels, visit = self._fetch_test_wheels(inputs, tools)

        answer = self._ask(race, test_wheels, inputs, tools)
        facts = {"wheel": wheel, **visit.record(), **answer.fields_for(ExerciseFacts)}
        return Result(facts=ExerciseFacts.check(facts))

    @property
    def _own_tests(self) -> TestSuite:
        """The package's own tests, as they are in its sdist."""
        return TestSuite(
            sdist_filename=self.sdist_filename,
            sdist_sha256=self.sdist_sha256,
            settings=self.tests,
            effort=self.effort,
        )

    def _fetch_test_wheels(self, inputs: Inputs, tools: Tools) -> tuple[TestWheels, SessionReport]:
        """Fetch what the package's own tests need, and return it with what was asked of the package index for that.

        Raises:
            InfrastructureError: nothing could be fetched, because the package index did not answer.
        """
        image = read_image_tag(inputs["image"])
        python = self.abi.python
        proxy = read_image_tag(inputs["index proxy"])
        with tools.index.session(proxy, self.id, tools.stop) as session:
            test_wheels = self._own_tests.fetch_wheels(image, python, session.network, tools)
            visit = session.collect_report()

        error = visit.infrastructure_error()
        if error is not None and self._own_tests.is_short_of(test_wheels):
            raise error

        tools.index.record_lock(self.id, visit, better=bool(test_wheels.wheels))
        return test_wheels, visit

    def _ask(
        self, race: RaceFacts, test_wheels: TestWheels, inputs: Inputs, tools: Tools
    ) -> ExerciseAnswer:
        """Call the package by threads in a container, and return what happened.

        Args:
            race: what the race job found.
            test_wheels: what the package's own tests need.
            inputs: of the job.
            tools: of the job.
        """
        tools.say("calling it by threads")
        plan = read_plan(inputs["race"], tools.store)
        request = {
            "python": self.abi.python,
            "name": project_of(self.name),
            "requirement": f"{project_of(self.name)}=={self.version}",
            "after": list(self.requirements.first),
            "wheels": WHEELS_FOLDER,
            **plan.to_json(),
            "suspects": _select_suspects(race),
            "tests": self._own_tests.make_request(test_wheels),
            "kit": self._own_tests.describe_kit(test_wheels),
            "sdist": self._own_tests.sdist_path if self.sdist_sha256 else None,
            "effort": self.effort.record(),
        }
        wheels = self.requirements.list_wheels(self.abi.name, inputs)
        files = {
            **wheel_files(wheels, tools.store),
            **self._own_tests.files(tools.store),
            **test_wheels.files([name for name, _ in wheels]),
        }
        # The calls of the plan are made more than once, and proofs take as long again. Own tests run on one thread and
        # on several.
        exercise_s = 8 * self.effort.plain_s + 3 * self.effort.tests_s + 4 * self.effort.amplify_s

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
    """Return the calls by threads (scenarios) in which the race job saw harm or a race, the worst suspects first.

    The worst is what harmed the build for the race detector, but not in one thread, with the fewest calls; then come
    those in which a function races with itself, because both threads write, and then other harm. Races of which it is
    not known what was called are skipped.
    """
    harmful = [harm.calls for harm in race.harms if not _happens_alone(harm)]
    harmful.sort(key=lambda calls: sum(len(row) for row in calls.rows))
    racing: list[Scenario] = []
    for race_event in sorted(race.races, key=lambda event: len(event.places)):
        if race_event.calls is not None:
            racing.append(race_event.calls)

    suspects = [*harmful[:1], *racing, *harmful[1:]]
    return [calls.to_json() for calls in suspects]


def _happens_alone(harm: Harm) -> bool:
    """Return whether one thread alone was seen to do a harm."""
    alone = None if harm.arms is None else harm.arms.alone
    return alone is not None and alone[0] > 0
