"""Replays: the programs that show findings again, kept beside the verdicts, and run in the containers they need."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from builder.config import catalog
from builder.engine.tasks import Limits
from builder.errors import ReplayError
from builder.evidence.image import ImageFacts
from builder.evidence.race import RaceFacts
from builder.evidence.replay import ReplayAnswer
from builder.jobs.images.ids import role_image_id
from builder.jobs.images.packages import PackagesImage
from builder.jobs.programs import STRESS_FOLDER, Program, ask
from builder.jobs.threads.sanitizer_build import RACE_PYTHON, RACE_WHEEL_FOLDER
from builder.jobs.wheels import WHEELS_FOLDER, required_wheels, wheel_files, wheel_for_abi
from builder.judge.location import Location, read_locations
from builder.store.files import atomic_write
from builder.store.job_ids import JobId, JobKind
from builder.untrusted.package_names import project_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from builder.evidence.replay import ReplayRun, Seen
    from builder.jobs.job import Tools
    from builder.judge.findings import Finding
    from builder.judge.package import JudgedPackage
    from builder.plan.graph import Plan
    from builder.sources import Pure
    from builder.store.evidence import Evidence
    from builder.verdicts.codes import FindingCode

_FOLDER = "replays"
_PROGRAM = Program(
    package="stress", module="replay", answer=ReplayAnswer, supervises=True, folder=STRESS_FOLDER
)

_MEMORY_BYTES = 6 << 30  # as the race job has: a script for its interpreter needs as much
_START_S = 120  # to install the package
_RUN_S = 70.0  # a run may take 60 s (builder/inside/stress/replay.py), and has to start and end

_ACCEPTED_SYMPTOMS: Mapping[FindingCode, frozenset[Seen]] = {
    "WF601": frozenset({"crash"}),
    "WF602": frozenset({"hang"}),
    "WF603": frozenset({"wrong"}),
    "WF608": frozenset({"crash", "hang", "wrong"}),
    "WF625": frozenset({"crash", "hang"}),
}
"""By finding code, the symptoms of which a run has to show one to reproduce the finding.

A code that is not here is a data race: a run reproduces it by a race between the same functions (`_shows_finding`).
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """A program that reproduces a finding, and what is needed to run it again; one JSON file in `replays/`.

    Attributes:
        id: id of the finding.
        where: the functions or objects that the finding names.
        race: whether the program needs the interpreter that is compiled with ThreadSanitizer.
        base: the base (image of a Debian or Ubuntu release) that the finding was seen on; empty if none is recorded.
        effort: name of the effort level, i.e. how long the run searched for thread-safety problems.
        locations: the memory accesses of a data race; empty in replays that an older farm wrote.
        short: a program of a few lines with the same calls, to be read; empty where there is none.
        also: names of further data races that have the same cause, as `where` has them.
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
    short: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayResult:
    """The result of running a replay several times.

    Attributes:
        shown: number of runs that reproduced the finding.
        runs: number of all runs.
        what: the symptoms of each run, such as "crash, wrong"; "nothing" for a run without any.
        output: what the last run that reproduced the finding printed; empty if none did.
    """

    shown: int
    runs: int
    what: tuple[str, ...]
    output: str


def write_replays(judged: Iterable[JudgedPackage], effort: str, wheelhouse: Path) -> None:
    """Write the program of each finding to `replays/ID.json` in the wheelhouse.

    Findings without a program that reproduces them are skipped.

    Args:
        judged: packages with their findings.
        effort: name of the effort level of the run: a replay plans its jobs with the same one.
        wheelhouse: the folder of results, in which `replays/` is created.
    """
    for package in judged:
        for judgement in package.abis.values():
            for finding in judgement.findings:
                if finding.script:
                    _write_replay(finding, effort, wheelhouse / _FOLDER)


def _write_replay(finding: Finding, effort: str, folder: Path) -> None:
    """Write a finding's replay to `ID.json` in a folder; of several bases, keep the first that showed the finding."""
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
        short=finding.short,
        also=finding.also,
    )
    with atomic_write(folder / f"{replay.id}.json") as aside:
        aside.write_text(json.dumps(asdict(replay), indent=1))


def load_replay(identity: str, wheelhouse: Path) -> Replay:
    """Return the replay of a finding, as an earlier run wrote it.

    Args:
        identity: the finding's id, or a prefix of it that no other replay has: `55c5` for `55c50fda…`.
        wheelhouse: the folder of results of that run.

    Raises:
        ReplayError: no replay or several of them have this prefix, or the file cannot be read.
    """
    # The id becomes part of a glob pattern: other characters could match anything.
    matches = sorted((wheelhouse / _FOLDER).glob(f"{identity}*.json")) if identity.isalnum() else []
    if len(matches) != 1:
        known_ids = (
            ", ".join(path.stem for path in sorted((wheelhouse / _FOLDER).glob("*.json"))[:10])
            or "none"
        )
        raise ReplayError(
            identity, f"{len(matches)} replays begin with it; known here: {known_ids}"
        )
    try:
        content = json.loads(matches[0].read_text())
        locations = tuple(Location(**location) for location in content.pop("locations", ()))
        also = tuple(content.pop("also", ()))
        return Replay(**content, locations=locations, also=also)
    except (ValueError, TypeError) as error:
        raise ReplayError(
            identity, f"{matches[0]} cannot be read ({error}), run the farm again to write it anew"
        ) from error


def plan_for_replay(replay: Replay, graph: Plan) -> Plan:
    """Return the part of a plan that prepares a replay: images, and the wheels of the package and its requirements.

    These are the jobs that the package's thread tests depend on. The job that compiles the package for the race
    detector
    is left out unless the replay needs it.

    Args:
        replay: the program to run.
        graph: the plan of a run that contains the package.

    Raises:
        ReplayError: the plan does not test the package under threads on the replay's base.
    """
    exercise = graph.jobs.get(JobId(JobKind.EXERCISE, replay.name, replay.base))
    if exercise is None:
        raise ReplayError(
            replay.id,
            f"the matrix does not put {replay.name} under threads on {replay.base or 'any base'}",
        )
    needed_jobs = [
        job_id for role, job_id in exercise.needs.items() if replay.race or role != "race"
    ]
    return graph.subset_for(needed_jobs)


def replay_image(replay: Replay, graph: Plan, evidence: Mapping[JobId, Evidence]) -> str:
    """Return the tag of the container image to run a stored test program (a replay) in.

    There are two kinds of image, each made by an image job. A program that shows a data race needs a Python compiled
    with ThreadSanitizer: it runs in the image in which the races of its package were looked for. Any other program
    runs in the "verify" image, in which wheels of the same base (Debian or Ubuntu release) are tested.

    Args:
        replay: the program to run.
        graph: the jobs to run before the program, as `plan_for_replay` returns them.
        evidence: their results, by job id.

    Raises:
        ReplayError: the image job has no result, failed, or made no image.
    """
    if replay.race:
        race_job = graph.jobs[_race_id(replay)]
        image_job_id = race_job.needs["image"]
    else:
        image_job_id = _find_verify_image(replay.base, graph)

    tag = _find_image_tag(evidence.get(image_job_id))
    if tag is None:
        raise ReplayError(replay.id, f"the image to run it in on {replay.base} could not be had")

    return tag


def _find_verify_image(base: str, graph: Plan) -> JobId:
    """Return the job whose image programs on a base run in: the one with the system packages that wheels need."""
    for job_id, job in graph.jobs.items():
        if isinstance(job, PackagesImage) and (job.role, job.base) == ("verify", base):
            return job_id

    return role_image_id("verify", base)


def _find_image_tag(image_evidence: Evidence | None) -> str | None:
    """Return the tag of the image that an image job made.

    None if the job has no evidence or undetermined evidence (the infrastructure failed), or the base lacks system
    packages that the image needs.
    """
    if image_evidence is None or not image_evidence.is_determined:
        return None

    return ImageFacts.read(image_evidence).tag


def _race_id(replay: Replay) -> JobId:
    """Return the id of the job that compiles the replay's package with ThreadSanitizer to find data races."""
    return JobId(JobKind.RACE, replay.name, replay.base)


def run_replay(
    replay: Replay,
    graph: Plan,
    evidence: Mapping[JobId, Evidence],
    version: str,
    times: int,
    pure: tuple[Pure, ...],
    after: Sequence[str],
    tools: Tools,
) -> ReplayResult:
    """Run a replay several times in one container of the kind in which its finding was seen.

    Args:
        replay: the program to run.
        graph: the plan that `plan_for_replay` returned, made for the release to run the program on.
        evidence: results of that plan's jobs, by job id.
        version: the release to run the program on.
        times: how often to run it.
        pure: wheels without native modules that the package requires.
        after: packages that have to be imported before it, which are installed beside it.
        tools: container engine, store and log.

    Raises:
        ReplayError: there is no wheel to run the program on, no image, or the package cannot be installed.
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
        "name": project_of(replay.name),
        "requirement": f"{project_of(replay.name)}=={version}",
        "wheels": WHEELS_FOLDER,
        "race_wheel": race_path,
        "script": replay.script,
        "times": times,
        "after": list(after),
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
    """Return (filename, sha256) of the wheels to install: the package's own, and those of what it requires.

    The list is empty if the package itself has no wheel for the replay's ABI.
    """
    own_build = evidence[JobId(JobKind.BUILD, replay.name, replay.base)]
    if not own_build.is_determined or wheel_for_abi(own_build, replay.abi) is None:
        return []

    builds = [own_build]
    for job, build in evidence.items():
        is_other_build = job.kind == JobKind.BUILD and build is not own_build
        if is_other_build and build.is_determined:
            builds.append(build)
    return list(required_wheels(replay.abi, builds, pure))


def _find_race_wheel(replay: Replay, evidence: Mapping[JobId, Evidence]) -> tuple[str, str] | None:
    """Return (filename, sha256) of the package's wheel that was compiled with ThreadSanitizer.

    None if the race job was not planned, gave no result, or made no such wheel.
    """
    race_evidence = evidence.get(_race_id(replay))
    if race_evidence is None or not race_evidence.is_determined:
        return None

    filename = RaceFacts.read(race_evidence).race_wheel
    return None if filename is None else (filename, race_evidence.files[filename])


def _read_result(replay: Replay, answer: ReplayAnswer) -> ReplayResult:
    """Count the runs that reproduced the finding, and keep the output of the last of them.

    Raises:
        ReplayError: the package could not be installed, so nothing ran.
    """
    if answer.install is not None:
        raise ReplayError(replay.id, f"it could not be installed: {answer.install}")

    reproducing_runs = [run for run in answer.runs if _shows_finding(replay, run)]
    return ReplayResult(
        shown=len(reproducing_runs),
        runs=len(answer.runs),
        what=tuple(", ".join(run.what) or "nothing" for run in answer.runs),
        output=reproducing_runs[-1].output if reproducing_runs else "",
    )


def _shows_finding(replay: Replay, run: ReplayRun) -> bool:
    """Return whether a run reproduced the finding itself, not merely some other problem.

    A crash, hang or wrong result counts by its symptom. A data race counts only between the same functions.
    """
    accepted_symptoms = _ACCEPTED_SYMPTOMS.get(replay.code)
    if accepted_symptoms is not None:
        return _shows_symptom(run, accepted_symptoms)

    # One cause shows at several places, and any of them shows it.
    if any(_shows_race_named(run, name) for name in replay.also):
        return True
    if replay.locations:
        return _shows_race_at(run, replay.locations)

    # A replay that an older farm wrote has no locations.
    return _shows_race_named(run, replay.where)


def _shows_symptom(run: ReplayRun, accepted: frozenset[Seen]) -> bool:
    """Return whether a run showed at least one of the accepted symptoms, such as "crash"."""
    shown = frozenset(run.what)
    return bool(shown & accepted)


def _shows_race_at(run: ReplayRun, race_locations: Iterable[Location]) -> bool:
    """Return whether one of a run's data races is between the functions of the recorded race, in any order.

    Args:
        run: the run; its `locations` are, for each race, the source lines of the memory accesses.
        race_locations: the memory accesses of the recorded race.
    """
    recorded_functions = _functions(race_locations)
    observed_races = [_functions(read_locations(accesses)) for accesses in run.locations]
    return recorded_functions in observed_races


def _shows_race_named(run: ReplayRun, race_name: str) -> bool:
    """Return whether one of a run's data races has this name: the functions that race, as in `f (a.c) and g (b.c)`."""
    return any(" and ".join(functions) == race_name for functions in run.races)


def _functions(locations: Iterable[Location]) -> set[Location]:
    """Return the file and function of each location, without the line and the folder: both differ between releases."""
    return {location.place for location in locations}
