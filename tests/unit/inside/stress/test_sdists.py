"""Sdists as tar and as zip archives, in the shapes that projects publish them in."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from builder.inside.stress import sdists
from builder.inside.supervise.accounts import OWN


def make_tar(path: Path, files: dict[str, str]) -> str:
    source = path.parent / "source"
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    with tarfile.open(path, "w:gz") as archive:
        for name in files:
            archive.add(source / name, arcname=name)

    return str(path)


def make_zip(path: Path, files: dict[str, str]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)

    return str(path)


FILES = {
    "fast-1.0/fast/core.py": "",
    "fast-1.0/tests/test_core.py": "def test_it():\n    pass\n",
    "fast-1.0/setup.cfg": "[tool:pytest]\n",
}
MAKERS = {"fast-1.0.tar.gz": make_tar, "fast-1.0.zip": make_zip}


@pytest.mark.parametrize("name", MAKERS)
def test_the_root_is_the_folder_of_all_files(tmp_path: Path, name: str):
    sdist = MAKERS[name](tmp_path / name, FILES)
    root = sdists.unpack(sdist, tmp_path / "unpacked")
    assert root == tmp_path / "unpacked/fast-1.0"
    assert (root / "setup.cfg").read_text() == "[tool:pytest]\n"


@pytest.mark.parametrize("name", MAKERS)
def test_without_a_folder_the_root_is_where_it_was_unpacked(tmp_path: Path, name: str):
    sdist = MAKERS[name](tmp_path / name, {"setup.py": ""})
    assert sdists.unpack(sdist, tmp_path / "unpacked") == tmp_path / "unpacked"


def test_of_several_folders_the_first_is_the_root(tmp_path: Path):
    sdist = make_zip(tmp_path / "odd.zip", {"b/setup.py": "", "a/README": "", "c": ""})
    assert sdists.unpack(sdist, tmp_path / "unpacked").name == "a"


def test_nothing_lands_outside(tmp_path: Path):
    sdist = tmp_path / "evil.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../outside"))
    with pytest.raises(tarfile.TarError):
        sdists.unpack(str(sdist), tmp_path / "unpacked")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("name", MAKERS)
def test_own_tests_are_taken_out_without_the_package(tmp_path: Path, name: str):
    sdist = MAKERS[name](tmp_path / name, FILES)
    folder = tmp_path / "tests"
    assert sdists.unpack_apart(OWN, sdist, tmp_path / "unpacked", folder) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["setup.cfg", "tests"]


def test_an_sdist_without_tests_has_none_to_run(tmp_path: Path):
    sdist = make_tar(tmp_path / "bare.tar.gz", {"bare-1.0/setup.py": ""})
    exit_code = sdists.unpack_apart(OWN, sdist, tmp_path / "unpacked", tmp_path / "tests")
    assert exit_code == sdists.NO_TESTS


def test_what_only_its_owner_may_read_is_for_all_afterwards(tmp_path: Path):
    sdist = tmp_path / "private.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        member = tarfile.TarInfo("private-1.0/tests/test_it.py")
        member.mode = 0o600
        archive.addfile(member)
    assert sdists.unpack_apart(OWN, str(sdist), tmp_path / "unpacked") == 0
    assert (tmp_path / "unpacked" / member.name).stat().st_mode & 0o777 == 0o644
