import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from builder.config import catalog, matrix
from builder.config.matrix import Package
from builder.jobs.job import hash_key_parts
from builder.plan import forecast, graph
from builder.plan.forecast import NEVER_RAN, OLDER_FARM, OUTPUT_MISSING, Forecast, PendingJob
from builder.plan.resources import Resources
from builder.report.terminal import plan as report
from builder.sources import Source
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId, JobKind
from tests.job_ids import inputs_of, job_id

MATRIX = "[farm]\nbases = ['debian-12']\n[packages.foo]\n[packages.bar]\n"
ROOM = Resources(cpus=2, memory_bytes=8 << 30)
BUILD = job_id("build:foo@debian-12")


def made(
    text: str = MATRIX, patches: tuple[str, ...] = (), *, chained: bool = False, **sha256: str
) -> graph.Plan:
    """Plan a matrix; where it is chained, bar is built with foo."""
    loaded = matrix.parse(tomllib.loads(text), Path("matrix.toml"))
    chain = {"bar": ("foo",)} if chained else {}
    found = {
        name: Source(
            name=name,
            version="1.0",
            kind="index",
            filename=f"{name}.tar.gz",
            sha256=sha256.get(name, name),
            needs=chain.get(name, ()),
            builds_with=chain.get(name, ()),
        )
        for name in loaded.packages
    }
    return graph.make_plan(loaded, found, {"foo": patches}, catalog.load(), Package())


def ran(planned: graph.Plan) -> dict[JobId, Evidence]:
    """Return evidence as if every job of a plan had run."""
    ended: dict[JobId, Evidence] = {}
    for job in planned.jobs.values():
        inputs = inputs_of(job, ended)
        files = {f"{job.id}.whl": job.key(inputs)} if job.id.kind == JobKind.BUILD else {}
        facts: dict[str, Any] = {"content": str(job.id), "abis": {}}
        ended[job.id] = Evidence(key=job.key(inputs), job=job.id, facts=facts, files=files)
    return ended


def remembering(last: dict[JobId, dict[str, str]]):
    """Return what gives the settings that jobs ran with last."""
    return lambda jobs: {job: last[job] for job in jobs if job in last}


def forecast_of(
    after: graph.Plan,
    before: graph.Plan | None = None,
    *,
    lost: JobId | None = None,
    recorded: dict[JobId, float] | None = None,
) -> Forecast:
    """Tell what a plan would do where another one ran."""
    ended = ran(before) if before else {}
    by_key = {one.key: one for one in ended.values() if one.job != lost}
    last = {
        job.id: hash_key_parts(job, inputs_of(job, ended))
        for job in (before.jobs.values() if before else ())
    }
    return forecast.make_forecast(
        after,
        after.find_evidence(lambda _, key: by_key.get(key)),
        remembering(last),
        recorded or {},
        {},
        ROOM,
    )


def of(told: Forecast, job: JobId) -> PendingJob:
    return next(one for one in told.pending if one.job == job)


def test_where_nothing_changed_nothing_runs():
    told = forecast_of(made(), made("# a comment\n" + MATRIX))
    assert told.pending == ()
    assert told.seconds == told.work_s == 0
    assert (
        list(report.render_lines(told, ROOM))[-1]
        == f"{len(told.up_to_date)} jobs: {len(told.up_to_date)} known, 0 to run"
    )


def test_a_first_run_runs_everything_since_it_never_ran():
    told = forecast_of(made())
    assert all(NEVER_RAN in one.reasons for one in told.pending)
    assert told.up_to_date == ()
    assert 0 < told.seconds <= told.work_s


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (made(patches=("--- a",)), ("patches",)),
        (made(foo="another"), ("sdist",)),
        (made(MATRIX.replace("foo]", "foo]\nenv = { A = 1 }")), ("flags",)),
        (made(MATRIX.replace("foo]", "foo]\nconfig-settings = { A = 1 }")), ("flags",)),
        (made(MATRIX.replace("foo]", "foo]\ntimeout_s = 99")), ("limits",)),
        (made(MATRIX.replace("foo]", "foo]\nskip = { cp314 = 'no' }")), ("ABIs",)),
        (
            made(MATRIX.replace("foo]", "foo]\napt = ['libfoo-dev']\ntimeout_s = 99")),
            ("apt list", "limits"),
        ),
    ],
)
def test_what_changed_is_named(after: graph.Plan, why: tuple[str, ...]):
    told = forecast_of(after, made())
    build = of(told, BUILD)
    assert build.reasons[: len(why)] == why
    assert all(
        one.job.name == "foo" or one.job.name.startswith("builder-debian-12+")
        for one in told.pending
    )
    audit = of(told, job_id("audit:foo@debian-12"))
    assert (audit.reasons, audit.waits_for) == ((), (BUILD,))
    assert f"run  {BUILD}  (changed: {', '.join(build.reasons)}" in "\n".join(
        report.render_lines(told, ROOM)
    )


@pytest.mark.parametrize("changed", ["foo", "bar"])
def test_looking_at_what_a_change_reaches_tells_the_same(changed: str):
    before = made(chained=True)
    after = made(MATRIX.replace(f"{changed}]", f"{changed}]\nenv = {{ A = 1 }}"), chained=True)
    by_key = {one.key: one for one in ran(before).values()}
    part = after.affected_by({changed})
    assert (
        job_id(f"load:{changed}@debian-12/debian-12") in part.jobs,
        job_id("load:bar@debian-12/debian-12") in part.jobs,
    ) == (
        True,
        True,
    )
    assert changed == "foo" or job_id("load:foo@debian-12/debian-12") not in part.jobs
    whole, quick = (
        forecast.make_forecast(
            after,
            looked_at.find_evidence(lambda _, key: by_key.get(key)),
            remembering({}),
            {},
            {},
            ROOM,
            looked_at,
        )
        for looked_at in (after, part)
    )
    assert quick == whole
    assert quick.pending


def test_code_inside_and_inputs_are_named():
    planned = made()
    job = planned.jobs[job_id("audit:foo@debian-12")]
    ended = ran(planned)
    inputs = inputs_of(job, ended)
    now = hash_key_parts(job, inputs)
    known = {known: one for known, one in ended.items() if known != job.id}
    for name in ("code inside the container", str(BUILD), "image:builder-debian-12"):
        told = forecast.make_forecast(
            planned, known, remembering({job.id: now | {name: "else"}}), {}, {}, ROOM
        )
        assert [(one.job, one.reasons) for one in told.pending] == [(job.id, (name,))]


def test_evidence_that_is_lost_or_old_is_told():
    told = forecast_of(made(), made(), lost=BUILD)
    assert of(told, BUILD).reasons == (OUTPUT_MISSING,)
    planned = made()
    told = forecast.make_forecast(planned, {}, lambda jobs: {job: {} for job in jobs}, {}, {}, ROOM)
    assert {one.reasons for one in told.pending} == {(OLDER_FARM,)}


def test_it_takes_as_long_as_the_durations_on_record_say():
    before = made()
    after = made(foo="another")
    pending = [one.job for one in forecast_of(after, before).pending]
    recorded = {job: {"build": 100.0, "load": 7.0}.get(job.kind, 1.0) for job in pending}
    told = forecast_of(after, before, recorded=recorded)
    assert told.seconds == 107.0
    assert told.work_s == sum(recorded.values())
    assert report.forecast_json(told, ROOM)["expected"] == {
        "seconds": 107.0,
        "work_seconds": told.work_s,
        "cpus": 2,
    }
    assert report.forecast_json(told, ROOM)["why"] == {
        "sdist": 1,
        "what it needs runs first": len(pending) - 1,
    }


def test_the_json_of_a_forecast_names_jobs_by_the_text_of_their_ids():
    told = forecast_of(made(foo="another"), made())
    document = json.loads(json.dumps(report.forecast_json(told, ROOM)))
    jobs = {job["id"]: job for job in document["jobs"]}
    build = jobs["build:foo@debian-12"]
    assert build["needs"] == ["image:builder-debian-12", "image:index"]
    assert (build["known"], build["why"], build["after"]) == (False, ["sdist"], [])
    assert jobs["audit:foo@debian-12"]["after"] == ["build:foo@debian-12"]
    verify = jobs["image:verify-debian-12"]
    assert verify["needs"] == ["image:debian-12", "image:interpreters"]
    assert verify["known"]


def test_what_applications_take_is_told_where_the_matrix_has_some():
    trials = {
        job_id("application:web@cp314/debian-12"): 40.0,
        job_id("application:web@cp314t/debian-12"): 25.0,
    }
    (line,) = report.render_trials(trials)
    assert line == "then at most 2 trials of applications, with what the index serves: 1:05 of work"
    assert [*report.render_trials({})] == []
