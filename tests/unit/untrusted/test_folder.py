import os
import socket
import time
from pathlib import Path

import pytest

from builder.untrusted.folder import MissingFileError, UnfitFileError, UntrustedFolder


@pytest.fixture
def folder(tmp_path: Path) -> UntrustedFolder:
    inside = tmp_path / "inside"
    (inside / "a").mkdir(parents=True)
    (inside / "a/file").write_text("content")
    (tmp_path / "secret").write_text("secret")
    return UntrustedFolder(inside)


def test_a_regular_file_is_read_and_copied(folder: UntrustedFolder, tmp_path: Path):
    assert folder.read("a/file", 7) == b"content"
    assert folder.copy("a/file", tmp_path / "copy", 7).startswith("ed7002b4")
    assert (tmp_path / "copy").read_text() == "content"


def test_the_folder_itself_may_be_a_link(folder: UntrustedFolder, tmp_path: Path):
    (tmp_path / "link").symlink_to(folder.path)
    assert UntrustedFolder(tmp_path / "link").read("a/file", 100) == b"content"


def test_what_is_missing_is_told_apart(folder: UntrustedFolder):
    for path in ("a/none", "b/none", "none"):
        with pytest.raises(MissingFileError):
            folder.read(path, 100)


@pytest.mark.parametrize(
    "path", ["../secret", "a/../../secret", "/etc/passwd", "", ".", "a", "a/\x1b[2J", "a/file/x"]
)
def test_no_path_leads_out(folder: UntrustedFolder, path: str):
    with pytest.raises(UnfitFileError):
        folder.read(path, 100)


def test_no_link_is_followed(folder: UntrustedFolder, tmp_path: Path):
    (folder.path / "link").symlink_to(tmp_path / "secret")
    (folder.path / "link-inside").symlink_to("a/file")
    (folder.path / "folder").symlink_to(tmp_path)
    for path in ("link", "link-inside", "folder/secret"):
        with pytest.raises(UnfitFileError):
            folder.read(path, 100)


def test_what_is_no_file_is_not_waited_for(folder: UntrustedFolder):
    os.mkfifo(folder.path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder.path / "socket"))
        before = time.monotonic()
        for name in ("fifo", "socket", "a"):
            with pytest.raises(UnfitFileError, match="no regular file"):
                folder.read(name, 100)
    assert time.monotonic() - before < 1


def test_a_large_file_is_not_read(folder: UntrustedFolder, tmp_path: Path):
    with (folder.path / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(UnfitFileError, match="more than 100"):
        folder.read("sparse", 100)
    with pytest.raises(UnfitFileError, match="more than 100"):
        folder.copy("sparse", tmp_path / "copy", 100)
    assert not (tmp_path / "copy").exists()
