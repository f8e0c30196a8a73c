"""Archives of toolchains are trusted by their hash, and unpacked as if they were not."""

import io
import tarfile
from pathlib import Path

import pytest

from builder.inside.rust import toolchain
from tests.rust_server import make_archive, make_tar

TOP = "rustc-1.98.0-x86_64-unknown-linux-gnu"


def refuse(content: bytes, tmp_path: Path) -> str:
    """Unpack an archive that has to be refused, and return why it was."""
    archive, folder = tmp_path / "archive", tmp_path / "rust"
    archive.write_bytes(content)
    folder.mkdir()
    with pytest.raises(toolchain.RefusedError) as caught:
        toolchain.unpack(archive, folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "rust"]
    return str(caught.value)


@pytest.mark.parametrize("kind", ["xz", "gz"])
def test_what_belongs_under_the_prefix_is_put_there_and_nothing_else(tmp_path: Path, kind: str):
    archive = tmp_path / "archive"
    files = {"bin/rustc": "#!/bin/sh\n", "lib/librustc.so": "code"}
    archive.write_bytes(make_archive("rustc", "1.98.0", files, kind))
    toolchain.unpack(archive, tmp_path / "rust")
    found = {
        str(path.relative_to(tmp_path / "rust")): path.stat().st_mode & 0o777
        for path in (tmp_path / "rust").rglob("*")
        if path.is_file()
    }
    assert found == {"bin/rustc": 0o755, "lib/librustc.so": 0o644}


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../outside", f"{TOP}/rustc/../../outside", f"{TOP}/rustc//bin/a", f"{TOP}/rustc/./a", f"{TOP}/rustc/a\x1b",
     f"{TOP}/rustc/" + "a/" * 600 + "a"],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str):
    members = {f"{TOP}/components": "rustc\n", path: "owned"}
    assert "no path within it" in refuse(make_tar(members), tmp_path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as tar:
        info = tarfile.TarInfo(f"{TOP}/rustc/bin/rustc")
        info.type = kind
        info.linkname = "/etc/passwd"
        tar.addfile(info)
    assert "neither a file nor a folder" in refuse(buffer.getvalue(), tmp_path)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({f"{TOP}/components": "cargo\n", f"{TOP}/rustc/bin/rustc": ""}, "does not name rustc"),
        ({f"{TOP}/rustc/bin/rustc": ""}, "does not name rustc"),
        ({f"{TOP}/components": "rustc\n"}, "does not name any"),
        ({}, "does not name any"),
        (
            {f"{TOP}/components": "a b\n", f"{TOP}/a/bin/rustc": "", f"{TOP}/b/bin/rustc": ""},
            "there are two of",
        ),
        (
            {f"{TOP}/components": "a b\n", f"{TOP}/a/bin": "", f"{TOP}/b/bin/rustc": ""},
            "there are two of",
        ),
    ],
)
def test_what_is_no_archive_of_components_is_refused(
    tmp_path: Path, members: dict[str, str], reason: str
):
    assert reason in refuse(make_tar(members), tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"no archive", make_archive("rustc", "1.98.0", {"bin/a": "b" * 9999})[:-200]]
)
def test_a_damaged_archive_is_refused(tmp_path: Path, content: bytes):
    assert refuse(content, tmp_path)


def test_an_archive_may_not_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(toolchain, "_MAX_UNPACKED_BYTES", 1000)
    content = make_archive("rustc", "1.98.0", {"bin/a": "b" * 2000})
    assert "more than a toolchain has" in refuse(content, tmp_path)


def test_an_archive_may_not_have_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(toolchain, "_MAX_MEMBERS", 3)
    content = make_archive("rustc", "1.98.0", {"bin/a": ""})
    assert "more than a toolchain has" in refuse(content, tmp_path)
