"""Which files of a distribution are modules, and which of them are extension modules."""

from __future__ import annotations

from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from builder.inside.load import distribution as distributions
from builder.inside.load.distribution import find_gil_setters, find_modules
from builder.inside.supervise.distributions import find_distribution, list_files

SUFFIX = ".cpython-314-x86_64-linux-gnu.so"
EXTENSION = b"\x7fELF...PyInit_x\0PyModuleDef_Init\0"
LIBRARY = b"\x7fELF...compress\0malloc\0"


def install(folder: Path, files: dict[str, bytes]) -> Distribution:
    """Return a distribution that is installed with these files."""
    info = folder / "foo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foo\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return PathDistribution(info)


def list_modules(distribution: Distribution) -> tuple[dict[str, bool], list[str]]:
    """Return the top-level modules and the extension modules of a distribution."""
    modules = find_modules(distribution)
    return modules.tops, modules.natives


def test_each_native_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Some are hundreds of megabytes."""
    read: list[str] = []

    def read_file(path: Path, _limit_bytes: int) -> bytes:
        read.append(path.name)
        return path.read_bytes()

    monkeypatch.setattr(distributions, "read_file", read_file)
    files = {f"foo/_own{SUFFIX}": EXTENSION + b"PyUnstable_Module_SetGIL\0", "foo/x.py": b""}
    modules = find_modules(install(tmp_path, files))
    assert find_gil_setters(modules, str(tmp_path)) == ["foo._own"]
    assert read == [f"_own{SUFFIX}"]


def test_extension_modules_and_packages(tmp_path: Path):
    files = {
        "foo/__init__.py": b"",
        f"foo/_fast{SUFFIX}": EXTENSION,
        "foo/libz.so": EXTENSION,
        f"top{SUFFIX}": EXTENSION,
        "plain.py": b"",
        "foo-data/x.so": EXTENSION,
    }
    tops, natives = list_modules(install(tmp_path, files))
    assert tops == {"foo": False, "plain": False, "top": True}
    assert natives == ["foo._fast", "top"]


def test_a_library_with_the_suffix_of_an_extension_is_not_imported(tmp_path: Path):
    """ctypes loads it: as a module, it would fail for want of its `PyInit` function."""
    files = {"foo/__init__.py": b"", f"foo/_lib{SUFFIX}": LIBRARY, f"_alone{SUFFIX}": LIBRARY}
    assert list_modules(install(tmp_path, files)) == ({"foo": False}, [])


def test_an_extension_that_forgot_its_function_is_imported_and_fails(tmp_path: Path):
    files = {f"_odd{SUFFIX}": b"\x7fELF...PyModule_Create2\0"}
    assert list_modules(install(tmp_path, files)) == ({"_odd": True}, ["_odd"])


def test_a_file_that_is_no_elf_file_is_imported_and_fails(tmp_path: Path):
    files = {f"_odd{SUFFIX}": b"version https://git-lfs\n"}
    assert list_modules(install(tmp_path, files)) == ({"_odd": True}, ["_odd"])


def test_a_module_whose_name_is_no_identifier_is_imported(tmp_path: Path):
    """mypyc names the module that the others share after a hash."""
    name = "81d243bd2c585b0f4821__mypyc"
    files = {
        "foo/__init__.py": b"",
        f"foo/core{SUFFIX}": EXTENSION,
        f"{name}{SUFFIX}": EXTENSION,
        f"foo/with-hyphen{SUFFIX}": EXTENSION,
    }
    tops, natives = list_modules(install(tmp_path, files))
    assert tops == {name: True, "foo": False}
    assert natives == [name, "foo.core", "foo.with-hyphen"]


def test_of_a_namespace_package_each_package_in_it_is_imported(tmp_path: Path):
    files = {
        "google/protobuf/__init__.py": b"",
        "google/protobuf/internal/__init__.py": b"",
        "google/rpc/__init__.py": b"",
        "google/my-data/__init__.py": b"",
    }
    tops, natives = list_modules(install(tmp_path, files))
    assert tops == {"google.protobuf": False, "google.rpc": False}
    assert natives == []


def test_a_package_in_a_regular_one_is_not_imported_alone(tmp_path: Path):
    files = {"foo/__init__.py": b"", "foo/bar/__init__.py": b""}
    assert list_modules(install(tmp_path, files)) == ({"foo": False}, [])


def test_who_names_the_function_that_leaves_the_gil_off_or_a_module_that_does(tmp_path: Path):
    (tmp_path / f"_cffi_backend{SUFFIX}").write_bytes(EXTENSION + b"PyUnstable_Module_SetGIL\0")
    files = {
        f"foo/_own{SUFFIX}": EXTENSION + b"PyUnstable_Module_SetGIL\0",
        f"foo/_sodium{SUFFIX}": EXTENSION + b"_cffi_backend\0",
        f"foo/_other{SUFFIX}": EXTENSION,
    }
    assert find_gil_setters(find_modules(install(tmp_path, files)), str(tmp_path)) == [
        "foo._own",
        "foo._sodium",
    ]


@pytest.mark.parametrize("name", ["disk.iso", "README.also", "LICENSE.numpy", "x.copy"])
def test_data_is_no_module_whatever_its_suffix_ends_with(tmp_path: Path, name: str):
    files = {"foo/__init__.py": b"", f"foo/{name}": b"", name: b""}
    assert list_modules(install(tmp_path, files)) == ({"foo": False}, [])


def test_what_only_looks_like_an_installed_distribution_is_none(tmp_path: Path):
    install(tmp_path, {"foo.py": b""})
    (tmp_path / "foo.egg-info").mkdir()
    (tmp_path / "foo.egg-info" / "PKG-INFO").write_text("Name: foo\nVersion: 1.0\n")
    found = find_distribution(str(tmp_path), "Foo==1.0")
    assert found is not None
    assert list_modules(found) == ({"foo": False}, [])

    (tmp_path / "foo-2.0.dist-info").mkdir()
    assert find_distribution(str(tmp_path), "foo==1.0") is None
    assert find_distribution(str(tmp_path), "bar==1.0") is None


def test_folders_and_rows_that_name_no_file_end_nothing(tmp_path: Path):
    (tmp_path / f"_cffi_backend{SUFFIX}").mkdir()
    distribution = install(tmp_path, {"foo.py": b""})
    (tmp_path / f"bar{SUFFIX}").mkdir()
    record = tmp_path / "foo-1.0.dist-info" / "RECORD"
    record.write_text(f"foo.py,,\n.,,\nbar{SUFFIX},,\n")
    assert list_modules(distribution) == ({"foo": False, "bar": True}, ["bar"])
    assert find_gil_setters(find_modules(distribution), str(tmp_path)) == []

    record.write_bytes(b"\xff\xfe,,\n")
    assert list_files(distribution) == []
