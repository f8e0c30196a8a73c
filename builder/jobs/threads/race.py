"""Race job: compiles a package with ThreadSanitizer and calls its native code by threads, to find data races.

builder/evidence/race.py has the model of its facts. Its files are the plan for the exercise job, the wheels that the
package's own tests need, and the wheel that was compiled with ThreadSanitizer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.distributions.tags import is_pure_wheel
from builder.engine.tasks import Limits
from builder.evidence.audit import read_wheel
from builder.evidence.image import ImageFacts, read_image_content, read_image_tag
from builder.evidence.race import NO_SDIST, RaceAnswer, RaceFacts
from builder.jobs.build.own_wheels import collect_own_wheels
from builder.jobs.images.ids import INDEX_IMAGE, packages_image_id
from builder.jobs.job import Result, build_requirement
from builder.jobs.programs import CONTAINER_CODE, STRESS_FOLDER, Program, ask, programs_digest
from builder.jobs.run_requirements import NO_REQUIREMENTS, RunRequirements
from builder.jobs.threads.plan_file import PLAN_FILE, render_plan
from builder.jobs.threads.sanitizer_build import (
    RACE_PYTHON,
    RECIPE,
    Compilation,
    CompiledWheel,
    SanitizerBuild,
)
from builder.jobs.threads.test_wheels import FETCH_SCRIPT, TestSuite, TestWheels
from builder.jobs.wheels import WHEELS_FOLDER, wheel_files, wheel_for_abi, wheel_hash
from builder.judge.wheel.thread_signs import list_signs
from builder.proxy.report import SessionReport
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind
from builder.untrusted.package_names import project_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.config.catalog import Abi
    from builder.config.effort import Effort
    from builder.config.matrix import OwnTests
    from builder.evidence.race import Sign
    from builder.jobs.build.build import Build
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.store.store import Store


_PROGRAM = Program(
    package="stress", module="race", answer=RaceAnswer, supervises=True, folder=STRESS_FOLDER
)

_MEMORY_BYTES = 6 << 30
"""Much, because ThreadSanitizer keeps several words about every word of memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Supplies:
    """What a search for races needs, compiled and fetched before it begins.

    Attributes:
        compilation: the package, compiled with ThreadSanitizer, or why that failed.
        test_wheels: what the package's own tests need.
        visit: what was asked of the package index for all that.
    """

    compilation: Compilation
    test_wheels: TestWheels
    visit: SessionReport


@dataclass(frozen=True, kw_only=True)
class Race:
    """Look for data races in one package.

    Attributes:
        build: how the package is built on the base; the sanitizer's build is made the same way.
        abi: the free-threaded ABI.
        recipes: expressions that make objects of the package.
        requirements: what must be installed with it.
        tests: how its own tests are run.
        seed: the seed of the random order in which calls without a natural order are tried.
    """

    build: Build
    abi: Abi
    effort: Effort
    tests: OwnTests
    recipes: tuple[str, ...] = ()
    requirements: RunRequirements = NO_REQUIREMENTS
    seed: int = 1

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.RACE, self.build.name, self.build.base)

    @cached_property
    def needs(self) -> Needs:
        """The image to run in, the audit, and the builds of the package and of what it is built and installed with.

        The index proxy is needed only to be there first; it counts in no key.
        """
        base = self.build.base
        needs = {
            "image": packages_image_id(base, self.image_packages, "race"),
            "audit": JobId(JobKind.AUDIT, self.build.name, base),
            **self.requirements.needs(self.build.name, base),
        }
        for name in self.build.requires:
            needs[build_requirement(name)] = JobId(JobKind.BUILD, name, base)
        needs["index proxy"] = INDEX_IMAGE

        return needs

    @property
    def image_packages(self) -> tuple[str, ...]:
        """The system packages of its image: those of the build, and those that the wheels need."""
        return tuple(sorted({*self.build.packages, *self.requirements.system}))

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result besides the inputs, by names that a person understands."""
        settings: dict[str, object] = {
            CONTAINER_CODE: (programs_digest("stress"), *RECIPE, FETCH_SCRIPT),
            "sdist": self.build.sdist_sha256,
            "patches": self.build.patches,
            "flags": (self.build.environment, self.build.config_settings),
            "effort": (self.effort.record(), self.seed),
            "recipes": self.recipes,
            "own tests": self.tests.model_dump(),
            "ABIs": self.abi.directory,
            **self.requirements.settings(),
        }
        if self.build.constraints:
            settings["build constraints"] = self.build.constraints
        settings |= self.build.rust.settings()

        return settings

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        """Return the part of the inputs that can change the result, by job id.

        Of a build that is the wheel for the free-threaded ABI (None if it made none); of the audit, only the signs.
        """
        needs = self.needs
        parts: dict[str, object] = {
            str(needs["image"]): read_image_content(inputs["image"]),
            str(needs["audit"]): self._signs(inputs),
        }
        build_roles = map(build_requirement, self.build.requires)
        for role in (*self.requirements.roles, *build_roles):
            parts[str(needs[role])] = wheel_hash(inputs[role], self.abi.name)

        return parts

    def key(self, inputs: Inputs) -> str:
        return digest("race", 2, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Compile the package with ThreadSanitizer, look for races, and return them with the files used to find them.

        Nothing is run without a free-threaded wheel that has native code. Where the package does not compile with
        ThreadSanitizer, or has no sdist, the facts say why; how it is called is learnt all the same, for the exercise
        job. Without an image to run in nothing is learnt either.
        """
        wheel = wheel_for_abi(inputs["build"], self.abi.name)
        if wheel is None or is_pure_wheel(wheel):
            return Result(facts=RaceFacts(wheel=None))

        image_facts = ImageFacts.read(inputs["image"])
        image = image_facts.tag
        if image is None:
            missing = ", ".join(image_facts.missing)
            failure = f"{self.build.base} has no system package {missing}"
            return Result(facts=RaceFacts(wheel=wheel, failure=failure))

        supplies = self._prepare(image, inputs, tools)
        signs = self._signs(inputs)
        facts: dict[str, object] = {
            "wheel": wheel,
            "failure": supplies.compilation.failure,
            "kit": supplies.test_wheels.record(),
            "signs": signs,
            **supplies.visit.record(),
        }
        compiled = supplies.compilation.wheel
        answer = self._ask(compiled, signs, supplies.test_wheels, inputs, tools)
        facts |= answer.fields_for(RaceFacts)
        files = {PLAN_FILE: render_plan(answer), **supplies.test_wheels.wheels}
        if compiled is not None:
            facts["race_wheel"] = compiled.filename
            files[compiled.filename] = compiled.content

        return Result(facts=RaceFacts.check(facts), files=_store_files(files, tools.store))

    def _prepare(self, image: str, inputs: Inputs, tools: Tools) -> _Supplies:
        """Fetch what the package's own tests need, and compile the package with ThreadSanitizer.

        Args:
            image: full name of the image to do that in.
            inputs: of the job.
            tools: of the job.

        Raises:
            InfrastructureError: one of the two failed, perhaps only because the package index did not answer.
        """
        if not self.build.sdist_sha256:
            return _Supplies(
                compilation=Compilation(failure=NO_SDIST),
                test_wheels=TestWheels(),
                visit=SessionReport(),
            )

        own_wheels = collect_own_wheels(
            [inputs[build_requirement(name)] for name in self.build.requires],
            (self.abi.name,),
            tools.store,
            self.build.constraints,
        )
        proxy = read_image_tag(inputs["index proxy"])
        with tools.index.session(proxy, self.id, tools.stop) as session:
            python = self.abi.python
            test_wheels = self._own_tests.fetch_wheels(image, python, session.network, tools)
            compilation = self._sanitizer_build.compile(image, own_wheels, session.network, tools)
            visit = session.collect_report()

        error = visit.infrastructure_error()
        has_failed = compilation.wheel is None
        if error is not None and (has_failed or self._own_tests.is_short_of(test_wheels)):
            raise error

        tools.index.record_lock(self.id, visit, better=not has_failed)
        return _Supplies(compilation=compilation, test_wheels=test_wheels, visit=visit)

    @property
    def _sanitizer_build(self) -> SanitizerBuild:
        return SanitizerBuild(
            build=self.build,
            abi=self.abi,
            sdist_path=self._own_tests.sdist_path,
        )

    @property
    def _own_tests(self) -> TestSuite:
        """The package's own tests, as they are in its sdist."""
        return TestSuite(
            sdist_filename=self.build.sdist_filename,
            sdist_sha256=self.build.sdist_sha256,
            settings=self.tests,
            effort=self.effort,
        )

    def _signs(self, inputs: Inputs) -> tuple[Sign, ...]:
        """Return the signs of likely races that the audit saw in the wheel without loading it; none without a wheel."""
        wheel = wheel_for_abi(inputs["build"], self.abi.name)
        return list_signs(None if wheel is None else read_wheel(inputs["audit"], wheel))

    def _ask(
        self,
        compiled: CompiledWheel | None,
        signs: tuple[Sign, ...],
        test_wheels: TestWheels,
        inputs: Inputs,
        tools: Tools,
    ) -> RaceAnswer:
        """Look for races in a container, and return what was found.

        Args:
            compiled: the package, compiled with ThreadSanitizer; None to learn how it is called, and nothing more.
            signs: where races are likely.
            test_wheels: what the package's own tests need.
            inputs: of the job.
            tools: of the job.
        """
        tools.say("looking for data races" if compiled else "learning how it is called")
        request = {
            "python": self.abi.python,
            "race_python": RACE_PYTHON,
            "name": project_of(self.build.name),
            "requirement": f"{project_of(self.build.name)}=={self.build.version}",
            "after": list(self.requirements.first),
            "wheels": WHEELS_FOLDER,
            "race_wheel": compiled.path if compiled else None,
            "sdist": self._own_tests.sdist_path if self.build.sdist_sha256 else None,
            "recipes": list(self.recipes),
            "seed": self.seed,
            "signs": list(signs),
            "tests": self._own_tests.make_request(test_wheels),
            "kit": self._own_tests.describe_kit(test_wheels),
            "effort": self.effort.record(),
        }
        wheels = self.requirements.list_wheels(self.abi.name, inputs)
        files = {
            **wheel_files(wheels, tools.store),
            **test_wheels.files([name for name, _ in wheels]),
            **self._own_tests.files(tools.store),
        }
        if compiled is not None:
            files[compiled.path] = compiled.content
        # Learning how to call the package and calling it by threads may each start over several times, and the proof of
        # a race takes as long as the scenario it was found in.
        search_s = 6 * (self.effort.race_s + self.effort.learn_s) + 2 * self.effort.tests_s
        search_s += 6 * self.effort.amplify_s

        return ask(
            _PROGRAM,
            request,
            activity="looking for races",
            image=read_image_tag(inputs["image"]),
            python=self.abi.python,
            files=files,
            limits=Limits(memory_bytes=_MEMORY_BYTES, timeout_s=300 + search_s),
            tools=tools,
        )


def _store_files(files: Mapping[str, bytes], store: Store) -> dict[str, str]:
    """Put files, given as content by name, into the store, and return the sha256 of each by name."""
    hashes: dict[str, str] = {}
    with store.scratch_folder() as scratch:
        for name, content in files.items():
            path = scratch / name
            path.write_bytes(content)
            hashes[name] = store.add_file(path)

    return hashes
