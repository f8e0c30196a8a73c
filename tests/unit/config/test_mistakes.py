from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.config import matrix
from builder.errors import MatrixError
from tests.unit.config.parsing import mistakes, parse

SIX_MISTAKES = """
[farm]
bases = ["debian-12", "debian-99"]

[packages.lxml]
apt = ["libxml2-dev", "BAD NAME"]
timeout_s = "soon"
memory = "lots"
version = "6.0"

[packages.yarl]
colour = "red"
"""


def test_six_mistakes_are_reported_at_once_each_with_its_path_and_what_was_expected():
    found = mistakes(SIX_MISTAKES)
    assert set(found) == {
        "farm.bases[1]",
        "packages.lxml.apt[1]",
        "packages.lxml.timeout_s",
        "packages.lxml.memory",
        "packages.lxml.version",
        "packages.yarl.colour",
    }
    assert "expected one of 'debian-12'" in found["farm.bases[1]"]
    assert "such as 'libxml2-dev'" in found["packages.lxml.apt[1]"]
    assert "expected a whole number" in found["packages.lxml.timeout_s"]
    assert "such as '512m' or '4g'" in found["packages.lxml.memory"]
    assert "did you mean '==6.0'?" in found["packages.lxml.version"]
    assert "expected one of 'version'" in found["packages.yarl.colour"]


def test_the_message_names_the_file_and_counts():
    with pytest.raises(MatrixError, match=r"6 mistakes in .*matrix\.toml") as caught:
        parse(SIX_MISTAKES)
    assert str(caught.value).count("\n") == 6


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("packages = 3", "packages", "expected a table"),
        ("[packages]", "packages", "at least one table"),
        ("[packages.x]\nroot = 1", "packages.x.root", "unknown key"),
        ("root = '/'\n[packages.x]", "root", "unknown key"),
        ("file = 'x'\n[packages.x]", "file", "unknown key"),
        ("[packages.x]\npure = ['cp399']", "packages.x.pure[0]", "expected one of"),
        ("[packages.x]\npure = ['cp314t']\nsdist = 'x.tar.gz'", "packages.x.pure", "no `sdist`"),
        ("[packages.x]\npure = ['cp314t']\npatches = ['x']", "packages.x.pure", "no `patches`"),
        (
            f"[packages.x]\n[applications.a]\nlock = 'u'\nsmoke = {['true'] * 31}",
            "applications.a.smoke",
            "expected 30 commands at most, not 31",
        ),
        ("[packages.x]\nversio = '>1'", "packages.x.versio", "did you mean 'version'?"),
        (
            "[packages.x.tests]\noption = ['-x']",
            "packages.x.tests.option",
            "did you mean 'options'?",
        ),
        (
            f"[packages.x]\nversion = '=={'9' * 5000}'",
            "packages.x.version",
            "expected a version specifier",
        ),
        ("[packages.x]\nsdist = 'a.tar.gz'\nversion = '>1'", "packages.x.version", "leave out one"),
        ("[packages.x]\nsha256 = 'abc'", "packages.x.sha256", "64 hexadecimal digits"),
        (
            "[packages.x]\napt = { fedora = ['a-b'] }",
            "packages.x.apt",
            "unknown distribution or base 'fedora'",
        ),
        ("[packages.x]\napt = { debian = 'lib' }", "packages.x.apt.debian", "expected a list"),
        ("[packages.x]\nenv = { 'A B' = 1 }", 'packages.x.env."A B"', "environment variable"),
        ("[packages.x]\nskip = { cp313 = 'old' }", "packages.x.skip.cp313", "unknown ABI 'cp313'"),
        ("[packages.x]\nmemory = '1k'", "packages.x.memory", "at least 64m"),
        ("[packages.x]\ntimeout_s = 1", "packages.x.timeout_s", "greater than or equal to 10"),
        ("[packages.'a b']", 'packages."a b"', "no valid name"),
        ("[packages.a_b]\n[packages.'A-B']", "packages.A-B", "once more"),
        ("[farm]\nbases = []\n[packages.x]", "farm.bases", "leave the key out"),
        ("[packages.x]\nfrom = 'rpm'", "packages.x.from", "expected 'sdist', 'wheel' or 'either'"),
        ("[farm]\nfrom = 'wheels'\n[packages.x]", "farm.from", "expected 'sdist', 'wheel' or"),
        ("[packages.x]\nsha256 = ['abc']", "packages.x.sha256[0]", "64 hexadecimal digits"),
        ("[packages.x]\nbuild-tag = 'a'", "packages.x.build-tag", "a build tag: a number"),
        ("[packages.x]\nbuild-tag = '1-1'", "packages.x.build-tag", "a build tag: a number"),
        (
            "[packages.x]\nfrom = 'wheel'\nsdist = 'a.tar.gz'",
            "packages.x.from",
            "`sdist` is a local one",
        ),
        ("[packages.x]\nfrom = 'either'\npatches = ['a']", "packages.x.from", "without `patches`"),
        ("[packages.x]\nfrom = 'wheel'\nbuild-tag = 1", "packages.x.from", "no `build-tag`"),
    ],
)
def test_each_mistake_says_where_and_what(text: str, path: str, expected: str):
    assert expected in mistakes(text)[path]


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
_KEYS = st.sampled_from(
    ["version", "apt", "env", "patches", "memory", "timeout_s", "skip", "config-settings", "zzz"]
)


@given(st.dictionaries(st.text(max_size=8), st.dictionaries(_KEYS, _VALUES) | _VALUES, max_size=3))
def test_whatever_is_in_the_file_ends_in_a_matrix_or_in_mistakes_with_paths(packages):
    found: tuple[tuple[str, str], ...] = (("", "none"),)
    try:
        matrix.parse({"packages": packages}, Path("m.toml"))
    except MatrixError as error:
        found = error.mistakes
    assert found
    assert all(text for _, text in found)
