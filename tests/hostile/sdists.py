"""Sdists and wheels by their members, as nobody honest would make them."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

PLATFORM = "manylinux_2_17_x86_64"


def metadata(name: str, *lines: str, version: str = "1.0", standard: str = "2.2") -> bytes:
    """Return PKG-INFO or METADATA with further lines."""
    first = (f"Metadata-Version: {standard}", f"Name: {name}", f"Version: {version}")
    return ("\n".join([*first, *lines]) + "\n").encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Member:
    """One member of a tar, of any type and with any name.

    Attributes:
        name: its path in the archive.
        content: of a file.
        kind: a type of `tarfile`.
        target: where a link leads.
        mode: its permissions.
        pax: extended headers (POSIX.1-2001), written as they are.
    """

    name: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    target: str = ""
    mode: int = 0o644
    pax: Mapping[str, str] | None = None


def make_tar(members: Iterable[Member], *, compress: str = "gz") -> bytes:
    """Return a compressed tar of members in their order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.size = len(member.content)
            info.type = member.kind
            info.linkname = member.target
            info.mode = member.mode
            info.pax_headers = dict(member.pax or {})
            archive.addfile(info, io.BytesIO(member.content))

    if compress == "xz":
        return lzma.compress(buffer.getvalue(), preset=1)
    return gzip.compress(buffer.getvalue(), 1, mtime=0)


def make_sdist(
    name: str, files: Mapping[str, bytes], *extra: Member, version: str = "1.0"
) -> bytes:
    """Return an sdist as a `.tar.gz`: files below its folder, then further members; PKG-INFO is added where it is missing."""
    root = f"{name}-{version}"
    content = {"PKG-INFO": metadata(name, version=version), **files}
    members = [Member(f"{root}/{path}", data) for path, data in content.items()]
    return make_tar([*members, *extra])


def make_zip(files: Mapping[str, bytes], *, compress: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compress) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress)
    return buffer.getvalue()


def make_wheel(
    name: str, *lines: str, tag: str = "py3-none-any", files: Mapping[str, bytes] | None = None
) -> bytes:
    """Return a wheel with further lines in its METADATA, and further files."""
    folder = f"{name.replace('-', '_')}-1.0.dist-info"
    return make_zip(
        {
            **(files or {f"{name}.py": b"VALUE = 1\n"}),
            f"{folder}/METADATA": metadata(name, *lines),
            f"{folder}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
            f"{folder}/RECORD": b"",
        }
    )


def wheel_filename(name: str, tag: str = "py3-none-any") -> str:
    """Return what a wheel is called."""
    return f"{name.replace('-', '_')}-1.0-{tag}.whl"


def make_library(symbols: int) -> bytes:
    """Return a shared library (ELF, gABI 4.1) of nothing but symbols, all with one name: 24 bytes for each."""
    names = b"\0PyUnicode_New\0"
    sections = b"\0.dynsym\0.dynstr\0.shstrtab\0"
    symbol = struct.pack("<IBBHQQ", 1, 0x12, 0, 0, 0, 0)
    table = symbol * symbols
    start = 64
    headers = start + len(table) + len(names) + len(sections)
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, headers, 0, 64, 56, 0, 64, 4, 3)

    def section(name: int, kind: int, offset: int, size: int, link: int, entry: int) -> bytes:
        return struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, size, link, 0, 8, entry)

    names_at = start + len(table)
    sections_at = names_at + len(names)
    described = [
        section(0, 0, 0, 0, 0, 0),
        section(1, 11, start, len(table), 2, 24),
        section(9, 3, names_at, len(names), 0, 0),
        section(17, 3, sections_at, len(sections), 0, 0),
    ]
    return header + table + names + sections + b"".join(described)


# --- archives that no library writes ----------------------------------------------------------------------------------

ZEROS_BYTES = 512 << 20
"""What a bomb unpacks to: far above what the farm's process may take, and little enough to be made in seconds."""


@dataclass(frozen=True, kw_only=True)
class RawZipMember:
    """One member of a zip, its header as it is written.

    Attributes:
        method: how it is compressed (APPNOTE.TXT, 4.4.5): 0 not at all, 8 DEFLATE, 14 LZMA.
        flags: the general purpose bits; 1 says that it is encrypted.
        data: the compressed content.
        size: what the header says that it unpacks to.
    """

    name: bytes
    method: int = 0
    flags: int = 0
    crc: int = 0
    data: bytes = b""
    size: int = 0


def make_raw_zip(members: Iterable[RawZipMember]) -> bytes:
    """Return a zip whose headers say whatever they are told to."""
    body = bytearray()
    directory = bytearray()
    count = 0
    for member in members:
        header = struct.pack(
            "<HHHHHIIIHH",
            20, member.flags, member.method, 0, 33, member.crc, len(member.data), member.size, len(member.name), 0,
        )  # fmt: skip
        offset = len(body)
        body += b"PK\x03\x04" + header + member.name + member.data
        rest = struct.pack("<HHHII", 0, 0, 0, 0, offset)
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + header + rest + member.name
        count += 1

    end = struct.pack(
        "<HHHHIIH", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory), len(body), 0
    )
    return bytes(body + directory + b"PK\x05\x06" + end)


def stored(name: str, content: bytes) -> RawZipMember:
    """Return an honest member that is not compressed."""
    return RawZipMember(
        name=name.encode(), crc=zlib.crc32(content), data=content, size=len(content)
    )


def zip_of_countless_members(count: int, *first: RawZipMember) -> bytes:
    """Return a zip with a directory of many entries that are all the same, after some honest members."""
    small = make_raw_zip(first)
    end = small.rindex(b"PK\x05\x06")
    directory_size, offset = struct.unpack("<II", small[end + 12 : end + 20])
    entry = (
        b"PK\x01\x02"
        + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
        + b"a"
    )
    directory = small[offset : offset + directory_size] + entry * count
    tail = struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, len(directory), offset, 0)
    return small[:offset] + directory + b"PK\x05\x06" + tail


@cache
def lzma_of_zeros() -> bytes:
    """Return `ZEROS_BYTES` of zeros as a zip has them under LZMA: zipfile unpacks all of it at once."""
    compressor = lzma.LZMACompressor(
        format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "preset": 0}]
    )
    zeros = bytes(16 << 20)
    pieces = [compressor.compress(zeros) for _ in range(ZEROS_BYTES >> 24)]
    properties = struct.pack("<BI", 93, 1 << 18)  # lc=3, lp=0, pb=2, and the dictionary of preset 0
    header = struct.pack("<BBH", 9, 4, len(properties)) + properties
    return header + b"".join(pieces) + compressor.flush()


def lzma_bomb(name: str) -> RawZipMember:
    """Return a member that says it is small and unpacks to `ZEROS_BYTES`."""
    return RawZipMember(name=name.encode(), method=14, data=lzma_of_zeros(), size=100)


def gzip_of_zeros(total_bytes: int) -> bytes:
    """Return zeros as a gzip file of many equal parts, which is made at once whatever its size."""
    part = gzip.compress(bytes(64 << 20), 1, mtime=0)
    return part * (total_bytes >> 26)


def tar_header(name: str, kind: bytes, size: int) -> bytes:
    """Return the header of one member of a tar, which may state any size."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)
