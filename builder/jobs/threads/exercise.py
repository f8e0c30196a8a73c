"""Exercise job: a free-threaded wheel, called by threads with the plain interpreter -> crashes, hangs, wrong results.

Facts: `wheel` (its file name, or None: then there is nothing else); `fetched` and `asked`, as a build has them, where
the race job had fetched nothing for it; and what builder/inside/stress/exercise.py answers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from builder.engine.client import Limits
from builder.jobs.images.ids import INDEX_IMAGE, role_image_id
from builder.jobs.job import Result, run_requirement
from builder.jobs.programs import CONTAINER_CODE, programs_digest, run_json_task, stress_task
from builder.jobs.threads import test_wheels
from builder.jobs.threads.race import PLAN_FILE
from builder.jobs.wheels import required_wheels, wheel_for_abi
from builder.proxy.proxy import SessionReport
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.config.catalog import Abi
    from builder.config.effort import Effort
    from builder.config.matrix import OwnTests
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.sources import Pure


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
            CONTAINER_CODE: (programs_digest("stress"), test_wheels.FETCH_SCRIPT),
            "sdist": self.sdist_sha256,
            "effort": self.effort.record(),
            "own tests": self.tests.model_dump(),
            "ABIs": self.abi.directory,
            "pure wheels": [wheel.sha256 for wheel in self.pure],
        }

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        needs = self.needs
        found: dict[str, object] = {
            str(needs["image"]): inputs["image"].facts["content"],
            str(needs["race"]): inputs["race"].key,
        }
        for role in ("build", *map(run_requirement, self.requires)):
            build = inputs[role]
            found[str(needs[role])] = build.files.get(wheel_for_abi(build, self.abi.name) or "")

        return found

    def key(self, inputs: Inputs) -> str:
        return digest("exercise", 2, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        image, race, build = inputs["image"], inputs["race"], inputs["build"]
        others = [inputs[run_requirement(name)] for name in self.requires]
        wheel = wheel_for_abi(build, self.abi.name)
        if wheel is None:
            return Result(facts={"wheel": None})
        served = dict(required_wheels(self.abi.name, (build, *others), self.pure))
        planned: dict[str, Any] = {"surface": None, "plan": []}
        if PLAN_FILE in race.files:
            planned = json.loads(tools.store.file(race.files[PLAN_FILE]).read_text())
        python = f"/opt/python/{self.abi.directory}/bin/python"
        request = {
            "python": python,
            "name": self.name,
            "requirement": f"{self.name}=={self.version}",
            "wheels": "/farm/wheels",
            **planned,
            "suspects": _select_suspects(race.facts.get("races", ())),
            "effort": self.effort.record(),
        }
        sdist = f"/farm/{self.sdist_filename}"
        needed, visit = test_wheels.load_test_wheels(race, tools), SessionReport()
        if "kit" not in race.facts:  # there was nothing to look for races with
            path = tools.store.file(self.sdist_sha256)
            session = tools.index.session(inputs["index proxy"].facts["tag"], self.id, tools.stop)
            needed = test_wheels.fetch_test_wheels(
                path,
                self.sdist_filename,
                self.tests,
                self.effort,
                image.facts["tag"],
                python,
                session.network,
                tools,
            )
            visit = session.collect_report()
            if needed.is_unavailable and (untold := visit.infrastructure_error()) is not None:
                raise untold
            tools.index.record_lock(self.id, visit, better=bool(needed.wheels))
        request["tests"] = needed.make_request(self.effort, self.tests, sdist)
        tools.say("calling it by threads")
        task = stress_task(
            "exercise",
            image=image.facts["tag"],
            python=python,
            request=request,
            files={
                **{
                    f"/farm/wheels/{name}": tools.store.file(sha256)
                    for name, sha256 in served.items()
                },
                sdist: tools.store.file(self.sdist_sha256),
                **{f"/farm/wheels/{name}": content for name, content in needed.wheels.items()},
            },
            limits=Limits(
                memory_bytes=4 << 30,
                timeout_s=300 + 8 * self.effort.plain_s + 3 * self.effort.tests_s,
            ),
        )
        return Result(
            facts={"wheel": wheel, **visit.record(), **run_json_task(task, "exercising it", tools)}
        )


def _select_suspects(races: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the scenarios that race: first those in which a function races with itself, for both then write."""
    ordered = sorted(races, key=lambda event: len(event["places"]))
    return [event["calls"] for event in ordered if event["calls"] is not None]
