import json
from pathlib import Path
from typing import Any

import pytest

from builder.config import matrix as matrices
from builder.errors import MergeError
from builder.farm import merge
from builder.plan import shards
from builder.sources import Fault, Pure, Source, Sources
from builder.store.evidence import Evidence, JobOutcome
from builder.store.store import Store
from tests.job_ids import job_id

TEXT = "[packages.foo]\n[packages.bar]\n[packages.lost]\n"


@pytest.fixture
def matrix(tmp_path: Path) -> matrices.Matrix:
    (tmp_path / "matrix.toml").write_text(TEXT)
    return matrices.load(tmp_path / "matrix.toml")


def shard(folder: Path, number: int, name: str, matrix: matrices.Matrix, *faults: str) -> Path:
    """Make the wheelhouse of a shard that found out something about one package."""
    store = Store(folder)
    (folder / "incoming").write_text(f"sdist of {name}")
    sdist = store.add_file(folder / "incoming")
    (folder / "incoming").write_text(f"wheel of {name}")
    wheel = store.add_file(folder / "incoming")
    (folder / "incoming").write_text("pure")
    pure = Pure(
        name="pure",
        version="1",
        filename="pure-1-py3-none-any.whl",
        sha256=store.add_file(folder / "incoming"),
    )
    store.log_path(job_id(f"build:{name}@debian-12"), "0" * 64).write_text(f"log of {name}")
    log = str(
        store.log_path(job_id(f"build:{name}@debian-12"), "0" * 64).relative_to(store.wheelhouse)
    )
    evidence = {
        job_id(f"build:{name}@debian-12"): Evidence(
            key=f"key-{name}", job=job_id(f"build:{name}@debian-12"), facts={"abis": {}}, files={f"{name}.whl": wheel}, log=log, seconds=2.0
        ),
        job_id(f"audit:{name}@debian-12"): Evidence(
            key=f"no-{name}", job=job_id(f"audit:{name}@debian-12"), outcome=JobOutcome.UNDETERMINED, reason="it could not", facts={"code": "WF902"}
        ),
    }  # fmt: skip
    found = {
        name: Source(
            name=name,
            version="1.0",
            kind="index",
            filename=f"{name}.tar.gz",
            sha256=sdist,
            pure=(pure,),
        )
    }
    lost = {
        fault: Fault(name=fault, code="WF101", detail="no such name", version="")
        for fault in faults
    }
    part = shards.Shard(number=number, total=2)
    merge.write_record(part, matrix, Sources(found=found, faults=lost), evidence, store.wheelhouse)
    store.close()
    return folder


def test_evidence_is_of_the_job_it_was_used_for(tmp_path: Path, matrix: matrices.Matrix):
    part, other = (
        shards.Shard(number=1, total=1),
        Evidence(key="same", job=job_id("remedy:bar@debian-12")),
    )
    merge.write_record(part, matrix, Sources(), {job_id("remedy:foo@debian-12"): other}, tmp_path)
    (found,) = json.loads((tmp_path / merge.RECORD_FILE).read_text())["evidence"]
    assert found["job"] == "remedy:foo@debian-12"


@pytest.fixture
def pair(tmp_path: Path, matrix: matrices.Matrix) -> list[Path]:
    return [
        shard(tmp_path / "one", 1, "foo", matrix),
        shard(tmp_path / "two", 2, "bar", matrix, "lost"),
    ]


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def edit(wheelhouse: Path, **values: Any) -> None:
    record = json.loads((wheelhouse / merge.RECORD_FILE).read_text())
    (wheelhouse / merge.RECORD_FILE).write_text(json.dumps(record | values))


def test_all_that_was_found_out_is_taken_in(
    pair: list[Path], matrix: matrices.Matrix, store: Store
):
    merged = merge.merge_shards(reversed(pair), matrix, store)
    assert set(merged.sources.found) == {"foo", "bar"}
    assert merged.sources.faults["lost"].code == "WF101"
    assert merged.sources.found["foo"].pure[0].name == "pure"
    build = merged.evidence[job_id("build:foo@debian-12")]
    assert store.get("key-foo") == build
    assert store.file(build.files["foo.whl"]).read_text() == "wheel of foo"
    assert store.file(merged.sources.found["bar"].sha256).read_text() == "sdist of bar"
    assert (store.wheelhouse / build.log).read_text() == "log of foo"


def test_what_could_not_be_told_is_merged_and_not_recorded(
    pair: list[Path], matrix: matrices.Matrix, store: Store
):
    merged = merge.merge_shards(pair, matrix, store)
    assert merged.evidence[job_id("audit:foo@debian-12")].outcome is JobOutcome.UNDETERMINED
    assert store.get("no-foo") is None


def test_a_missing_shard_is_named(pair: list[Path], matrix: matrices.Matrix, store: Store):
    with pytest.raises(MergeError, match="2/2 is missing"):
        merge.merge_shards(pair[:1], matrix, store)


def test_shards_that_do_not_go_together_are_refused(
    pair: list[Path], matrix: matrices.Matrix, store: Store
):
    edit(pair[1], number=1)
    with pytest.raises(MergeError, match="does not go with"):
        merge.merge_shards(pair, matrix, store)
    edit(pair[1], number=2, matrix="another")
    with pytest.raises(MergeError, match="another matrix"):
        merge.merge_shards(pair, matrix, store)


def test_shards_that_saw_different_releases_are_refused(
    pair: list[Path], matrix: matrices.Matrix, store: Store
):
    edit(pair[1], faults={})
    with pytest.raises(MergeError, match="lost is in 0 shards"):
        merge.merge_shards(pair, matrix, store)
    edit(pair[1], faults={"foo": ["WF101", "", ""], "lost": ["WF101", "", ""]})
    with pytest.raises(MergeError, match="foo is in 2 shards"):
        merge.merge_shards(pair, matrix, store)


def test_a_damaged_file_is_refused(pair: list[Path], matrix: matrices.Matrix, store: Store):
    wheel = json.loads((pair[0] / merge.RECORD_FILE).read_text())["evidence"][0]["files"]["foo.whl"]
    (pair[0] / "store/files" / wheel[:2] / wheel).write_text("other")
    with pytest.raises(MergeError, match=f"{wheel} is missing or damaged"):
        merge.merge_shards(pair, matrix, store)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("log", "/etc/passwd"),
        ("log", "logs/../../secret"),
        ("files", {"x": "../../secret"}),
        ("outcome", "good"),
        ("more", 1),
    ],
)
def test_a_hostile_record_is_refused(
    pair: list[Path], matrix: matrices.Matrix, store: Store, field: str, value: Any
):
    evidence = json.loads((pair[0] / merge.RECORD_FILE).read_text())["evidence"]
    edit(pair[0], evidence=[evidence[0] | {field: value}])
    with pytest.raises(MergeError, match=field):
        merge.merge_shards(pair, matrix, store)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"facts": {"abis": {"cp314": {"wheel": 1}}}}, "abis.cp314.wheel: expected a valid string"),
        ({"facts_version": 2}, "the facts of build:foo@debian-12 are of version 2"),
    ],
)
def test_facts_that_this_farm_does_not_understand_are_refused(
    pair: list[Path], matrix: matrices.Matrix, store: Store, changed: dict[str, Any], fault: str
):
    evidence = json.loads((pair[0] / merge.RECORD_FILE).read_text())["evidence"]
    edit(pair[0], evidence=[evidence[0] | changed])
    with pytest.raises(MergeError, match=fault):
        merge.merge_shards(pair, matrix, store)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 2}'])
def test_what_is_no_record_is_refused(
    pair: list[Path], matrix: matrices.Matrix, store: Store, text: str
):
    (pair[0] / merge.RECORD_FILE).write_text(text)
    with pytest.raises(MergeError, match=r"shard\.json"):
        merge.merge_shards(pair, matrix, store)
    (pair[0] / merge.RECORD_FILE).unlink()
    with pytest.raises(MergeError, match="wheelfarm run --shard"):
        merge.merge_shards(pair, matrix, store)
