"""Sdists as tar and as zip archives: in the shapes that projects publish them in, and in those of attacks."""

import errno
import gzip
import io
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from builder.inside.stress.package import sdists, unpacking
from builder.inside.stress.package.sdists import SdistError
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


@pytest.mark.parametrize("name", MAKERS)
def test_own_tests_are_taken_out_without_the_package(tmp_path: Path, name: str):
    sdist = MAKERS[name](tmp_path / name, FILES)
    folder = tmp_path / "tests"
    assert unpacking.unpack_apart(OWN, sdist, tmp_path / "unpacked", folder) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["setup.cfg", "tests"]


def test_an_sdist_without_tests_has_none_to_run(tmp_path: Path):
    sdist = make_tar(tmp_path / "bare.tar.gz", {"bare-1.0/setup.py": ""})
    exit_code = unpacking.unpack_apart(OWN, sdist, tmp_path / "unpacked", tmp_path / "tests")
    assert exit_code == unpacking.NO_TESTS


# --- what honest archives have, and what attacks have -------------------------------------------------------------------


def member(
    name: str,
    content: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
    mode: int = 0o644,
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(content)
    info.mtime = 1_600_000_000
    return info, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, kind=kind, link=target)


def write_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> str:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return str(path)


def test_what_honest_sdists_have_is_unpacked(tmp_path: Path):
    sdist = write_tar(
        tmp_path / "a.tar.gz",
        member(
            "./p-1/", kind=tarfile.DIRTYPE, mode=0o2755
        ),  # as on file systems with a shared group
        member("p-1/configure", b"#!/bin/sh\n", mode=0o775),
        member("p-1/old", b"first", mode=0o600),
        member("p-1/old", b"second"),  # tar's way to replace a file
        member("p-1/sub/deep/a.c", b"x"),
        link("p-1/sub/up", "../configure"),
        link("p-1/sub/deep/there", "../../sub/./deep"),
        link("p-1/hard", "p-1/sub/deep/a.c", tarfile.LNKTYPE),
    )
    root = sdists.unpack(sdist, tmp_path / "out")
    assert (root / "configure").stat().st_mode & 0o7777 == 0o755
    assert (root / "configure").stat().st_mtime == 1_600_000_000
    assert (root / "old").read_bytes() == b"second"
    assert (root / "old").stat().st_mode & 0o7777 == 0o644
    assert not root.stat().st_mode & (stat.S_ISGID | stat.S_ISUID)
    assert (root / "sub/up").read_bytes() == b"#!/bin/sh\n"
    assert (root / "sub/deep/there/a.c").read_bytes() == b"x"
    assert (root / "hard").samefile(root / "sub/deep/a.c")


LONG = "p-1/" + "d" * 100
ATTACKS = {
    "above": [member("../outside")],
    "above, later": [member("p-1/a/../../../outside")],
    "absolute": [member("/outside")],
    "link to an absolute path": [link("p-1/l", "/etc/passwd")],
    "link out": [link("p-1/l", "../../outside")],
    "link out of its folder's folder": [link("l", "..")],
    "link that is not plain": [link("p-1/d", "."), link("p-1/l", "d/../../outside")],
    "link without a target": [link("p-1/l", "")],
    "link with a long target": [link("p-1/l", "a/" * 600 + "b")],
    "below a link": [link("p-1/l", "sub"), member("p-1/l/file")],
    "below a link to here": [link("p-1/l", "."), member("p-1/l/../../outside")],
    "in the place of a link": [link("p-1/l", "target"), member("p-1/l", b"x")],
    "a folder in the place of a link": [
        link("p-1/l", "target"),
        member("p-1/l", kind=tarfile.DIRTYPE),
    ],
    "a link in the place of a file": [member("p-1/f"), link("p-1/f", "g")],
    "a link in the place of a folder": [member("p-1/d/f"), link("p-1/d", "g")],
    "below a file": [member("p-1/f"), member("p-1/f/g")],
    "hard link out": [link("p-1/l", "../outside", tarfile.LNKTYPE)],
    "hard link to an absolute path": [link("p-1/l", "/etc/passwd", tarfile.LNKTYPE)],
    "hard link to what comes later": [link("p-1/l", "p-1/f", tarfile.LNKTYPE), member("p-1/f")],
    "hard link to a link": [link("p-1/a", "b"), link("p-1/l", "p-1/a", tarfile.LNKTYPE)],
    "hard link to itself": [member("p-1/f"), link("p-1/f", "p-1/f", tarfile.LNKTYPE)],
    "device": [member("p-1/null", kind=tarfile.CHRTYPE)],
    "disk": [member("p-1/disk", kind=tarfile.BLKTYPE)],
    "FIFO": [member("p-1/pipe", kind=tarfile.FIFOTYPE)],
    "unknown kind": [member("p-1/what", kind=b"Q")],
    "set-user-id": [member("p-1/sh", mode=0o4755)],
    "set-group-id": [member("p-1/sh", mode=0o2755)],
    "newline": [member("p-1/a\nb")],
    "escape sequence": [member("p-1/\x1b[2J")],
    "no UTF-8": [member("p-1/\udcff")],
    "long name": [member("p-1/" + "a/" * 40 + "b" * 250 + "/" + "c" * 250 + "/" + "d" * 250 + "/e" * 100)],
    "long part": [member("p-1/" + "a" * 256)],
    "deep": [member("p-1/" + "d/" * 64 + "f")],
    "a chain of long links": [  # CVE-2025-4517 and its relatives: realpath gives up on long paths
        *(member(f"p-1/{'d' * 200}/{i}/x") for i in range(3)),
        link("p-1/a", "d" * 200),
        link("p-1/b", "a/" * 200 + "../../../../outside"),
        member("p-1/b/outside"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_by_tar_is_refused_and_leaves_nothing_outside(tmp_path: Path, name: str):
    sdist = write_tar(tmp_path / "a.tar.gz", member("p-1/PKG-INFO", b"x"), *ATTACKS[name])
    folder = tmp_path / "a" / "b" / "c"
    with pytest.raises(SdistError, match=r"^member "):  # our own rules, not tarfile's
        sdists.unpack(sdist, folder)
    assert not list(tmp_path.rglob("outside"))
    for path in folder.rglob("*"):
        assert path.resolve().is_relative_to(folder)


@pytest.mark.parametrize(
    "name", ["above", "link out", "a chain of long links", "device", "below a link"]
)
def test_the_rules_need_nothing_of_tarfiles_filter(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    test_an_attack_by_tar_is_refused_and_leaves_nothing_outside(tmp_path, name)


def test_a_sparse_file_is_refused(tmp_path: Path):
    info, _ = member("p-1/big")
    info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 50)}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(SdistError, match=r"unpacks to more|neither a file"):
        sdists.unpack(str(tmp_path / "a.tar"), tmp_path / "out")


def test_too_many_members_and_too_many_bytes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sdist = write_tar(tmp_path / "a.tar.gz", *(member(f"p-1/{i}", b"12345") for i in range(11)))
    monkeypatch.setattr(sdists, "MOST_MEMBERS", 10)
    with pytest.raises(SdistError, match="more than 10 members"):
        sdists.unpack(sdist, tmp_path / "many")
    monkeypatch.setattr(sdists, "MOST_MEMBERS", 50_000)
    monkeypatch.setattr(sdists, "MOST_BYTES", 20)
    with pytest.raises(SdistError, match="unpacks to more"):
        sdists.unpack(sdist, tmp_path / "large")


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b" + bytes(40), b"x" * 2000])
@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_garbage_is_no_sdist(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SdistError):
        sdists.unpack(str(tmp_path / name), tmp_path / "out")


def test_a_full_disk_is_no_fault_of_the_sdist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sdist = write_tar(tmp_path / "a.tar.gz", member("p-1/f", b"x"))

    def fail(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(sdists, "_copy", fail)
    with pytest.raises(OSError, match="No space left"):
        sdists.unpack(sdist, tmp_path / "out")


ZIP_ATTACKS = {
    "above": ("../outside", 0),
    "absolute": ("/outside", 0),
    "link": ("p-1/l", stat.S_IFLNK | 0o777),
    "device": ("p-1/null", stat.S_IFCHR | 0o644),
    "set-user-id": ("p-1/sh", stat.S_IFREG | 0o4755),
    "newline": ("p-1/a\nb", 0),
    "without-a-name": ("", 0),
}


@pytest.mark.parametrize("name", ZIP_ATTACKS)
def test_an_attack_by_zip_is_refused(tmp_path: Path, name: str):
    filename, mode = ZIP_ATTACKS[name]
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("p-1/PKG-INFO", "x")
        info = zipfile.ZipInfo(filename)
        info.external_attr = mode << 16
        archive.writestr(info, "text")
    with pytest.raises(SdistError):
        sdists.unpack(str(path), tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("outside"))


# --- as a program -------------------------------------------------------------------------------------------------------


def run_program(sdist: str, folder: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    command = [sys.executable, "-I", "-S", sdists.__file__, sdist, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", MAKERS)
def test_the_program_puts_the_project_into_a_folder(tmp_path: Path, name: str):
    sdist = MAKERS[name](tmp_path / name, {**FILES, "beside": "x"})
    ended = run_program(sdist, tmp_path / "project")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    found = {path.name for path in (tmp_path / "project").iterdir()}
    assert found == {"fast", "tests", "setup.cfg"}


def test_the_program_says_what_it_refuses_in_one_printable_line(tmp_path: Path):
    sdist = write_tar(tmp_path / "a.tar.gz", member("p-1/ä\x1b[31m\nwheelfarm-limits: x"))
    ended = run_program(sdist, tmp_path / "project")
    assert ended.returncode == 65
    (line,) = ended.stdout.splitlines()
    assert line.startswith("wheelfarm-sdist-refused: member ")
    assert line.isascii()
    assert line.isprintable()
    sdist = write_tar(tmp_path / "two.tar.gz", member("a/x"), member("b/x"))
    ended = run_program(sdist, tmp_path / "two")
    assert "it has 2 top-level folders, not one" in ended.stdout


def test_headers_that_state_any_size_end_at_the_limit_on_memory(tmp_path: Path):
    path = tmp_path / "bomb.tar.gz"
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 3 << 30
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        file.write(bytes(200 << 20))
    program = f"import sys; sys.path.append({str(Path(sdists.__file__).parent)!r}); import sdists"
    program += "; sdists._PROGRAM_MEMORY_BYTES = 150 << 20; sdists.main()"
    (tmp_path / "project").mkdir()
    command = [sys.executable, "-c", program, str(path), str(tmp_path / "project")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 65
    assert "MemoryError" in ended.stdout


@pytest.mark.parametrize(("number", "kind"), [(errno.EINVAL, SdistError), (errno.ENOSPC, OSError)])
def test_what_a_damaged_zip_makes_the_system_refuse_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
):
    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(zipfile, "ZipFile", refuse)
    with pytest.raises(kind):
        sdists.unpack("a-1.0.zip", tmp_path / "a")


SHAPES = {
    "one folder": ({"fast-1.0/PKG-INFO": "", "fast-1.0/src/a.c": ""}, {"PKG-INFO", "src"}),
    "no folder": ({"PKG-INFO": "", "src/a.c": "", "docs/b": ""}, {"PKG-INFO", "src", "docs"}),
    "no folder, and no PKG-INFO": ({"setup.py": "", "src/a.c": ""}, {"setup.py", "src"}),
    "a folder beside it": ({"extra/readme": "", "fast-1.0/PKG-INFO": ""}, {"PKG-INFO"}),
    "a file beside it": ({"note": "", "fast-1.0/setup.py": ""}, {"setup.py"}),
}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_project_is_found_in_every_shape(tmp_path: Path, shape: str, maker: str):
    files, expected = SHAPES[shape]
    sdist = MAKERS[maker](tmp_path / maker, files)
    folder = tmp_path / "project"
    folder.mkdir()
    sdists.unpack_project(sdist, folder)
    assert {path.name for path in folder.iterdir()} == expected


def test_of_two_projects_none_is_taken(tmp_path: Path):
    files = {"a/PKG-INFO": "", "b/PKG-INFO": ""}
    sdist = make_tar(tmp_path / "fast-1.0.tar.gz", files)
    folder = tmp_path / "project"
    folder.mkdir()
    with pytest.raises(SdistError, match="not one, and 2 have PKG-INFO"):
        sdists.unpack_project(sdist, folder)
