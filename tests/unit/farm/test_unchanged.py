from pathlib import Path

import pytest

from builder import index
from builder.config import matrix
from builder.farm import unchanged
from builder.farm.unchanged import RunInputs
from builder.judge.package import JudgedPackage, Judgement
from builder.sources import Source, Sources
from builder.store.evidence import Evidence, JobOutcome
from builder.store.store import Store
from builder.verdicts import Verdict
from tests.job_ids import job_id
from tests.unit.wheels import add_wheel

SOURCE = Source(name="foo", version="1.0", kind="index", filename="foo-1.0.tar.gz", sha256="0" * 64)
SOURCES = Sources(found={"foo": SOURCE})
NAME = "foo-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"


def made(table: dict[str, object] | None = None) -> matrix.Matrix:
    return matrix.parse({"packages": {"foo": table or {}}}, Path("matrix.toml"))


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def sealed(store: Store, *, outcome: JobOutcome = JobOutcome.DONE) -> RunInputs:
    """Leave what a whole run leaves, seal it, and return what it went by."""
    sha256 = add_wheel(store, NAME)
    index.publish(index.make_manifest([index.Entry(filename=NAME, sha256=sha256)]), store)
    for name in ("verdicts.json", "report/index.html"):
        path = store.wheelhouse / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    of = unchanged.fingerprint_inputs(made(), SOURCES, {}, "quick")
    evidence = {
        job_id("build:foo@x"): Evidence(
            key="k", job=job_id("build:foo@x"), files={NAME: sha256}, outcome=outcome
        )
    }
    judgement = Judgement(abi="cp314", verdict=Verdict.RACY, reason="")
    judged = JudgedPackage(name="foo", version="1.0", source=SOURCE, abis={"cp314": judgement})
    unchanged.record_run(store, of, "run", evidence, [judged])
    return of


def test_what_changed_nothing_is_told_with_its_verdicts(store: Store):
    of = sealed(store)
    found = unchanged.find_unchanged_run(store, of)
    assert found is not None
    assert (found.run, found.jobs, found.verdicts) == ("run", 1, {"racy": 1})


@pytest.mark.parametrize(
    "of",
    [
        unchanged.fingerprint_inputs(made({"env": {"A": "1"}}), SOURCES, {}, "quick"),
        unchanged.fingerprint_inputs(made(), SOURCES, {"foo": ("--- a",)}, "quick"),
        unchanged.fingerprint_inputs(made(), SOURCES, {}, "standard"),
        unchanged.fingerprint_inputs(
            made(),
            Sources(found={"foo": Source(**{**SOURCE.record(), "sha256": "1" * 64})}),
            {},
            "quick",
        ),
    ],
)
def test_anything_else_breaks_it(store: Store, of: RunInputs):
    assert unchanged.find_unchanged_run(store, of) is None
    sealed(store)
    assert unchanged.find_unchanged_run(store, of) is None


def test_what_could_not_be_told_is_never_sealed(store: Store):
    assert unchanged.find_unchanged_run(store, sealed(store)) is not None
    assert (
        unchanged.find_unchanged_run(store, sealed(store, outcome=JobOutcome.UNDETERMINED)) is None
    )


@pytest.mark.parametrize("name", ["verdicts.json", "report/index.html", "simple/.published"])
def test_what_is_no_longer_there_or_another_breaks_it(store: Store, name: str):
    of = sealed(store)
    (store.wheelhouse / name).write_text("something else")
    assert unchanged.find_unchanged_run(store, of) is None
    (store.wheelhouse / name).unlink()
    assert unchanged.find_unchanged_run(store, of) is None


def test_what_a_run_of_a_part_found_out_since_breaks_it(store: Store):
    of = sealed(store)
    store.put(Evidence(key="another", job=job_id("load:foo@x/y")))
    assert unchanged.find_unchanged_run(store, of) is None
    assert unchanged.changed_packages(store, of) is None


def test_packages_that_changed_are_named(store: Store):
    of = sealed(store)
    assert unchanged.changed_packages(store, of) == frozenset()
    assert unchanged.changed_packages(
        store, unchanged.fingerprint_inputs(made({"env": {"A": "1"}}), SOURCES, {}, "quick")
    ) == frozenset({"foo"})
    assert unchanged.changed_packages(
        store, unchanged.fingerprint_inputs(made(), SOURCES, {"foo": ("--- a",)}, "quick")
    ) == frozenset({"foo"})
    more = matrix.parse({"packages": {"foo": {}, "bar": {}}}, Path("matrix.toml"))
    bar = Source(**{**SOURCE.record(), "name": "bar"})
    assert unchanged.changed_packages(
        store,
        unchanged.fingerprint_inputs(more, Sources(found={"foo": SOURCE, "bar": bar}), {}, "quick"),
    ) == frozenset({"bar"})
    other = matrix.parse(
        {"farm": {"publish": ["compatible"]}, "packages": {"foo": {}}}, Path("matrix.toml")
    )
    assert (
        unchanged.changed_packages(store, unchanged.fingerprint_inputs(other, SOURCES, {}, "quick"))
        is None
    )
    assert (
        unchanged.changed_packages(
            store, unchanged.fingerprint_inputs(made(), SOURCES, {}, "standard")
        )
        is None
    )


def test_a_file_that_is_gone_from_the_store_breaks_it(store: Store):
    of = sealed(store)
    (sha256,) = store.all_files()
    store.file(sha256).unlink()
    assert unchanged.find_unchanged_run(store, of) is None


def test_another_publication_breaks_it(store: Store):
    of = sealed(store)
    index.publish({}, store)
    (store.wheelhouse / "simple/.published").unlink()
    assert unchanged.find_unchanged_run(store, of) is None
    index.rollback(store)
    assert store.publications.current_snapshot() is not None


def test_a_promotion_changes_nothing_that_a_run_goes_by(store: Store):
    of = sealed(store)
    current = index.current_manifests(store)
    index.publish(current["simple"], store, canary=current["simple"])
    assert unchanged.find_unchanged_run(store, of) is None
    unchanged.record_promotion(store)
    assert unchanged.find_unchanged_run(store, of) is not None
    (store.wheelhouse / "canary/.published").write_text("something else")
    assert unchanged.find_unchanged_run(store, of) is None


def test_facts_are_read_when_they_are_wanted(store: Store):
    store.put(
        Evidence(key="k", job=job_id("build:foo@x"), facts={"a": 1, "b": [2]}, log="l", seconds=3.0)
    )
    known = store.evidence_lookup()
    found = known("k")
    assert found is not None
    assert dict(found.facts) == {"a": 1, "b": [2]}
    assert (found.job, found.log, found.seconds, found.files) == (
        job_id("build:foo@x"),
        "l",
        3.0,
        {},
    )
    assert known("else") is None
    store.put(Evidence(key="lost", job=job_id("build:bar@x"), files={"w": "f" * 64}))
    assert store.evidence_lookup()("lost") is None
