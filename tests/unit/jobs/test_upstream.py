"""The job that takes upstream's wheels in the place of a build."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from builder.evidence.build import BuildFacts
from builder.jobs.upstream import Upstream
from builder.sources import UpstreamWheel
from builder.store.store import Store
from tests.unit.wheels import add_wheel

LIBRARY = "foo-1.0-py3-none-manylinux_2_17_x86_64.whl"
GIL = "foo-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def run(job: Upstream, store: Store) -> tuple[BuildFacts, dict[str, str]]:
    class Tools:
        pass

    tools = Tools()
    tools.store = store  # type: ignore[attr-defined] # all that the job uses of its tools
    result = job.run({}, cast("Any", tools))
    assert isinstance(result.facts, BuildFacts)
    return result.facts, result.files


def make(*wheels: UpstreamWheel, **more: Any) -> Upstream:
    fields: dict[str, Any] = {"lacking": (), "skip": {}, **more}
    return Upstream(name="foo", version="1.0", base="debian-12", wheels=wheels, **fields)


def test_wheels_are_taken_as_they_are_and_one_may_serve_both_abis(store: Store):
    sha256 = add_wheel(store, LIBRARY)
    wheels = [
        UpstreamWheel(abi=abi, filename=LIBRARY, sha256=sha256) for abi in ("cp314", "cp314t")
    ]
    facts, files = run(make(*wheels), store)
    assert files == {LIBRARY: sha256}
    assert [facts.wheel_of(abi) for abi in ("cp314", "cp314t")] == [LIBRARY, LIBRARY]
    assert {outcome.origin for outcome in facts.abis.values()} == {"upstream"}


def test_an_abi_without_a_wheel_is_a_failure_unless_the_matrix_leaves_it_out(store: Store):
    wheel = UpstreamWheel(abi="cp314", filename=GIL, sha256=add_wheel(store, GIL))
    lacking = (("cp314t", "none of its 1 wheels is for cp314t"),)
    facts, _ = run(make(wheel, lacking=lacking), store)
    failure = facts.abis["cp314t"].failure
    assert failure is not None
    assert (failure.code, failure.error) == (
        "WF220",
        "foo 1.0: none of its 1 wheels is for cp314t",
    )

    facts, files = run(make(wheel, lacking=lacking, skip={"cp314t": "no", "cp314": "no"}), store)
    assert (facts.abis, files) == ({}, {})


@pytest.mark.parametrize("inside", ["bar-1.0-py3-none-any.whl", "foo-2.0-py3-none-any.whl"])
def test_a_wheel_that_says_inside_to_be_another_is_not_taken(store: Store, inside: str):
    wheel = UpstreamWheel(abi="cp314", filename=GIL, sha256=add_wheel(store, inside))
    facts, files = run(make(wheel), store)
    failure = facts.abis["cp314"].failure
    assert files == {}
    assert failure is not None
    assert failure.code == "WF215"


def test_its_key_is_of_the_wheels_and_the_same_on_every_base(store: Store):
    wheel = UpstreamWheel(abi="cp314", filename=GIL, sha256="0" * 64)
    other = UpstreamWheel(abi="cp314", filename=GIL, sha256="1" * 64)
    key = make(wheel).key({})
    on_another = Upstream(
        name="foo", version="1.0", base="debian-13", wheels=(wheel,), lacking=(), skip={}
    )
    assert on_another.key({}) == key
    assert make(other).key({}) != key
    assert make(wheel, lacking=(("cp314t", "none"),)).key({}) != key
    assert make(wheel, skip={"cp314": "no"}).key({}) != key
