import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.config import catalog, matrix
from builder.config.effort import EFFORTS, Effort, EffortLevel
from builder.config.matrix import Package
from builder.jobs.audit import Audit
from builder.jobs.build.build import Build
from builder.jobs.threads.exercise import Exercise
from builder.jobs.threads.race import Race
from builder.jobs.threads.speed import Speed
from builder.jobs.upstream import Upstream
from builder.plan import graph
from builder.sources import Pure, Source, UpstreamWheel
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId, JobKind
from tests.job_ids import inputs_of, job_id, jobs_by_text, needs_text

MATRIX = """
[packages.foo]
apt = ["libfoo-dev"]
[packages.bar]
"""


def source(name: str, **more: Any) -> Source:
    return Source(
        name=name,
        version="1.0",
        kind="index",
        filename=f"{name}-1.0.tar.gz",
        sha256=name * 8,
        **more,
    )


def made(
    text: str = MATRIX,
    patches: dict[str, tuple[str, ...]] | None = None,
    effort: Effort | None = None,
    tables: catalog.Catalog | None = None,
    others: dict[str, Source] | None = None,
    **sources: Source,
) -> graph.Plan:
    """Plan a matrix; `others` are sources whose names are none of Python's."""
    loaded = matrix.parse(tomllib.loads(text), Path("matrix.toml"))
    found = {name: source(name) for name in loaded.packages} | sources | (others or {})
    return graph.make_plan(
        loaded, found, patches or {}, tables or catalog.load(), Package(), effort
    )


def keys(planned: graph.Plan, contents: dict[str, str] | None = None) -> dict[str, str]:
    """Return every job's key, as if each had run and an image's content were what is given, or its id."""
    evidence: dict[JobId, Evidence] = {}
    for job in planned.jobs.values():
        inputs = inputs_of(job, evidence)
        text = str(job.id)
        facts: dict[str, Any] = {"content": (contents or {}).get(text, text), "wheels": {}}
        files = (
            {f"{job.id.name}-{job.id.base}.whl": job.key(inputs)}
            if job.id.kind == JobKind.BUILD
            else {}
        )
        facts["abis"] = {abi: {"wheel": file} for abi in ("cp314", "cp314t") for file in files}
        evidence[job.id] = Evidence(key=job.key(inputs), job=job.id, facts=facts, files=files)
    return {str(job): one.key for job, one in evidence.items()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {job for job in before if before[job] != after.get(job)}


def test_the_graph_of_a_matrix():
    jobs = jobs_by_text(made())
    kinds = [job.partition(":")[0] for job in jobs]
    assert kinds.count("build") == 4  # two packages, two bases built on
    assert kinds.count("audit") == 4
    assert kinds.count("load") == 12  # each build on three bases
    assert needs_text(jobs["image:interpreters"]) == ("image:debian-12",)
    need, index = needs_text(jobs["build:foo@debian-12"])
    assert index == "image:index"
    assert need.startswith("image:builder-debian-12+")
    assert needs_text(jobs["build:bar@debian-12"]) == ("image:builder-debian-12", "image:index")


def test_every_job_comes_after_what_it_needs():
    seen: set[JobId] = set()
    for job in made(foo=source("foo", needs=("bar",))).jobs.values():
        assert seen.issuperset(job.needs.values())
        seen.add(job.id)


def test_a_package_is_loaded_with_the_farms_own_wheels_of_what_it_needs():
    jobs = jobs_by_text(made(foo=source("foo", needs=("bar",))))
    assert "build:bar@debian-12" in needs_text(jobs["load:foo@debian-12/debian-13"])


def test_the_proxy_to_the_index_is_needed_and_changes_no_other_key():
    planned = made(effort=STANDARD)
    for kind in ("build", "race", "exercise"):
        assert "image:index" in needs_text(jobs_by_text(planned)[f"{kind}:foo@debian-12"])
    assert changed(keys(planned), keys(planned, {"image:index": "another"})) == set()


FOO = {"build:foo@debian-12", "build:foo@ubuntu-24.04"}


@pytest.mark.parametrize(
    ("text", "builds"),
    [
        (MATRIX + "# a comment\n", set()),
        ("# another\n\n[packages.foo]\napt = ['libfoo-dev']\n[packages.bar]", set()),
        (MATRIX.replace("[packages.bar]", "timeout_s = 99\n[packages.bar]"), FOO),
        (MATRIX.replace("[packages.bar]", "memory = '1g'\n[packages.bar]"), FOO),
        (MATRIX.replace("[packages.bar]", "env = { A = 1 }\n[packages.bar]"), FOO),
        (MATRIX.replace("[packages.bar]", "config-settings = { A = 1 }\n[packages.bar]"), FOO),
        (MATRIX.replace("[packages.bar]", "skip = { cp314t = 'no' }\n[packages.bar]"), FOO),
    ],
)
def test_a_change_of_the_matrix_changes_just_its_builds(text: str, builds: set[str]):
    difference = changed(keys(made()), keys(made(text)))
    assert {job for job in difference if job.startswith("build:")} == builds
    assert all("foo" in job for job in difference)


def test_a_patch_changes_its_packages_jobs_alone():
    difference = changed(keys(made()), keys(made(patches={"foo": ("--- a\n+++ b\n",)})))
    assert difference >= FOO
    assert all(":foo@" in job for job in difference)


def test_an_sdist_changes_its_packages_jobs_and_those_that_load_it():
    before = keys(made(foo=source("foo", needs=("bar",))))
    other = Source(
        name="bar", version="1.0", kind="index", filename="bar-1.0.tar.gz", sha256="else"
    )
    difference = changed(before, keys(made(foo=source("foo", needs=("bar",)), bar=other)))
    assert {job.partition(":")[0] for job in difference if ":foo@" in job} == {"load"}
    assert {
        "build:bar@debian-12",
        "audit:bar@debian-12",
        "load:bar@debian-12/debian-13",
    } <= difference


def test_a_bases_content_changes_what_stands_on_it():
    difference = changed(keys(made()), keys(made(), {"image:debian-13": "updated"}))
    assert difference == {
        "image:verify-debian-13"
    }  # its own content decides about what loads there
    difference = changed(keys(made()), keys(made(), {"image:verify-debian-13": "updated"}))
    assert difference == {
        f"load:{name}@{base}/debian-13"
        for name in ("foo", "bar")
        for base in ("debian-12", "ubuntu-24.04")
    }


def test_the_interpreters_change_every_image_on_top_of_them():
    difference = changed(keys(made()), keys(made(), {"image:interpreters": "3.14.6"}))
    assert difference == {f"image:{role}-{base}" for role, base in [
        ("builder", "debian-12"), ("builder", "ubuntu-24.04"),
        ("verify", "debian-12"), ("verify", "debian-13"), ("verify", "ubuntu-24.04"),
    ]}  # fmt: skip


def test_the_outlook_tells_what_would_run():
    planned = made()
    known = keys(planned)
    by_key: dict[str, Evidence] = {}
    for job, key in known.items():
        own = job_id(job)
        files = {f"{own.name}-{own.base}.whl": key} if job.startswith("build:") else {}
        facts = {"content": job, "abis": {}}
        by_key[key] = Evidence(key=key, job=job_id(job), facts=facts, files=files)

    def missing() -> set[str]:
        found = planned.find_evidence(lambda _, key: by_key.get(key))
        return {str(job) for job in planned.jobs.keys() - found.keys()}

    assert missing() == set()
    del by_key[known["image:index"]]  # what was built with it stays built
    assert missing() == {"image:index"}
    del by_key[known["build:foo@debian-12"]]
    assert missing() == {
        "image:index",
        "build:foo@debian-12",
        "audit:foo@debian-12",
        "remedy:foo@debian-12",
    } | {f"load:foo@debian-12/{base}" for base in ("debian-12", "debian-13", "ubuntu-24.04")}


STANDARD = EFFORTS[EffortLevel.STANDARD]
THREADS = {"image:race-interpreter", "image:race-debian-12"} | {
    f"{kind}:{name}@debian-12" for kind in ("race", "exercise") for name in ("foo", "bar")
}
SPEED = job_id("speed:foo@debian-12")
SPEEDS = {f"speed:{name}@debian-12" for name in ("foo", "bar")}


def threads(planned: graph.Plan) -> set[str]:
    """Return the jobs that look for what breaks under threads, without images that have system packages beside."""
    return {
        job
        for job in jobs_by_text(planned)
        if job.startswith(("race:", "exercise:", "image:race-")) and "+" not in job
    }


def test_without_an_effort_nothing_is_put_under_threads():
    assert threads(made()) == set()


def test_an_effort_adds_one_detector_and_two_jobs_a_package():
    planned = made(effort=STANDARD)
    assert threads(planned) == THREADS
    (packages,) = [job for job in jobs_by_text(planned) if job.startswith("image:race-debian-12+")]
    added = jobs_by_text(planned).keys() - jobs_by_text(made()).keys()
    assert added == THREADS | SPEEDS | {packages}
    assert needs_text(jobs_by_text(planned)["race:foo@debian-12"]) == (
        packages, "audit:foo@debian-12", "build:foo@debian-12", "image:index",
    )  # fmt: skip
    needs = needs_text(jobs_by_text(planned)["race:bar@debian-12"])
    assert needs == (
        "image:race-debian-12",
        "audit:bar@debian-12",
        "build:bar@debian-12",
        "image:index",
    )
    assert needs_text(jobs_by_text(planned)["image:race-debian-12"]) == (
        "image:builder-debian-12",
        "image:race-interpreter",
    )
    needs = needs_text(jobs_by_text(planned)["exercise:foo@debian-12"])
    assert needs == (
        "image:verify-debian-12",
        "race:foo@debian-12",
        "build:foo@debian-12",
        "image:index",
    )
    seen: set[JobId] = set()
    for job in planned.jobs.values():
        assert seen.issuperset(job.needs.values())
        seen.add(job.id)


def test_threads_have_the_wheels_of_what_a_package_needs():
    jobs = jobs_by_text(made(effort=STANDARD, foo=source("foo", needs=("bar", "elsewhere"))))
    for kind in ("race", "exercise"):
        assert [
            need for need in needs_text(jobs[f"{kind}:foo@debian-12"]) if need.startswith("build:")
        ] == [
            "build:foo@debian-12",
            "build:bar@debian-12",
        ]


def test_pure_packages_are_not_put_under_threads():
    wheel = Pure(name="bar", version="1.0", filename="bar-1.0-py3-none-any.whl", sha256="c" * 64)
    planned = made(effort=STANDARD, bar=source("bar", only_pure=wheel))
    assert not any(job.name == "bar" for job in planned.jobs)
    assert job_id("race:foo@debian-12") in planned.jobs
    nothing = made(
        effort=STANDARD, foo=source("foo", only_pure=wheel), bar=source("bar", only_pure=wheel)
    )
    assert threads(nothing) == set()


def without_sanitizer(*names: str) -> catalog.Catalog:
    tables = catalog.load()
    bases = {
        name: base.model_copy(update={"sanitizer": ()}) if name in names else base
        for name, base in tables.bases.items()
    }
    return tables.model_copy(update={"bases": bases})


def test_threads_are_tried_where_there_is_a_sanitizer():
    planned = threads(made(effort=STANDARD, tables=without_sanitizer("debian-12")))
    assert planned == {job.replace("debian-12", "ubuntu-24.04") for job in THREADS}
    nowhere = without_sanitizer(*catalog.load().bases)
    assert threads(made(effort=STANDARD, tables=nowhere)) == set()
    assert made(effort=STANDARD, tables=nowhere).jobs.keys() == made().jobs.keys()


def test_with_the_gil_alone_no_threads_are_tried():
    text = '[farm]\nabis = ["cp314"]\n' + MATRIX
    assert threads(made(text, effort=STANDARD)) == set()


@pytest.mark.parametrize("level", [EffortLevel.QUICK, EffortLevel.DEEP])
def test_another_effort_changes_what_threads_do_alone(level: EffortLevel):
    difference = changed(keys(made(effort=STANDARD)), keys(made(effort=EFFORTS[level])))
    assert difference - SPEEDS == {job for job in THREADS if not job.startswith("image:")}


def test_speed_is_measured_of_every_native_package_by_the_efforts_that_have_time_for_it():
    for level in EffortLevel:
        jobs = jobs_by_text(made(effort=EFFORTS.get(level)))
        wanted = SPEEDS if level in {EffortLevel.STANDARD, EffortLevel.DEEP} else set()
        assert {job for job in jobs if job.startswith("speed:")} == wanted
    measured = made(effort=STANDARD, foo=source("foo", needs=("bar",))).jobs[SPEED]
    assert isinstance(measured, Speed)
    assert [abi.name for abi in measured.abis] == ["cp314t", "cp314"]
    builds = ("build:foo@debian-12", "build:bar@debian-12")
    assert needs_text(measured) == ("image:verify-debian-12", "race:foo@debian-12", *builds)
    alone = made('[farm]\nabis = ["cp314t"]\n' + MATRIX, effort=STANDARD).jobs[SPEED]
    assert isinstance(alone, Speed)
    assert [abi.name for abi in alone.abis] == ["cp314t"]


def test_speed_is_measured_again_when_what_is_measured_changed():
    job = made(effort=STANDARD).jobs[SPEED]
    surface = {
        "prelude": ["foo"],
        "calls": [{"make": None, "text": "foo.f()", "native": "foo.f"}],
        "reached": ["foo.f"],
    }

    def key(wheel: str = "1", **more: Any) -> str:
        files = {"foo-t.whl": wheel, "foo.whl": wheel}
        abis = {"cp314t": {"wheel": "foo-t.whl"}, "cp314": {"wheel": "foo.whl"}}
        facts = {"content": "image", "abis": abis, "surface": {**surface, **more}}
        inputs: dict[str, Evidence] = {}
        for role, need in job.needs.items():
            inputs[role] = Evidence(key="any", job=need, facts=facts, files=files)
        return job.key(inputs)

    assert key() == key(reached=[])
    assert len({key(), key("2"), key(calls=[]), key(prelude=[])}) == 4


def test_recipes_change_their_packages_threads_alone():
    recipes = MATRIX.replace("[packages.bar]", "recipes = ['foo.Table(16)']\n[packages.bar]")
    planned = made(recipes, effort=STANDARD)
    assert changed(keys(made(effort=STANDARD)), keys(planned)) == {
        "race:foo@debian-12",
        "exercise:foo@debian-12",
    }
    race, exercise = (
        jobs_by_text(planned)["race:foo@debian-12"],
        jobs_by_text(planned)["exercise:foo@debian-12"],
    )
    assert isinstance(race, Race)
    assert isinstance(exercise, Exercise)
    assert race.recipes == ("foo.Table(16)",)
    assert race.effort == exercise.effort == STANDARD


def test_settings_of_its_own_tests_change_what_a_package_does_in_threads_alone():
    tests = MATRIX.replace("[packages.bar]", "tests = { options = ['-q'] }\n[packages.bar]")
    difference = changed(keys(made(effort=STANDARD)), keys(made(tests, effort=STANDARD)))
    assert difference == {"race:foo@debian-12", "exercise:foo@debian-12"}


def test_an_effort_changes_no_other_key():
    before, after = keys(made()), keys(made(effort=STANDARD))
    assert changed(before, after) == set()


def test_the_detectors_content_changes_what_it_looked_at():
    planned = made(effort=STANDARD)
    (packages,) = [job for job in jobs_by_text(planned) if job.startswith("image:race-debian-12+")]
    difference = changed(keys(planned), keys(planned, {"image:race-debian-12": "updated"}))
    assert difference == {packages, "race:bar@debian-12", "exercise:bar@debian-12"}
    difference = changed(keys(planned), keys(planned, {packages: "updated"}))
    assert difference == {"race:foo@debian-12", "exercise:foo@debian-12"}


def test_a_build_waits_for_the_farms_own_wheels_of_what_it_is_built_with():
    planned = made(effort=STANDARD, foo=source("foo", builds_with=("bar", "elsewhere")))
    jobs = jobs_by_text(planned)
    for base in ("debian-12", "ubuntu-24.04"):
        assert needs_text(jobs[f"build:foo@{base}"])[1:] == (f"build:bar@{base}", "image:index")
    assert "build:bar@debian-12" in needs_text(jobs["race:foo@debian-12"])
    assert "build:bar@debian-12" not in needs_text(jobs["load:foo@debian-12/debian-13"])
    other = Source(
        name="bar", version="1.0", kind="index", filename="bar-1.0.tar.gz", sha256="else"
    )
    after = made(effort=STANDARD, foo=source("foo", builds_with=("bar", "elsewhere")), bar=other)
    assert changed(keys(planned), keys(after)) >= FOO | {"race:foo@debian-12"}


UPSTREAM = tuple(
    UpstreamWheel(abi=abi, filename="foo-1.0-py3-none-manylinux_2_17_x86_64.whl", sha256="0" * 64)
    for abi in ("cp314", "cp314t")
)


def test_upstreams_wheels_take_the_place_of_a_build_and_are_checked_like_one():
    foo = source("foo", take_from="wheel", wheels=UPSTREAM)
    jobs = jobs_by_text(made(foo=foo, effort=STANDARD))
    taken = jobs["build:foo@debian-12"]
    assert isinstance(taken, Upstream)
    assert taken.needs == {}  # no image, and no way to the index

    # The race detector still compiles the sdist, with the system packages that this needs.
    race = jobs["race:foo@debian-12"]
    assert isinstance(race, Race)
    assert race.build.packages == ("libfoo-dev",)
    for job in ("audit:foo@debian-12", "load:foo@debian-12/debian-13", "exercise:foo@debian-12"):
        assert "build:foo@debian-12" in needs_text(jobs[job])


def test_without_an_sdist_nothing_is_installed_to_compile_it():
    foo = Source(
        name="foo", version="1.0", kind="index", filename="", sha256="", take_from="either", wheels=UPSTREAM
    )  # fmt: skip
    jobs = jobs_by_text(made(foo=foo, effort=STANDARD))
    assert isinstance(jobs["build:foo@debian-12"], Upstream)
    assert needs_text(jobs["race:foo@debian-12"])[0] == "image:race-debian-12"


def test_either_builds_and_audits_upstreams_wheels_beside():
    jobs = jobs_by_text(made(foo=source("foo", take_from="either", wheels=UPSTREAM)))
    build, audit = jobs["build:foo@debian-12"], jobs["audit:foo@debian-12"]
    assert isinstance(build, Build)
    assert isinstance(audit, Audit)
    assert build.upstream == audit.upstream == UPSTREAM


@pytest.mark.parametrize(
    ("table", "debian", "folders"),
    [
        ("", ("cargo-web", "rustc-web"), ("/usr/lib/rust-1.97/bin",)),
        ("apt = ['libfoo-dev']", ("cargo-web", "libfoo-dev", "rustc-web"), ("/usr/lib/rust-1.97/bin",)),
        ("apt = ['cargo']", ("cargo",), ()),
    ],
)  # fmt: skip
def test_what_is_built_with_rust_gets_that_of_the_base(
    table: str, debian: tuple[str, ...], folders: tuple[str, ...]
):
    text = f"[farm]\nbases = ['debian-12', 'ubuntu-24.04']\n[packages.foo]\n{table}\n[packages.bar]"
    loaded = matrix.parse(tomllib.loads(text), Path("matrix.toml"))
    found = {"foo": source("foo", uses_rust=True), "bar": source("bar")}
    planned = graph.make_plan(loaded, found, {}, catalog.load(), Package(), None)
    jobs: dict[str, Any] = dict(jobs_by_text(planned))
    assert jobs["build:foo@debian-12"].packages == debian
    assert jobs["build:foo@ubuntu-24.04"].rust.program_folders == folders
    assert not jobs["build:foo@debian-12"].rust.has_crates
    assert jobs["build:bar@debian-12"].packages == ()


@pytest.mark.parametrize(
    ("version", "apt", "has_toolchains", "debian", "ubuntu"),
    [
        ("", "", True, "", ""),
        ("1.96.5", "", True, "", ""),
        ("1.97.0", "", True, "1.97.0", ""),
        ("1.98.1", "", True, "1.98.1", "1.98.1"),
        ("1.98.1", "", False, "", ""),
        ("1.98.1", "apt = ['cargo']", True, "", ""),
    ],
)
def test_a_newer_rust_is_fetched_where_that_of_the_base_is_too_old_and_a_server_is_set(
    *, version: str, apt: str, has_toolchains: bool, debian: str, ubuntu: str
):
    text = f"[farm]\nbases = ['debian-12', 'ubuntu-24.04']\n[packages.foo]\n{apt}\n"
    loaded = matrix.parse(tomllib.loads(text), Path("matrix.toml"))
    foo = source("foo", uses_rust=True, rust_version=version, has_toolchains=has_toolchains)
    planned = graph.make_plan(loaded, {"foo": foo}, {}, catalog.load(), Package(), None)
    jobs: dict[str, Any] = dict(jobs_by_text(planned))
    assert jobs["build:foo@debian-12"].rust.toolchain == debian
    assert jobs["build:foo@ubuntu-24.04"].rust.toolchain == ubuntu


def test_versions_of_one_project_have_jobs_of_their_own_and_the_old_ones_keep_their_keys():
    text = "[packages.foo]\n[packages.bar]\n"
    second = replace(source("foo"), name="foo==2.0", version="2.0", sha256="f2")
    bar = source("bar", needs=("foo==2.0",))
    one = made(text, effort=EFFORTS[EffortLevel.QUICK])
    two = made(
        text + '[packages."foo==2.0"]\n',
        effort=EFFORTS[EffortLevel.QUICK],
        others={"foo==2.0": second},
        bar=bar,
    )
    by_text = jobs_by_text(two)
    assert "build:foo@debian-12" in by_text
    build = by_text["build:foo==2.0@debian-12"]
    assert isinstance(build, Build)
    assert (build.version, build.sdist_sha256) == ("2.0", "f2")
    assert "build:foo==2.0@debian-12" in needs_text(by_text["load:bar@debian-12/debian-13"])

    # Those of `bar`, which is loaded with the new version, are others; those of the first version are not.
    differing = changed(keys(one), keys(two))
    assert differing
    assert {job_id(text).name for text in differing} == {"bar"}


def test_a_version_has_the_key_that_the_project_alone_would_have():
    alone = keys(made("[packages.foo]"))
    pinned = replace(source("foo"), name="foo==1.0")
    beside = keys(made('[packages."foo==1.0"]', others={"foo==1.0": pinned}))
    key = "build:foo{}@debian-12"
    assert alone[key.format("")] == beside[key.format("==1.0")]
