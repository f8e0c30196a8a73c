"""The farm without an engine: everything is its own, but the containers, which answer by a script.

Usage: python -m tests.hostile.offline SCRIPT.json COMMAND OPTION…

SCRIPT.json has two tables. `answers` has, by package, paths of files with what containers answer: `load` and `audit` in
the place of an honest answer, `log`, what a build printed that fails, and `wheel`, what it made otherwise. A package that is not named is built, loaded
and judged as an honest one. `machine` says what the machine is like: see machine.py. COMMAND is one of wheelfarm's.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from builder.distributions import abi3audit
from builder.engine.tasks import Task, TaskResult
from builder.evidence.build import BuildFacts
from builder.execute.worker import Worker
from builder.farm import run as farm
from builder.jobs.build.build import Build
from builder.jobs.build.log import FailedCall, rules_digest
from builder.jobs.job import ImageJob
from builder.plan.graph import Plan
from builder.store.evidence import Evidence, JobOutcome
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from builder.untrusted.reading import Deadline
from tests.hostile.machine import pretend
from tests.hostile.sdists import PLATFORM, make_wheel, wheel_filename
from tests.unit.facts import AUDITED, OBJECT

LONGEST_S = 20.0
"""Longest that any answer of an index may take here, in seconds; the farm itself is more patient."""

Answers = Mapping[str, Mapping[str, str]]


class ScriptedEngine:
    """Answers the tasks of one job."""

    def __init__(self, job: JobId, scripted: Mapping[str, str], wheels: list[str]) -> None:
        self._job = job
        self._scripted = scripted
        self._wheels = wheels

    def run(self, task: Task, *, log: Path, stop: threading.Event) -> TaskResult:
        """Answer as a container would that ends at once."""
        log.write_text("it ran\n")
        scripted = self._scripted.get(self._job.kind)
        if scripted:
            answer = Path(scripted).read_bytes()
        elif self._job.kind == JobKind.AUDIT:
            answer = json.dumps({name: describe_audit(name) for name in self._wheels}).encode()
        else:
            (request,) = (
                data for path, data in task.files.items() if path.endswith("request.json")
            )
            assert isinstance(request, bytes)
            answer = json.dumps([describe_load(item) for item in json.loads(request)]).encode()

        path = (task.collect or "").lstrip("/")
        return TaskResult(exit_code=0, timed_out=False, out_of_memory=False, output={path: answer})


def describe_audit(filename: str) -> dict[str, Any]:
    """Return what the audit says of an honest wheel."""
    name, version, *_, abi, platform = filename.removesuffix(".whl").split("-")
    module = f"{name}.{abi.replace('cp', 'cpython-')}-x86_64-linux-gnu.so"
    return {
        **AUDITED,
        "dist_info": f"{name}-{version}.dist-info",
        "metadata": {"metadata-version": ["2.2"], "name": [name], "version": [version]},
        "wheel": {"wheel-version": ["1.0"], "root-is-purelib": ["false"], "tag": [f"{abi}-{abi}-{platform}"]},
        "top_level": {name: "module"}, "sboms": [], "components": [], "abi3audit": [],
        "extensions": {module: f"{abi.replace('cp', 'cpython-')}-x86_64-linux-gnu"},
        "objects": {module: {**OBJECT, "build": "gil", "undefined": {"PyUnicode_New": module}}},
    }  # fmt: skip


def describe_load(item: Mapping[str, str]) -> dict[str, Any]:
    """Return what loading an honest wheel shows."""
    name = item["requirement"].partition("==")[0]
    declaration = {"init": "multi-phase", "gil": "not-used", "interpreters": "own-gil"}
    nothing: dict[str, Any] = {"lines": [], "warnings": []}
    return {
        **item, "install": None, "python_version": "3.14.5",
        "metadata": {"requires_python": "", "requires_python_ignored": False, "free_threading": None},
        "modules": [{
            "module": name, "native": True, "seconds": 0.01, "rss_bytes": 1 << 20,
            "gil": {"before": None, "after": None, "enabled_by": None, "warned": True}, "natives": {name: declaration},
        }],
        "walk": {"lines": [{"module": name, "gil": [None, None], "loaded": [name]}], "warnings": []},
        "dev": nothing, "strict": nothing, "threads": nothing, "again": nothing, "subinterpreters": nothing,
    }  # fmt: skip


def _make_build(job: Build, key: str, store: Store, scripted: Mapping[str, str]) -> Evidence:
    """Return what a build recorded: a wheel, or where a log is scripted, the failure that is read from it."""
    log_text = scripted.get("log", "")
    log = store.log_path(job.id, key)
    abis: dict[str, Any] = {}
    files: dict[str, str] = {}
    (abi,) = job.abis
    if log_text:
        log.write_bytes(Path(log_text).read_bytes())
        call = FailedCall(
            abis=job.abis,
            exit_code=1,
            log=(0, log.stat().st_size),
            timeout_s=None,
            memory_bytes=None,
            processes=None,
        )
        failure, _ = call.explain(log, job.name)
        abis[abi] = {"failure": asdict(failure), "call": asdict(call)}
    else:
        log.write_text("it was built\n")
        tag = f"{abi}-{abi}-{PLATFORM}"
        filename = wheel_filename(job.name, tag)
        content = make_wheel(job.name, tag=tag)
        if "wheel" in scripted:
            filename = Path(scripted["wheel"]).name
            content = Path(scripted["wheel"]).read_bytes()
        with store.scratch_folder() as scratch:
            (scratch / filename).write_bytes(content)
            files[filename] = store.add_file(scratch / filename)
        abis[abi] = {"wheel": filename, "requires_python": ""}

    facts = BuildFacts.check({"abis": abis, "rules": rules_digest(), "limits": {}})
    return Evidence(
        key=key,
        job=job.id,
        facts=facts.to_json(),
        files=files,
        log=str(log.relative_to(store.wheelhouse)),
        seconds=1.0,
    )


def image_key(job: str) -> str:
    """Return the key of the evidence about an image, which nobody made."""
    return digest("scripted", job)


def execute(answers: Answers, plan: Plan, store: Store) -> Mapping[JobId, Evidence]:
    """Return the evidence of every job of a plan, with the doors of the farm between a job and its container."""
    evidence: dict[JobId, Evidence] = {}
    for job in plan.jobs.values():
        inputs = {role: evidence[need] for role, need in job.needs.items()}
        scripted = answers.get(job.id.name, {})
        if isinstance(job, ImageJob):
            facts = {"content": "scripted", "tag": "scripted.invalid/image"}
            evidence[job.id] = Evidence(key=image_key(str(job.id)), job=job.id, facts=facts)
        elif not all(needed.is_determined for needed in inputs.values()):
            evidence[job.id] = Evidence(
                key="", job=job.id, outcome=JobOutcome.UNDETERMINED, reason="an input is", facts={"code": "WF902"}
            )  # fmt: skip
        elif isinstance(job, Build):
            evidence[job.id] = _make_build(job, job.key(inputs), store, scripted)
            store.put(evidence[job.id])
        else:
            # Upstream's wheels stand on no build, and an application on the index.
            wheels = list(inputs["build"].files) if "build" in inputs else []
            engine = ScriptedEngine(job.id, scripted, wheels)
            worker = Worker(store=store, engine=engine, index=None, stop=threading.Event())  # type: ignore[arg-type]
            recorded = worker.run_job(job, job.key(inputs), inputs, 1.0, print)
            assert recorded is not None, "nobody interrupts it"
            evidence[job.id] = recorded
    return evidence


def shorten_deadlines() -> None:
    """Let no answer of an index take longer than `LONGEST_S`, nor abi3audit: what is tested is that there is a limit."""
    limits = replace(abi3audit._LIMITS, cpu_s=int(LONGEST_S), wall_s=int(LONGEST_S))
    abi3audit._LIMITS = limits
    start = Deadline.__init__

    def start_shortened(deadline: Deadline, seconds: float) -> None:
        start(deadline, min(seconds, LONGEST_S))

    Deadline.__init__ = start_shortened  # type: ignore[assignment,method-assign]


def main() -> None:
    from builder.cli import main as cli

    shorten_deadlines()
    script = json.loads(Path(sys.argv[1]).read_text())
    pretend(**script["machine"])
    farm.execute_plan = lambda _, plan, store, *__: execute(script["answers"], plan, store)  # type: ignore[attr-defined]
    sys.argv = ["wheelfarm", *sys.argv[2:]]
    cli.main()


if __name__ == "__main__":
    main()
