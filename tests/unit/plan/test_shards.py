from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.plan import shards
from builder.plan.shards import Shard
from builder.sources import Fault, Source, Sources

NAMES = st.sampled_from([f"package-{number}" for number in range(12)])


def source(name: str, *needs: str, needed_by: str = "") -> Source:
    return Source(
        name=name,
        version="1.0",
        kind="index",
        filename=f"{name}-1.0.tar.gz",
        sha256="0",
        needs=needs,
        needed_by=needed_by,
    )


def sources(needs: dict[str, set[str]], faults: set[str] | None = None) -> Sources:
    return Sources(
        found={name: source(name, *sorted(needs[name])) for name in needs},
        faults={
            name: Fault(name=name, code="WF101", detail="")
            for name in (faults or set()) - needs.keys()
        },
    )


@given(st.dictionaries(NAMES, st.sets(NAMES)), st.sets(NAMES), st.integers(1, 6))
def test_every_package_is_in_one_shard_with_all_it_needs(
    needs: dict[str, set[str]], faults: set[str], count: int
):
    whole = sources(needs, faults)
    parts = shards.partition(whole, count)
    assert len(parts) == count
    assert sorted(name for part in parts for name in part) == sorted({*needs, *faults})
    place = {name: number for number, part in enumerate(parts) for name in part}
    for name, wanted in needs.items():
        assert {place[need] for need in wanted if need in needs} <= {place[name]}


@given(st.dictionaries(NAMES, st.sets(NAMES)), st.integers(1, 6), st.randoms())
def test_the_order_of_the_sources_changes_nothing(needs: dict[str, set[str]], count: int, random):
    shuffled = dict(random.sample(list(needs.items()), len(needs)))
    assert shards.partition(sources(shuffled), count) == shards.partition(sources(needs), count)


@given(st.dictionaries(NAMES, st.sets(NAMES)), st.sets(NAMES), st.integers(1, 6))
def test_the_parts_make_the_whole(needs: dict[str, set[str]], faults: set[str], count: int):
    whole = sources(needs, faults)
    parts = [
        shards.select_shard(whole, Shard(number=number, total=count))
        for number in range(1, count + 1)
    ]
    assert {name: one for part in parts for name, one in part.found.items()} == whole.found
    assert {name: one for part in parts for name, one in part.faults.items()} == whole.faults


def test_independent_packages_are_dealt_out_evenly():
    parts = shards.partition(sources({f"package-{number}": set() for number in range(10)}), 3)
    assert [len(part) for part in parts] == [4, 3, 3]


def test_what_is_built_for_another_s_sake_stays_with_it():
    found = {"a": source("a"), "b": source("b", needed_by="a"), "c": source("c")}
    assert ("a", "b") in shards.partition(Sources(found=found), 2)


def test_a_shard_is_written_as_it_is_read():
    assert str(shards.parse_shard("2/3")) == "2/3"


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/257", "a/b", "-1/3", "1/3/5", "1/3\n"])
def test_what_is_no_shard_is_refused(text: str):
    with pytest.raises(ValueError, match="expected K/N"):
        shards.parse_shard(text)


def test_versions_of_a_project_part_and_the_same_release_does_not():
    old = replace(source("foo==1.0"), version="1.0")
    new = replace(source("foo==2.0"), version="2.0")
    newest = replace(source("foo"), version="2.0")
    whole = Sources(found={item.name: item for item in (old, new, newest)})
    assert shards.partition(whole, 2) == (("foo", "foo==2.0"), ("foo==1.0",))
