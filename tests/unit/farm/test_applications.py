"""Applications of a matrix: what is tried with which wheels, what is not tried, and what the index is asked."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder import index
from builder.config import catalog
from builder.config import matrix as matrices
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import Matrix
from builder.farm.application_files import ApplicationError, hash_files, keep_files, read_lock
from builder.farm.applications import (
    TriedApplications,
    describe_addition,
    find_outlook,
    try_applications,
)
from builder.host import settings as host
from builder.index import Entry, Manifest
from builder.jobs.application import Application as ApplicationJob
from builder.judge.application import Outlook
from builder.judge.package import JudgedPackage, Judgement, judge_fault
from builder.plan.graph import Plan
from builder.sources import Fault, Source
from builder.sources.client import Index
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from builder.verdicts import ApplicationVerdict, Verdict
from tests.unit.local_index import LocalIndex, serving, wheel

MATRIX = """
[farm]
bases = ["debian-12"]
[packages.foo]
[packages.bar]
sdist = "bar.tar.gz"
[applications.shop]
lock = "shop.txt"
apt = ["libpq5"]
env = { A = 1 }
files = ["shop"]
smoke = ["python -c 'import foo'"]
tests = "pytest"
"""
TABLE = catalog.load()
QUICK = EFFORTS[EffortLevel.QUICK]
WELL = {"install": None, "imports": {"modules": 1, "failed": []}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalIndex]:
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (served, settings):
        monkeypatch.setattr(host, "index_settings", lambda: settings)
        yield served


def load(folder: Path, lock: str = "foo==1.0\nbar==1.0\n", text: str = MATRIX) -> Matrix:
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop" / "main.py").write_text("")
    (folder / "shop.txt").write_text(lock)
    return matrices.parse(tomllib.loads(text), folder / "matrix.toml")


def package(name: str, verdict: Verdict = Verdict.COMPATIBLE) -> JudgedPackage:
    source = Source(
        name=name, version="1.0", kind="index", filename=f"{name}.tar.gz", sha256="0" * 64
    )
    return JudgedPackage(
        name=name,
        version="1.0",
        source=source,
        abis={abi: Judgement(abi=abi, verdict=verdict, reason="so") for abi in TABLE.abis},
    )


def served(*names: str) -> Manifest:
    entries: list[Entry] = []
    for number, name in enumerate(names):
        for abi in TABLE.abis:
            for platform in ("manylinux_2_17_x86_64", "manylinux_2_39_x86_64"):
                filename = f"{name.replace('-', '_')}-1.0-cp314-{abi}-{platform}.whl"
                entries.append(Entry(filename=filename, sha256=f"{number}" * 64))
    return index.make_manifest(entries)


class Executor:
    """Answers every job with the same facts, and keeps what it was asked to run."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self.plans: list[Plan] = []

    def __call__(self, plan: Plan) -> dict[JobId, Evidence]:
        self.plans.append(plan)
        return {job: Evidence(key=str(job), job=job, facts=self.facts) for job in plan.jobs}


def attempt(matrix: Matrix, store: Store, *names: str) -> tuple[TriedApplications, Executor]:
    execute = Executor(WELL)
    packages = [package("foo"), package("bar")]
    tried = try_applications(matrix, store, packages, served(*names), execute)
    return tried, execute


def test_each_abi_and_base_is_tried_with_what_fits_and_is_served(
    tmp_path: Path, store: Store, local: LocalIndex
):
    tried, execute = attempt(load(tmp_path), store, "foo", "bar")
    assert [(item.abi, item.verdict) for item in tried.judged] == [
        ("cp314", ApplicationVerdict.READY),
        ("cp314t", ApplicationVerdict.READY),
    ]
    (plan,) = execute.plans
    jobs = [job for job in plan.jobs.values() if isinstance(job, ApplicationJob)]
    first = jobs[0]
    assert [wheels.requirement for wheels in first.locked] == [
        f"foo==1.0 --hash=sha256:{'0' * 64}",
        f"bar==1.0 --hash=sha256:{'1' * 64}",
    ]
    assert (first.packages, first.environment) == (("libpq5",), {"A": "1"})
    assert list(first.files) == ["shop/main.py"]
    assert str(first.id) == "application:shop@cp314/debian-12"
    assert first.needs["image"] in plan.jobs
    assert local.asked == []


def test_the_effort_of_the_run_is_that_of_the_job(tmp_path: Path, store: Store, local: LocalIndex):
    assert local.asked == []
    matrix, packages = load(tmp_path), [package("foo"), package("bar")]
    execute = Executor(WELL)
    try_applications(matrix, store, packages, served("foo", "bar"), execute, QUICK)
    without = Executor(WELL)
    try_applications(matrix, store, packages, served("foo", "bar"), without)
    assert [find_job(executor).effort for executor in (execute, without)] == [QUICK, None]


def test_packages_that_have_to_be_imported_first_are_known_to_the_job(
    tmp_path: Path, store: Store, local: LocalIndex
):
    text = MATRIX.replace("[packages.foo]", "[packages.foo]\nimport-after = ['Bar']")
    _, execute = attempt(load(tmp_path, text=text), store, "foo", "bar")
    _, before = attempt(load(tmp_path), store, "foo", "bar")
    jobs = [find_job(executor) for executor in (execute, before)]
    assert [job.after for job in jobs] == [{"foo": ("bar",)}, {}]
    assert jobs[0].settings() != jobs[1].settings()
    assert local.asked == []


def find_job(executor: Executor) -> ApplicationJob:
    """Return the first application that was to be tried."""
    (plan,) = executor.plans
    return next(job for job in plan.jobs.values() if isinstance(job, ApplicationJob))


@pytest.mark.parametrize("commands", [0, 1, 30])
def test_the_time_of_a_job_is_enough_for_each_command_up_to_its_limit(commands: int):
    job = ApplicationJob(
        name="shop",
        abi=TABLE.abis["cp314"],
        base=TABLE.bases["debian-12"],
        locked=(),
        smoke=("true",) * commands,
        tests="pytest",
    )
    one = replace(job, smoke=("true",))
    without = replace(job, smoke=(), tests="")
    of_a_command = one.limits.timeout_s - replace(job, smoke=()).limits.timeout_s
    assert of_a_command > 120
    assert job.limits.timeout_s > without.limits.timeout_s + 900 + commands * 120


@pytest.mark.parametrize(
    ("here", "file", "expected"),
    [
        (".", "matrix.toml", "--extra all --group web shop.txt"),
        (".", "other.toml", "--extra all --group web shop.txt --matrix other.toml"),
        ("a b", "matrix.toml", "--extra all --group web ../shop.txt --matrix ../matrix.toml"),
        (
            "..",
            "matrix.toml",
            "--extra all --group web 'my shop/shop.txt' --matrix 'my shop/matrix.toml'",
        ),
    ],
)
def test_what_adds_the_packages_works_where_the_run_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, file: str, expected: str
):
    project = tmp_path / "my shop"
    (project / "a b").mkdir(parents=True)
    monkeypatch.chdir(project / here)
    text = "[packages.foo]\n[applications.shop]\nlock='shop.txt'\nextras=['all']\ngroups=['web']"
    matrix = matrices.parse(tomllib.loads(text), project / file)
    assert describe_addition(matrix, matrix.applications["shop"]) == expected


def test_what_could_not_be_run_is_undetermined(tmp_path: Path, store: Store, local: LocalIndex):
    """A merge may be made where there is no container engine."""
    packages = [package("foo"), package("bar")]
    tried = try_applications(load(tmp_path), store, packages, served("foo", "bar"), lambda _: {})
    assert {item.verdict for item in tried.judged} == {ApplicationVerdict.UNDETERMINED}
    assert local.asked == []


def test_an_application_may_be_for_a_base_that_no_package_is_loaded_on(
    tmp_path: Path, store: Store, local: LocalIndex
):
    text = MATRIX.replace("[applications.shop]", '[applications.shop]\nbases = ["debian-13"]')
    tried, execute = attempt(load(tmp_path, text=text), store, "foo", "bar")
    assert {item.base for item in tried.judged} == {"debian-13"}
    (plan,) = execute.plans
    assert JobId(JobKind.IMAGE, "verify-debian-13") in plan.jobs
    assert local.asked == []


def test_tests_run_by_several_threads_where_the_lock_has_the_plugin(
    tmp_path: Path, store: Store, local: LocalIndex
):
    assert local
    lock = "foo==1.0\nbar==1.0\npytest-run-parallel==1.0\n"
    packages = [package("foo"), package("bar"), package("pytest-run-parallel")]
    execute = Executor(WELL)
    files = served("foo", "bar", "pytest-run-parallel")
    try_applications(load(tmp_path, lock), store, packages, files, execute)
    jobs = [job for job in execute.plans[0].jobs.values() if isinstance(job, ApplicationJob)]
    assert [job.threads for job in jobs] == [0, 4]


def test_what_cannot_be_installed_is_not_tried_and_the_index_is_asked_of_what_blocks(
    tmp_path: Path, store: Store, local: LocalIndex
):
    local.add("foo", "foo-1.1-cp314-cp314-manylinux_2_17_x86_64.whl", wheel("foo", "1.1"))
    tried, execute = attempt(load(tmp_path), store)
    assert execute.plans == []
    assert {item.verdict for item in tried.judged} == {ApplicationVerdict.BLOCKED}
    first = tried.judged[0].blockers[0]
    assert first.package == "foo"
    assert any("lock foo 1.1" in way for way in first.ways_out)
    # bar has a local sdist: what the index has under that name may be somebody else's.
    assert not any("bar" in path for path in local.asked)


def test_the_files_of_an_application_that_is_gone_go(
    tmp_path: Path, store: Store, local: LocalIndex
):
    assert local
    attempt(load(tmp_path), store, "foo", "bar")
    folder = store.wheelhouse / "constraints" / "applications"
    assert {path.name for path in folder.iterdir()} == {"shop-cp314.txt", "shop-cp314t.txt"}
    attempt(
        load(tmp_path, text=MATRIX.replace("applications.shop", "applications.desk")),
        store,
        "foo",
        "bar",
    )
    assert {path.name for path in folder.iterdir()} == {"desk-cp314.txt", "desk-cp314t.txt"}


def test_one_application_s_trouble_stops_no_other(tmp_path: Path, store: Store, local: LocalIndex):
    assert local
    text = f'{MATRIX}\n[applications.gone]\nlock = "gone.txt"\n'
    tried, _ = attempt(load(tmp_path, text=text), store, "foo", "bar")
    verdicts = {item.name: item.verdict for item in tried.judged}
    assert verdicts == {"shop": ApplicationVerdict.READY, "gone": ApplicationVerdict.BLOCKED}


def test_a_lock_has_to_name_a_release_of_everything(tmp_path: Path):
    matrix = load(tmp_path, "foo\n")
    with pytest.raises(ApplicationError, match="leaves the release of foo open"):
        read_lock(matrix, matrix.applications["shop"], TABLE.abis["cp314"])


def test_markers_of_a_lock_are_those_of_the_interpreter(tmp_path: Path):
    lock = 'foo==1.0\nold==1.0; python_version < "3.14"\nbar==2.0\n'
    matrix = load(tmp_path, lock)
    locked = read_lock(matrix, matrix.applications["shop"], TABLE.abis["cp314"])
    assert [(item.name, item.version) for item in locked] == [("foo", "1.0"), ("bar", "2.0")]


def test_files_that_are_not_there_are_a_mistake(tmp_path: Path, store: Store):
    matrix = load(tmp_path, text=MATRIX.replace('["shop"]', '["none"]'))
    with pytest.raises(ApplicationError, match="no file none"):
        keep_files(matrix, matrix.applications["shop"], store)


def test_every_file_that_an_application_names_counts(tmp_path: Path):
    matrix = load(tmp_path)
    before = hash_files(matrix)
    assert hash_files(matrix) == before
    (tmp_path / "shop" / "main.py").write_text("changed")
    changed = hash_files(matrix)
    (tmp_path / "shop.txt").write_text("foo==2.0\n")
    assert len({before, changed, hash_files(matrix)}) == 3


def test_what_a_lock_includes_counts_as_well(tmp_path: Path):
    matrix = load(tmp_path, "-r base.txt\n")
    (tmp_path / "base.txt").write_text("foo==1.0\n")
    before = hash_files(matrix)
    (tmp_path / "base.txt").write_text("foo==2.0\n")
    assert hash_files(matrix) != before


@pytest.mark.parametrize(
    ("filenames", "outlook"),
    [
        ((), Outlook()),
        (("foo-1.0-cp314-cp314-manylinux_2_17_x86_64.whl",), Outlook(has_wheel=True)),
        (
            (
                "foo-1.1-cp314-cp314-manylinux_2_17_x86_64.whl",
                "foo-1.2-cp313-cp313-manylinux_2_17_x86_64.whl",
                "foo-2.0rc1-cp314-cp314-manylinux_2_17_x86_64.whl",
            ),
            Outlook(mending_release="1.1", newest_release="1.2"),
        ),
        (
            (
                "foo-0.8-cp314-cp314-manylinux_2_17_x86_64.whl",
                "foo-0.9-cp314-cp314-manylinux_2_17_x86_64.whl",
            ),
            Outlook(older_release="0.9"),
        ),
        (("foo-1.1-cp314-cp314-manylinux_2_39_x86_64.whl",), Outlook(newest_release="1.1")),
    ],
)
def test_what_the_index_has_of_a_package_that_blocks(
    filenames: tuple[str, ...], outlook: Outlook, store: Store, local: LocalIndex
):
    for filename in filenames:
        local.add("foo", filename, wheel("foo", filename.split("-")[1]))
    client = Index(host.index_settings(), store)
    found = find_outlook(client, "foo", "1.0", TABLE.abis["cp314"], TABLE.bases["debian-12"])
    assert found == outlook


def test_each_application_gets_the_version_that_it_locks(
    tmp_path: Path, store: Store, local: LocalIndex
):
    assert local
    text = f'{MATRIX}\n[packages."foo==2.0"]\napt-run = ["libfoo2"]\n[applications.mill]\nlock = "mill.txt"\n'
    (tmp_path / "mill.txt").write_text("foo==2.0\n")
    newer = replace(package("foo"), name="foo==2.0", version="2.0")
    newer = replace(newer, source=replace(newer.source, name="foo==2.0", version="2.0"))
    files = served("foo", "bar")
    entries = [entry for of_project in files.values() for entry in of_project]
    for abi in TABLE.abis:
        filename = f"foo-2.0-cp314-{abi}-manylinux_2_17_x86_64.whl"
        entries.append(Entry(filename=filename, sha256="2" * 64))
    execute = Executor(WELL)

    tried = try_applications(
        load(tmp_path, text=text),
        store,
        [package("foo"), newer, package("bar")],
        index.make_manifest(entries),
        execute,
    )

    assert {(item.name, item.verdict) for item in tried.judged} == {
        ("shop", ApplicationVerdict.READY),
        ("mill", ApplicationVerdict.READY),
    }
    jobs = [job for job in execute.plans[0].jobs.values() if isinstance(job, ApplicationJob)]
    locked = {job.name: [(item.name, item.version) for item in job.locked] for job in jobs}
    assert locked == {"shop": [("foo", "1.0"), ("bar", "1.0")], "mill": [("foo", "2.0")]}
    assert {job.name: job.packages for job in jobs} == {"shop": ("libpq5",), "mill": ("libfoo2",)}
    pinned = (store.wheelhouse / "constraints" / "applications" / "mill-cp314.txt").read_text()
    assert f"foo==2.0 \\\n    --hash=sha256:{'2' * 64}" in pinned


def test_a_version_that_is_none_of_the_matrix_blocks(
    tmp_path: Path, store: Store, local: LocalIndex
):
    assert local
    matrix = load(tmp_path, "foo==3.0\nbar==1.0\n", f'{MATRIX}\n[packages."foo==2.0"]\n')
    newer = replace(package("foo"), name="foo==2.0", version="2.0")
    packages = [package("foo"), newer, package("bar")]
    tried = try_applications(matrix, store, packages, served("foo", "bar"), Executor(WELL))
    (blocker,) = tried.judged[0].blockers
    assert "shop.txt has foo 3.0, the matrix 1.0, 2.0" in blocker.what
    assert "--beside" in blocker.ways_out[0]


def test_a_version_that_was_not_found_blocks_by_its_own_fault(
    tmp_path: Path, store: Store, local: LocalIndex
):
    assert local
    matrix = load(tmp_path, "foo==2.0\nbar==1.0\n", f'{MATRIX}\n[packages."foo==2.0"]\n')
    abis = [TABLE.abis[name] for name in matrix.abis]
    lost = judge_fault(Fault(name="foo==2.0", code="WF104", detail="no release matches"), abis)
    packages = [package("foo"), lost, package("bar")]
    tried = try_applications(matrix, store, packages, served("bar"), Executor(WELL))
    (blocker,) = tried.judged[0].blockers
    assert blocker.package == "foo"
    assert "no release matches" in blocker.what


@pytest.mark.parametrize("target", ["outside", "outside/secret.txt", "loop"])
def test_files_that_are_links_out_of_the_project_are_refused(
    tmp_path: Path, store: Store, target: str
):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("")
    project = tmp_path / "project"
    project.mkdir()
    (project / "leak").symlink_to("leak" if target == "loop" else tmp_path / target)
    matrix = load(project, text=MATRIX.replace('files = ["shop"]', 'files = ["leak"]'))
    with pytest.raises(ApplicationError, match="leak is a link that leads out of the folder"):
        keep_files(matrix, matrix.applications["shop"], store)


def test_files_behind_a_link_within_the_project_are_taken(tmp_path: Path, store: Store):
    (tmp_path / "link").symlink_to("shop")
    matrix = load(tmp_path, text=MATRIX.replace('files = ["shop"]', 'files = ["link"]'))
    assert list(keep_files(matrix, matrix.applications["shop"], store)) == ["link/main.py"]
