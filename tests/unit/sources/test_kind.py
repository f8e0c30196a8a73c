"""Which sdists without wheels make native code."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from builder.sources.kind import holds_native_sources

SETUPTOOLS = '[build-system]\nrequires = ["setuptools>=77"]\n'


def make(tmp_path: Path, **files: str) -> Path:
    """Make an sdist; `__` in a name stands for `/`, and `_dot_` for a dot."""
    path = tmp_path / "foo-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo("foo-1.0/" + name.replace("__", "/").replace("_dot_", "."))
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize(
    "files",
    [
        {"src__m_dot_c": ""},
        {"src__m_dot_F90": ""},
        {"src__m_dot_S": ""},
        {"src__m_dot_pyx_dot_in": ""},
        {"src__m_dot_c_dot_src": ""},
        {"setup_dot_py": "setup(cffi_modules=['ffi_build.py:ffi'])"},
        {"setup_dot_py": "setup(ext_modules=mypycify(['m.py']))"},
        {"setup_dot_py": "from Cython.Build import cythonize\nsetup(ext_modules=cythonize(['m.py']))"},
        {"pyproject_dot_toml": '[build-system]\nrequires = ["hatchling", "hatch-mypyc"]\n'},
        {"pyproject_dot_toml": '[build-system]\nrequires = ["setuptools", "cffi>=1.15; python_version > \'3\'"]\n'},
        {"pyproject_dot_toml": SETUPTOOLS + '[tool.setuptools]\next-modules = [{name = "m", sources = ["m.c.txt"]}]\n'},
        {"pyproject_dot_toml": "[tool.hatch.build.targets.wheel.hooks.mypyc]\n"},
    ],
)  # fmt: skip
def test_native_code_is_noticed(files: dict[str, str], tmp_path: Path):
    path = make(tmp_path, **files)
    assert holds_native_sources(path, path.name)


@pytest.mark.parametrize(
    "files",
    [
        {"setup_dot_py": "setup(name='foo', packages=['foo'])", "foo____init___dot_py": ""},
        {"pyproject_dot_toml": SETUPTOOLS, "MANIFEST_dot_in": "include *.c"},
        {"tests__data__m_dot_c": "", "Docs__m_dot_c": ""},
        {"tests__setup_dot_py": "setup(ext_modules=[])"},
        {"pyproject_dot_toml": "not toml ["},
    ],
)
def test_what_is_pure_stays_pure(files: dict[str, str], tmp_path: Path):
    path = make(tmp_path, **files)
    assert not holds_native_sources(path, path.name)
