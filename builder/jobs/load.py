"""Load job: the wheels of one build, on one base -> install and import facts, offline, as an unprivileged user.

Facts: `loads`, by ABI: `wheel`; `claimed`, whether the wheel claims to run on the base; `missing`, native packages it
needs that have no wheel for the ABI; and where it could be tried what builder/inside/load/ answers: `install` (what
went wrong, or None), `python_version`, `metadata`, `modules` (one plain probe each) and, where the
package imports, one entry for each stricter condition.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from builder import index
from builder.distributions.tags import runs_on
from builder.engine.client import Limits, Task
from builder.engine.programs import program_files
from builder.errors import InfrastructureError
from builder.jobs.images.ids import role_image_id
from builder.jobs.job import Result, run_requirement
from builder.jobs.programs import CONTAINER_CODE, programs_digest
from builder.jobs.wheels import wheel_for_abi
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from builder.config.catalog import Abi, Base
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.sources import Pure
    from builder.store.evidence import Evidence
    from builder.store.store import Store

_REQUEST = "/farm/request.json"
_OUTPUT = "/result/load.json"
_PROGRAMS = "load"


@dataclass(frozen=True, kw_only=True)
class Load:
    """Install and import what one build made, on one base.

    Attributes:
        built_on: the base the wheels were built on.
        base: the base they are loaded on.
        requires: native packages that must be there, built on the same base.
        pure: pure wheels that must be there.
    """

    name: str
    version: str
    built_on: str
    base: Base
    abis: tuple[Abi, ...]
    requires: tuple[str, ...] = ()
    pure: tuple[Pure, ...] = ()

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.LOAD, self.name, self.built_on, self.base.name)

    @cached_property
    def needs(self) -> Needs:
        needs = {
            "image": role_image_id("verify", self.base.name),
            "build": JobId(JobKind.BUILD, self.name, self.built_on),
        }
        for name in self.requires:
            needs[run_requirement(name)] = JobId(JobKind.BUILD, name, self.built_on)

        return needs

    def settings(self) -> Mapping[str, object]:
        return {
            CONTAINER_CODE: programs_digest(_PROGRAMS),
            "pure wheels": [wheel.sha256 for wheel in self.pure],
            "ABIs": [(abi.name, abi.directory) for abi in self.abis],
            "glibc of the base": self.base.glibc,
        }

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        needs = self.needs
        found: dict[str, object] = {str(needs["image"]): inputs["image"].facts["content"]}
        for role in ("build", *map(run_requirement, self.requires)):
            found[str(needs[role])] = inputs[role].files

        return found

    def key(self, inputs: Inputs) -> str:
        return digest("load", 2, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        build = inputs["build"]
        others = {name: inputs[run_requirement(name)] for name in self.requires}
        loads: dict[str, dict[str, Any]] = {}
        request: list[dict[str, str]] = []
        files: dict[str, bytes | Path] = {}
        for abi in self.abis:
            wheel = wheel_for_abi(build, abi.name)
            if wheel is None:
                continue
            missing = [
                name for name, other in others.items() if wheel_for_abi(other, abi.name) is None
            ]
            loads[abi.name] = {
                "wheel": wheel,
                "claimed": runs_on(wheel, self.base),
                "missing": missing,
            }
            if loads[abi.name]["claimed"] and not missing:
                served = dict(self._wheels_to_serve(abi.name, build, others.values()))
                files |= {
                    f"/farm/{abi.name}/{path}": content
                    for path, content in _index_files(served, tools.store)
                }
                request.append(self._make_request(abi))
        if request:
            answers = self._run_container(inputs["image"].facts["tag"], request, files, tools)
            for answer in answers:
                asked = next(item for item in request if item["abi"] == answer["abi"])
                loads[answer["abi"]] |= {
                    name: fact for name, fact in answer.items() if name not in asked
                }
        return Result(facts={"loads": loads})

    def _make_request(self, abi: Abi) -> dict[str, str]:
        return {
            "abi": abi.name,
            "python": f"/opt/python/{abi.directory}/bin/python",
            "requirement": f"{self.name}=={self.version}",
            "index": f"file:///farm/{abi.name}/simple/",
        }

    def _wheels_to_serve(
        self, abi: str, build: Evidence, others: Iterable[Evidence]
    ) -> Iterator[tuple[str, str]]:
        """Give (filename, sha256) of the wheels the index of this load holds: this build's, and what it needs."""
        for evidence in (build, *others):
            filename = wheel_for_abi(evidence, abi)
            assert filename is not None
            yield filename, evidence.files[filename]
        for wheel in self.pure:
            yield wheel.filename, wheel.sha256

    def _run_container(
        self, image: str, request: list[dict[str, str]], files: Mapping[str, bytes | Path], tools: Tools
    ) -> list[dict[str, Any]]:  # fmt: skip
        task = Task(
            image=image,
            command=[request[0]["python"], "-m", "inside.load", _REQUEST, _OUTPUT],
            files={**files, **program_files(_PROGRAMS), _REQUEST: json.dumps(request).encode()},
            collect=_OUTPUT,
            limits=Limits(timeout_s=1200),
        )
        ended = tools.engine.run(task, log=tools.log, stop=tools.stop)
        if not ended.output:
            why = "timed out" if ended.timed_out else f"ended with exit code {ended.exit_code}"
            raise InfrastructureError(f"loading on {self.base.name} {why} (log: {tools.log})")
        answers: list[dict[str, Any]] = json.loads(next(iter(ended.output.values())))
        return answers


def _index_files(served: Mapping[str, str], store: Store) -> Iterator[tuple[str, bytes | Path]]:
    """Give a package index as files: its pages, and its wheels."""
    manifest = index.make_manifest(
        index.Entry(filename=name, sha256=sha256) for name, sha256 in served.items()
    )
    for path, page in index.render_pages(manifest):
        yield path, page.encode()
    for project, entries in manifest.items():
        for entry in entries:
            yield f"simple/{project}/{entry.filename}", store.file(entry.sha256)
