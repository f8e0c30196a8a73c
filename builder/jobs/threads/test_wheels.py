"""What a package's own tests need, as wheels: fetched once, before anything of the package runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.engine.client import Limits, Task
from builder.jobs.threads import test_requirements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.config.effort import Effort
    from builder.config.matrix import OwnTests
    from builder.engine.services import NetworkAttachment
    from builder.jobs.job import Tools
    from builder.store.evidence import Evidence

_OUTPUT_FOLDER = "/result/kit"
_PYTEST = ("pytest", "pytest-run-parallel")
# What cannot be had must not take the rest along: then one at a time.
FETCH_SCRIPT = """
python=$1; shift; mkdir -p /result/kit
fetch() { "$python" -m pip download --quiet --disable-pip-version-check --only-binary :all: --dest /result/kit "$@"; }
fetch "$@" || for requirement in "$@"; do fetch "$requirement" || true; done
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnTestWheels:
    """What own tests need.

    Attributes:
        wheels: content by file name; empty where there are no tests, or no time for them.
        requirements: what the tests ask for.
    """

    wheels: Mapping[str, bytes] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()

    @property
    def is_unavailable(self) -> bool:
        """Whether something is needed and nothing could be had."""
        return bool(self.requirements) and not self.wheels

    def make_request(self, effort: Effort, tests: OwnTests, sdist: str) -> dict[str, Any] | None:
        """Return what builder/inside/stress/owntests.py is asked, or None where there is nothing to run.

        Args:
            effort: how hard to look.
            tests: what the matrix says of them.
            sdist: where the sdist is, in the container.
        """
        if not self.wheels:
            return None
        return {
            "sdist": sdist,
            "requirements": list(self.requirements),
            "threads": effort.threads,
            "iterations": effort.iterations,
            "seconds": effort.tests_s,
            "deselect": list(tests.deselect),
            "command": list(tests.options),
        }


def fetch_test_wheels(
    sdist: Path,
    filename: str,
    tests: OwnTests,
    effort: Effort,
    image: str,
    python: str,
    index: NetworkAttachment,
    tools: Tools,
) -> OwnTestWheels:
    """Fetch what the tests of an sdist need, in a container that reaches the package index.

    Args:
        sdist: the archive.
        filename: what it is called, which tells its format.
        tests: what the matrix says of them.
        effort: how hard to look; not every effort leaves time for them.
        image: the container's.
        python: the interpreter they are for.
        index: the container's way to the index.
        tools: of the job.
    """
    wanted = test_requirements.find_test_requirements(sdist, filename, tests.requires)
    if not effort.tests_s or wanted is None:
        return OwnTestWheels()
    tools.say("fetching what its own tests need")
    task = Task(
        image=image,
        command=["sh", "-c", FETCH_SCRIPT, "sh", python, *_PYTEST, *wanted],
        collect=_OUTPUT_FOLDER,
        network=index,
        limits=Limits(timeout_s=300),
    )
    ended = tools.engine.run(task, log=tools.log, stop=tools.stop)
    found = {
        Path(path).name: content for path, content in ended.output.items() if path.endswith(".whl")
    }
    whole = any(name.startswith("pytest-") for name in found)
    return OwnTestWheels(wheels=found if whole else {}, requirements=wanted)


def load_test_wheels(race: Evidence, tools: Tools) -> OwnTestWheels:
    """Return what the job that looked for races had fetched."""
    noted = race.facts.get("kit") or {"wheels": [], "requirements": []}
    wheels = {name: tools.store.file(race.files[name]).read_bytes() for name in noted["wheels"]}
    return OwnTestWheels(wheels=wheels, requirements=tuple(noted["requirements"]))
