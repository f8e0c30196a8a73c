"""A build tag stands in a wheel's name, in WHEEL and in RECORD, and the three agree."""

from __future__ import annotations

import base64
import csv
import hashlib
import zipfile
from pathlib import Path

from packaging.utils import parse_wheel_filename

from builder.distributions.build_tags import add_build_tag

NAME = "foo-1.0-cp314-cp314-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp314-cp314-linux_x86_64\n"


def make_wheel(folder: Path, **more: bytes) -> Path:
    members = {
        "foo/__init__.py": b"X = 1\n",
        "foo-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: foo\nVersion: 1.0\n",
        "foo-1.0.dist-info/WHEEL": WHEEL.encode(),
        "foo-1.0.dist-info/RECORD": b"foo/__init__.py,sha256=x,6\n"
        b"foo-1.0.dist-info/WHEEL,sha256=old,1\nfoo-1.0.dist-info/RECORD,,\n",
        **more,
    }
    path = folder / NAME
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("foo/", b"")  # auditwheel writes entries of folders
        for member, content in members.items():
            archive.writestr(member, content)
    return path


def read(path: Path, member: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"foo-1.0.dist-info/{member}")


def test_a_tag_stands_in_all_three_places(tmp_path: Path):
    original = make_wheel(tmp_path)
    tagged = add_build_tag(original, "2")

    assert tagged.name == NAME.replace("foo-1.0-", "foo-1.0-2-")
    assert parse_wheel_filename(tagged.name)[2] == (2, "")
    assert not original.exists()

    stated = read(tagged, "WHEEL")
    assert stated == WHEEL.encode() + b"Build: 2\n"
    digest = base64.urlsafe_b64encode(hashlib.sha256(stated).digest()).rstrip(b"=").decode()
    rows = list(csv.reader(read(tagged, "RECORD").decode().splitlines()))
    assert rows == [
        ["foo/__init__.py", "sha256=x", "6"],
        ["foo-1.0.dist-info/WHEEL", f"sha256={digest}", str(len(stated))],
        ["foo-1.0.dist-info/RECORD", "", ""],
    ]


def test_a_tag_takes_the_place_of_one_that_is_there(tmp_path: Path):
    once = add_build_tag(make_wheel(tmp_path), "1")
    again = add_build_tag(once, "2")
    assert again.name == NAME.replace("foo-1.0-", "foo-1.0-2-")
    assert read(again, "WHEEL").count(b"Build:") == 1


def test_what_is_odd_stays_as_it_is(tmp_path: Path):
    two = make_wheel(tmp_path, **{"bar-1.0.dist-info/WHEEL": WHEEL.encode()})
    content = two.read_bytes()
    assert add_build_tag(two, "1") == two
    assert two.read_bytes() == content

    garbage = tmp_path / "foo-2.0-py3-none-any.whl"
    garbage.write_bytes(b"garbage")
    assert add_build_tag(garbage, "1") == garbage
