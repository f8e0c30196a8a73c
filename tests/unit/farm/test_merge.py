import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.config import matrix as matrices
from builder.config.effort import EffortLevel
from builder.errors import MergeError
from builder.farm import merge
from builder.plan import shards
from builder.proxy.cache import IndexCache
from builder.sources import Sources
from builder.store.evidence import Evidence, JobOutcome
from builder.store.store import Store
from tests.job_ids import job_id
from tests.unit.farm import shard_samples as samples

QUOTE = {"file": "README.md", "line": 3, "text": "A Box is not thread-safe.", "about": ""}
BUILD, AUDIT = job_id("build:foo@debian-12"), job_id("audit:foo@debian-12")


@pytest.fixture
def matrix(tmp_path: Path) -> matrices.Matrix:
    return samples.load_matrix(tmp_path)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both shards, which is made once."""
    folder = tmp_path_factory.mktemp("shards")
    matrix = samples.load_matrix(folder)
    samples.make_shard(folder / "one", 1, matrix, "bar", faults=("lost",))
    samples.make_shard(folder / "two", 2, matrix, "foo")
    return folder


@pytest.fixture
def pair(template: Path, tmp_path: Path) -> list[Path]:
    """Return both shards: the honest one, and that of `foo`, which the tests change."""
    names = ("one", "two")
    for name in names:
        shutil.copytree(template / name, tmp_path / name)
    return [tmp_path / name for name in names]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


@pytest.fixture
def refused(pair: list[Path], matrix: matrices.Matrix, store: Store) -> Callable[[str], None]:
    """Return a function that merges and expects a refusal which names the shard, and leaves nothing."""

    def check(words: str) -> None:
        before = samples.snapshot(store.wheelhouse)
        with pytest.raises(MergeError, match=words) as caught:
            merge.merge_shards(pair, matrix, store)
        assert str(caught.value).startswith(str(caught.value.wheelhouse))
        assert str(caught.value).isprintable()
        assert samples.snapshot(store.wheelhouse) == before

    return check


def read(wheelhouse: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((wheelhouse / merge.RECORD_FILE).read_text())
    return record


def edit(wheelhouse: Path, **values: Any) -> None:
    (wheelhouse / merge.RECORD_FILE).write_text(json.dumps(read(wheelhouse) | values))


def edit_evidence(wheelhouse: Path, job: str, /, **values: Any) -> dict[str, Any]:
    """Change the evidence of one job, and return it as it was."""
    record = read(wheelhouse)
    (before,) = [one for one in record["evidence"] if one["job"] == job]
    changed = [one | values if one["job"] == job else one for one in record["evidence"]]
    edit(wheelhouse, evidence=changed)
    return dict(before)


# --- what is taken in -------------------------------------------------------------------------------------------------


def test_evidence_is_of_the_job_it_was_used_for(tmp_path: Path, matrix: matrices.Matrix):
    part = shards.Shard(number=1, total=1)
    other = Evidence(key="same", job=job_id("remedy:bar@debian-12"))
    merge.write_record(part, matrix, Sources(), {job_id("remedy:foo@debian-12"): other}, tmp_path)
    (found,) = read(tmp_path)["evidence"]
    assert found["job"] == "remedy:foo@debian-12"


def test_a_record_is_no_larger_than_what_its_jobs_answered(tmp_path: Path, matrix: matrices.Matrix):
    """One package's facts, each value in a line of its own, would take all bytes that a record may have."""
    part = shards.Shard(number=1, total=1)
    facts: dict[str, Any] = {"wheels": [[[[[]]]]] * 10_000}
    odd = Evidence(key="same", job=job_id("remedy:foo@debian-12"), facts=facts)
    merge.write_record(part, matrix, Sources(), {odd.job: odd}, tmp_path)
    answered = len(json.dumps(facts))
    assert (tmp_path / merge.RECORD_FILE).stat().st_size < answered + 2000


def test_all_that_was_found_out_is_taken_in(
    pair: list[Path], matrix: matrices.Matrix, store: Store
):
    merged = merge.merge_shards(reversed(pair), matrix, store)
    assert set(merged.sources.found) == {"foo", "bar"}
    assert merged.sources.faults["lost"].code == "WF101"
    assert merged.sources.found["foo"].pure[0].name == "pure"
    build = merged.evidence[BUILD]
    assert store.get(build.key) == build
    for sha256 in (*build.files.values(), merged.sources.found["bar"].sha256):
        assert store.file(sha256).is_file()
    assert (store.wheelhouse / build.log).read_text() == f"log of {BUILD}"
    assert not list((store.folder / "scratch").iterdir())


def test_a_merge_can_be_repeated(pair: list[Path], matrix: matrices.Matrix, store: Store):
    merged = merge.merge_shards(pair, matrix, store)
    assert merge.merge_shards(pair, matrix, store) == merged


def test_any_effort_and_an_empty_shard_are_merged(tmp_path: Path, store: Store):
    matrix = samples.load_matrix(tmp_path, "[packages.bar]\n")
    full = samples.make_shard(tmp_path / "a", 1, matrix, "bar", effort=EffortLevel.STANDARD)
    empty = samples.make_shard(tmp_path / "b", 2, matrix, effort=EffortLevel.STANDARD)
    merged = merge.merge_shards([full, empty], matrix, store)
    assert job_id("speed:bar@debian-12") in merged.evidence


def test_what_could_not_be_told_is_merged_and_not_recorded(
    pair: list[Path], matrix: matrices.Matrix, store: Store
):
    merged = merge.merge_shards(pair, matrix, store)
    untold = merged.evidence[job_id("load:foo@debian-12/debian-13")]
    assert untold.outcome is JobOutcome.UNDETERMINED
    assert store.get(untold.key) is None


def test_images_stay_behind(pair: list[Path], matrix: matrices.Matrix, store: Store):
    merged = merge.merge_shards(pair, matrix, store)
    images = [one for one in read(pair[1])["evidence"] if one["job"].startswith("image:")]
    assert images
    assert not any(job.kind == "image" for job in merged.evidence)
    assert all(store.get(image["key"]) is None for image in images)
    assert not list(store.wheelhouse.glob("logs/image/*"))


def test_only_what_its_own_jobs_fetched_is_taken_over(
    pair: list[Path], matrix: matrices.Matrix, store: Store
):
    with Store(pair[1]) as shard:
        other = samples.add_lock(shard, job_id("build:bar@debian-12"), "evil-999.tar.gz")
    merge.merge_shards(pair, matrix, store)
    cache = IndexCache(store.folder / "index")
    lock = cache.read_lock(BUILD)
    assert lock is not None
    (entry,) = lock["setuptools"]
    assert cache.file(entry["hashes"]["sha256"]).read_text() == "content of setuptools-84.0.tar.gz"
    assert not cache.file(other.sha256).exists()
    assert "evil" not in json.dumps(cache.read_lock(job_id("build:bar@debian-12")))
    assert cache.entries() == {}, "what the index has, this machine's index says"


def test_a_lock_says_of_no_file_where_it_is(
    pair: list[Path], matrix: matrices.Matrix, store: Store
):
    path = pair[1] / "store/index/locks/build/foo@debian-12.json"
    lock = json.loads(path.read_text())
    lock["files"][0]["entry"]["url"] = "http://127.0.0.1:9/"
    path.write_text(json.dumps(lock))
    merge.merge_shards(pair, matrix, store)
    assert "url" not in json.dumps(IndexCache(store.folder / "index").read_lock(BUILD))


def test_text_is_cleaned(pair: list[Path], matrix: matrices.Matrix, store: Store):
    edit_evidence(pair[1], "load:foo@debian-12/debian-13", reason="\x1b[2J\ud800::error::")
    merged = merge.merge_shards(pair, matrix, store)
    reason = merged.evidence[job_id("load:foo@debian-12/debian-13")].reason
    assert reason == "\\x1b[2J\\ud800::error::"


# --- which shards -----------------------------------------------------------------------------------------------------


def test_a_missing_shard_is_named(pair: list[Path], matrix: matrices.Matrix, store: Store):
    with pytest.raises(MergeError, match="2/2 is missing"):
        merge.merge_shards(pair[:1], matrix, store)


def test_shards_that_do_not_go_together_are_refused(
    pair: list[Path], refused: Callable[[str], None]
):
    edit(pair[1], number=1)
    refused("does not go with")
    edit(pair[1], number=2, matrix="another")
    refused("another matrix")


def test_shards_that_saw_different_releases_are_refused(
    pair: list[Path], refused: Callable[[str], None]
):
    edit(pair[0], faults={})
    refused("lost is in 0 shards")
    edit(pair[0], faults={"foo": ["WF101", "", ""], "lost": ["WF101", "", ""]})
    refused("foo is in 2 shards")


def test_a_shard_with_packages_of_another_is_refused(
    pair: list[Path], refused: Callable[[str], None]
):
    edit(pair[0], number=2)
    edit(pair[1], number=1)
    refused("is no package of shard 1/2 by the plan")


@pytest.mark.parametrize(("number", "of"), [(0, 2), (-1, 2), (2, 10**12), (2, 1e400), (1.5, 2)])
def test_no_number_is_counted_up_to(
    pair: list[Path], refused: Callable[[str], None], number: float, of: float
):
    edit(pair[1], number=number, of=of)
    refused(r"shard\.json")


# --- what a shard says ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "field", "value"),
    [
        ("build:foo@debian-12", "log", "/etc/passwd"),
        ("build:foo@debian-12", "log", "logs/../../secret"),
        ("build:foo@debian-12", "log", "logs/build/x/y.log"),
        ("build:foo@debian-12", "log", "logs/build/lxml@debian-12.00000000.log"),
        ("build:foo@debian-12", "log", "logs/build/foo@debian-12.00000000.log"),
        ("build:foo@debian-12", "files", {"x": "../../secret"}),
        ("build:foo@debian-12", "files", {"../x": "0" * 64}),
        ("build:foo@debian-12", "files", {"a\nb": "0" * 64}),
        ("build:foo@debian-12", "files", {}),
        ("build:foo@debian-12", "outcome", "good"),
        ("build:foo@debian-12", "more", 1),
        ("build:foo@debian-12", "key", "0" * 64),
        ("build:foo@debian-12", "key", "' OR 1=1 --"),
        ("build:foo@debian-12", "seconds", -1),
        ("build:foo@debian-12", "seconds", float("nan")),
        ("build:foo@debian-12", "seconds", float("inf")),
        ("build:foo@debian-12", "seconds", 1e300),
        ("build:foo@debian-12", "facts_version", 0),
        ("build:foo@debian-12", "facts_version", 3),
        ("build:foo@debian-12", "facts_version", 10**30),
        ("build:foo@debian-12", "asked", "[]"),
        ("build:foo@debian-12", "asked", '{"a": 1}'),
        ("build:foo@debian-12", "asked", "[" * 100_000),
        ("build:foo@debian-12", "job", "build:bar@debian-12"),
        ("build:foo@debian-12", "job", "build:../../x@debian-12"),
        ("build:foo@debian-12", "job", "image:debian-12"),
        ("build:foo@debian-12", "facts", {"abis": {"cp314": {"wheel": 1}}}),
        ("build:foo@debian-12", "facts", {"abis": {}}),
        ("audit:foo@debian-12", "facts", {"wheels": {}}),
        ("load:foo@debian-12/debian-12", "facts", {"loads": {}}),
        ("race:foo@debian-12", "facts", {"wheel": "bar-1.0-cp314-cp314t-linux_x86_64.whl"}),
        ("load:foo@debian-12/debian-13", "facts", {"code": "WF000"}),
        ("load:foo@debian-12/debian-13", "files", {"x": "0" * 64}),
    ],
)  # fmt: skip
def test_a_hostile_record_is_refused(
    pair: list[Path], refused: Callable[[str], None], job: str, field: str, value: Any
):
    edit_evidence(pair[1], job, **{field: value})
    refused(rf"shard\.json|the facts of {job}")


@pytest.mark.parametrize(
    "job", ["build:bar@debian-12", "build:numpy@debian-12", "build:foo@debian-13", "odd:foo"]
)
def test_evidence_of_a_job_that_is_not_its_own_is_refused(
    pair: list[Path], refused: Callable[[str], None], job: str
):
    record = read(pair[1])
    stolen = {**record["evidence"][0], "job": job}
    edit(pair[1], evidence=[*record["evidence"], stolen])
    refused(job)


def test_evidence_cannot_be_filed_under_another_jobs_key(
    pair: list[Path], refused: Callable[[str], None]
):
    (other,) = [one for one in read(pair[0])["evidence"] if one["job"] == "audit:bar@debian-12"]
    edit_evidence(pair[1], "audit:foo@debian-12", key=other["key"])
    refused("audit:foo@debian-12: its key is not the one")


def test_a_result_that_is_there_twice_or_not_at_all_is_refused(
    pair: list[Path], refused: Callable[[str], None]
):
    evidence = read(pair[1])["evidence"]
    edit(pair[1], evidence=[*evidence, evidence[-1]])
    refused("is there twice")
    edit(pair[1], evidence=[one for one in evidence if one["job"] != "audit:foo@debian-12"])
    refused("no result of audit:foo@debian-12")


def test_a_result_without_its_inputs_is_refused(pair: list[Path], refused: Callable[[str], None]):
    edit_evidence(
        pair[1], "build:foo@debian-12", outcome="undetermined", facts={"code": "WF902"}, files={}
    )
    refused("has a result, and build:foo@debian-12 has none")


def test_one_key_has_one_result(pair: list[Path], refused: Callable[[str], None], store: Store):
    # Both packages missed nothing in their builds, so that their remedies have one key: the results have to be equal.
    changed = {"found": [], "unknown": [["header", "evil.h"]]}
    edit_evidence(pair[1], "remedy:foo@debian-12", facts=changed)
    refused("have one key and different results")


def test_a_result_of_another_package_here_is_not_replaced(
    pair: list[Path], refused: Callable[[str], None], store: Store
):
    (mine,) = [one for one in read(pair[1])["evidence"] if one["job"] == str(AUDIT)]
    store.put(Evidence(key=mine["key"], job=job_id("audit:lxml@debian-12"), facts={"wheels": {}}))
    refused("another result of audit:lxml@debian-12")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "bar"),
        ("version", "no version"),
        ("version", "1.0\nx"),
        ("kind", "odd"),
        ("filename", "../foo-1.0.tar.gz"),
        ("sha256", "/etc/passwd"),
        ("sha256", "A" * 64),
        ("needs", ["../x"]),
        ("needed_by", 1),
        ("more", 1),
        ("statement", {"classifier": "3" * 41, "quotes": []}),
        ("statement", {"classifier": "", "quotes": [QUOTE] * 7}),
        ("statement", {"classifier": "", "quotes": [{**QUOTE, "text": "x" * 321}]}),
        ("statement", {"classifier": "", "quotes": [{**QUOTE, "line": -1}]}),
        ("statement", {"classifier": "", "quotes": [{**QUOTE, "about": "<b>"}]}),
        ("pure", [{"name": "pip", "version": "1", "filename": "../pip-1-py3-none-any.whl", "sha256": "0" * 64}]),
        ("pure", [{"name": "pure", "version": "1.0", "filename": "pip-1.0-py3-none-any.whl", "sha256": "0" * 64}]),
        ("pure", [{"name": "bar", "version": "1.0", "filename": "bar-1.0-py3-none-any.whl", "sha256": "0" * 64}]),
        ("pure", [{"name": "pure", "version": "1.0", "filename": "pure-1.0-py3-none-any.whl", "sha256": "0" * 64}]),
    ],
)  # fmt: skip
def test_a_hostile_source_is_refused(
    pair: list[Path], refused: Callable[[str], None], field: str, value: Any
):
    found = read(pair[1])["found"]
    found["foo"][field] = value
    edit(pair[1], found=found)
    refused(r"shard\.json")


def test_what_a_project_says_of_threads_comes_with_its_shard(
    pair: list[Path], matrix: matrices.Matrix, store: Store
):
    found = read(pair[1])["found"]
    found["foo"]["statement"] = {"classifier": "3 - Stable", "quotes": [QUOTE]}
    edit(pair[1], found=found)
    merged = merge.merge_shards(pair, matrix, store)
    statement = merged.sources.found["foo"].statement
    assert statement is not None
    assert (statement.classifier, statement.quotes[0].text) == ("3 - Stable", QUOTE["text"])


def test_a_package_that_nobody_asked_for_is_refused(
    pair: list[Path], refused: Callable[[str], None]
):
    found = read(pair[1])["found"]
    found["numpy"] = {**found["foo"], "name": "numpy"}
    edit(pair[1], found=found)
    refused("found.numpy: no package of the matrix in this shard needs it")


def test_the_matrix_says_which_release_and_which_sdist(tmp_path: Path, store: Store):
    for number, line in enumerate(('version = "==2.0"', f'sha256 = "{"0" * 64}"')):
        matrix = samples.load_matrix(tmp_path, f"[packages.foo]\n{line}\n")
        shard = samples.make_shard(tmp_path / str(number), 1, matrix, "foo", total=1)
        with pytest.raises(MergeError, match=r"found\.foo(\.version|: [0-9a-f]{64}): the matrix"):
            merge.merge_shards([shard], matrix, store)


# --- upstream's wheels ------------------------------------------------------------------------------------------------

TAKEN = """
[farm]
bases = ["debian-12", "debian-13"]
build-on = ["debian-12"]
[packages.foo]
from = "TAKE"
"""


def make_taken(folder: Path, take_from: str) -> tuple[Path, matrices.Matrix]:
    """Make the only shard of a run that took upstream's wheels of `foo`."""
    folder.mkdir()
    matrix = samples.load_matrix(folder, TAKEN.replace("TAKE", take_from))
    shard = samples.make_shard(
        folder / "shard", 1, matrix, "foo", total=1, upstream=("cp314", "cp314t"), take_from=take_from
    )  # fmt: skip
    return shard, matrix


@pytest.mark.parametrize("take_from", ["wheel", "either"])
def test_upstreams_wheels_come_with_a_shard(tmp_path: Path, store: Store, take_from: str):
    shard, matrix = make_taken(tmp_path / "made", take_from)
    merged = merge.merge_shards([shard], matrix, store)
    source = merged.sources.found["foo"]
    assert [wheel.abi for wheel in source.wheels] == ["cp314", "cp314t"]
    assert all(store.file(wheel.sha256).is_file() for wheel in source.wheels)


def test_what_is_called_upstreams_is_one_of_its_wheels(tmp_path: Path, store: Store):
    shard, matrix = make_taken(tmp_path / "made", "either")
    (build,) = [one for one in read(shard)["evidence"] if one["job"] == str(BUILD)]
    facts = build["facts"]
    facts["abis"]["cp314"]["origin"] = "upstream"
    edit_evidence(shard, str(BUILD), facts=facts)
    with pytest.raises(MergeError, match="none of upstream's wheels for cp314"):
        merge.merge_shards([shard], matrix, store)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("take_from", "either", "take_from: the matrix says wheel"),
        ("take_from", "sdist", "expected no native wheels"),
        ("filename", "", "neither"),
        ("wheels", [{"abi": "cp314", "filename": "foo-1.0-py3-none-win32.whl", "sha256": "0" * 64}, {"abi": "cp314", "filename": "foo-1.0-py3-none-any.whl", "sha256": "0" * 64}], "one of upstream's wheels for each"),
        ("wheels", [{"abi": "cp314t", "filename": "foo-1.0-cp39-abi3-linux_x86_64.whl", "sha256": "0" * 64}], "no wheel for cp314t"),
        ("wheels", [{"abi": "cp399", "filename": "foo-1.0-py3-none-any.whl", "sha256": "0" * 64}], "unknown ABI"),
    ],
)  # fmt: skip
def test_a_source_that_the_matrix_does_not_ask_for_is_refused(
    tmp_path: Path, store: Store, field: str, value: Any, words: str
):
    shard, matrix = make_taken(tmp_path / "made", "wheel")
    found = read(shard)["found"]
    found["foo"][field] = value
    edit(shard, found=found)
    with pytest.raises(MergeError, match=words):
        merge.merge_shards([shard], matrix, store)


def test_a_native_wheel_is_refused_where_the_matrix_asks_for_one_without_native_code(
    tmp_path: Path, store: Store
):
    folder = tmp_path / "made"
    folder.mkdir()
    text = TAKEN.replace('"TAKE"', '"wheel"\npure = ["cp314t"]')
    matrix = samples.load_matrix(folder, text)
    shard = samples.make_shard(
        folder / "shard", 1, matrix, "foo", total=1, upstream=("cp314", "cp314t"), take_from="wheel"
    )
    words = "foo-1.0-cp314-cp314t-.*for cp314t: the matrix does not ask for it"
    with pytest.raises(MergeError, match=words):
        merge.merge_shards([shard], matrix, store)


# --- files ------------------------------------------------------------------------------------------------------------


def stored(wheelhouse: Path, sha256: str) -> Path:
    return wheelhouse / "store/files" / sha256[:2] / sha256


def wheel_of(wheelhouse: Path) -> tuple[str, str]:
    (build,) = [one for one in read(wheelhouse)["evidence"] if one["job"] == str(BUILD)]
    wheel: tuple[str, str] = next(iter(build["files"].items()))
    return wheel


def test_a_damaged_file_is_refused(pair: list[Path], refused: Callable[[str], None]):
    _, wheel = wheel_of(pair[1])
    stored(pair[1], wheel).write_text("other")
    refused(f"{wheel} is missing or damaged")
    stored(pair[1], wheel).unlink()
    refused(f"{wheel} is missing or damaged")


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "sparse", "linked folder"])
def test_only_regular_files_of_bounded_size_are_copied(
    pair: list[Path], refused: Callable[[str], None], tmp_path: Path, kind: str
):
    _, wheel = wheel_of(pair[1])
    path = stored(pair[1], wheel)
    secret = tmp_path / "secret"
    secret.write_bytes(path.read_bytes())  # the very content: only that it is elsewhere is wrong
    path.unlink()
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(1 << 42)
    else:
        (tmp_path / "elsewhere").mkdir()
        for other in path.parent.iterdir():
            other.rename(tmp_path / "elsewhere" / other.name)
        secret.rename(tmp_path / "elsewhere" / wheel)
        path.parent.rmdir()
        path.parent.symlink_to(tmp_path / "elsewhere")
    refused(wheel)


@pytest.mark.parametrize("inner", ["shard.json", "log", "lock"])
def test_no_link_of_a_shard_is_followed(
    pair: list[Path], refused: Callable[[str], None], tmp_path: Path, inner: str
):
    paths = {
        "shard.json": pair[1] / "shard.json",
        "log": next((pair[1] / "logs/build").iterdir()),
        "lock": pair[1] / "store/index/locks/build/foo@debian-12.json",
    }
    path = paths[inner]
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    refused("no regular file")


def test_a_wheel_that_is_another_inside_is_refused(
    pair: list[Path], refused: Callable[[str], None]
):
    with Store(pair[1]) as shard:
        evil = samples.add_wheel(shard, "numpy")
    name, _ = wheel_of(pair[1])
    (build,) = [one for one in read(pair[1])["evidence"] if one["job"] == str(BUILD)]
    # All keys that stand on the wheel are made to fit.
    with Store(pair[1]) as shard:
        matrix = samples.load_matrix(pair[1].parent)
        record = read(pair[1])
        found = samples.make_sources(shard, ("foo",))
        evidence = samples.play(found, matrix, shard, EffortLevel.QUICK, {name: evil})
        part = shards.Shard(number=2, total=2)
        merge.write_record(part, matrix, Sources(found=found), evidence, shard.wheelhouse)
        assert record["matrix"] == read(pair[1])["matrix"]
    assert build["files"][name] != evil
    refused(r"it is no wheel of foo 1.0: its \.dist-info folder is of numpy")


def test_a_damaged_file_of_the_index_is_refused(pair: list[Path], refused: Callable[[str], None]):
    with Store(pair[1]) as shard:
        fetched = samples.add_lock(shard, BUILD, "cython-3.0.tar.gz")
        IndexCache(shard.folder / "index").file(fetched.sha256).write_text("other")
    refused("is damaged")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"job": "build:bar@debian-12", "files": []}', "[" * 10_000]
)
def test_a_lock_that_is_none_is_refused(
    pair: list[Path], refused: Callable[[str], None], text: str
):
    (pair[1] / "store/index/locks/build/foo@debian-12.json").write_text(text)
    refused("locks/build/foo@debian-12.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema_version": 2}',
        "[" * 200_000,
        '{"number": ' + "9" * 5_000 + "}",
        '{"\\ud800": NaN}',
    ],
)
def test_what_is_no_record_is_refused(pair: list[Path], refused: Callable[[str], None], text: str):
    (pair[1] / merge.RECORD_FILE).write_text(text)
    refused(r"shard\.json")
    (pair[1] / merge.RECORD_FILE).unlink()
    refused("wheelfarm run --shard")


VERSIONS = samples.TEXT.replace("[packages.lost]", '[packages."foo==2.0"]')


def test_versions_of_one_project_are_merged_from_their_shards(tmp_path: Path, store: Store):
    matrix = samples.load_matrix(tmp_path, VERSIONS)
    folders: list[Path] = []
    for number, names in ((1, ("bar", "foo==2.0")), (2, ("foo",))):
        with Store(tmp_path / str(number)) as shard:
            found = samples.make_sources(shard, names)
            if "foo==2.0" in found:
                found["foo==2.0"] = replace(
                    found["foo==2.0"], version="2.0", filename="foo-2.0.tar.gz"
                )
            evidence = samples.play(found, matrix, shard, EffortLevel.QUICK)
            part = shards.Shard(number=number, total=2)
            for job in evidence:
                if job.kind == "build":
                    samples.add_lock(shard, job)
            sources = Sources(found=found)
            merge.write_record(part, matrix, sources, evidence, shard.wheelhouse)
            folders.append(shard.wheelhouse)

    merged = merge.merge_shards(folders, matrix, store)
    versions = {name: source.version for name, source in merged.sources.found.items()}
    assert versions == {"foo": "1.0", "bar": "1.0", "foo==2.0": "2.0"}
    build = merged.evidence[job_id("build:foo==2.0@debian-12")]
    assert sorted(build.files) == [
        samples.wheel_name("foo", abi, "2.0") for abi in ("cp314", "cp314t")
    ]


@pytest.mark.parametrize("name", ["foo==1.*", "foo==", "../foo==1.0", "foo==9.0"])
def test_a_version_that_the_matrix_does_not_have_is_refused(
    pair: list[Path], refused: Callable[[str], None], name: str
):
    record = read(pair[1])
    stolen = {**record["found"]["foo"], "name": name}
    edit(pair[1], found={**record["found"], name: stolen})
    refused("found" if name != "foo==9.0" else "foo==9.0")
