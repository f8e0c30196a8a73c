"""Replays: the programs that show findings again, kept beside the verdicts, and run in the containers they need."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from builder.config import catalog
from builder.engine.client import Limits
from builder.errors import ReplayError
from builder.evidence.image import ImageFacts
from builder.evidence.race import RaceFacts
from builder.evidence.replay import ReplayAnswer
from builder.jobs.images.ids import role_image_id
from builder.jobs.programs import STRESS_FOLDER, Program, ask
from builder.jobs.threads.race import RACE_PYTHON, RACE_WHEEL_FOLDER
from builder.jobs.wheels import WHEELS_FOLDER, required_wheels, wheel_files, wheel_for_abi
from builder.judge.location import Location, read_locations
from builder.store.files import atomic_write
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from builder.evidence.replay import ReplayRun, Seen
    from builder.finding_codes import FindingCode
    from builder.jobs.job import Tools
    from builder.judge.findings import Finding
    from builder.judge.package import JudgedPackage
    from builder.plan.graph import Plan
    from builder.sources import Pure
    from builder.store.evidence import Evidence

_FOLDER = "replays"
_PROGRAM = Program(package="stress", module="replay", answer=ReplayAnswer, folder=STRESS_FOLDER)

_MEMORY_BYTES = 6 << 30  # as the race job has: a script for its interpreter needs as much
_START_S = 120  # to install the package
_RUN_S = 70.0  # a run may take 60 s (builder/inside/stress/replay.py), and has to start and end

_HARMS: Mapping[FindingCode, frozenset[Seen]] = {
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
    job = role_image_id("verify", replay.base)
    if replay.race:
        job = graph.jobs[_race_id(replay)].needs["image"]

    image = evidence.get(job)
    tag = ImageFacts.read(image).tag if image is not None and image.is_determined else None
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
    wheels = _list_wheels(replay, evidence, pure)
    race_wheel = _find_race_wheel(replay, evidence) if replay.race else None
    has_race_wheel = race_wheel is not None or not replay.race
    if not wheels or not has_race_wheel:
        raise ReplayError(
            replay.id, f"{replay.name} {version} has no {abi.name} wheel to run it on"
        )

    image = replay_image(replay, graph, evidence)
    files = wheel_files(wheels, tools.store)
    race_path = None
    if race_wheel is not None:
        filename, sha256 = race_wheel
        race_path = f"{RACE_WHEEL_FOLDER}/{filename}"
        files[race_path] = tools.store.file(sha256)

    request = {
        "python": RACE_PYTHON if replay.race else abi.python,
        "plain_python": abi.python,
        "race": replay.race,
        "name": replay.name,
        "requirement": f"{replay.name}=={version}",
        "wheels": WHEELS_FOLDER,
        "race_wheel": race_path,
        "script": replay.script,
        "times": times,
    }
    answer = ask(
        _PROGRAM,
        request,
        activity="replaying",
        image=image,
        python=abi.python,
        files=files,
        limits=Limits(memory_bytes=_MEMORY_BYTES, timeout_s=_START_S + _RUN_S * times),
        tools=tools,
    )
    return _read_result(replay, answer)


def _list_wheels(
    replay: Replay, evidence: Mapping[JobId, Evidence], pure: Iterable[Pure]
) -> list[tuple[str, str]]:
    """Return (filename, sha256) of the wheels to install; none where the package itself has none."""
    own = evidence[JobId(JobKind.BUILD, replay.name, replay.base)]
    if not own.is_determined or wheel_for_abi(own, replay.abi) is None:
        return []

    builds = [own]
    for job, build in evidence.items():
        if job.kind == JobKind.BUILD and build is not own and build.is_determined:
            builds.append(build)
    return list(required_wheels(replay.abi, builds, pure))


def _find_race_wheel(replay: Replay, evidence: Mapping[JobId, Evidence]) -> tuple[str, str] | None:
    """Return (filename, sha256) of the wheel that was compiled with ThreadSanitizer, if there is one."""
    race = evidence.get(_race_id(replay))
    if race is None or not race.is_determined:
        return None

    filename = RaceFacts.read(race).race_wheel
    return None if filename is None else (filename, race.files[filename])


def _read_result(replay: Replay, answer: ReplayAnswer) -> ReplayResult:
    if answer.install is not None:
        raise ReplayError(replay.id, f"it could not be installed: {answer.install}")

    shown = [run for run in answer.runs if _shows_finding(replay, run)]
    return ReplayResult(
        shown=len(shown),
        runs=len(answer.runs),
        what=tuple(", ".join(run.what) or "nothing" for run in answer.runs),
        output=shown[-1].output if shown else "",
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
