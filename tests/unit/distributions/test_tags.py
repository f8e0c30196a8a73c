"""Which interpreter takes which wheel: one answer everywhere, the one of packaging.tags (as pip asks it)."""

import os
import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import Tag, compatible_tags, cpython_tags, platform_tags

from builder.config import catalog
from builder.dependencies.survey import wheel_floors
from builder.distributions.tags import (
    accepts_tag,
    accepts_wheel,
    platforms_of_glibc,
    runs_on,
    supported_tags,
)
from builder.judge import interfaces
from builder.judge.wheel.subject import Subject
from tests.unit.dependencies.test_survey import release
from tests.unit.facts import wheel_facts

ABIS = ("cp314", "cp314t")
LINUX = "manylinux_2_17_x86_64"


@pytest.mark.parametrize(
    ("tag", "takers"),
    [
        (f"cp314-cp314-{LINUX}", ("cp314",)),
        (f"cp314-cp314t-{LINUX}", ("cp314t",)),
        (f"cp313-cp313-{LINUX}", ()),
        (f"cp39-abi3-{LINUX}", ("cp314",)),
        (f"cp314-abi3-{LINUX}", ("cp314",)),
        (f"cp315-abi3-{LINUX}", ()),
        (f"cp315-abi3t-{LINUX}", ()),
        (f"py3-abi3-{LINUX}", ()),
        ("py2-none-any", ()),
        ("py2.py3-none-any", ABIS),
        ("py3-none-any", ABIS),
        (f"py310-none-{LINUX}", ABIS),
        (f"py315-none-{LINUX}", ()),
        (f"cp313-none-{LINUX}", ()),
        (f"cp314-none-{LINUX}", ABIS),
        ("cp314-none-any", ABIS),
        ("cp314-cp314-any", ()),
    ],
)
def test_every_part_gives_the_same_answer(tag: str, takers: tuple[str, ...]):
    filename = f"x-1-{tag}.whl"
    subject = Subject.from_filename(filename, wheel_facts(), (), interfaces.load())

    assert tuple(abi for abi in ABIS if accepts_wheel(filename, abi)) == takers
    assert subject.abis == takers

    floors = wheel_floors(release("1", filename))
    serving = {"cp314": {"cp314", "abi3", "pure"}, "cp314t": {"cp314t", "pure"}}
    assert tuple(abi for abi in ABIS if serving[abi] & set(floors)) == takers


interpreters = st.one_of(
    st.sampled_from(("py2", "py3", "cp3", "pp3", "cp27", "pp311", "graalpy242_311_native")),
    st.builds(
        lambda kind, minor: f"{kind}3{minor}", st.sampled_from(("cp", "py")), st.integers(0, 17)
    ),
)
abi_tags = st.one_of(
    st.sampled_from(("none", "abi3", "abi3t", "cp27mu", "pypy311_pp73")),
    st.builds(
        lambda minor, flag: f"cp3{minor}{flag}",
        st.integers(6, 17),
        st.sampled_from(("", "t", "m", "d", "td")),
    ),
)
platform_names = st.one_of(
    st.sampled_from(("any", "linux_x86_64", "manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64",
                     "win_amd64", "macosx_11_0_arm64", "musllinux_1_2_x86_64", "manylinux_2_17_aarch64")),
    st.builds(lambda minor: f"manylinux_2_{minor}_x86_64", st.integers(5, 50)),
)  # fmt: skip


def pip_tags(abi: str, platforms: list[str]) -> set[Tag]:
    """Return the tags as pip puts them together (pip._internal.utils.compatibility_tags)."""
    version = (3, 14)
    return {
        *cpython_tags(python_version=version, abis=[abi], platforms=platforms),
        *compatible_tags(python_version=version, interpreter="cp314", platforms=platforms),
    }


@given(st.builds(Tag, interpreters, abi_tags, platform_names), st.sampled_from(ABIS))
def test_an_interpreter_takes_what_packaging_says(tag: Tag, abi: str):
    """`any` is not the platform of a machine: it goes with tags without an ABI alone."""
    platforms = ["linux_x86_64"] if tag.platform == "any" else [tag.platform]

    assert accepts_tag(tag, abi) is (tag in pip_tags(abi, platforms))


@given(
    st.builds(Tag, interpreters, abi_tags, platform_names),
    st.sampled_from(ABIS),
    st.sampled_from(list(catalog.load().bases.values())),
)
def test_a_base_and_an_interpreter_take_what_packaging_says(tag: Tag, abi: str, base: catalog.Base):
    taken = accepts_tag(tag, abi) and runs_on(f"x-1-{tag}.whl", base)

    assert taken is (tag in pip_tags(abi, list(platforms_of_glibc(base.glibc_version))))


@pytest.mark.parametrize("abi", ABIS)
def test_the_order_is_that_of_pip(abi: str):
    base = catalog.load().bases["debian-12"]
    platforms = list(platforms_of_glibc(base.glibc_version))

    ordered = [
        *cpython_tags((3, 14), [abi], platforms),
        *compatible_tags((3, 14), "cp314", platforms),
    ]
    assert list(supported_tags(abi, base)) == ordered


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the farm's tags are for x86-64")
def test_platforms_are_those_that_packaging_finds_on_such_a_machine():
    name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    if name != "glibc":
        pytest.skip("the farm's tags are for glibc")
    major, minor = version.split(".")[:2]

    assert list(platforms_of_glibc((int(major), int(minor)))) == list(platform_tags())
