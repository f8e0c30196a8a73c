"""The tables that are made from CPython's source."""

import io
import tarfile
from pathlib import Path

import pytest

from builder.generate import interfaces
from builder.jobs.images import cpython

FILES = {
    "Doc/c-api/init.rst": ".. c:function:: int _Py_IsFinalizing(void)\n\n   Text on ``_Py_Other()``.\n",
    "Doc/c-api/list.rst": ".. c:function:: PyObject* PyList_New(Py_ssize_t len)\n",
    "Doc/library/os.rst": ".. c:function:: int _Py_NotOfTheApi(void)\n",
}


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    path = tmp_path / "Python.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for name, text in FILES.items():
            member = tarfile.TarInfo(f"Python-3.14.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_the_source_says_which_names_are_documented(sdist: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cpython, "fetch_source", lambda _release, _say: sdist)
    assert interfaces._read_documented(print) == {"_Py_IsFinalizing"}


def test_rows_hold_a_name_and_what_is_known_of_it():
    assert interfaces._interpreter_rows({"PyList_New": False, "Py_INCREF": True}) == [
        "PyList_New",
        "Py_INCREF inline",
    ]
    assert interfaces._library_rows({"libc.so.6": ["GLIBC_2.17", "GLIBC_2.28"]}) == [
        "libc.so.6 GLIBC_2.17 GLIBC_2.28"
    ]
