"""Build job: one sdist on one base -> a wheel per ABI, by one call of cibuildwheel.

builder/evidence/build.py has the model of its facts; its files are the wheels.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.distributions.members import NotAnSdistError
from builder.distributions.metadata import wheel_metadata
from builder.distributions.reproducible import SOURCE_DATE_EPOCH, compare_files, normalize_wheel
from builder.distributions.unpack import unpack
from builder.engine import compiler_cache
from builder.engine.compiler_cache import CompilerCache
from builder.evidence.build import BuildFacts
from builder.evidence.image import ImageFacts, read_image_content, read_image_tag
from builder.jobs.build import network
from builder.jobs.build.cibuildwheel import CallOutcome, CallRequest, CibuildwheelCall
from builder.jobs.build.failure import Failure
from builder.jobs.build.log import FailedCall, reread_failure, rules_digest
from builder.jobs.build.own_wheels import (
    MOVE_WHEELS_COMMAND,
    collect_own_wheels,
    constraints_path,
    wheel_hashes,
)
from builder.jobs.images.ids import INDEX_IMAGE, packages_image_id
from builder.jobs.job import Result, build_requirement
from builder.proxy.proxy import SessionReport
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.jobs.job import Inputs, Needs, Tools
    from builder.store.evidence import Evidence
    from builder.store.store import Store

_PATCHES = "_wheelfarm_patches"
_APPLY_PATCHES = (
    f"for patch in {_PATCHES}/*; do "
    f'patch -p1 --batch --forward -i "$patch" || {{ echo "wheelfarm: patch $patch does not apply"; exit 1; }}; done; '
    f"rm -rf {_PATCHES}"
)


@cache
def _cibuildwheel_version() -> str:
    # Looked up once: the keys of ten thousand builds ask for it.
    return version("cibuildwheel")


@dataclass(kw_only=True, slots=True)
class _Outcomes:
    """What the calls of one build have come to so far.

    Attributes:
        wheels: by ABI.
        failures: why there is no wheel, by ABI.
        failed_calls: the calls that failures were read from, by ABI.
        usage: the most that a call used of each limit.
        cache_statistics: hits and misses of the compiler cache.
        report: what the calls asked of the network.
    """

    wheels: dict[str, Path] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    failed_calls: dict[str, FailedCall] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    cache_statistics: Counter[str] = field(default_factory=Counter)
    report: SessionReport = field(default_factory=SessionReport)

    def add(self, outcome: CallOutcome) -> None:
        """Take in what one call made and used."""
        self.wheels |= outcome.wheels
        self.usage = {
            name: max(self.usage.get(name, 0), value) for name, value in outcome.usage.items()
        }
        self.cache_statistics.update(outcome.cache_statistics)
        self.report = self.report.merge(outcome.report)


@dataclass(frozen=True, kw_only=True)
class Build:
    """Compile one package on one base for all its ABIs.

    Attributes:
        sdist_sha256: of the sdist, which the store has.
        patches: content of each patch, in order.
        skip: ABIs the matrix leaves out, each with its reason.
        requires: native packages whose wheels, made on the same base, it is built with.
    """

    name: str
    version: str
    base: str
    sdist_filename: str
    sdist_sha256: str
    abis: tuple[str, ...]
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str]
    config_settings: Mapping[str, tuple[str, ...]]
    patches: tuple[str, ...] = ()
    skip: Mapping[str, str]
    timeout_s: int
    memory_bytes: int
    requires: tuple[str, ...] = ()

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.BUILD, self.name, self.base)

    @cached_property
    def needs(self) -> Needs:
        needs = {"image": packages_image_id(self.base, self.packages)}
        for name in self.requires:
            needs[build_requirement(name)] = JobId(JobKind.BUILD, name, self.base)
        needs["index proxy"] = INDEX_IMAGE

        return needs

    def settings(self) -> Mapping[str, object]:
        return {
            "sdist": (self.name, self.version, self.sdist_filename, self.sdist_sha256),
            "patches": self.patches,
            "flags": (self.environment, self.config_settings),
            "apt list": self.packages,
            "limits": (self.timeout_s, self.memory_bytes),
            "ABIs": self._selected_abis,
            "cibuildwheel": _cibuildwheel_version(),
            "compiler cache": compiler_cache.SETTINGS,
            "time of every file": SOURCE_DATE_EPOCH,
        }

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        needs = self.needs
        found: dict[str, object] = {str(needs["image"]): read_image_content(inputs["image"])}
        for name in self.requires:
            role = build_requirement(name)
            found[str(needs[role])] = wheel_hashes(inputs[role], self._selected_abis)

        return found

    def key(self, inputs: Inputs) -> str:
        return digest("build", 3, self.settings(), list(self.key_inputs(inputs).values()))

    @property
    def _selected_abis(self) -> tuple[str, ...]:
        return tuple(abi for abi in self.abis if abi not in self.skip)

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        image = ImageFacts.read(inputs["image"])
        if image.tag is None:
            return self._fail_all(self._unknown_packages(image.missing))

        with tools.store.scratch_folder() as scratch:
            try:
                project = self._unpack_project(scratch / "sdist", tools)
            except (NotAnSdistError, OSError) as error:
                return self._fail_all(
                    Failure(
                        code="WF105",
                        stage="unpack",
                        error=f"the sdist does not unpack: {error}",
                        remedy="",
                    )
                )
            self._add_own_wheels(project, inputs, tools)

            proxy = read_image_tag(inputs["index proxy"])
            outcomes = _Outcomes()
            # One call makes every ABI. Where one fails, cibuildwheel drops the others' wheels: those are made alone.
            waiting: list[tuple[str, ...]] = [self._selected_abis] if self._selected_abis else []
            while waiting:
                abis = waiting.pop(0)
                session = tools.index.session(proxy, self.id, tools.stop)
                request = self._make_request(abis, image.tag)
                call = CibuildwheelCall(request, project, scratch / "-".join(abis), tools)
                outcome = call.run(session)
                outcomes.add(outcome)
                waiting += self._explain_failures(abis, outcome, outcomes, tools)

            report = outcomes.report
            tools.index.record_lock(self.id, report, better=bool(outcomes.wheels))
            return self._make_result(outcomes, tools)

    def _make_request(self, abis: tuple[str, ...], image: str) -> CallRequest:
        return CallRequest(
            job=self.id,
            abis=abis,
            cache=CompilerCache(base=self.base, sdist_sha256=self.sdist_sha256),
            memory_bytes=self.memory_bytes,
            timeout_s=self.timeout_s,
            configure=partial(self.make_config, abis, image),
        )

    def _explain_failures(
        self, abis: tuple[str, ...], outcome: CallOutcome, outcomes: _Outcomes, tools: Tools
    ) -> list[tuple[str, ...]]:
        """Add the failures of a call to the outcomes; return the ABIs of further calls.

        Raises:
            InfrastructureError: the call failed, perhaps because the package index did not answer.
        """
        missing = [abi for abi in abis if abi not in outcomes.wheels]

        if outcome.failed_call is None:
            for abi in missing:
                outcomes.failures[abi] = Failure(
                    code="WF206",
                    stage="build",
                    error="cibuildwheel made no wheel for it",
                    remedy="see the log",
                )
            return []

        failure, failed_abi = outcome.failed_call.explain(tools.log, self.name)
        infrastructure_error = outcome.report.infrastructure_error()
        if infrastructure_error is not None and not network.is_certain(failure):
            raise infrastructure_error

        outcomes.failures[failed_abi] = failure
        outcomes.failed_calls[failed_abi] = outcome.failed_call

        return [(abi,) for abi in missing if abi != failed_abi]

    def reread(self, evidence: Evidence, store: Store) -> Evidence:
        """Read a log again whose failure other rules read: nothing has to be built for that."""
        if evidence.facts.get("rules") == rules_digest():
            return evidence

        log = store.wheelhouse / evidence.log
        abis: dict[str, Any] = {}
        for abi, outcome in evidence.facts["abis"].items():
            is_failure = "failure" in outcome
            abis[abi] = reread_failure(outcome, log, self.name) if is_failure else outcome

        return replace(evidence, facts={**evidence.facts, "abis": abis, "rules": rules_digest()})

    def compare_rebuild(
        self, before: Evidence, result: Result, store: Store
    ) -> Mapping[str, object]:
        """Return, by wheel, the members that came out otherwise than the last time."""
        return {"rebuilt": compare_files(before.files, result.files, store)}

    def _unknown_packages(self, missing: Sequence[str]) -> Failure:
        return Failure(
            code="WF207",
            stage="system packages",
            error=f"{self.base} has no system package {', '.join(missing)}",
            remedy=f"correct `apt` in [packages.{self.name}]; `apt-cache search` on {self.base} finds names",
        )

    def _fail_all(self, failure: Failure) -> Result:
        """Return the result of a build for which cibuildwheel was not called."""
        abis = {abi: {"failure": asdict(failure)} for abi in self._selected_abis}

        return Result(facts=BuildFacts.check({"abis": abis, "rules": rules_digest(), "limits": {}}))

    def _make_result(self, outcomes: _Outcomes, tools: Tools) -> Result:
        abis: dict[str, Any] = {}
        for abi, failure in outcomes.failures.items():
            abis[abi] = {"failure": asdict(failure)}
            if abi in outcomes.failed_calls:
                abis[abi]["call"] = asdict(outcomes.failed_calls[abi])

        files: dict[str, str] = {}
        for abi, path in outcomes.wheels.items():
            requires_python = wheel_metadata(path).get("requires_python", "")
            abis[abi] = {"wheel": path.name, "requires_python": requires_python}
            normalize_wheel(path)
            files[path.name] = tools.store.add_file(path)

        facts = BuildFacts.check(
            {
                "abis": abis,
                "rules": rules_digest(),
                "limits": outcomes.usage,
                "compiler_cache": outcomes.cache_statistics,
                **outcomes.report.record(),
            }
        )
        return Result(facts=facts, files=files)

    def _unpack_project(self, folder: Path, tools: Tools) -> Path:
        """Unpack the sdist, with the patches beside its files.

        Raises:
            NotAnSdistError: it is no sdist.
            OSError: it does not unpack.
        """
        project = unpack(tools.store.file(self.sdist_sha256), self.sdist_filename, folder)

        for number, patch in enumerate(self.patches):
            (project / _PATCHES).mkdir(exist_ok=True)
            (project / _PATCHES / f"{number:03}.patch").write_text(patch)

        return project

    def _add_own_wheels(self, project: Path, inputs: Inputs, tools: Tools) -> None:
        """Put the wheels that the project is built with beside its files."""
        builds = [inputs[build_requirement(name)] for name in self.requires]
        files = collect_own_wheels(builds, self._selected_abis, tools.store)

        for path, content in files.items():
            target = project / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, target)
            else:
                target.write_bytes(content)

    def make_config(
        self, abis: Sequence[str], image: str, create_arguments: Sequence[str]
    ) -> dict[str, Any]:
        """Return cibuildwheel's whole configuration; the project's own is not read."""
        config: dict[str, Any] = {
            "build": [f"{abi}-manylinux_x86_64" for abi in abis],
            "build-frontend": "uv",
            "build-verbosity": 1,
            "manylinux-x86_64-image": image,
            "container-engine": {
                "name": "docker",
                "create-args": list(create_arguments),
                "disable-host-mount": True,
            },
            "environment": {
                "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
                "UV_PYTHON_DOWNLOADS": "never",
                "PATH": compiler_cache.PATH,
                **self.environment,
            },
            "repair-wheel-command": "auditwheel repair -w {dest_dir} {wheel}",
            "audit-command": "",
            "test-command": "",
        }

        if self.config_settings:
            settings: dict[str, Any] = {}
            for name, values in self.config_settings.items():
                settings[name] = list(values) if len(values) > 1 else values[0]
            config["config-settings"] = settings

        prepare: list[str] = []
        if self.patches:
            prepare.append(_APPLY_PATCHES)
        if self.requires:
            prepare.append(MOVE_WHEELS_COMMAND)
        if prepare:
            config["before-all"] = "; ".join(prepare)

        if self.requires:
            config["overrides"] = [_constrain(abi) for abi in abis]

        return {"tool": {"cibuildwheel": config}}


def _constrain(abi: str) -> dict[str, Any]:
    """Return the part of cibuildwheel's configuration that makes the build of an ABI install the farm's own wheels."""
    return {
        "select": f"{abi}-*",
        "inherit": {"environment": "append"},
        "environment": {"UV_BUILD_CONSTRAINT": constraints_path(abi)},
    }
