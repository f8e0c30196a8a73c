"""Several versions of one project in a matrix."""

import datetime

import pytest

from builder.config.cool_down import CoolDown
from builder.config.versions import pinned_version
from tests.unit.config.parsing import mistakes, parse

TWO = f"""
[packages.numpy]
version = "==2.3.4"
apt = ["libopenblas-dev"]
env = {{ NPY = 1 }}
sha256 = "{"a" * 64}"
patches = ["old.patch"]
skip = {{ cp314t = "not yet" }}
build-tag = 1
[packages."NumPy == 2.4.0"]
env = {{ NPY = 2 }}
"""


def test_a_version_has_a_table_of_its_own_and_what_the_project_says_of_building():
    loaded = parse(TWO)
    assert list(loaded.packages) == ["numpy", "numpy==2.4.0"]
    old, new = loaded.packages.values()
    assert (old.version, new.version) == ("==2.3.4", "==2.4.0")
    assert new.apt == old.apt
    assert (old.env, new.env) == ({"NPY": "1"}, {"NPY": "2"})
    # What is about one release is not another's.
    assert (new.sha256, new.patches, new.skip, new.build_tag) == ((), (), {}, None)


def test_the_first_table_is_what_it_is_without_the_second():
    alone = parse(TWO.partition('[packages."NumPy')[0])
    assert parse(TWO).packages["numpy"] == alone.packages["numpy"]


def test_two_versions_do_without_a_table_of_the_project():
    loaded = parse('[packages."x==1"]\n[packages."x==2"]\nsdist = "x-2.tar.gz"')
    assert loaded.packages["x==1"].version == "==1"
    assert loaded.packages["x==2"].version == ""  # a local sdist has its own
    assert loaded.source_of("x==2") == "sdist"


def test_a_patched_version_is_built_whatever_holds_for_the_others():
    loaded = parse(
        '[packages.x]\nfrom = "wheel"\n[packages."x==1"]\npatches = ["a"]\n[packages."x==2"]'
    )
    assert [loaded.source_of(name) for name in loaded.packages] == ["wheel", "sdist", "wheel"]


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('[packages."x==1.*"]', 'packages."x==1.*"', "or 'lxml==6.0.2'"),
        ('[packages."x>=1"]', 'packages."x>=1"', "no valid name"),
        ('[packages."x==1"]\nversion = "==1"', 'packages."x==1".version', "its name states"),
        ('[packages."x==1"]\n[packages."X == 1"]', 'packages."X == 1"', "once more"),
        ('[packages."x==1"]\n[packages."x==1.0"]', 'packages."x==1.0"', 'that [packages."x==1"] has'),
        ('[packages.x]\nversion="==1.0"\n[packages."x==1"]', 'packages."x==1"', "[packages.x] has"),
        ('[packages."x==1"]\napt = 3', 'packages."x==1".apt', "expected a table"),
    ],
)  # fmt: skip
def test_mistakes_name_the_version(text: str, path: str, expected: str):
    assert expected in mistakes(text)[path]


def test_a_person_means_all_versions_of_a_project_or_one():
    loaded = parse(f'{TWO}\n[packages."other==1"]\n[packages.floating]')
    assert loaded.find_packages("NumPy") == ("numpy", "numpy==2.4.0")
    assert loaded.find_packages("numpy==2.3.4.0") == ("numpy",)
    assert loaded.find_packages("numpy==2.4.0") == ("numpy==2.4.0",)
    assert loaded.find_packages("other") == ("other==1",)
    assert loaded.find_packages("floating==1") == ()
    assert loaded.find_packages("no name") == ()


@pytest.mark.parametrize(
    ("specifier", "pinned"),
    [("==2.0", "2.0"), ("", None), (">=2", None), ("==2.*", None), ("==2,!=3", None)],
)
def test_a_pin_is_one_version(specifier: str, pinned: str | None):
    version = pinned_version(specifier)
    assert (None if version is None else str(version)) == pinned


def test_of_the_cool_downs_of_a_project_s_versions_the_longest_holds():
    loaded = parse(
        """
        [farm]
        cool-down = "3 days"
        [packages.x]
        [packages."x==2"]
        cool-down = "0 days"
        [packages.y]
        cool-down = "0 days"
        [packages."y==2"]
        [packages.z]
        """
    )
    cool_down = CoolDown.for_matrix(loaded)
    days = {name: cool_down.period(name) / datetime.timedelta(days=1) for name in ("x", "y", "z")}
    assert days == {"x": 3, "y": 0, "z": 3}
