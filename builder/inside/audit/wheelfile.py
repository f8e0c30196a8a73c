"""Read a wheel file without unpacking it: its members, metadata and RECORD (PEP 427), within bounds on memory and time.

Whatever is wrong with the archive is a fault, never an exception: `(kind, where, detail)`. The kinds are `unreadable`,
`bomb`, `unsafe`, `duplicate`, `encrypted`, `damaged`, `metadata`, `record`.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import mmap
import stat
import tempfile
import zipfile
import zlib
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from .elf import MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_MEMBERS = 100_000
MOST_UNPACKED_BYTES = 8 << 30
BOMB_BYTES = 256 << 20
BOMB_RATIO = 100
"""A wheel that unpacks to more than `BOMB_BYTES` and `BOMB_RATIO` times its size is a bomb; code packs to a third."""

_CHUNK_BYTES = 1 << 20
_IN_MEMORY_BYTES = 64 << 20
_TEXT_LIMIT_BYTES = 16 << 20
_HASHES = {"sha256", "sha384", "sha512"}
_UNHASHED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_TROUBLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class Wheel:
    """One wheel file; use it as a context manager.

    Attributes:
        faults: what is wrong with it, as (kind, where, detail).
        members: regular members by name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[tuple[str, str, str]] = []
        self.members: dict[str, zipfile.ZipInfo] = {}
        self._doubtful: set[str] = set()
        self._record: dict[str, tuple[str, str]] = {}
        self._recorded = False
        self._open = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._archive = self._open.enter_context(zipfile.ZipFile(self.path))
            listed = [info for info in self._archive.infolist() if not info.is_dir()]
        except _TROUBLE as error:
            self._fault("unreadable", "", f"{self.path.name} is no zip archive: {error}")
        else:
            self._look_over(listed)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _fault(self, kind: str, where: str, detail: str) -> None:
        self.faults.append((kind, where, detail))

    def _look_over(self, listed: list[zipfile.ZipInfo]) -> None:
        """Decide by the directory alone whether the members may be read."""
        size, packed = sum(info.file_size for info in listed), max(1, self.path.stat().st_size)
        if size > MOST_UNPACKED_BYTES or (size > BOMB_BYTES and size > BOMB_RATIO * packed):
            self._fault("bomb", "", f"{packed} bytes unpack to {size}; it was not unpacked")
            return
        if len(listed) > MOST_MEMBERS:
            self._fault("bomb", "", f"it has {len(listed)} members; they were not read")
            return
        for name, count in Counter(info.filename for info in listed).items():
            if count > 1:
                self._doubtful.add(name)
                self._fault(
                    "duplicate",
                    name,
                    f"{name} is in the archive {count} times, so what is installed depends on the installer",
                )
        for info in listed:
            if problem := _unsafe(info):
                self._fault("unsafe", info.filename, f"{info.filename!r} {problem}")
            elif info.flag_bits & 1:
                self._fault("encrypted", info.filename, f"{info.filename} is encrypted")
            else:
                self.members[info.filename] = info

    # --- members -----------------------------------------------------------------------------------------------------

    def text(self, name: str) -> str | None:
        """Return a member's text, cut at 16 MiB; None where it is missing or damaged."""
        if name not in self.members:
            return None
        try:
            with self._archive.open(self.members[name]) as member:
                return member.read(_TEXT_LIMIT_BYTES).decode("utf-8", "replace")
        except _TROUBLE as error:
            self._fault("damaged", name, f"{name} cannot be read: {error}")
            return None

    def objects(self) -> Iterator[tuple[str, bytes | mmap.mmap]]:
        """Read every member once, compare it with RECORD, and give the ELF files and all `.so` files among them.

        A buffer is good until the next one.
        """
        self._read_record()
        for name, info in self.members.items():
            with ExitStack() as held:
                try:
                    content = self._content(name, info, held)
                except _TROUBLE as error:
                    self._fault("damaged", name, f"{name} cannot be read: {error}")
                    continue
                if content is not None:
                    yield name, content
        for name in sorted(set(self._record) - set(self.members)):
            self._fault("record", name, f"RECORD lists {name}, which is not in the wheel")

    def _content(
        self, name: str, info: zipfile.ZipInfo, held: ExitStack
    ) -> bytes | mmap.mmap | None:
        with self._archive.open(info) as member:
            first = member.read(_CHUNK_BYTES)
            wanted = first.startswith(MAGIC) or name.endswith(".so")
            algorithm, expected = self._expected(name)
            digest = hashlib.new(algorithm, first)
            small = info.file_size <= _IN_MEMORY_BYTES
            parts, spool = [first], None
            if wanted and not small:
                spool = held.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is entered here
                spool.write(first)
            while chunk := member.read(_CHUNK_BYTES):
                digest.update(chunk)
                if spool is not None:
                    spool.write(chunk)
                elif wanted:
                    parts.append(chunk)
        if expected and base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() != expected:
            self._fault("record", name, f"{name} is not the file whose {algorithm} RECORD has")
        if not wanted:
            return None
        if spool is None:
            return b"".join(parts)
        spool.flush()
        return held.enter_context(mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ))

    # --- RECORD ------------------------------------------------------------------------------------------------------

    @property
    def dist_info(self) -> str:
        """The name of its `.dist-info` folder; empty where there is none, or more than one."""
        folders = {
            name.partition("/")[0]
            for name in self.members
            if name.partition("/")[0].endswith(".dist-info")
        }
        return folders.pop() if len(folders) == 1 else ""

    def _read_record(self) -> None:
        text = self.text(f"{self.dist_info}/RECORD")
        if text is None:
            self._fault("record", "RECORD", "it has no RECORD, which every installer needs")
            return
        self._recorded = True
        try:
            for row in csv.reader(text.splitlines()):
                if row:
                    self._take(row)
        except csv.Error as error:
            self._fault("record", "RECORD", f"RECORD is not CSV: {error}")

    def _take(self, row: list[str]) -> None:
        name, promised, size = [*row, "", ""][:3]
        if name in self._record:
            self._fault("record", name, f"RECORD lists {name} twice")
        self._record[name] = (promised, size)
        known = name in self.members and name not in self._doubtful
        if known and size.isdigit() and int(size) != self.members[name].file_size:
            self._fault(
                "record",
                name,
                f"{name} has {self.members[name].file_size} bytes; RECORD says {size}",
            )

    def _expected(self, name: str) -> tuple[str, str]:
        """Return (algorithm, digest) that RECORD promises for a member; no digest where there is nothing to compare."""
        folder, _, file = name.rpartition("/")
        unhashed = folder == self.dist_info and file in _UNHASHED
        if not self._recorded or unhashed or name in self._doubtful:
            return "sha256", ""
        if name not in self._record:
            self._fault("record", name, f"{name} is in the wheel and not in RECORD")
            return "sha256", ""
        algorithm, _, expected = self._record[name][0].partition("=")
        if algorithm in _HASHES and expected:
            return algorithm, expected
        self._fault("record", name, f"RECORD has no hash for {name} that an installer may rely on")
        return "sha256", ""


def _unsafe(info: zipfile.ZipInfo) -> str:
    """Say why an installer must not unpack a member; empty where it may."""
    name, mode = info.filename, info.external_attr >> 16
    if name.startswith("/") or ".." in name.split("/"):
        return "would be written outside the folder it is installed to"
    if "\\" in name or ":" in name.partition("/")[0] or not name.isprintable():
        return "is no portable file name"
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        return "is no regular file"
    return ""


def headers(text: str) -> dict[str, list[str]]:
    """Read the header fields of METADATA or WHEEL; of folded lines only the first."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon and not key.startswith((" ", "\t")):
            found.setdefault(key.lower(), []).append(value.strip())
    return found
