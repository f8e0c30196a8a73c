"""Measurement job: how long an application's scenarios take with several interpreters, in rounds, in one container.

builder/evidence/measurement.py has the model of its facts.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from builder.engine.tasks import Limits
from builder.evidence.image import ImageFacts, read_image_content
from builder.evidence.measurement import (
    MeasuredMachine,
    MeasuredVariant,
    MeasurementAnswer,
    MeasurementFacts,
    PendingWheels,
)
from builder.host.machine import describe_machine
from builder.jobs.application import (
    INDEX_FOLDER,
    PROJECT_FOLDER,
    index_files,
    project_files,
)
from builder.jobs.images.ids import packages_image_id
from builder.jobs.job import Result
from builder.jobs.programs import CONTAINER_CODE, Program, ask, programs_digest
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.config.catalog import Interpreter
    from builder.config.metrics import MetricName
    from builder.config.scenarios import Scenario
    from builder.jobs.application import LockedWheels
    from builder.jobs.job import Inputs, Needs, Tools

CANARY = "canary"
"""Stands in the id of a job that measures what waits in that channel."""

_PROGRAM = Program(package="measure", answer=MeasurementAnswer, supervises=True)

_INSTALL_S = 1200
"""Longest time to install one environment."""

_READING_S = 200
"""Longest time of one reading: starting it, warming it up, measuring it."""

_CPUS = 256.0
"""As many as the machine has: a container that may use less is stopped in the middle of calls to keep to that."""

_MEMORY_BYTES = 4 << 30
"""For a service with its data, and a load generator."""


def measurement_id(application: str, base: str, *, is_canary: bool) -> JobId:
    """Return the id of the job that measures an application.

    Args:
        application: its name in the matrix.
        base: what it is measured on.
        is_canary: whether it measures what waits in `canary/`, and not interpreters.
    """
    return JobId(JobKind.MEASUREMENT, application, base, CANARY if is_canary else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """An interpreter with what the application locks.

    Attributes:
        interpreter: of the catalog.
        locked: the packages, each with the wheels that it can be installed by.
    """

    interpreter: Interpreter
    locked: Sequence[LockedWheels]


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One way to run the application.

    Attributes:
        name: of the variant.
        title: what it is run by, and how: `cp314-jit on`.
        environment: name of the environment.
        threads: how many make calls.
        variables: of the environment, such as PYTHON_JIT.
        baseline: name of the variant that it is compared with; empty for none.
        is_control: whether it is an equal copy of its baseline.
    """

    name: str
    title: str
    environment: str
    threads: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)
    baseline: str = ""
    is_control: bool = False


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Measure the scenarios of an application on one base.

    Attributes:
        name: of the application, in the matrix.
        base: the base's name.
        python: the interpreter in the image that runs the program which measures.
        environments: by name.
        variants: what is compared, those that others are compared with first.
        scenarios: by name.
        lacking: by interpreter that it cannot be measured with, why.
        variables: of the application's environment.
        packages: system packages that it needs at run time.
        files: of the project: sha256 by path; the store has them.
        rounds: how often each variant is measured.
        seconds: how long the calls of one reading take, about.
        limit_s: after so long no other round of a scenario begins.
        moment: when it began, UTC and ISO 8601. Each measurement is one of its own: what a machine did once, it need
            not do again.
        is_whole: whether it is about every scenario, and every interpreter of the matrix.
        pending: the releases of `canary/` that it is about.
    """

    name: str
    base: str
    python: str
    environments: Mapping[str, Environment]
    variants: Sequence[Variant]
    scenarios: Mapping[str, Scenario]
    lacking: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    rounds: int
    seconds: float
    limit_s: float
    moment: str
    is_whole: bool = True
    pending: tuple[PendingWheels, ...] = ()

    @cached_property
    def id(self) -> JobId:
        return measurement_id(self.name, self.base, is_canary=bool(self.pending))

    @cached_property
    def needs(self) -> Needs:
        return {"image": packages_image_id(self.base, self.packages, "measure")}

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result besides the inputs, by names that a person understands."""
        locks: dict[str, object] = {}
        for name, environment in self.environments.items():
            locks[name] = [[lock.name, lock.version, *lock.wheels] for lock in environment.locked]

        return {
            CONTAINER_CODE: programs_digest(_PROGRAM.package),
            "lock": locks,
            "interpreter": [asdict(variant) for variant in self.variants],
            "environment": dict(self.variables),
            "scenarios": {
                name: scenario.model_dump(mode="json") for name, scenario in self.scenarios.items()
            },
            "files": dict(self.files),
            "effort": [self.rounds, self.seconds, self.limit_s],
            "moment": self.moment,
        }

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        """Return the part of the inputs that can change the result, by job id: the image."""
        return {str(self.needs["image"]): read_image_content(inputs["image"])}

    def key(self, inputs: Inputs) -> str:
        return digest("measurement", 1, self.settings(), list(self.key_inputs(inputs).values()))

    @property
    def limits(self) -> Limits:
        """What the container may use: all CPUs, room for each environment, and time for the last rounds to end."""
        environments = len(self.environments)
        each_s = self.limit_s + _READING_S * len(self.variants)
        seconds = _INSTALL_S * environments + len(self.scenarios) * each_s

        return Limits(
            timeout_s=math.ceil(seconds),
            cpus=_CPUS,
            memory_bytes=_MEMORY_BYTES,
            disk_bytes=Limits().disk_bytes * environments,
            inodes=Limits().inodes * environments,
        )

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Measure in a container that reaches nothing."""
        image = ImageFacts.read(inputs["image"])
        if image.tag is None:
            why = image.explain_lack("apt", self.base)
            lacking = dict.fromkeys(self.environments, why)
            return self._make_result(MeasurementAnswer(errors={}, scenarios=()), lacking)

        files = project_files(self.files, PROJECT_FOLDER, tools.store)
        for name, environment in self.environments.items():
            files |= index_files(environment.locked, f"{INDEX_FOLDER}/{name}", tools.store)
        activity = f"measuring {self.name} on {self.base}"
        tools.say(activity)
        answer = ask(
            _PROGRAM,
            self._make_request(),
            activity=activity,
            image=image.tag,
            python=self.python,
            files=files,
            limits=self.limits,
            tools=tools,
        )
        return self._make_result(answer, {})

    def _make_result(self, answer: MeasurementAnswer, lacking: Mapping[str, str]) -> Result:
        """Return the facts of this measurement.

        Args:
            answer: of the program that measured.
            lacking: by interpreter that it could not be measured with after all, why.
        """
        thresholds: dict[str, dict[MetricName, str]] = {}
        for name, scenario in self.scenarios.items():
            thresholds[name] = {key: str(value) for key, value in scenario.thresholds.items()}

        facts = MeasurementFacts(
            errors=answer.errors,
            scenarios=answer.scenarios,
            moment=self.moment,
            machine=MeasuredMachine(**asdict(describe_machine())),
            variants=self._describe_variants(),
            lacking={**self.lacking, **lacking},
            thresholds=thresholds,
            is_whole=self.is_whole,
            pending=self.pending,
        )
        return Result(facts=facts)

    def _describe_variants(self) -> tuple[MeasuredVariant, ...]:
        described: list[MeasuredVariant] = []
        for variant in self.variants:
            interpreter = self.environments[variant.environment].interpreter
            described.append(
                MeasuredVariant(
                    name=variant.name,
                    interpreter=variant.title,
                    version=interpreter.release,
                    threads=variant.threads,
                    baseline=variant.baseline,
                    is_control=variant.is_control,
                )
            )

        return tuple(described)

    def _make_request(self) -> dict[str, object]:
        """Return the request of builder/inside/measure."""
        environments: dict[str, object] = {}
        for name, environment in self.environments.items():
            lines = [f"{package.requirement}\n" for package in environment.locked]
            environments[name] = {
                "python": environment.interpreter.python,
                "index": f"file://{INDEX_FOLDER}/{name}/simple/",
                "requirements": "".join(lines),
            }

        variants: list[object] = []
        for variant in self.variants:
            variants.append(
                {
                    "name": variant.name,
                    "environment": variant.environment,
                    "variables": dict(variant.variables),
                    "threads": variant.threads,
                }
            )

        return {
            "project": PROJECT_FOLDER,
            "variables": dict(self.variables),
            "environments": environments,
            "variants": variants,
            "scenarios": [self._ask_for(name) for name in self.scenarios],
            "rounds": self.rounds,
            "seconds": self.seconds,
            "limit_s": self.limit_s,
        }

    def _ask_for(self, name: str) -> dict[str, object]:
        """Return the part of the request that is about one scenario."""
        scenario = self.scenarios[name]
        names = [
            variant.name for variant in self.variants if variant.threads in scenario.thread_counts
        ]
        asked: dict[str, object] = {"name": name, scenario.kind: scenario.target, "variants": names}
        if scenario.serve:
            asked |= {"path": scenario.path, "connections": scenario.connections}
        return asked
