"""Replays: the programs that show findings again, kept beside the verdicts, and run in the containers they need."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from builder.config import catalog
from builder.engine.client import Limits
from builder.errors import ReplayError
from builder.jobs.images.ids import role_image_id
from builder.jobs.programs import run_json_task, stress_task
from builder.jobs.wheels import required_wheels
from builder.store.files import atomic_write
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from builder.finding_codes import FindingCode
    from builder.jobs.job import Tools
    from builder.judge.package import JudgedPackage
    from builder.plan.graph import Plan
    from builder.sources import Pure
    from builder.store.evidence import Evidence

_FOLDER = "replays"


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """A finding's program.

    Attributes:
        id: of the finding.
        where: what the finding names.
        race: whether the program needs the race detector's interpreter.
        base: where it was seen.
        effort: how hard was looked.
    """

    id: str
    name: str
    version: str
    abi: str
    code: FindingCode
    where: str
    detail: str
    race: bool
    base: str
    script: str
    effort: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayResult:
    """What came of running a program.

    Attributes:
        shown: in how many runs it showed its finding.
        runs: how often it ran.
        what: what each run showed.
        output: what the last run that showed it printed.
    """

    shown: int
    runs: int
    what: tuple[str, ...]
    output: str


def write_replays(judged: Iterable[JudgedPackage], effort: str, wheelhouse: Path) -> None:
    """Keep the program of every finding that has one, by its id.

    Args:
        judged: packages with their findings.
        effort: how hard was looked, so that a replay finds what was made then.
        wheelhouse: where they go.
    """
    for package in judged:
        for judgement in package.abis.values():
            for finding in judgement.findings:
                if not finding.script:
                    continue
                identity = finding.make_id(package.name, package.version, judgement.abi)
                replay = Replay(
                    id=identity, name=package.name, version=package.version, abi=judgement.abi, code=finding.code,
                    where=finding.where, detail=finding.detail, race=finding.race,
                    base=finding.bases[0] if finding.bases else "", script=finding.script, effort=effort,
                )  # fmt: skip
                with atomic_write(wheelhouse / _FOLDER / f"{identity}.json") as aside:
                    aside.write_text(json.dumps(asdict(replay), indent=1))


def load_replay(identity: str, wheelhouse: Path) -> Replay:
    """Return a finding's replay.

    Args:
        identity: the finding's id, or the beginning of it.
        wheelhouse: where a run left it.

    Raises:
        ReplayError: there is none, or more than one.
    """
    found = sorted((wheelhouse / _FOLDER).glob(f"{identity}*.json")) if identity.isalnum() else []
    if len(found) != 1:
        known = (
            ", ".join(path.stem for path in sorted((wheelhouse / _FOLDER).glob("*.json"))[:10])
            or "none"
        )
        raise ReplayError(identity, f"{len(found)} replays begin with it; known here: {known}")
    try:
        return Replay(**json.loads(found[0].read_text()))
    except (ValueError, TypeError) as error:
        raise ReplayError(
            identity, f"{found[0]} cannot be read ({error}), run the farm again to write it anew"
        ) from error


def plan_for_replay(replay: Replay, graph: Plan) -> Plan:
    """Return the part of a plan that makes what a replay needs.

    Raises:
        ReplayError: the plan puts the package under no threads on the base.
    """
    exercise = graph.jobs.get(JobId(JobKind.EXERCISE, replay.name, replay.base))
    if exercise is None:
        raise ReplayError(
            replay.id,
            f"the matrix does not put {replay.name} under threads on {replay.base or 'any base'}",
        )
    needs = [need for role, need in exercise.needs.items() if replay.race or role != "race"]
    return graph.subset_for(needs)


def replay_image(replay: Replay, graph: Plan, evidence: Mapping[JobId, Evidence]) -> str:
    """Return the tag of the image a replay runs in.

    Args:
        replay: what to run.
        graph: what `plan_for_replay` returned.
        evidence: of its jobs.

    Raises:
        ReplayError: there is none.
    """
    image = role_image_id("verify", replay.base)
    if replay.race:
        image = graph.jobs[_race_id(replay)].needs["image"]
    tag: str | None = evidence[image].facts.get("tag") if image in evidence else None
    if tag is None:
        raise ReplayError(replay.id, f"the image to run it in on {replay.base} could not be had")
    return tag


def _race_id(replay: Replay) -> JobId:
    return JobId(JobKind.RACE, replay.name, replay.base)


def run_replay(
    replay: Replay,
    graph: Plan,
    evidence: Mapping[JobId, Evidence],
    version: str,
    times: int,
    pure: tuple[Pure, ...],
    tools: Tools,
) -> ReplayResult:
    """Run a replay in a container like the one its finding was seen in.

    Args:
        replay: what to run.
        graph: what `plan_for_replay` returned, of the release to run it on.
        evidence: of its jobs.
        version: that release.
        times: how often to run it.
        pure: pure wheels that must be there.
        tools: engine, store and log.

    Raises:
        ReplayError: there is no wheel to run it on, or no image.
        InfrastructureError: the container gave no answer.
    """
    abi = catalog.load().abis[replay.abi]
    own = JobId(JobKind.BUILD, replay.name, replay.base)
    build = evidence[own]
    others = [one for job, one in evidence.items() if job.kind == JobKind.BUILD and job != own]
    race = evidence.get(_race_id(replay))
    made = race.facts.get("race_wheel") if race else None
    if (replay.race and (race is None or made is None)) or not build.facts.get("abis", {}).get(
        abi.name, {}
    ).get("wheel"):
        raise ReplayError(
            replay.id, f"{replay.name} {version} has no {abi.name} wheel to run it on"
        )
    image = replay_image(replay, graph, evidence)
    python = f"/opt/python/{abi.directory}/bin/python"
    served = dict(required_wheels(abi.name, (build, *others), pure))
    files: dict[str, bytes | Path] = {
        f"/farm/wheels/{name}": tools.store.file(sha256) for name, sha256 in served.items()
    }
    if replay.race and race is not None:
        files[f"/farm/race/{made}"] = tools.store.file(race.files[str(made)])
    request = {
        "python": "/opt/race/tree/bin/python" if replay.race else python,
        "plain_python": python,
        "race": replay.race,
        "name": replay.name,
        "requirement": f"{replay.name}=={version}",
        "wheels": "/farm/wheels",
        "race_wheel": f"/farm/race/{made}" if replay.race else None,
        "script": replay.script,
        "times": times,
    }
    limits = Limits(memory_bytes=6 << 30, timeout_s=120 + 70.0 * times)
    task = stress_task(
        "replay", image=image, python=python, request=request, files=files, limits=limits
    )
    return _read_result(replay, run_json_task(task, "replaying", tools))


def _read_result(replay: Replay, facts: Mapping[str, Any]) -> ReplayResult:
    if facts["install"] is not None:
        raise ReplayError(replay.id, f"it could not be installed: {facts['install']}")
    signs = {"WF601": "crash", "WF602": "hang", "WF603": "wrong"}
    shown = [
        one for one in facts["runs"] if _shows_finding(replay, one, signs.get(replay.code, ""))
    ]
    return ReplayResult(
        shown=len(shown),
        runs=len(facts["runs"]),
        what=tuple(", ".join(one["what"]) or "nothing" for one in facts["runs"]),
        output=shown[-1]["output"] if shown else "",
    )


def _shows_finding(replay: Replay, run: Mapping[str, Any], sign: str) -> bool:
    """Return whether a run showed the very finding: of a race, between the same functions."""
    if sign:
        return sign in run["what"]
    return replay.where in {" and ".join(places) for places in run["races"]}
