"""Wheels that bring what is another's: read as an audit reads them, and judged as a run judges them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from builder.evidence.audit import WheelFacts
from builder.inside.audit import audit
from builder.judge import interfaces
from builder.judge.wheel.installs import Owners, judge_installs, judge_overlap
from builder.judge.wheel.subject import Subject


def read(folder: Path, name: str, *members: str, **texts: str) -> WheelFacts:
    """Make a wheel of a package with some members, and return its facts."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{texts.pop('requires', '')}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/entry_points.txt", texts.pop("entry_points", ""))
        for member in members:
            archive.writestr(member, texts.get("content", ""))
    return WheelFacts.check(json.loads(json.dumps(audit.read_facts(path))))


def subject(name: str, facts: WheelFacts) -> Subject:
    return Subject.from_filename(f"{name}-1.0-py3-none-any.whl", facts, (), interfaces.load())


def judge(folder: Path, name: str, *members: str, **texts: str) -> list[tuple[str, str]]:
    one = subject(name, read(folder, name, *members, **texts))
    return [(finding.code, finding.detail) for finding in judge_installs(one)]


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("numpy-2.0.dist-info/METADATA", "numpy-2.0.dist-info is the metadata"),
        ("numpy-2.0.DIST-INFO/METADATA", "numpy-2.0.DIST-INFO is the metadata"),
        ("numpy.egg-info/PKG-INFO", "numpy.egg-info is the metadata"),
        ("foo-1.0.data/purelib/numpy-2.0.dist-info/RECORD", "numpy-2.0.dist-info is the metadata"),
        ("pip/__init__.py", "pip is of pip"),
        ("pip/_vendor/x.py", "is of pip"),
        ("foo-1.0.data/platlib/setuptools/__init__.py", "setuptools is of setuptools"),
        ("sitecustomize.py", "run by every interpreter"),
        ("usercustomize/__init__.py", "run by every interpreter"),
        ("sitecustomize.cpython-314-x86_64-linux-gnu.so", "run by every interpreter"),
        ("foo-1.0.data/scripts/python", "the program python replaces"),
        ("foo-1.0.data/scripts/python3.14t", "the program python3.14t replaces"),
        ("foo-1.0.data/scripts/pip3", "the program pip3 replaces"),
        ("foo-1.0.data/scripts/activate", "the program activate replaces"),
        ("foo-1.0.data/data/bin/python3", "bin/python3 is written into"),
        ("foo-1.0.data/data/lib/python3.14/os.py", "lib/python3.14/os.py is written into"),
        (
            "foo-1.0.data/data/lib/python3.14/site-packages/numpy/x.py",
            "lib/python3.14/site-packages/numpy/x.py is written into",
        ),
        ("foo-1.0.data/data/pyvenv.cfg", "pyvenv.cfg is written into"),
    ],
)
def test_what_is_anothers_is_an_error(tmp_path: Path, member: str, words: str):
    ((code, detail),) = judge(tmp_path, "foo", "foo/__init__.py", member)
    assert code == "WF334"
    assert words in detail


def test_a_program_of_an_entry_point_is_one_too(tmp_path: Path):
    text = "[console_scripts]\nfoo = foo:main\npython = foo:main\n[other]\npip = x\n"
    ((code, detail),) = judge(tmp_path, "foo", "foo/__init__.py", entry_points=text)
    assert (code, detail) == ("WF334", "the program python replaces the environment's own")


def test_a_package_that_it_requires_is_not_its_own(tmp_path: Path):
    requires = "Requires-Dist: NumPy>=2\nRequires-Dist: broken[\n"
    members = ("foo/__init__.py", "numpy/__init__.py")
    ((code, detail),) = judge(tmp_path, "foo", *members, requires=requires)
    assert (code, detail) == ("WF334", "numpy is of numpy, which it requires")


def test_data_outside_of_share_is_a_warning(tmp_path: Path):
    members = ("foo-1.0.data/data/etc/profile.d/x.sh", "foo-1.0.data/data/share/man/foo.1")
    ((code, detail),) = judge(tmp_path, "foo", "foo/__init__.py", *members)
    assert code == "WF330"
    assert "etc/profile.d/x.sh" in detail
    assert "share/man" not in detail


def test_code_in_a_pth_file_is_shown(tmp_path: Path):
    content = "# words\n../elsewhere\nimport os; os.system('x')\n"
    facts = read(tmp_path, "foo", "foo.pth", content=content)
    assert facts.installs is not None
    assert facts.installs.pth == {"foo.pth": "import os; os.system('x')"}
    facts = read(tmp_path, "foo", "foo.pth", "foo/deep.pth", content="../elsewhere\n")
    assert facts.installs is not None
    assert facts.installs.pth == {}


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("protobuf", ("google/protobuf/__init__.py", "google/_upb/_message.abi3.so")),
        ("sphinxcontrib_x", ("sphinxcontrib/x/__init__.py",)),
        ("zope.interface", ("zope/interface/__init__.py",)),
        ("pillow", ("PIL/__init__.py", "pillow.libs/x.so")),
        ("pyyaml", ("yaml/__init__.py", "_yaml/__init__.py")),
        ("cffi", ("cffi/__init__.py", "_cffi_backend.cpython-314-x86_64-linux-gnu.so")),
        ("setuptools", ("setuptools/__init__.py", "pkg_resources/__init__.py")),
        ("pip", ("pip/__init__.py", "pip-1.0.data/scripts/pip3")),
        ("foo", ("foo/__init__.py", "tests/__init__.py", "foo-1.0.data/scripts/foo")),
        ("foo", ("foo/__init__.py", "foo-1.0.data/headers/foo.h", "foo-1.0.data/scripts/pip-compile")),
    ],
)  # fmt: skip
def test_other_names_than_the_projects_are_no_fault(
    tmp_path: Path, name: str, members: tuple[str, ...]
):
    assert judge(tmp_path, name, *members) == []


# --- two packages -----------------------------------------------------------------------------------------------------


def overlap(
    folder: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """Return the codes of two packages of one run, each given as its name and members."""
    audited = [(one[0], read(folder, *one)) for one in (first, second)]
    owners = Owners.collect(audited)
    answers: list[list[str]] = []
    for name, facts in audited:
        findings = judge_overlap(subject(name, facts), owners)
        answers.append([str(finding.code) for finding in findings])
    return answers[0], answers[1]


@pytest.mark.parametrize(
    ("evil", "good"),
    [
        (("evil", "evil/__init__.py", "numpy/core/x.so"), ("numpy", "numpy/__init__.py")),
        (("evil", "numpy/__init__.py"), ("numpy", "numpy/__init__.py")),
        (("evil", "evil-1.0.data/platlib/numpy/x.py"), ("numpy", "numpy/__init__.py")),
        (("evil", "google/protobuf/x.py"), ("protobuf", "google/protobuf/__init__.py")),
        (("evil", "mmh3.py"), ("mmh3", "mmh3.cpython-314-x86_64-linux-gnu.so")),
        (("evil", "yaml/__init__.py"), ("pyyaml", "yaml/__init__.py")),
        (("evil", "PIL/x.py"), ("pillow", "PIL/__init__.py")),
        (("evil", "_cffi_backend.py"), ("cffi", "cffi/__init__.py", "_cffi_backend.abi3.so")),
    ],
)
def test_files_in_a_package_of_the_run_are_an_error_of_the_intruder_alone(
    tmp_path: Path, evil: tuple[str, ...], good: tuple[str, ...]
):
    assert overlap(tmp_path, evil, good) == (["WF334"], [])
    assert overlap(tmp_path, good, evil) == ([], ["WF334"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("google_a", "google/a/__init__.py"), ("google_b", "google/b/__init__.py")),
        (("zope.event", "zope/event/__init__.py"), ("zope.interface", "zope/interface/__init__.py")),
        (("one", "one/__init__.py", "tests/__init__.py"), ("two", "two/__init__.py", "tests/__init__.py")),
        (("one", "one/__init__.py", "tests/a.py"), ("two", "two/__init__.py", "tests/b.py")),
        (("sphinx", "sphinx/__init__.py"), ("sphinxcontrib.x", "sphinxcontrib/x/__init__.py")),
        (("one", "ns/a.txt"), ("two", "ns/b.txt")),
    ],
)  # fmt: skip
def test_namespaces_and_tests_are_shared(
    tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
):
    assert overlap(tmp_path, first, second) == ([], [])


def test_where_nobody_can_tell_whose_it_is_no_verdict_depends_on_it(tmp_path: Path):
    first, second = ("beautifulsoup4", "bs4/__init__.py"), ("evil", "bs4/__init__.py")
    assert overlap(tmp_path, first, second) == (["WF330"], ["WF330"])


# --- names that say something else than what is installed -------------------------------------------------------------


@pytest.mark.parametrize(
    "member",
    [
        "./sitecustomize.py",
        ".//sitecustomize.py",
        "foo//bar.py",
        "foo/./bar.py",
        "foo-1.0.data/purelib//sitecustomize.py",
        "foo-1.0.data/./purelib/sitecustomize.py",
        "foo-1.0.data/data/./bin/python3",
    ],
)
def test_a_path_has_one_name(tmp_path: Path, member: str):
    """An installer writes it where the shorter name leads, and no rule about names knows it."""
    facts = read(tmp_path, "foo", member)
    assert ("unsafe", member) in [(kind, where) for kind, where, _ in facts.faults]
    assert member not in [*facts.top_level, *(facts.installs.roots if facts.installs else ())]


def test_two_members_are_not_installed_as_one_file(tmp_path: Path):
    facts = read(tmp_path, "foo", "foo/a.py", "foo-1.0.data/platlib/foo/a.py")
    (fault,) = [fault for fault in facts.faults if fault[0] == "duplicate"]
    assert fault[2] == "foo/a.py and foo-1.0.data/platlib/foo/a.py are both installed as foo/a.py"


@pytest.mark.parametrize("size", ["²", "9" * 5000])
def test_a_size_that_is_no_number_ends_no_audit(tmp_path: Path, size: str):
    record = f"foo/a.py,,{size}\n"
    facts = read(tmp_path, "foo", "foo/a.py", "foo-1.0.dist-info/RECORD", content=record)
    assert facts.members


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("__pycache__/sitecustomize.cpython-314.pyc", "run by every interpreter"),
        ("pip/__pycache__/__init__.cpython-314.pyc", "pip is of pip"),
        ("foo-1.0.data/purelib/__pycache__/usercustomize.cpython-314.pyc", "run by every"),
    ],
)
def test_bytecode_is_the_module_that_it_is_run_for(tmp_path: Path, member: str, words: str):
    (finding,) = judge(tmp_path, "foo", member)
    assert finding[0] == "WF334"
    assert words in finding[1]


def test_bytecode_of_another_packages_module_is_an_intrusion(tmp_path: Path):
    owners = Owners.collect([("six", read(tmp_path, "six", "six.py"))])
    one = subject("foo", read(tmp_path, "foo", "__pycache__/six.cpython-314.pyc"))
    (finding,) = judge_overlap(one, owners)
    assert finding.code == "WF334"


@pytest.mark.parametrize(
    "text",
    [
        "[console_scripts]\nfoo = a:b\n  python3 = evil:main\n",
        "[[console_scripts]]\npython3 = evil:main\n",
        "[ console_scripts ]\npython3=evil:main\n",
        "no entry\n[console_scripts]\npython3 = evil:main\n",
        "  [gui_scripts]\n\tpython3\t= evil:main\n",
    ],
)
def test_entry_points_are_read_as_installers_do(tmp_path: Path, text: str):
    (finding,) = judge(tmp_path, "foo", entry_points=text)
    assert finding[0] == "WF334"
    assert "the program python3 replaces" in finding[1]


def test_a_byte_order_mark_hides_no_code(tmp_path: Path):
    facts = read(tmp_path, "foo", "foo.pth", content="\ufeffimport evil\n")
    assert facts.installs is not None
    assert facts.installs.pth == {"foo.pth": "import evil"}


def test_the_program_of_another_package_is_an_intrusion(tmp_path: Path):
    cython = read(tmp_path, "cython", entry_points="[console_scripts]\ncython = a:b\ncygdb = a:b\n")
    evil = read(
        tmp_path, "evil", "evil-1.0.data/scripts/cython", "evil-1.0.data/data/bin/cygdb",
    )  # fmt: skip
    owners = Owners.collect([("cython", cython), ("evil", evil)])
    found = {
        finding.code: finding.detail for finding in judge_overlap(subject("evil", evil), owners)
    }
    assert "bin/cython is of cython" in found["WF334"]
    assert "bin/cygdb is what cython brings, too" in found["WF330"]
    assert [f.code for f in judge_overlap(subject("cython", cython), owners)] == ["WF330"]


def test_nothing_hides_behind_many_other_things(tmp_path: Path):
    many = [f"a{number}/x.py" for number in range(1_500)]
    (finding,) = judge(tmp_path, "foo", *many, "sitecustomize.py")
    assert "run by every interpreter" in finding[1]

    most = [f"a{number}/x.py" for number in range(20_000)]
    facts = read(tmp_path, "foo", *most, "sitecustomize.py")
    assert ("unsafe", "", "it installs 20001 roots, of which 20000 were looked at") in facts.faults
