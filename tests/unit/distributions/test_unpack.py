import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from builder.distributions.members import NotAnSdistError
from builder.distributions.unpack import unpack


def sdist(tmp_path: Path, *members: tarfile.TarInfo | str) -> Path:
    path = tmp_path / "foo-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = 0 if info.type != tarfile.REGTYPE else 2
            archive.addfile(info, io.BytesIO(b"ok") if info.size else None)
    return path


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def test_an_sdist_unpacks_to_its_folder(tmp_path: Path):
    project = unpack(
        sdist(tmp_path, "foo-1.0/PKG-INFO", "foo-1.0/src/a.c"), "foo-1.0.tar.gz", tmp_path / "out"
    )
    assert project.name == "foo-1.0"
    assert (project / "src/a.c").read_text() == "ok"


@pytest.mark.parametrize(
    "member",
    [
        "../escaped",
        "foo-1.0/../../escaped",
        link("foo-1.0/l", "/etc/passwd"),
        link("foo-1.0/l", "../../escaped"),
    ],
)
def test_what_leads_out_is_refused(tmp_path: Path, member: tarfile.TarInfo | str):
    path = sdist(tmp_path, "foo-1.0/PKG-INFO", member)
    with pytest.raises(NotAnSdistError):
        unpack(path, "foo-1.0.tar.gz", tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("escaped"))


def test_a_device_is_refused(tmp_path: Path):
    info = tarfile.TarInfo("foo-1.0/null")
    info.type = tarfile.CHRTYPE
    with pytest.raises(NotAnSdistError):
        unpack(sdist(tmp_path, info), "foo-1.0.tar.gz", tmp_path / "out")


def test_a_zip_is_an_sdist_too_and_held_to_the_same(tmp_path: Path):
    path = tmp_path / "foo.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("foo-1.0/PKG-INFO", "ok")
    assert unpack(path, "foo-1.0.zip", tmp_path / "out").name == "foo-1.0"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../escaped", "no")
    with pytest.raises(NotAnSdistError, match="leads out"):
        unpack(path, "foo-1.0.zip", tmp_path / "other")


@pytest.mark.parametrize("members", [("a/x", "b/x"), ("x",)])
def test_one_top_level_folder_is_expected(tmp_path: Path, members: tuple[str, ...]):
    with pytest.raises(NotAnSdistError, match="top-level"):
        unpack(sdist(tmp_path, *members), "foo-1.0.tar.gz", tmp_path / "out")


def test_garbage_is_no_sdist(tmp_path: Path):
    path = tmp_path / "foo-1.0.tar.gz"
    path.write_bytes(b"not a tar")
    with pytest.raises(NotAnSdistError):
        unpack(path, "foo-1.0.tar.gz", tmp_path / "out")
