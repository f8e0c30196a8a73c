"""What releases of CPython look for, as the real ones say it."""

import importlib.machinery
import sys
import sysconfig

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import Tag, parse_tag

from builder.distributions.cpython import (
    is_taken,
    list_hooks,
    list_interpreters,
    list_suffix_tags,
    list_triplets,
    name_interpreters,
)

LINUX = "manylinux_2_28_x86_64"
TRIPLET = ("x86_64-linux-gnu",)


def suffixes(abi: str) -> list[str]:
    return [f".{tag}.so" if tag else ".so" for tag in list_suffix_tags(abi, TRIPLET)]


def test_suffixes_of_3_15():
    """What `importlib.machinery.EXTENSION_SUFFIXES` of CPython 3.15.0 is, of Debian's package."""
    assert suffixes("cp315") == [
        ".cpython-315-x86_64-linux-gnu.so",
        ".abi3-x86_64-linux-gnu.so",
        ".abi3.so",
        ".abi3t-x86_64-linux-gnu.so",
        ".abi3t.so",
        ".so",
    ]


def test_a_free_threaded_build_looks_for_abi3_only_before_3_15():
    """Lib/test/test_importlib/extension/test_finder.py of 3.15 asks for this."""
    assert suffixes("cp315t") == [
        ".cpython-315t-x86_64-linux-gnu.so",
        ".abi3t-x86_64-linux-gnu.so",
        ".abi3t.so",
        ".so",
    ]
    assert suffixes("cp314t") == [".cpython-314t-x86_64-linux-gnu.so", ".abi3.so", ".so"]


def test_suffixes_of_the_interpreter_that_runs_this():
    abi = f"cp{sys.version_info.major}{sys.version_info.minor}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        abi += "t"
    triplet = sysconfig.get_config_var("MULTIARCH")
    tags = list_suffix_tags(abi, (triplet,))
    expected = [f".{tag}.so" if tag else ".so" for tag in tags]
    assert expected == importlib.machinery.EXTENSION_SUFFIXES


def test_hooks_by_release():
    assert list_hooks("cp314t") == ("PyInit",)
    assert list_hooks("cp315") == ("PyModExport", "PyInit")


@pytest.mark.parametrize(
    ("tag", "interpreters"),
    [
        ("cp314-cp314", ("cp314",)),
        ("cp315-cp315t", ("cp315t",)),
        ("cp315-abi3", ("cp315",)),
        ("cp315-abi3t", ("cp315t",)),
        ("cp315-abi3.abi3t", ("cp315", "cp315t")),
        ("cp313-abi3.abi3t", ("cp313", "cp313t", "cp314", "cp314t", "cp315", "cp315t")),
        ("cp312-abi3", ("cp312", "cp313", "cp314", "cp315")),
        ("cp316-abi3", ("cp316",)),
        ("cp315t-abi3t", ()),
        ("pp311-pypy311_pp73", ()),
    ],
)
def test_interpreters_that_take_a_wheel(tag: str, interpreters: tuple[str, ...]):
    assert list_interpreters(f"x-1-{tag}-{LINUX}.whl") == interpreters


def test_requires_python_counts_as_it_does_for_installers():
    filename = f"x-1-cp312-abi3-{LINUX}.whl"
    assert list_interpreters(filename, [">=3.14"]) == ("cp314", "cp315")
    assert list_interpreters(filename, [">=3.12.4,<3.14", "no specifier"]) == ("cp312", "cp313")


@pytest.mark.parametrize(
    "tag",
    ["cp315t-abi3t", "cp315t-cp315t", "cp315t-abi3", "py3-abi3", "cp314-cp315", "cp312-cp312t"],
)
def test_nobody_takes_a_tag(tag: str):
    (one,) = parse_tag(f"{tag}-{LINUX}")
    assert not is_taken(one)


@pytest.mark.parametrize(
    "tag",
    [
        "cp315-abi3t", "cp313-abi3t", "cp317-cp317t", "cp37-cp37m", "cp27-cp27mu", "pp311-pypy311_pp73", "py3-none",
    ],
)  # fmt: skip
def test_somebody_takes_a_tag_or_it_is_not_known(tag: str):
    (one,) = parse_tag(f"{tag}-{LINUX}")
    assert is_taken(one)


@given(
    st.from_regex(r"(cp|py|pp)[0-9t]{0,5}", fullmatch=True),
    st.from_regex(r"(abi3t?|none|cp3[0-9t]{0,4}|pypy3)", fullmatch=True),
)
def test_any_tag_is_taken_or_not(interpreter: str, abi: str):
    assert is_taken(Tag(interpreter, abi, LINUX)) in {True, False}


@pytest.mark.parametrize(
    ("platforms", "triplets"),
    [
        (("manylinux_2_17_x86_64", "manylinux2014_x86_64"), ("x86_64-linux-gnu",)),
        (("linux_aarch64",), ("aarch64-linux-gnu",)),
        (("musllinux_1_2_x86_64",), ("x86_64-linux-musl",)),
        (("any",), ("x86_64-linux-gnu",)),
    ],
)
def test_machines_in_suffixes(platforms: tuple[str, ...], triplets: tuple[str, ...]):
    assert list_triplets(platforms) == triplets


def test_interpreters_in_a_sentence():
    assert name_interpreters(["cp39", "cp310", "cp312"]) == "CPython 3.9 to 3.10, 3.12"
    assert name_interpreters(["cp314", "cp315", "cp315t"]) == "CPython 3.14 to 3.15, 3.15t"
