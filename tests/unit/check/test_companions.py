"""What a wheel built elsewhere needs beside it, chosen as pip would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import Tag
from packaging.version import Version

from builder.check.companions import LocalWheel, MissingRequirementError, RuntimeRequirements
from builder.config import catalog
from builder.distributions.tags import runs_on, supported_tags
from builder.sources.client import Index
from builder.store.store import Store
from tests.unit.local_index import LocalIndex, serving
from tests.unit.local_index import wheel as content

PYTHON = Version("3.14.5")
OLD, NEW = catalog.load().bases["debian-12"], catalog.load().bases["debian-13"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[LocalIndex, Index]]:
    (tmp_path / "index").mkdir()
    store = Store(tmp_path / "wheelhouse")
    with serving(tmp_path / "index") as (index, settings):
        yield index, Index(settings, store)
    store.close()


def add(index: LocalIndex, name: str, tags: str, *requires: str, version: str = "1.0") -> None:
    index.add(name, f"{name}-{version}-{tags}.whl", content(name, version, requires=requires))


def wheel(
    *requires: str, name: str = "foo", tags: str = "cp314-cp314t-manylinux_2_17_x86_64"
) -> LocalWheel:
    filename = f"{name}-1.0-{tags}.whl"
    return LocalWheel(
        name=name, version=Version("1.0"), filename=filename, sha256="0" * 64, requires=requires
    )


def test_a_wheel_that_needs_nothing_asks_nobody(served: tuple[LocalIndex, Index]):
    assert RuntimeRequirements(served[1], PYTHON, ()).find_wheels(wheel(), "cp314t", OLD) == {}


def test_the_wheel_is_chosen_that_pip_would_take(served: tuple[LocalIndex, Index]):
    index, client = served
    for tags in (
        "py3-none-any", "cp39-abi3-manylinux_2_17_x86_64", "cp314-cp314-manylinux_2_17_x86_64",
        "cp314-cp314-musllinux_1_2_x86_64", "cp314-cp314t-manylinux_2_38_x86_64",
    ):  # fmt: skip
        add(index, "bar", tags, 'baz; extra == "more"')
    companions = RuntimeRequirements(client, PYTHON, ())
    chosen = {
        (abi, base.name): companions.find_wheels(wheel("bar>=1"), abi, base)["bar"][0]
        for abi in ("cp314", "cp314t")
        for base in (OLD, NEW)
    }
    assert chosen == {
        ("cp314", "debian-12"): "bar-1.0-cp314-cp314-manylinux_2_17_x86_64.whl",
        ("cp314", "debian-13"): "bar-1.0-cp314-cp314-manylinux_2_17_x86_64.whl",
        ("cp314t", "debian-12"): "bar-1.0-py3-none-any.whl",
        ("cp314t", "debian-13"): "bar-1.0-cp314-cp314t-manylinux_2_38_x86_64.whl",
    }


def test_what_is_needed_further_on_is_there_too(served: tuple[LocalIndex, Index]):
    index, client = served
    add(index, "bar", "py3-none-any", "baz")
    add(index, "baz", "py3-none-any")
    assert sorted(
        RuntimeRequirements(client, PYTHON, ()).find_wheels(wheel("bar"), "cp314", OLD)
    ) == ["bar", "baz"]


def test_a_wheel_given_together_with_it_comes_first(served: tuple[LocalIndex, Index]):
    index, client = served
    add(index, "bar", "py3-none-any", version="2.0")
    beside = wheel(name="bar")
    companions = RuntimeRequirements(client, PYTHON, (beside,))
    assert companions.find_wheels(wheel("bar"), "cp314t", OLD) == {
        "bar": (beside.filename, beside.sha256)
    }


@pytest.mark.parametrize(
    ("requirement", "why"),
    [
        ("bar", "bar 1.0, of which there is no wheel for cp314t on debian-12"),
        ("nobody-has-this", "nothing satisfies"),
        ("bar>=7", "nothing satisfies"),
    ],
)
def test_why_it_cannot_be_had(served: tuple[LocalIndex, Index], requirement: str, why: str):
    index, client = served
    add(index, "bar", "cp314-cp314-manylinux_2_17_x86_64")
    with pytest.raises(MissingRequirementError, match=why):
        RuntimeRequirements(client, PYTHON, ()).find_wheels(wheel(requirement), "cp314t", OLD)


@given(st.integers(5, 50), st.sampled_from(["cp314", "cp314t"]))
def test_a_base_supports_the_tags_whose_c_library_it_has(minor: int, abi: str):
    tag = f"manylinux_2_{minor}_x86_64"
    assert (Tag("cp314", abi, tag) in supported_tags(abi, OLD)) is runs_on(
        f"x-1-cp314-{abi}-{tag}.whl", OLD
    )


def test_free_threaded_interpreters_take_no_stable_abi():
    assert Tag("cp39", "abi3", "manylinux2014_x86_64") in supported_tags("cp314", OLD)
    assert not any(tag.abi == "abi3" for tag in supported_tags("cp314t", OLD))
    assert Tag("py3", "none", "any") in supported_tags("cp314t", OLD)
