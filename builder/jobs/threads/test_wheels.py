"""The wheels that a package's own tests need. They are fetched once, before any code of the package runs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from builder.engine.tasks import Limits, Task
from builder.evidence.own_tests import Kit
from builder.jobs.threads import test_requirements
from builder.jobs.wheels import WHEELS_FOLDER
from builder.untrusted.names import UntrustedNameError, parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from builder.config.effort import Effort
    from builder.config.matrix import OwnTests
    from builder.engine.services import NetworkAttachment
    from builder.evidence.race import RaceFacts
    from builder.jobs.job import Tools
    from builder.store.evidence import Evidence
    from builder.store.store import Store

_OUTPUT_FOLDER = "/result/kit"
_PYTEST = ("pytest", "pytest-run-parallel")
_LIMITS = Limits(timeout_s=300)  # for downloads; what is slower than this is not worth waiting for

# All requirements at once. If that fails, one at a time, so that one that cannot be had does not cost all others.
FETCH_SCRIPT = """
python=$1; shift; mkdir -p /result/kit
fetch() { "$python" -m pip download --quiet --disable-pip-version-check --only-binary :all: --dest /result/kit "$@"; }
fetch "$@" || for requirement in "$@"; do fetch "$requirement" || true; done
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestWheels:
    """The wheels that a package's own tests need.

    Attributes:
        wheels: content by file name; empty where there are no tests, or no time for them.
        requirements: what the tests ask for (PEP 508).
    """

    wheels: Mapping[str, bytes] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()

    @property
    def is_unavailable(self) -> bool:
        """Whether the tests need something and nothing at all could be fetched."""
        return bool(self.requirements) and not self.wheels

    def record(self) -> Kit:
        """Return the part of the facts that is about them. The wheels themselves are files of the evidence."""
        return Kit(wheels=tuple(sorted(self.wheels)), requirements=self.requirements)

    def files(self, beside: Iterable[str]) -> dict[str, bytes | Path]:
        """Return the wheels as files for a container: content by absolute path.

        Those of projects that the container has from the farm are left out: the index' wheel of the package itself,
        which many tests require by an extra of it, would be tested in the place of the farm's.

        Args:
            beside: file names of the farm's wheels in the container.
        """
        farms_own = {parse_wheel_filename(name)[0] for name in beside}
        files: dict[str, bytes | Path] = {}
        for name, content in self.wheels.items():
            if parse_wheel_filename(name)[0] not in farms_own:
                files[f"{WHEELS_FOLDER}/{name}"] = content

        return files


@dataclass(frozen=True, kw_only=True, slots=True)
class TestSuite:
    """A package's own tests, which are in its sdist.

    Attributes:
        sdist_filename: file name of the sdist; empty where the release has none, and so no tests.
        sdist_sha256: its hash; the store has the file.
        settings: how the matrix wants the tests to be run.
        effort: how long and how hard to look for what breaks under threads; not every effort has time for own tests.
    """

    sdist_filename: str
    sdist_sha256: str
    settings: OwnTests
    effort: Effort

    @property
    def sdist_path(self) -> str:
        """The path of the sdist in containers."""
        return f"/farm/{self.sdist_filename}"

    def files(self, store: Store) -> dict[str, bytes | Path]:
        """Return the sdist as a file for a container: its content by absolute path; empty without one.

        Args:
            store: has the file.
        """
        if not self.sdist_sha256:
            return {}
        return {self.sdist_path: store.file(self.sdist_sha256)}

    def fetch_wheels(
        self, image: str, python: str, index: NetworkAttachment, tools: Tools
    ) -> TestWheels:
        """Fetch the wheels that the tests need, in a container that reaches the package index.

        Nothing is fetched where there is no sdist, or it has no tests. Without pytest
        the tests cannot run; so if it could not be fetched, no wheels come back at all.

        Args:
            image: full name of the image to run.
            python: the interpreter in the image that the wheels are for.
            index: the container's way to the package index.
            tools: of the job.
        """
        if not self.sdist_sha256:
            return TestWheels()

        sdist = tools.store.file(self.sdist_sha256)
        requirements = test_requirements.find_test_requirements(
            sdist, self.sdist_filename, self.settings.requires
        )
        if requirements is None:
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

        wheels: dict[str, bytes] = {}
        for path, content in ended.output.items():
            with contextlib.suppress(UntrustedNameError):
                wheels[parse_wheel_name(PurePosixPath(path).name)] = content

        has_pytest = any(name.startswith("pytest-") for name in wheels)
        return TestWheels(wheels=wheels if has_pytest else {}, requirements=requirements)

    def is_short_of(self, fetched: TestWheels) -> bool:
        """Return whether what the tests need could not be fetched, and they are to be run for their own sake.

        Where they are only to show how the package is called, the search goes on without them.
        """
        return self.effort.tests_s > 0 and fetched.is_unavailable

    def make_request(self, needed: TestWheels) -> JsonValue:
        """Return the request to builder/inside/stress/own_tests/owntests.py; None where none can run.

        Args:
            needed: the wheels that the tests need, as they were fetched; empty where the tests cannot run.
        """
        if not needed.wheels or not self.effort.tests_s:
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

    def describe_kit(self, needed: TestWheels) -> JsonValue:
        """Return what builder/inside/stress/own_tests/amplify.py installs and leaves out; None without pytest.

        Args:
            needed: the wheels that the tests need, as they were fetched; empty where the tests cannot run.
        """
        if not needed.wheels:
            return None

        return {
            "requirements": list(needed.requirements),
            "deselect": list(self.settings.deselect),
        }


def load_test_wheels(race: Evidence, facts: RaceFacts, tools: Tools) -> TestWheels:
    """Return the wheels for own tests that a race job fetched; none where it did not run.

    Args:
        race: the evidence of the race job.
        facts: the facts of that evidence.
        tools: of the job that uses the wheels.
    """
    if facts.kit is None:
        return TestWheels()

    wheels = {}
    for name in facts.kit.wheels:
        wheels[name] = tools.store.file(race.files[name]).read_bytes()
    return TestWheels(wheels=wheels, requirements=facts.kit.requirements)
