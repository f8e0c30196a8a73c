"""Application job: installs exactly what an application locks from the farm's index alone, and tries it out.

builder/evidence/application.py has the model of its facts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from builder import index
from builder.engine.programs import program_files
from builder.engine.tasks import Limits
from builder.evidence.application import ApplicationFacts
from builder.evidence.image import ImageFacts, read_image_content
from builder.jobs.images.ids import packages_image_id
from builder.jobs.job import Result
from builder.jobs.programs import CONTAINER_CODE, Program, ask, programs_digest
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from builder.config.catalog import Abi, Base
    from builder.config.effort import Effort
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.store.store import Store

_WATCHING = "smoke"
"""The package of builder/inside/ that watches processes of commands."""

_PROGRAM = Program(package="application", answer=ApplicationFacts, supervises=True)

_SMOKE_S = 120
"""Longest time of a smoke command. Not measured: a service starts and answers in far less on a busy machine."""

_AGAIN = 4
"""How many times its longest time a command may take that is watched (inside/application/amplified.py)."""

_SLOWEST = 5
"""How many times as long trials may take on a busy machine; inside/supervise/work_clock.py says why."""

_TESTS_S = 900
"""Longest time of the tests."""

_INSTALL_S = 2400
"""Longest time of all else: an installation, its compilation, `pip check` and imports, each with a limit of its own."""

_START_S = 10
"""What starting a command and reading what it printed may take besides."""

INDEX_FOLDER = "/farm/index"
PROJECT_FOLDER = "/farm/project"
"""Where a container has the index that an application is installed from, and the application's own files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedWheels:
    """The wheels by which one package of a lock can be installed.

    Attributes:
        name: of the package.
        version: that is locked.
        wheels: (file name, sha256) of each file that the farm's index serves of it for the interpreter and the base.
    """

    name: str
    version: str
    wheels: tuple[tuple[str, str], ...]

    @property
    def requirement(self) -> str:
        """The line of a requirements file that installs one of these files and nothing else."""
        hashes = "".join(f" --hash=sha256:{sha256}" for _, sha256 in self.wheels)
        return f"{self.name}=={self.version}{hashes}"


@dataclass(frozen=True, kw_only=True)
class Application:
    """Install, import and run an application with one interpreter on one base.

    Attributes:
        name: of the application, in the matrix.
        locked: the packages of its lock.
        environment: variables of its environment.
        smoke: commands that are run once it is installed.
        tests: command that runs its tests; empty for none.
        after: by package of the lock those of it that have to be imported before it.
        threads: how many threads run the tests; 0 where pytest-run-parallel is not there to do that.
        packages: system packages that it needs at run time.
        files: files of the project for its commands: sha256 by path in the project's folder; the store has them.
        effort: how long threads make the native calls of smoke commands; None for not at all.
    """

    name: str
    abi: Abi
    base: Base
    locked: Sequence[LockedWheels]
    environment: Mapping[str, str] = field(default_factory=dict)
    smoke: tuple[str, ...] = ()
    tests: str = ""
    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    threads: int = 0
    packages: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    effort: Effort | None = None

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.APPLICATION, self.name, self.abi.name, self.base.name)

    @cached_property
    def needs(self) -> Needs:
        return {"image": packages_image_id(self.base.name, self.packages, "verify")}

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result besides the inputs, by names that a person understands."""
        settings: dict[str, object] = {
            CONTAINER_CODE: programs_digest(_PROGRAM.package),
            "lock": [[package.name, package.version, *package.wheels] for package in self.locked],
            "interpreter": [self.abi.name, self.abi.directory],
            "environment": dict(self.environment),
            "smoke commands": self.smoke,
            "tests": [self.tests, self.threads],
            "files": dict(self.files),
        }
        # Only where it is so, as in the keys of loads.
        if self.after:
            settings["imported first"] = dict(self.after)
        if self._amplification is not None:
            settings["threads"] = self._amplification
            settings["code that watches"] = programs_digest(_WATCHING)
        return settings

    @property
    def _amplification(self) -> dict[str, float] | None:
        """How many threads make the native calls of smoke commands, and for how long; None where none do.

        With the GIL, threads run one at a time.
        """
        if self.effort is None or not self.abi.free_threaded or not self.smoke:
            return None

        return {"threads": self.effort.threads, "seconds": self.effort.smoke_s}

    @property
    def limits(self) -> Limits:
        """What the container may use: time for every command up to its own limit."""
        seconds = _INSTALL_S + len(self.smoke) * (_SMOKE_S + _START_S)
        if self.tests:
            seconds += _TESTS_S + _START_S
        if self._amplification is not None:
            each_s = _AGAIN * _SMOKE_S + _SLOWEST * self._amplification["seconds"] + _START_S
            seconds += math.ceil(len(self.smoke) * each_s)

        return Limits(timeout_s=seconds)

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        """Return the part of the inputs that can change the result, by job id: the image."""
        return {str(self.needs["image"]): read_image_content(inputs["image"])}

    def key(self, inputs: Inputs) -> str:
        return digest("application", 1, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Install the lock in a container that reaches nothing, import all of it, and run the commands."""
        image = ImageFacts.read(inputs["image"])
        if image.tag is None:
            why = image.explain_lack("apt", self.base.name)
            return Result(facts=ApplicationFacts(install=why))

        request = {
            "python": self.abi.python,
            "index": f"file://{INDEX_FOLDER}/simple/",
            "requirements": "".join(f"{package.requirement}\n" for package in self.locked),
            "after": {name: list(names) for name, names in self.after.items()},
            "variables": dict(self.environment),
            "project": PROJECT_FOLDER,
            "smoke": self.smoke,
            "smoke_s": _SMOKE_S,
            "tests": self.tests or None,
            "tests_s": _TESTS_S,
            "threads": self.threads,
            "amplify": self._amplification,
        }
        files = {
            **index_files(self.locked, INDEX_FOLDER, tools.store),
            **project_files(self.files, PROJECT_FOLDER, tools.store),
        }
        if self._amplification is not None:
            files |= program_files(_WATCHING)
        facts = ask(
            _PROGRAM,
            request,
            activity=f"trying {self.name} with {self.abi.name} on {self.base.name}",
            image=image.tag,
            python=self.abi.python,
            files=files,
            limits=self.limits,
            tools=tools,
        )
        return Result(facts=facts)


def index_files(
    locked: Sequence[LockedWheels], folder: str, store: Store
) -> dict[str, bytes | Path]:
    """Return a package index with what a lock names, and nothing else, as files for a container.

    Args:
        locked: the packages of the lock.
        folder: that the index is put in.
        store: has the wheels.
    """
    manifest = index.make_manifest(
        index.Entry(filename=filename, sha256=sha256)
        for package in locked
        for filename, sha256 in package.wheels
    )

    files: dict[str, bytes | Path] = {}
    for path, page in index.render_pages(manifest):
        files[f"{folder}/{path}"] = page.encode()
    for project, entries in manifest.items():
        for entry in entries:
            path = f"{folder}/simple/{project}/{entry.filename}"
            files[path] = store.file(entry.sha256)

    return files


def project_files(
    sha256_by_path: Mapping[str, str], folder: str, store: Store
) -> dict[str, bytes | Path]:
    """Return the files of a project for a container; its folder is there even where it has none.

    Args:
        sha256_by_path: of each file, by its path in the project.
        folder: that they are put in.
        store: has the files.
    """
    files: dict[str, bytes | Path] = {f"{folder}/.wheelfarm": b""}
    for path, sha256 in sha256_by_path.items():
        files[f"{folder}/{path}"] = store.file(sha256)

    return files
