"""Which sdists without wheels make native code."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from builder.sources.kind import Kind, classify_sdist, holds_native_sources

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
    assert classify_sdist(path, path.name).kind is Kind.PURE


@pytest.mark.parametrize(
    ("files", "doubt"),
    [
        ({"setup_dot_py": "if os.environ.get('FAST'):\n    more()\nsetup()"}, "its setup.py decides: `environ`"),
        ({"setup_dot_py": "setup(**make_arguments())"}, "its setup.py decides: `**m`"),
        ({"setup_dot_py": "setup(cmdclass={'build': Build})"}, "its setup.py decides: `cmdclass`"),
        (
            {"pyproject_dot_toml": '[build-system]\nrequires = ["zz"]\nbuild-backend = "zz.backend"\n'},
            "its build backend is zz.backend",
        ),
        (
            {"pyproject_dot_toml": SETUPTOOLS + 'build-backend = "own"\nbackend-path = ["tools"]\n'},
            "its build backend is own",
        ),
        (
            {"pyproject_dot_toml": '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
             "[tool.hatch.build.hooks.custom]\n"},
            "its pyproject.toml names a program of its own that takes part in the build",
        ),
    ],
)  # fmt: skip
def test_what_only_the_build_can_tell_is_said_to_be_that(
    files: dict[str, str], doubt: str, tmp_path: Path
):
    path = make(tmp_path, **files)
    classified = classify_sdist(path, path.name)
    assert (classified.kind, classified.doubt) == (Kind.UNKNOWN, doubt)


@pytest.mark.parametrize(
    "text",
    [
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n',
        '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n',
        SETUPTOOLS + 'build-backend = "setuptools.build_meta"\n',
    ],
)
def test_a_backend_that_makes_pure_wheels_is_no_doubt(text: str, tmp_path: Path):
    path = make(tmp_path, pyproject_dot_toml=text)
    assert classify_sdist(path, path.name).kind is Kind.PURE
