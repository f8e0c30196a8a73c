"""What the terminal report of pytest-run-parallel says of tests that it ran in one thread."""

from pathlib import Path

import pytest

from builder.inside.stress import owntests, unpacking
from builder.inside.supervise.accounts import OWN
from tests.unit.local_index import archive

REPORT = """\
tests/test_put.py ·.·                                                     [100%]
====================== pytest-run-parallel report ======================
tests/test_put.py::test_warns was not run in parallel: calls thread-unsafe function: warns
tests/test_put.py::test_many[a b] was not run in parallel: uses the thread_unsafe marker
=========================== 3 passed in 0.11s ===========================
"""


def test_every_test_in_one_thread_is_named_with_its_reason():
    assert owntests._find_single_threaded(REPORT) == {
        "tests/test_put.py::test_warns": "calls thread-unsafe function: warns",
        "tests/test_put.py::test_many[a b]": "uses the thread_unsafe marker",
    }


@pytest.mark.parametrize("text", ["", "====\nAll tests were run in parallel! \n"])
def test_where_all_ran_in_parallel_none_is_named(text: str):
    assert owntests._find_single_threaded(text) == {}


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_the_tests_of_an_sdist_are_laid_out_without_the_package(tmp_path: Path, kind: str):
    sdist = tmp_path / f"pkg-1.0.{kind}"
    files = ("setup.cfg", "src/pkg/__init__.py", "tests/test_a.py", "test_b.py")
    sdist.write_bytes(archive(kind, {f"pkg-1.0/{name}": b"" for name in files}))
    folder = tmp_path / "taken out"
    assert unpacking.unpack_apart(OWN, str(sdist), tmp_path / "sdist", folder) == 0
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) == [
        "setup.cfg",
        "test_b.py",
        "tests/test_a.py",
    ]
