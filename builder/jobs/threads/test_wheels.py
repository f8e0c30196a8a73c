"""What a package's own tests need, as wheels: fetched once, before anything of the package runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from builder.engine.client import Limits, Task
from builder.evidence.race import Kit
from builder.jobs.threads import test_requirements
from builder.jobs.wheels import WHEELS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from builder.config.effort import Effort
    from builder.config.matrix import OwnTests
    from builder.engine.services import NetworkAttachment
    from builder.evidence.race import RaceFacts
    from builder.jobs.job import Tools
    from builder.store.evidence import Evidence

_OUTPUT_FOLDER = "/result/kit"
_PYTEST = ("pytest", "pytest-run-parallel")
_LIMITS = Limits(timeout_s=300)  # downloads; what is slower than this is not worth waiting for

# What cannot be had must not take the rest along: then one at a time.
FETCH_SCRIPT = """
python=$1; shift; mkdir -p /result/kit
fetch() { "$python" -m pip download --quiet --disable-pip-version-check --only-binary :all: --dest /result/kit "$@"; }
fetch "$@" || for requirement in "$@"; do fetch "$requirement" || true; done
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestWheels:
    """What own tests need.

    Attributes:
        wheels: content by file name; empty where there are no tests, or no time for them.
        requirements: what the tests ask for (PEP 508).
    """

    wheels: Mapping[str, bytes] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()

    @property
    def is_unavailable(self) -> bool:
        """Whether something is needed and nothing could be had."""
        return bool(self.requirements) and not self.wheels

    def record(self) -> Kit:
        """Return what the evidence says of it; the wheels themselves are files of the evidence."""
        return Kit(wheels=tuple(sorted(self.wheels)), requirements=self.requirements)

    def files(self) -> dict[str, bytes | Path]:
        """Return the wheels as files of a container."""
        return {f"{WHEELS_FOLDER}/{name}": content for name, content in self.wheels.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class TestSuite:
    """A package's own tests, in its sdist.

    Attributes:
        sdist_filename: file name of the sdist.
        sdist_sha256: its hash; the store has the file.
        settings: how the matrix wants them run.
        effort: how hard to look; not every effort leaves time for them.
    """

    sdist_filename: str
    sdist_sha256: str
    settings: OwnTests
    effort: Effort

    @property
    def sdist_path(self) -> str:
        """Where the sdist is, in containers."""
        return f"/farm/{self.sdist_filename}"

    def fetch_wheels(
        self, image: str, python: str, index: NetworkAttachment, tools: Tools
    ) -> TestWheels:
        """Fetch what the tests need, in a container that reaches the package index.

        Args:
            image: the container's.
            python: the interpreter they are for.
            index: the container's way to the index.
            tools: of the job.
        """
        sdist = tools.store.file(self.sdist_sha256)
        requirements = test_requirements.find_test_requirements(
            sdist, self.sdist_filename, self.settings.requires
        )
        if not self.effort.tests_s or requirements is None:
            return TestWheels()

        tools.say("fetching what its own tests need")
        task = Task(
            image=image,
            command=["sh", "-c", FETCH_SCRIPT, "sh", python, *_PYTEST, *requirements],
            collect=_OUTPUT_FOLDER,
            network=index,
            limits=_LIMITS,
        )
        ended = tools.engine.run(task, log=tools.log, stop=tools.stop)

        wheels = {}
        for path, content in ended.output.items():
            if path.endswith(".whl"):
                wheels[Path(path).name] = content

        has_pytest = any(name.startswith("pytest-") for name in wheels)
        return TestWheels(wheels=wheels if has_pytest else {}, requirements=requirements)

    def make_request(self, needed: TestWheels) -> JsonValue:
        """Return what builder/inside/stress/owntests.py is asked, or None where there is nothing to run."""
        if not needed.wheels:
            return None

        return {
            "sdist": self.sdist_path,
            "requirements": list(needed.requirements),
            "threads": self.effort.threads,
            "iterations": self.effort.iterations,
            "seconds": self.effort.tests_s,
            "deselect": list(self.settings.deselect),
            "command": list(self.settings.options),
        }


def load_test_wheels(race: Evidence, facts: RaceFacts, tools: Tools) -> TestWheels:
    """Return what the race job had fetched.

    Args:
        race: its evidence.
        facts: the facts of that.
        tools: of the job that asks.
    """
    if facts.kit is None:
        return TestWheels()

    wheels = {}
    for name in facts.kit.wheels:
        wheels[name] = tools.store.file(race.files[name]).read_bytes()
    return TestWheels(wheels=wheels, requirements=facts.kit.requirements)
