import re
import zipfile
from pathlib import Path

import pytest

from builder.distributions.identity import explain_file_mismatch, explain_mismatch

WHEEL = "foo-1.0-cp314-cp314-linux_x86_64.whl"


def make(folder: Path, **members: str) -> Path:
    path = folder / "some.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def metadata(name: str = "foo", version: str = "1.0") -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: words\n"


@pytest.mark.parametrize(
    ("name", "version", "filename", "folder", "text"),
    [
        ("foo", "1.0", WHEEL, "foo-1.0.dist-info", metadata()),
        ("foo", "1.0.0", WHEEL, "Foo-1.0.dist-info", metadata("FOO", "1")),
        (
            "foo-bar",
            "1.0",
            "foo_bar-1.0-py3-none-any.whl",
            "foo_bar-1.0.dist-info",
            metadata("Foo.Bar"),
        ),
        (
            "foo",
            "1.0+cpu.1",
            "foo-1.0+cpu.1-py3-none-any.whl",
            "foo-1.0+cpu.1.dist-info",
            metadata(version="1.0+cpu.1"),
        ),
    ],
)
def test_spelling_makes_no_other_package(
    tmp_path: Path, name: str, version: str, filename: str, folder: str, text: str
):
    wheel = make(tmp_path, **{f"{folder}/METADATA": text})
    assert explain_file_mismatch(name, version, filename, wheel) == ""


@pytest.mark.parametrize(
    ("filename", "members", "words"),
    [
        ("numpy-1.0-py3-none-any.whl", {}, "file name is of numpy 1.0"),
        ("foo-9.0-py3-none-any.whl", {}, "file name is of foo 9.0"),
        ("foo.whl", {}, "expected the name of a wheel"),
        ("../foo-1.0-py3-none-any.whl", {}, "without / and"),
        (WHEEL, {"numpy-1.0.dist-info/METADATA": metadata()}, "folder is of numpy 1.0"),
        (WHEEL, {"foo-2.dist-info/METADATA": metadata()}, "folder is of foo 2"),
        (WHEEL, {"foo-1.0.dist-info/METADATA": metadata("numpy")}, "METADATA says numpy 1.0"),
        (WHEEL, {"foo-1.0.dist-info/METADATA": metadata(version="2")}, "METADATA says foo 2"),
        (WHEEL, {"foo-1.0.dist-info/METADATA": "Name: foo\n"}, "METADATA says foo"),
        (
            WHEEL,
            {"foo-1.0.dist-info/METADATA": "Name: foo\nName: numpy\nVersion: 1.0\n"},
            "foo and numpy",
        ),
        (
            WHEEL,
            {
                "foo-1.0.dist-info/METADATA": metadata(),
                "numpy-1.dist-info/METADATA": metadata("numpy"),
            },
            r"2 \.dist-info",
        ),
        (WHEEL, {"foo/__init__.py": ""}, r"0 \.dist-info"),
        (
            WHEEL,
            {"foo-1.0.dist-info/METADATA": metadata("\x1b[31mfoo\n\ud800".encode("utf-8", "replace").decode())},
            "METADATA says",
        ),
    ],
)  # fmt: skip
def test_what_is_of_another_package_is_told(
    tmp_path: Path, filename: str, members: dict[str, str], words: str
):
    members = members or {"foo-1.0.dist-info/METADATA": metadata()}
    reason = explain_file_mismatch("foo", "1.0", filename, make(tmp_path, **members))

    assert re.search(words, reason), reason
    assert reason.isprintable()


def test_what_is_no_archive_is_no_wheel_of_a_package(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"no zip")
    assert "cannot be read" in explain_file_mismatch("foo", "1.0", WHEEL, tmp_path / "x")
    assert "cannot be read" in explain_file_mismatch("foo", "1.0", WHEEL, tmp_path / "gone")


def test_a_version_that_is_none_is_no_release():
    assert explain_mismatch("foo", "no version", WHEEL) != ""


def test_metadata_that_zipfile_would_unpack_without_a_bound_is_none(tmp_path: Path):
    """zipfile undoes bzip2 in one piece: a kilobyte of it becomes gigabytes."""
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("foo-1.0.dist-info/METADATA", metadata())
    assert "compressed by method 12" in explain_file_mismatch("foo", "1.0", WHEEL, wheel)


def test_metadata_of_countless_lines_is_none(tmp_path: Path):
    wheel = make(
        tmp_path, **{"foo-1.0.dist-info/METADATA": metadata().strip() + "\nA: b" * 300_000}
    )
    assert "more than 200000 lines" in explain_file_mismatch("foo", "1.0", WHEEL, wheel)
