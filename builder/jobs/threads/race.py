"""Race job: compiles a package with ThreadSanitizer and calls its native code by threads, to find data races.

builder/evidence/race.py has the model of its facts. Its files are the plan for the exercise job, the wheels that the
package's own tests need, and the wheel that was compiled with ThreadSanitizer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from builder.distributions.identity import explain_mismatch
from builder.distributions.tags import is_pure_wheel
from builder.engine.tasks import Limits, Task
from builder.evidence.audit import read_wheel
from builder.evidence.base import EvidenceError, MalformedFactsError
from builder.evidence.image import ImageFacts, read_image_content, read_image_tag
from builder.evidence.race import NO_SDIST, RaceAnswer, RaceFacts
from builder.evidence.scenarios import RacePlan
from builder.jobs.build.log import explain
from builder.jobs.build.log_excerpt import read_log
from builder.jobs.build.own_wheels import collect_own_wheels, constraints_path, to_container_paths
from builder.jobs.build.recipe import UNPACK_PROGRAM
from builder.jobs.images.ids import INDEX_IMAGE, packages_image_id
from builder.jobs.job import Result, build_requirement, run_requirement
from builder.jobs.programs import CONTAINER_CODE, STRESS_FOLDER, Program, ask, programs_digest
from builder.jobs.threads.test_wheels import FETCH_SCRIPT, TestSuite, TestWheels
from builder.jobs.wheels import WHEELS_FOLDER, required_wheels, wheel_files, wheel_for_abi
from builder.judge.wheel.thread_signs import list_signs
from builder.proxy.report import SessionReport
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind
from builder.untrusted.names import UntrustedNameError, parse_wheel_name
from builder.untrusted.package_names import project_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.config.catalog import Abi
    from builder.config.effort import Effort
    from builder.config.matrix import OwnTests
    from builder.engine.services import NetworkAttachment
    from builder.evidence.race import Sign
    from builder.jobs.build.build import Build
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.sources import Pure
    from builder.store.evidence import Evidence
    from builder.store.store import Store

RACE_PYTHON = "/opt/race/tree/bin/python"
"""The interpreter that was compiled with ThreadSanitizer, in images of the role `race`."""

RACE_WHEEL_FOLDER = "/farm/race"
"""The folder of a container with the wheel that was compiled with ThreadSanitizer."""

_PROGRAM = Program(
    package="stress", module="race", answer=RaceAnswer, supervises=True, folder=STRESS_FOLDER
)
_PLAN_FILE = "plan.json"
_WHEEL_FOLDER = "/result/wheel"
_RUST_INPUTS = "/farm/rust"
_CARGO_FOLDER = "/tmp/.cargo"  # noqa: S108 - in the container; cargo keeps crates there as well
_RUST_FOLDER = "/tmp/wheelfarm-rust"  # noqa: S108 - in the container, where the compilation is no root

# Much, because ThreadSanitizer keeps several words about every word of memory.
_MEMORY_BYTES = 6 << 30
_COMPILER_MEMORY_BYTES = 4 << 30
_COMPILER_SLOWDOWN = 2.0
"""How much longer compiling may take with what the sanitizer adds; not measured."""

_WATCH_HEADER = """\
/* Attributes that keep the sanitizer away from a function become notes, so that nothing of a package is unwatched. */
#define no_sanitize(...) annotate("no_sanitize")
#define __no_sanitize__(...) annotate("no_sanitize")
#define no_sanitize_thread annotate("no_sanitize_thread")
#define __no_sanitize_thread__ annotate("no_sanitize_thread")
#define disable_sanitizer_instrumentation annotate("disable_sanitizer_instrumentation")
#define __disable_sanitizer_instrumentation__ annotate("disable_sanitizer_instrumentation")
"""
"""What is included before every C and C++ source. Clang's `annotate` may stand wherever these attributes may, and
changes no code (Clang's documentation, "Attributes in Clang")."""

_WATCH_HEADER_PATH = "/farm/watch.h"
NAMES_AND_LINES = "-gline-tables-only -fdebug-info-for-profiling"
"""What reports need of clang's debug information, which takes a sixth of the compiler's time as a whole. The second
option is for the full names of C++ functions that are inlined (decision 0034)."""

# A build that gets CFLAGS may leave out those of the interpreter, and -DNDEBUG with them: an assertion would then end
# the process here that is not in the wheel. The compiler keeps symbols and lines: images/keep-symbols.sh.
_COMPILE_SCRIPT = f"""
set -eu
watch="-include {_WATCH_HEADER_PATH} -fsanitize=thread -O1 -DNDEBUG {NAMES_AND_LINES}"
export CC=wheelfarm-clang CXX=wheelfarm-clang++ UV_PYTHON_DOWNLOADS=never SOURCE_DATE_EPOCH=946684800
export CFLAGS="$watch ${{CFLAGS:-}}" CXXFLAGS="$watch ${{CXXFLAGS:-}}"
export LDFLAGS="-fsanitize=thread ${{LDFLAGS:-}}"
mkdir -p /tmp/project /result/wheel
cd /tmp/project
"$1" -I -S /farm/sdists.py "$2" .
for patch in /farm/patches/*.patch; do [ ! -e "$patch" ] || patch -p1 --batch -i "$patch"; done
shift_python=$1
shift 2
exec "$shift_python" -m build --wheel --installer uv -o /result/wheel "$@"
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class _CompiledWheel:
    """A wheel that was compiled with ThreadSanitizer."""

    filename: str
    content: bytes

    @property
    def path(self) -> str:
        """Its path in the container that looks for races."""
        return f"{RACE_WHEEL_FOLDER}/{self.filename}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Supplies:
    """What a search for races needs, compiled and fetched before it begins.

    Attributes:
        wheel: the package, compiled with ThreadSanitizer; None where that failed.
        failure: why it failed; None where it did not.
        test_wheels: what the package's own tests need.
        visit: what was asked of the package index for all that.
    """

    wheel: _CompiledWheel | None
    failure: str | None
    test_wheels: TestWheels
    visit: SessionReport


@dataclass(frozen=True, kw_only=True)
class Race:
    """Look for data races in one package.

    Attributes:
        build: how the package is built on the base; the sanitizer's build is made the same way.
        abi: the free-threaded ABI.
        recipes: expressions that make objects of the package.
        requires: packages of the farm that must be installed with it; their wheels are those for the same base.
        pure: pure-Python wheels that must be installed with it.
        tests: how its own tests are run.
        packages: system packages that the wheels need, beside those of the build.
        seed: the seed of the random order in which calls without a natural order are tried.
        after: names of packages that are installed beside it and imported before it.
    """

    build: Build
    abi: Abi
    effort: Effort
    tests: OwnTests
    recipes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    pure: tuple[Pure, ...] = ()
    packages: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
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
            "build": self.build.id,
        }
        for name in self.requires:
            needs[run_requirement(name)] = JobId(JobKind.BUILD, name, base)
        for name in self.build.requires:
            needs[build_requirement(name)] = JobId(JobKind.BUILD, name, base)
        needs["index proxy"] = INDEX_IMAGE

        return needs

    @property
    def image_packages(self) -> tuple[str, ...]:
        """The system packages of its image: those of the build, and those that the wheels need."""
        return tuple(sorted({*self.build.packages, *self.packages}))

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result besides the inputs, by names that a person understands."""
        settings: dict[str, object] = {
            CONTAINER_CODE: (
                programs_digest("stress"),
                _COMPILE_SCRIPT,
                _WATCH_HEADER,
                FETCH_SCRIPT,
            ),
            "sdist": self.build.sdist_sha256,
            "patches": self.build.patches,
            "flags": (self.build.environment, self.build.config_settings),
            "effort": (self.effort.record(), self.seed),
            "recipes": self.recipes,
            "own tests": self.tests.model_dump(),
            "ABIs": self.abi.directory,
            "pure wheels": [wheel.sha256 for wheel in self.pure],
        }
        if self.build.constraints:
            settings["build constraints"] = self.build.constraints
        if self.after:
            settings["imported first"] = self.after
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
        run_roles = map(run_requirement, self.requires)
        build_roles = map(build_requirement, self.build.requires)
        for role in ("build", *run_roles, *build_roles):
            build = inputs[role]
            parts[str(needs[role])] = build.files.get(wheel_for_abi(build, self.abi.name) or "")

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
            "failure": supplies.failure,
            "kit": supplies.test_wheels.record(),
            "signs": signs,
            **supplies.visit.record(),
        }
        files = dict(supplies.test_wheels.wheels)
        compiled = supplies.wheel
        answer = self._ask(compiled, signs, supplies.test_wheels, inputs, tools)
        plan = RacePlan(surface=answer.surface, plan=answer.plan)
        facts |= answer.fields_for(RaceFacts)
        if compiled is not None:
            facts["race_wheel"] = compiled.filename
            files[compiled.filename] = compiled.content

        files = {_PLAN_FILE: json.dumps(plan.to_json()).encode(), **files}
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
                wheel=None,
                failure=NO_SDIST,
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
            compiled = self._compile(image, own_wheels, session.network, tools)
            visit = session.collect_report()

        error = visit.infrastructure_error()
        has_failed = isinstance(compiled, str)
        if error is not None and (has_failed or self._own_tests.is_short_of(test_wheels)):
            raise error

        tools.index.record_lock(self.id, visit, better=not has_failed)
        return _Supplies(
            wheel=None if isinstance(compiled, str) else compiled,
            failure=compiled if isinstance(compiled, str) else None,
            test_wheels=test_wheels,
            visit=visit,
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

    def _compile(
        self,
        image: str,
        own_wheels: Mapping[str, bytes | Path],
        index: NetworkAttachment,
        tools: Tools,
    ) -> _CompiledWheel | str:
        """Compile the package with ThreadSanitizer. Return the wheel or, where that failed, a text that says why.

        Args:
            image: full name of the image to compile in.
            own_wheels: the farm's own wheels that the package is built with, as `collect_own_wheels` returns them.
            index: the container's way to the package index.
            tools: of the job.
        """
        tools.say("compiling with ThreadSanitizer")
        sdist = self._own_tests.sdist_path
        files: dict[str, bytes | Path] = {
            sdist: tools.store.file(self.build.sdist_sha256),
            "/farm/sdists.py": UNPACK_PROGRAM,
            **{f"{_RUST_INPUTS}/{name}": file for name, file in self.build.rust.files().items()},
            **to_container_paths(own_wheels),
        }
        files[_WATCH_HEADER_PATH] = _WATCH_HEADER.encode()
        for number, patch in enumerate(self.build.patches):
            files[f"/farm/patches/{number:03}.patch"] = patch.encode()

        environment = dict(self.build.environment)
        if own_wheels:
            environment["UV_CONSTRAINT"] = constraints_path(self.abi.name)

        options = []
        for name, values in self.build.config_settings.items():
            options += [f"-C{name}={value}" for value in values]

        task = Task(
            image=image,
            command=[
                "sh",
                "-c",
                self._prepare_rust() + _COMPILE_SCRIPT,
                "sh",
                self.abi.python,
                sdist,
                *options,
            ],
            files=files,
            collect=_WHEEL_FOLDER,
            network=index,
            environment=environment,
            limits=Limits(
                memory_bytes=max(self.build.memory_bytes, _COMPILER_MEMORY_BYTES),
                timeout_s=_COMPILER_SLOWDOWN * self.build.timeout_s,
            ),
        )
        log_start = tools.log.stat().st_size if tools.log.exists() else 0
        ended = tools.engine.run(task, log=tools.log, stop=tools.stop)

        wheel = _find_wheel(ended.output, self.build)
        if wheel is not None and ended.exit_code == 0:
            return wheel
        if ended.timed_out:
            return "it did not end in time"
        return self._explain_failure(tools.log, log_start, ended.exit_code)

    def _prepare_rust(self) -> str:
        """Return what a shell does beforehand, so that the compilation has the same Rust and crates as the build."""
        rust = self.build.rust
        commands = rust.commands(_RUST_INPUTS, self.abi.python, _RUST_FOLDER, _CARGO_FOLDER)
        if rust.has_crates:
            commands.append(f"export CARGO_HOME={_CARGO_FOLDER}")
        folders = rust.search_folders(_RUST_FOLDER)
        if folders:
            commands.append(f'export PATH="{":".join(folders)}:$PATH"')

        return "".join(f"{command} || exit 1\n" for command in commands)

    def _explain_failure(self, log: Path, start: int, exit_code: int) -> str:
        """Return the first error of a compilation, in one line.

        Args:
            log: the job's log.
            start: the byte of the log at which the output of the compilation begins.
            exit_code: of the compilation.
        """
        failure, _ = explain(
            read_log(log, start),
            exit_code,
            self.build.name,
            (self.abi.name,),
            timeout_s=None,
            memory_bytes=None,
            processes=None,
        )
        return failure.error

    def _ask(
        self,
        compiled: _CompiledWheel | None,
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
        builds = [inputs[role] for role in ("build", *map(run_requirement, self.requires))]
        request = {
            "python": self.abi.python,
            "race_python": RACE_PYTHON,
            "name": project_of(self.build.name),
            "requirement": f"{project_of(self.build.name)}=={self.build.version}",
            "after": list(self.after),
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
        wheels = list(required_wheels(self.abi.name, builds, self.pure))
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


def read_plan(race: Evidence, store: Store) -> RacePlan:
    """Return the plan (what to call by threads, and how) that a race job left for the exercise job.

    The plan is empty where the race job did not learn how to call the package.

    Raises:
        EvidenceError: the file with the plan is damaged.
    """
    if _PLAN_FILE not in race.files:
        return RacePlan(surface=None, plan=())

    try:
        return RacePlan.parse(store.file(race.files[_PLAN_FILE]).read_bytes())
    except MalformedFactsError as error:
        raise EvidenceError(race.job, f"{_PLAN_FILE}: {error}") from error


def _find_wheel(output: Mapping[str, bytes], build: Build) -> _CompiledWheel | None:
    """Return the wheel of the package among the files that a container left, or None.

    Args:
        output: content by path. The package's build could write there what it liked.
        build: says which package it is.
    """
    for path, content in output.items():
        try:
            filename = parse_wheel_name(PurePosixPath(path).name)
        except UntrustedNameError:
            continue
        if not explain_mismatch(project_of(build.name), build.version, filename):
            return _CompiledWheel(filename=filename, content=content)

    return None


def _store_files(files: Mapping[str, bytes], store: Store) -> dict[str, str]:
    """Put files, given as content by name, into the store, and return the sha256 of each by name."""
    hashes: dict[str, str] = {}
    with store.scratch_folder() as scratch:
        for name, content in files.items():
            path = scratch / name
            path.write_bytes(content)
            hashes[name] = store.add_file(path)

    return hashes
