"""Replays: the programs that show findings again, kept beside the verdicts, and run in the containers they need."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from builder.config import catalog
from builder.engine.client import Limits
from builder.errors import ReplayError
from builder.evidence.replay import ReplayAnswer
from builder.jobs.images.ids import role_image_id
from builder.jobs.programs import read_answer, stress_task
from builder.jobs.wheels import required_wheels
from builder.judge.location import Location, read_locations
from builder.store.files import atomic_write
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from builder.evidence.replay import ReplayRun
    from builder.finding_codes import FindingCode
    from builder.jobs.job import Tools
    from builder.judge.findings import Finding
    from builder.judge.package import JudgedPackage
    from builder.plan.graph import Plan
    from builder.sources import Pure
    from builder.store.evidence import Evidence

_FOLDER = "replays"
_HARMS: Mapping[FindingCode, frozenset[str]] = {
    "WF601": frozenset({"crash"}),
    "WF602": frozenset({"hang"}),
    "WF603": frozenset({"wrong"}),
    "WF608": frozenset({"crash", "hang", "wrong"}),
}
"""What a run has to show for a finding to be shown again; findings that are not here are races."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """A finding's program.

    Attributes:
        id: of the finding.
        where: what the finding names.
        race: whether the program needs the race detector's interpreter.
        base: where it was seen.
        effort: how hard was looked.
        locations: the accesses of a race; empty in replays of an older farm.
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
    locations: tuple[Location, ...] = ()


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
                if finding.script:
                    _write_replay(finding, effort, wheelhouse / _FOLDER)


def _write_replay(finding: Finding, effort: str, folder: Path) -> None:
    replay = Replay(
        id=finding.id,
        name=finding.package,
        version=finding.version,
        abi=finding.abi,
        code=finding.code,
        where=finding.where,
        detail=finding.detail,
        race=finding.race,
        base=finding.bases[0] if finding.bases else "",
        script=finding.script,
        effort=effort,
        locations=finding.locations,
    )
    with atomic_write(folder / f"{replay.id}.json") as aside:
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
        content = json.loads(found[0].read_text())
        locations = tuple(Location(**location) for location in content.pop("locations", ()))
        return Replay(**content, locations=locations)
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
    answer = read_answer(task, ReplayAnswer, "replaying", tools)
    return _read_result(replay, answer)


def _read_result(replay: Replay, answer: ReplayAnswer) -> ReplayResult:
    if answer.install is not None:
        raise ReplayError(replay.id, f"it could not be installed: {answer.install}")

    showing = [run for run in answer.runs if _shows_finding(replay, run)]
    return ReplayResult(
        shown=len(showing),
        runs=len(answer.runs),
        what=tuple(", ".join(run.what) or "nothing" for run in answer.runs),
        output=showing[-1].output if showing else "",
    )


def _shows_finding(replay: Replay, run: ReplayRun) -> bool:
    """Return whether a run showed the very finding: of a race, between the same functions."""
    harms = _HARMS.get(replay.code)
    if harms is not None:
        return not harms.isdisjoint(run.what)

    if not replay.locations:
        return replay.where in {" and ".join(places) for places in run.races}

    races = [_places(read_locations(race)) for race in run.locations]
    return _places(replay.locations) in races


def _places(locations: Iterable[Location]) -> set[Location]:
    """Return the functions that race: their lines may be others in another release."""
    return {location.place for location in locations}
