import json
import threading
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from builder.config import catalog, matrix
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import Package
from builder.errors import ExitCode, ReplayError
from builder.evidence.replay import ReplayAnswer
from builder.farm import replay as replays
from builder.farm.replay import Replay, ReplayResult
from builder.inside.stress.package import installing
from builder.jobs.job import Tools
from builder.judge.findings import Finding
from builder.judge.location import Location
from builder.judge.package import JudgedPackage, Judgement
from builder.plan import graph as plan
from builder.sources import Source
from builder.store.evidence import Evidence, JobOutcome
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from builder.verdicts import Verdict
from builder.verdicts.codes import FindingCode
from tests.job_ids import job_id, jobs_by_text, needs_text

if TYPE_CHECKING:
    from builder.engine.client import Engine
    from builder.proxy.proxy import IndexProxy

MATRIX = """
[packages.foo]
apt = ["libfoo-dev"]
[packages.bar]
"""
REPLAY = Replay(
    id="abcdef012345", name="foo", version="1.0", abi="cp314t", code="WF605", where="get (foo.c) and put (foo.c)", detail="data race",
    race=True, base="debian-12", script="print('again')", effort="standard",
)  # fmt: skip
PLAIN = replace(REPLAY, code="WF601", race=False)
ACCESSES = (
    Location(path="src/foo.c", line=7, function="get"),
    Location(path="src/foo.c", line=9, function="put"),
)


def source(name: str, **more: Any) -> Source:
    return Source(
        name=name,
        version="1.0",
        kind="index",
        filename=f"{name}-1.0.tar.gz",
        sha256=name * 8,
        **more,
    )


def judged(*findings: Finding) -> JudgedPackage:
    own = tuple(finding.assign_to("foo", "1.0", "cp314t") for finding in findings)
    judgement = Judgement(abi="cp314t", verdict=Verdict.RACY, reason="", findings=own)
    return JudgedPackage(
        name="foo", version="1.0", source=source("foo"), abis={"cp314t": judgement}
    )


def finding(where: str = "get (foo.c)", script: str = "print('é')") -> Finding:
    return Finding(
        code="WF605",
        detail="data race",
        where=where,
        locations=ACCESSES,
        bases=("debian-12", "debian-13"),
        script=script,
        race=True,
    )


def graph() -> plan.Plan:
    loaded = matrix.parse(tomllib.loads(MATRIX), Path("matrix.toml"))
    found = {"foo": source("foo", needs=("bar",)), "bar": source("bar")}
    return plan.make_plan(
        loaded, found, {}, catalog.load(), Package(), EFFORTS[EffortLevel.STANDARD]
    )


def test_what_is_written_is_loaded_again(tmp_path: Path):
    one = finding()
    replays.write_replays([judged(one)], "quick", tmp_path)
    identity = one.assign_to("foo", "1.0", "cp314t").id
    assert replays.load_replay(identity, tmp_path) == Replay(
        id=identity, name="foo", version="1.0", abi="cp314t", code="WF605", where="get (foo.c)", detail="data race", race=True,
        base="debian-12", script="print('é')", effort="quick", locations=ACCESSES,
    )  # fmt: skip
    assert replays.load_replay(identity[:4], tmp_path) == replays.load_replay(identity, tmp_path)


def test_findings_without_a_program_have_no_replay(tmp_path: Path):
    replays.write_replays([judged(finding(script=""))], "quick", tmp_path)
    with pytest.raises(ReplayError, match="known here: none"):
        replays.load_replay("a", tmp_path)


def test_writing_again_leaves_one_of_each(tmp_path: Path):
    for _ in range(2):
        replays.write_replays([judged(finding(), finding("put (foo.c)"))], "quick", tmp_path)
    assert len(list((tmp_path / "replays").iterdir())) == 2


def kept(folder: Path, *identities: str) -> None:
    (folder / "replays").mkdir()
    for identity in identities:
        (folder / f"replays/{identity}.json").write_text(
            json.dumps(asdict(replace(REPLAY, id=identity)))
        )


@pytest.mark.parametrize(
    ("asked", "count"),
    [("ab", 2), ("abc", 2), ("f", 0), ("", 0), ("*", 0), ("../replays/abc1", 0), ("abc1*", 0)],
)
def test_what_is_not_one_replay_is_refused_with_those_there_are(
    tmp_path: Path, asked: str, count: int
):
    kept(tmp_path, "abc111", "abc222", "def333")
    with pytest.raises(ReplayError) as caught:
        replays.load_replay(asked, tmp_path)
    assert f"{count} replays begin with it; known here: abc111, abc222, def333" in str(caught.value)
    assert "wheelfarm show" in str(caught.value)
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_beginning_is_enough(tmp_path: Path):
    kept(tmp_path, "abc111", "abc222", "def333")
    assert replays.load_replay("d", tmp_path).id == "def333"
    assert replays.load_replay("abc2", tmp_path).id == "abc222"


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"id": "abc111", "more": 1}'])
def test_a_file_that_is_no_replay_is_named(tmp_path: Path, text: str):
    kept(tmp_path, "abc111")
    (tmp_path / "replays/abc111.json").write_text(text)
    with pytest.raises(ReplayError, match=r"abc111\.json cannot be read"):
        replays.load_replay("abc111", tmp_path)


def test_a_race_needs_the_detector_and_what_the_package_needs():
    planned = replays.plan_for_replay(REPLAY, graph())
    jobs = jobs_by_text(planned)
    (packages,) = [job for job in jobs if job.startswith("image:race-debian-12+")]
    assert packages in needs_text(jobs["race:foo@debian-12"])
    assert {job for job in jobs if not job.startswith("image:")} == {
        "race:foo@debian-12",
        "audit:foo@debian-12",
        "build:foo@debian-12",
        "build:bar@debian-12",
    }
    seen: set[JobId] = set()
    for job in planned.jobs.values():
        assert seen.issuperset(job.needs.values())
        seen.add(job.id)


def test_a_harm_needs_no_detector():
    jobs = jobs_by_text(replays.plan_for_replay(PLAIN, graph()))
    assert "image:verify-debian-12" in jobs
    assert not any("race" in job for job in jobs)
    assert {job for job in jobs if job.startswith("build:")} == {
        "build:foo@debian-12",
        "build:bar@debian-12",
    }


@pytest.mark.parametrize(
    "lost",
    [replace(REPLAY, name="gone"), replace(REPLAY, base="ubuntu-26.04"), replace(REPLAY, base="")],
)
def test_what_the_matrix_lost_is_told(lost: Replay):
    with pytest.raises(ReplayError, match=r"does not put (gone|foo) under threads on"):
        replays.plan_for_replay(lost, graph())


def image_of(replay: Replay) -> str:
    """Return the image a replay runs in, where each image's tag is the text of its job's id."""
    planned = replays.plan_for_replay(replay, graph())
    evidence = {
        job: Evidence(key="", job=job, facts={"tag": str(job), "content": "c"})
        for job in planned.jobs
        if job.kind == JobKind.IMAGE
    }
    return replays.replay_image(replay, planned, evidence)


def test_it_runs_where_its_system_packages_are():
    assert image_of(REPLAY).startswith("image:race-debian-12+")
    assert image_of(replace(REPLAY, name="bar")) == "image:race-debian-12"
    assert image_of(PLAIN) == "image:verify-debian-12"


def test_without_an_image_it_cannot_run():
    with pytest.raises(ReplayError, match="could not be had"):
        replays.replay_image(REPLAY, replays.plan_for_replay(REPLAY, graph()), {})
    verify = job_id("image:verify-debian-12")
    failed = Evidence(key="", job=verify, outcome=JobOutcome.UNDETERMINED, facts={"code": "WF901"})
    with pytest.raises(ReplayError, match="could not be had"):
        replays.replay_image(PLAIN, replays.plan_for_replay(PLAIN, graph()), {verify: failed})


GET = ("src/foo.c", 70, "get")  # the line is that of another release
PUT = ("lib/foo.c", 90, "put")
OTHER = ("src/foo.c", 7, "other")


def run(*what: str, races: Sequence[Sequence[tuple[str, int, str]]] = ()) -> dict[str, Any]:
    places = [sorted(f"{function} (foo.c)" for _, _, function in race) for race in races]
    return {
        "what": what,
        "races": places,
        "locations": races,
        "signal": "",
        "output": " and ".join(what),
    }


def read_result(replay: Replay, *runs: dict[str, Any], install: str | None = None) -> ReplayResult:
    return replays._read_result(replay, ReplayAnswer.check({"install": install, "runs": runs}))


def test_a_harm_is_shown_by_its_own_kind_alone():
    result = read_result(PLAIN, run("crash"), run(), run("wrong"), run("hang", "crash"))

    assert (result.shown, result.runs) == (2, 4)
    assert result.what == ("crash", "nothing", "wrong", "hang, crash")
    assert result.output == "hang and crash"


@pytest.mark.parametrize(
    ("code", "shown"), [("WF601", 1), ("WF602", 1), ("WF603", 1), ("WF608", 3), ("WF605", 0)]
)
def test_which_harm_shows_a_finding(code: FindingCode, shown: int):
    """What fails in a single thread too (WF608) may be any of them."""
    harms = [run("crash"), run("hang"), run("wrong"), run("race"), run()]
    assert read_result(replace(REPLAY, code=code), *harms).shown == shown


@pytest.mark.parametrize("replay", [REPLAY, replace(REPLAY, locations=ACCESSES)])
def test_a_race_is_shown_by_one_between_the_same_functions(replay: Replay):
    """Replays of an older farm have no locations; those that have go by them."""
    result = read_result(
        replay,
        run("race", races=[(GET, OTHER), (PUT, GET)]),
        run("race", races=[(GET, OTHER)]),
        run("race", races=[(GET,)]),
        run("crash"),
    )

    assert (result.shown, result.runs) == (1, 4)
    assert result.output == "race"


def test_locations_decide_and_not_the_words_of_the_finding():
    renamed = replace(REPLAY, where="somewhere", locations=ACCESSES)
    assert read_result(renamed, run("race", races=[(GET, PUT)])).shown == 1
    assert read_result(renamed, run("race", races=[(GET, OTHER)])).shown == 0


def test_what_cannot_be_installed_is_told():
    with pytest.raises(ReplayError, match="could not be installed: no matching distribution"):
        read_result(REPLAY, install="no matching distribution")


def test_what_has_to_be_imported_first_is_installed_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[dict[str, Any]] = []

    def ask(_program: object, request: dict[str, Any], **_: object) -> ReplayAnswer:
        asked.append(request)
        return ReplayAnswer.model_validate({"install": None, "runs": [run("crash")]})

    monkeypatch.setattr(replays, "ask", ask)
    monkeypatch.setattr(replays, "replay_image", lambda *_: "verify")
    wheel = "foo-1.0-cp314-cp314t-linux_x86_64.whl"
    build = JobId(JobKind.BUILD, "foo", "debian-12")
    (tmp_path / wheel).write_bytes(b"")
    with Store(tmp_path / "wheelhouse") as store:
        built = Evidence(
            key="b",
            job=build,
            facts={"abis": {"cp314t": {"wheel": wheel}}},
            files={wheel: store.add_file(tmp_path / wheel)},
        )
        tools = Tools(
            engine=cast("Engine", None),
            store=store,
            index=cast("IndexProxy", None),
            log=tmp_path / "log",
            stop=threading.Event(),
            say=lambda _: None,
        )
        result = replays.run_replay(PLAIN, graph(), {build: built}, "1.0", 1, (), ["early"], tools)
    assert result.shown == 1
    assert asked[0]["after"] == ["early"]
    assert installing.list_requirements(asked[0]) == ["foo==1.0", "early"]
