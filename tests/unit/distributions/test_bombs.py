"""An archive may state and hold what it likes: what is read of it costs bounded memory, and ends in its own error."""

import bz2
import gzip
import io
import json
import lzma
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.distributions import metadata
from builder.distributions.members import NotAnSdistError, iter_members
from builder.distributions.metadata import NotADistributionError, parse_metadata
from builder.sources.build_requirements import read_build_requirements
from tests.unit.local_index import archive, sdist, wheel

MEASURE = """
import json, resource, sys, time
from pathlib import Path
from builder.distributions.metadata import NotADistributionError, sdist_metadata, wheel_metadata
from builder.sources.build_requirements import read_build_requirements
path = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.monotonic()
try:
    if path.suffix == ".whl":
        wheel_metadata(path)
    else:
        read_build_requirements(path, path.name)
        sdist_metadata(path, path.name)
    said = ""
except NotADistributionError as error:
    said = str(error)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
print(json.dumps([said, grown, time.monotonic() - began]))
"""


def measure(path: Path) -> tuple[str, int, float]:
    """Read an archive in a process of its own; return the error's text, MiB that the process grew, and seconds."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    said, grown_mib, seconds = json.loads(done.stdout)
    return said, grown_mib, seconds


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.type = kind
    return info.tobuf(tarfile.GNU_FORMAT)


def zeros(path: Path, start: bytes, gib: int) -> None:
    """Write a tar.gz that begins with some bytes and goes on with so many GiB of zeros."""
    mib = gzip.compress(bytes(1 << 20), 9)
    with path.open("wb") as file:
        file.write(gzip.compress(start))
        for _ in range(gib << 10):
            file.write(mib)


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
)
def test_a_header_of_gigabytes(tmp_path: Path, kind: bytes):
    path = tmp_path / "bad-1.0.tar.gz"
    zeros(path, header("x", 4 << 30, kind), 1)
    said, grown_mib, seconds = measure(path)
    assert "headers of more than" in said
    assert grown_mib < 40
    assert seconds < 10


def test_a_member_of_terabytes(tmp_path: Path):
    path = tmp_path / "bad-1.0.tar.gz"
    zeros(path, header("bad-1.0/x", 100 << 40), 1)
    said, grown_mib, seconds = measure(path)
    assert "unpacks to more than" in said
    assert grown_mib < 40
    assert seconds < 10


def test_zeros_that_a_small_file_unpacks_to(tmp_path: Path):
    path = tmp_path / "bad-1.0.tar.gz"
    zeros(path, header("bad-1.0/x", 3 << 30), 3)
    said, grown_mib, seconds = measure(path)
    assert "unpacks to more than" in said
    assert grown_mib < 40
    assert seconds < 20


def test_a_sparse_file_whose_map_has_no_end(tmp_path: Path):
    path = tmp_path / "bad-1.0.tar.gz"
    block = bytearray(header("bad-1.0/x", 0, tarfile.GNUTYPE_SPARSE))
    block[482] = 1  # the map goes on in another block
    total = 256 + sum(block[:148]) + sum(block[156:512])
    block[148:156] = b"%06o\0 " % total
    following = (b"00000000001\0" * 42)[:504] + b"\1" + bytes(7)
    path.write_bytes(gzip.compress(bytes(block) + following * 200_000))
    said, grown_mib, _ = measure(path)
    assert "headers of more than" in said
    assert grown_mib < 40


def test_a_header_of_digits_alone(tmp_path: Path):
    path = tmp_path / "bad-1.0.tar.gz"
    path.write_bytes(gzip.compress(header("x", 60_000, tarfile.XHDTYPE) + b"1" * 60_416))
    said, _, seconds = measure(path)
    assert "number of hundreds of digits" in said
    assert seconds < 5


def test_more_members_than_any_sdist_has(tmp_path: Path):
    path = tmp_path / "bad-1.0.tar.gz"
    path.write_bytes(gzip.compress(header("bad-1.0/x", 0) * 60_000))
    said, grown_mib, _ = measure(path)
    assert "more than 50000 members" in said
    assert grown_mib < 40


def test_xz_that_wants_gigabytes_of_memory(tmp_path: Path):
    path = tmp_path / "bad-1.0.tar.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    path.write_bytes(lzma.compress(header("bad-1.0/x", 0) * 10, filters=filters))
    said, grown_mib, _ = measure(path)
    assert "Memory usage limit" in said
    assert grown_mib < 120


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_every_usual_compression_is_read(tmp_path: Path, pack):
    path = tmp_path / "foo-1.0.tar.gz"
    path.write_bytes(pack(gzip.decompress(sdist("foo", "1.0", requires=("bar",)))))
    assert metadata.sdist_metadata(path, path.name)["requires_dist"] == ["bar"]


def test_two_streams_are_one_archive(tmp_path: Path):
    path = tmp_path / "foo-1.0.tar.gz"
    tar = gzip.decompress(sdist("foo", "1.0"))
    path.write_bytes(gzip.compress(tar[:300]) + gzip.compress(tar[300:]) + bytes(512))
    assert metadata.sdist_metadata(path, path.name)["name"] == "foo"


def zip_of(name: str, content: bytes, method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as packed:
        packed.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("filename", ["bad-1.0-py3-none-any.whl", "bad-1.0.zip"])
def test_metadata_that_unpacks_to_much_more_than_it_says(
    tmp_path: Path, method: int, filename: str
):
    name = "bad-1.0.dist-info/METADATA" if filename.endswith(".whl") else "bad-1.0/PKG-INFO"
    size = 192 << 20
    content = bytearray(zip_of(name, bytes(size), method))
    # The size that the directory states becomes one that is taken.
    position = content.rfind(struct.pack("<L", size))
    content[position : position + 4] = struct.pack("<L", 1000)
    path = tmp_path / filename
    path.write_bytes(content)
    _, grown_mib, seconds = measure(path)
    assert grown_mib < 40
    assert seconds < 10


def test_metadata_of_more_lines_than_anybody_has(tmp_path: Path):
    path = tmp_path / "bad-1.0-py3-none-any.whl"
    path.write_bytes(
        zip_of("bad-1.0.dist-info/METADATA", b"A:b\n" * (2 << 20), zipfile.ZIP_DEFLATED)
    )
    said, grown_mib, _ = measure(path)
    assert "more than 200000 lines" in said
    assert grown_mib < 40


ODD_METADATA = [
    b"",
    b"\xff\xfe\0",
    b"Metadata-Version: 2.x\n",
    b"Name: =?x?q?=ff?=\n",
    b"Content-Type: text/plain; charset=idna\n\n\xff",
    b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b--",
    b"Requires-Dist: " + b"(" * 50_000 + b"\n",
    b"Version: " + b"9" * 50_000 + b"\n",
    b"Name: a\nName: b\nVersion: 1\nVersion: 2\n",
    b"Keywords: =?utf-8?b?" + b"A" * 99_999 + b"?=\n",
    b"A" * 1_000_000,
    b": " * 500_000,
    b"A: b\n " * 100_000,
    b"Description: " + b"=?utf-8?q?=ff?= " * 50_000 + b"\xff\n",
    b"Project-URL: ,,,\n" * 1000,
]


@pytest.mark.parametrize("content", ODD_METADATA, ids=range(len(ODD_METADATA)))
def test_odd_metadata_is_read_or_refused_in_time(content: bytes):
    began = time.monotonic()
    try:
        metadata.is_static(parse_metadata(content, "it"))
    except NotADistributionError as error:
        assert str(error).startswith("it ")  # noqa: PT017 - both outcomes are right
    assert time.monotonic() - began < 5


TEXTS = st.text(max_size=60)
LINES = st.builds(
    lambda field, value: f"{field}: {value}".encode("utf-8", "surrogatepass"),
    st.sampled_from(
        ["Metadata-Version", "Name", "Version", "Requires-Dist", "Dynamic", "Content-Type", "X"]
    ),
    TEXTS,
)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(lines=st.lists(LINES | st.binary(max_size=40), max_size=12))
def test_any_metadata_is_read_or_refused(lines: list[bytes]):
    try:
        metadata.is_static(parse_metadata(b"\n".join(lines), "it"))
    except NotADistributionError:
        return


@settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    kind=st.sampled_from(["tar.gz", "tar", "zip", "whl"]),
    damage=st.lists(
        st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=12)), max_size=4
    ),
    cut=st.none() | st.integers(0, 3000),
)
def test_any_damage_of_an_archive_is_its_own_error(
    tmp_path: Path, kind: str, damage: list[tuple[int, bytes]], cut: int | None
):
    if kind == "whl":
        content = bytearray(wheel("foo", "1.0", requires=("bar",)))
    elif kind == "zip":
        content = bytearray(
            archive("zip", {"foo-1.0/PKG-INFO": b"Name: foo\n", "foo-1.0/pyproject.toml": b"a = 1"})
        )
    else:
        content = bytearray(sdist("foo", "1.0", requires=("bar",)))
        if kind == "tar":
            content = bytearray(gzip.decompress(content))
    for position, piece in damage:
        at = position % (len(content) + 1)
        content[at : at + len(piece)] = piece
    path = tmp_path / f"foo-1.0.{kind}"
    path.write_bytes(content[:cut])

    try:
        if kind == "whl":
            metadata.wheel_metadata(path)
        else:
            metadata.sdist_metadata(path, path.name)
    except NotADistributionError as error:
        assert str(error).isprintable()  # noqa: PT017 - both outcomes are right
    assert isinstance(read_build_requirements(path, path.name), tuple)
    try:
        for member in iter_members(path, path.name):
            member.read(1 << 20)
    except NotAnSdistError:
        return
