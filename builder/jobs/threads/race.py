"""Race job: a package compiled with ThreadSanitizer, its native code called by threads -> data races.

Facts: `wheel` (file name of the free-threaded wheel it is about, or None: then there is nothing else); `failure`, why
it could not be compiled with the sanitizer, or None; `fetched` and `asked`, as a build has them; `kit`, what its own
tests need; `signs`, what of the wheel the search is steered by (judge/wheel/thread_signs.py); and where it could be
compiled, what builder/inside/stress/race.py answers, `plan` left out. The evidence's files are `plan.json`, with
`surface` and `plan` for the exercise job, the wheels of the kit, and the wheel with the sanitizer (`race_wheel`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.engine.client import Limits, Task
from builder.evidence.audit import WheelFacts
from builder.jobs.build.log import explain
from builder.jobs.build.own_wheels import collect_own_wheels, constraints_path, to_container_paths
from builder.jobs.images.ids import INDEX_IMAGE, packages_image_id
from builder.jobs.job import Result, build_requirement, run_requirement
from builder.jobs.programs import CONTAINER_CODE, programs_digest, run_json_task, stress_task
from builder.jobs.threads import test_wheels
from builder.jobs.wheels import required_wheels, wheel_for_abi
from builder.judge.wheel.thread_signs import list_signs
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.config.catalog import Abi
    from builder.config.effort import Effort
    from builder.config.matrix import OwnTests
    from builder.engine.services import NetworkAttachment
    from builder.evidence.race import Sign
    from builder.jobs.build.build import Build
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.jobs.threads.test_wheels import OwnTestWheels
    from builder.sources import Pure
    from builder.store.evidence import Evidence

PLAN_FILE = "plan.json"
_WHEEL_FOLDER = "/result/wheel"
_MEMORY_BYTES = 6 << 30
_NO_LIMITS: dict[str, Any] = {"timeout_s": None, "memory_bytes": None, "processes": None}
_COMPILE_SCRIPT = """
set -eu
export CC=wheelfarm-clang CXX=wheelfarm-clang++ UV_PYTHON_DOWNLOADS=never SOURCE_DATE_EPOCH=946684800
export CFLAGS="-fsanitize=thread -g -O1 ${CFLAGS:-}" CXXFLAGS="-fsanitize=thread -g -O1 ${CXXFLAGS:-}"
export LDFLAGS="-fsanitize=thread ${LDFLAGS:-}"
mkdir -p /tmp/project /result/wheel
cd /tmp/project
case $2 in *.zip) "$1" -m zipfile -e "$2" . ;; *) tar -xf "$2" --no-same-owner ;; esac
cd "$(ls -d */ | head -1)"
for patch in /farm/patches/*.patch; do [ ! -e "$patch" ] || patch -p1 --batch -i "$patch"; done
shift_python=$1
shift 2
exec "$shift_python" -m build --wheel --installer uv -o /result/wheel "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Race:
    """Look for data races in one package.

    Attributes:
        build: how the package is built on the base; the sanitizer's build is made the same way.
        abi: the free-threaded ABI.
        recipes: expressions that make objects of the package.
        requires: native packages that must be there, built on the same base.
        pure: pure wheels that must be there.
        tests: how its own tests are run.
        seed: of what has no natural order.
    """

    build: Build
    abi: Abi
    effort: Effort
    tests: OwnTests
    recipes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    pure: tuple[Pure, ...] = ()
    seed: int = 1

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.RACE, self.build.name, self.build.base)

    @cached_property
    def needs(self) -> Needs:
        base = self.build.base
        needs = {
            "image": packages_image_id(base, self.build.packages, "race"),
            "audit": JobId(JobKind.AUDIT, self.build.name, base),
            "build": self.build.id,
        }
        for name in self.requires:
            needs[run_requirement(name)] = JobId(JobKind.BUILD, name, base)
        for name in self.build.requires:
            needs[build_requirement(name)] = JobId(JobKind.BUILD, name, base)
        needs["index proxy"] = INDEX_IMAGE

        return needs

    def settings(self) -> Mapping[str, object]:
        return {
            CONTAINER_CODE: (programs_digest("stress"), _COMPILE_SCRIPT, test_wheels.FETCH_SCRIPT),
            "sdist": self.build.sdist_sha256,
            "patches": self.build.patches,
            "flags": (self.build.environment, self.build.config_settings),
            "effort": (self.effort.record(), self.seed),
            "recipes": self.recipes,
            "own tests": self.tests.model_dump(),
            "ABIs": self.abi.directory,
            "pure wheels": [wheel.sha256 for wheel in self.pure],
        }

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        needs = self.needs
        wheel = wheel_for_abi(inputs["build"], self.abi.name)
        signs = _list_signs(inputs["audit"], wheel)
        found: dict[str, object] = {
            str(needs["image"]): inputs["image"].facts["content"],
            str(needs["audit"]): signs,
        }
        run_roles = map(run_requirement, self.requires)
        build_roles = map(build_requirement, self.build.requires)
        for role in ("build", *run_roles, *build_roles):
            build = inputs[role]
            found[str(needs[role])] = build.files.get(wheel_for_abi(build, self.abi.name) or "")

        return found

    def key(self, inputs: Inputs) -> str:
        return digest("race", 2, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        image, build = inputs["image"], inputs["build"]
        others = [inputs[run_requirement(name)] for name in self.requires]
        wheel = wheel_for_abi(build, self.abi.name)
        signs = _list_signs(inputs["audit"], wheel)
        if wheel is None or "missing" in image.facts:
            return Result(facts={"wheel": None})
        served = dict(required_wheels(self.abi.name, (build, *others), self.pure))
        tag, sdist = image.facts["tag"], tools.store.file(self.build.sdist_sha256)
        session = tools.index.session(inputs["index proxy"].facts["tag"], self.id, tools.stop)
        needed = test_wheels.fetch_test_wheels(
            sdist,
            self.build.sdist_filename,
            self.tests,
            self.effort,
            tag,
            self._python,
            session.network,
            tools,
        )
        noted = {"wheels": sorted(needed.wheels), "requirements": list(needed.requirements)}
        loan = collect_own_wheels(
            [inputs[build_requirement(name)] for name in self.build.requires],
            (self.abi.name,),
            tools.store,
        )
        made, failure = self._compile(tag, loan, session.network, tools)
        visit = session.collect_report()
        if (made is None or needed.is_unavailable) and (
            untold := visit.infrastructure_error()
        ) is not None:
            raise untold
        tools.index.record_lock(self.id, visit, better=made is not None)
        facts = self._search_races(tag, made, served, needed, signs, tools) if made else {}
        plan = {"surface": facts.get("surface"), "plan": facts.pop("plan", [])}
        files = {}
        with tools.store.scratch_folder() as scratch:
            found = {
                PLAN_FILE: json.dumps(plan).encode(),
                **needed.wheels,
                **dict([made] if made else []),
            }
            for name, content in found.items():
                path = scratch / name
                path.write_bytes(content)
                files[name] = tools.store.add_file(path)
        made_as = {"race_wheel": made[0]} if made else {}
        known = {
            "wheel": wheel,
            "failure": failure or None,
            "kit": noted,
            "signs": signs,
            **visit.record(),
        }
        return Result(facts={**known, **facts, **made_as}, files=files)

    @property
    def _python(self) -> str:
        return f"/opt/python/{self.abi.directory}/bin/python"

    def _compile(
        self, image: str, loan: Mapping[str, bytes | Path], index: NetworkAttachment, tools: Tools
    ) -> tuple[tuple[str, bytes] | None, str]:
        """Compile the package with the sanitizer; return the wheel's name and content, or why there is none."""
        tools.say("compiling with ThreadSanitizer")
        sdist = f"/farm/{self.build.sdist_filename}"
        patches = {
            f"/farm/patches/{number:03}.patch": text.encode()
            for number, text in enumerate(self.build.patches)
        }
        settings = [
            f"-C{name}={value}"
            for name, values in self.build.config_settings.items()
            for value in values
        ]
        task = Task(
            image=image,
            command=["sh", "-c", _COMPILE_SCRIPT, "sh", self._python, sdist, *settings],
            files={
                sdist: tools.store.file(self.build.sdist_sha256),
                **patches,
                **to_container_paths(loan),
            },
            collect=_WHEEL_FOLDER,
            network=index,
            environment={
                **self.build.environment,
                **({"UV_CONSTRAINT": constraints_path(self.abi.name)} if loan else {}),
            },
            limits=Limits(
                memory_bytes=max(self.build.memory_bytes, 4 << 30),
                timeout_s=2.0 * self.build.timeout_s,
            ),
        )
        start = tools.log.stat().st_size if tools.log.exists() else 0
        ended = tools.engine.run(task, log=tools.log, stop=tools.stop)
        wheels = [
            (Path(path).name, content)
            for path, content in ended.output.items()
            if path.endswith(".whl")
        ]
        if ended.exit_code == 0 and wheels:
            return wheels[0], ""
        with tools.log.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
        if ended.timed_out:
            return None, "it did not end in time"
        return None, explain(
            text, ended.exit_code, self.build.name, (self.abi.name,), **_NO_LIMITS
        )[0].error

    def _search_races(
        self,
        image: str,
        made: tuple[str, bytes],
        served: Mapping[str, str],
        needed: OwnTestWheels,
        signs: tuple[str, ...],
        tools: Tools,
    ) -> dict[str, Any]:
        tools.say("looking for data races")
        filename, content = made
        sdist = f"/farm/{self.build.sdist_filename}"
        request = {
            "python": self._python,
            "race_python": "/opt/race/tree/bin/python",
            "name": self.build.name,
            "requirement": f"{self.build.name}=={self.build.version}",
            "wheels": "/farm/wheels",
            "race_wheel": f"/farm/race/{filename}",
            "sdist": sdist,
            "recipes": list(self.recipes),
            "seed": self.seed,
            "signs": signs,
            "tests": needed.make_request(self.effort, self.tests, sdist),
            "effort": self.effort.record(),
        }
        task = stress_task(
            "race",
            image=image,
            python=self._python,
            request=request,
            files={
                **{
                    f"/farm/wheels/{name}": tools.store.file(sha256)
                    for name, sha256 in served.items()
                },
                **{f"/farm/wheels/{name}": content for name, content in needed.wheels.items()},
                f"/farm/race/{filename}": content,
                sdist: tools.store.file(self.build.sdist_sha256),
            },
            limits=Limits(
                memory_bytes=_MEMORY_BYTES,
                timeout_s=300
                + 6 * (self.effort.race_s + self.effort.learn_s)
                + 2 * self.effort.tests_s,
            ),
        )
        return run_json_task(task, "looking for races", tools)


def _list_signs(audit: Evidence, filename: str | None) -> tuple[Sign, ...]:
    """Return what the wheel that is searched shows; only its own facts are checked, since each key asks for them."""
    wheel = audit.facts["wheels"].get(filename)
    return () if wheel is None else list_signs(WheelFacts.check(wheel))
