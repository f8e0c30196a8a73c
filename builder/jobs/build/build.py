"""Build job: one sdist on one base -> a wheel per ABI, by one call of cibuildwheel.

builder/evidence/build.py has the model of its facts; its files are the wheels.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import asdict, dataclass, replace
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
from builder.jobs.build.cibuildwheel import CallRequest, CibuildwheelCall
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
    from collections.abc import Callable, Mapping, Sequence

    from builder.jobs.job import Inputs, Needs, Tools
    from builder.proxy.proxy import Session
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
    return version("cibuildwheel")


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
            failure = Failure(
                code="WF207",
                stage="system packages",
                error=f"{self.base} has no system package {', '.join(image.missing)}",
                remedy=f"correct `apt` in [packages.{self.name}]; `apt-cache search` on {self.base} finds names",
            )
            return self._make_result(
                dict.fromkeys(self._selected_abis, failure), {}, {}, {"limits": {}}, tools
            )
        index = partial(
            tools.index.session, read_image_tag(inputs["index proxy"]), self.id, tools.stop
        )
        with tools.store.scratch_folder() as scratch:
            return self._build_wheels(
                image.tag,
                index,
                [inputs[build_requirement(name)] for name in self.requires],
                scratch,
                tools,
            )

    def _build_wheels(
        self,
        image: str,
        index: Callable[[], Session],
        lenders: Sequence[Evidence],
        scratch: Path,
        tools: Tools,
    ) -> Result:
        project = self._unpack_project(scratch / "sdist", tools)
        if isinstance(project, Failure):
            return self._make_result(
                dict.fromkeys(self._selected_abis, project), {}, {}, {"limits": {}}, tools
            )
        for path, content in collect_own_wheels(lenders, self._selected_abis, tools.store).items():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, project / path)
            else:
                (project / path).write_bytes(content)
        wheels: dict[str, Path] = {}
        failures: dict[str, Failure] = {}
        calls: dict[str, FailedCall] = {}
        usage: dict[str, int] = {}
        compiled: Counter[str] = Counter()
        visit = SessionReport()
        # One call makes every ABI. Where one fails, cibuildwheel drops the others' wheels: those are made alone.
        waiting: list[tuple[str, ...]] = [self._selected_abis] if self._selected_abis else []
        while waiting:
            abis = waiting.pop(0)
            request = CallRequest(
                job=self.id,
                abis=abis,
                cache=CompilerCache(base=self.base, sdist_sha256=self.sdist_sha256),
                memory_bytes=self.memory_bytes,
                timeout_s=self.timeout_s,
                configure=partial(self.make_config, abis, image),
            )
            call = CibuildwheelCall(request, project, scratch / "-".join(abis), tools)
            ended = call.run(index())
            visit = visit.merge(ended.visit)
            usage = {name: max(usage.get(name, 0), value) for name, value in ended.usage.items()}
            compiled.update(ended.cache_statistics)
            wheels |= ended.wheels
            if ended.failed_call is not None:
                failure, failed = ended.failed_call.explain(tools.log, self.name)
                if (
                    untold := ended.visit.infrastructure_error()
                ) is not None and not network.is_certain(failure):
                    raise untold
                failures[failed], calls[failed] = failure, ended.failed_call
                rest = [abi for abi in abis if abi != failed and abi not in wheels]
                waiting += [(abi,) for abi in rest]
            failures |= {
                abi: Failure(
                    code="WF206",
                    stage="build",
                    error="cibuildwheel made no wheel for it",
                    remedy="see the log",
                )
                for abi in abis
                if ended.failed_call is None and abi not in wheels
            }
        tools.index.record_lock(self.id, visit, better=bool(wheels))
        return self._make_result(
            failures,
            calls,
            wheels,
            {"limits": usage, "compiler_cache": compiled, **visit.record()},
            tools,
        )

    def reread(self, evidence: Evidence, store: Store) -> Evidence:
        """Read a log anew whose failure other rules told: nothing has to be built for that."""
        if evidence.facts.get("rules") == rules_digest():
            return evidence
        log = store.wheelhouse / evidence.log
        abis = {
            abi: reread_failure(made, log, self.name) if "failure" in made else made
            for abi, made in evidence.facts["abis"].items()
        }
        return replace(evidence, facts={**evidence.facts, "abis": abis, "rules": rules_digest()})

    def compare_rebuild(
        self, before: Evidence, result: Result, store: Store
    ) -> Mapping[str, object]:
        """Tell what came out otherwise than the last time the very same was asked."""
        return {"rebuilt": compare_files(before.files, result.files, store)}

    @staticmethod
    def _make_result(
        failures: Mapping[str, Failure], calls: Mapping[str, FailedCall], wheels: Mapping[str, Path],
        used: Mapping[str, Any], tools: Tools,
    ) -> Result:  # fmt: skip
        abis: dict[str, Any] = {
            abi: {
                "failure": asdict(failure),
                **({"call": asdict(calls[abi])} if abi in calls else {}),
            }
            for abi, failure in failures.items()
        }
        abis |= {
            abi: {
                "wheel": path.name,
                "requires_python": wheel_metadata(path).get("requires_python", ""),
            }
            for abi, path in wheels.items()
        }
        for path in wheels.values():
            normalize_wheel(path)
        files = {path.name: tools.store.add_file(path) for path in wheels.values()}
        facts = BuildFacts.check({"abis": abis, "rules": rules_digest(), **used})
        return Result(facts=facts, files=files)

    def _unpack_project(self, folder: Path, tools: Tools) -> Path | Failure:
        """Unpack the sdist, with the patches beside its files."""
        try:
            project = unpack(tools.store.file(self.sdist_sha256), self.sdist_filename, folder)
        except (NotAnSdistError, OSError) as error:
            return Failure(
                code="WF105", stage="unpack", error=f"the sdist does not unpack: {error}", remedy=""
            )
        for number, patch in enumerate(self.patches):
            (project / _PATCHES).mkdir(exist_ok=True)
            (project / _PATCHES / f"{number:03}.patch").write_text(patch)
        return project

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
            config["config-settings"] = {
                name: list(values) if len(values) > 1 else values[0]
                for name, values in self.config_settings.items()
            }
        prepare = [
            *([_APPLY_PATCHES] if self.patches else []),
            *([MOVE_WHEELS_COMMAND] if self.requires else []),
        ]
        if prepare:
            config["before-all"] = "; ".join(prepare)
        if self.requires:
            config["overrides"] = [
                {
                    "select": f"{abi}-*",
                    "inherit": {"environment": "append"},
                    "environment": {"UV_BUILD_CONSTRAINT": constraints_path(abi)},
                }
                for abi in abis
            ]
        return {"tool": {"cibuildwheel": config}}
