"""Read a wheel file without unpacking it: its members, metadata and RECORD (PEP 427), within bounds on memory and time.

Whatever is wrong with the archive is a fault, never an exception: `(kind, where, detail)`. The kinds are `unreadable`,
`bomb`, `unsafe`, `duplicate`, `encrypted`, `damaged`, `metadata`, `record`.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import mmap
import re
import stat
import tempfile
import zipfile
import zlib
from collections import Counter
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Self

from .elf_file import MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Wheels may come from anywhere. Chosen far above what packages have, not measured.
MOST_MEMBERS = 100_000
MOST_UNPACKED_BYTES = 8 << 30
BOMB_BYTES = 256 << 20
BOMB_RATIO = 100
"""A wheel that unpacks to more than `BOMB_BYTES` and `BOMB_RATIO` times its size is a bomb; code packs to a third."""

_CHUNK_BYTES = 1 << 20
_IN_MEMORY_BYTES = 64 << 20
"""Larger members are read from a file: `check` limits the memory of the reading process."""
_TEXT_LIMIT_BYTES = 16 << 20
_HASHES = {"sha256", "sha384", "sha512"}  # "sha256 or better" (PEP 427)
_SIZE = re.compile(r"[0-9]{1,20}")
_UNHASHED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_ENCRYPTED = 1  # the bit of a member's flags

# Whatever zipfile and zlib raise about bytes that are not what they should be.
_READ_ERRORS = (
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
        """Prepare; the archive is opened by `with`, and no member is read before it is asked for."""
        self.path = path
        self.faults: list[tuple[str, str, str]] = []
        self.members: dict[str, zipfile.ZipInfo] = {}
        self._duplicates: set[str] = set()
        self._record: dict[str, tuple[str, str]] = {}
        self._has_record = False
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Open the archive and select the members that may be read.

        An archive that cannot be opened is a fault, and has no members.
        """
        try:
            self._archive = self._open.enter_context(zipfile.ZipFile(self.path))
            listed = [info for info in self._archive.infolist() if not info.filename.endswith("/")]
        except _READ_ERRORS as error:
            self._add_fault("unreadable", "", f"{self.path.name} is no zip archive: {error}")
        else:
            self._select_members(listed)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _add_fault(self, kind: str, where: str, detail: str) -> None:
        self.faults.append((kind, where, detail))

    def _select_members(self, listed: list[zipfile.ZipInfo]) -> None:
        """Decide by the archive's directory alone, before anything is unpacked, which members may be read.

        None are of a wheel that is a bomb. A member with an unsafe name or type, and an encrypted one, is left out;
        each of these is a fault.
        """
        if self._is_bomb(listed):
            return

        counts = Counter(info.filename for info in listed)
        for name, count in counts.items():
            if count > 1:
                self._duplicates.add(name)
                detail = f"{name} is in the archive {count} times, so what is installed depends on the installer"
                self._add_fault("duplicate", name, detail)

        self._find_doubles(listed)
        for info in listed:
            if problem := _describe_danger(info):
                self._add_fault("unsafe", info.filename, f"{info.filename!r} {problem}")
            elif info.flag_bits & _ENCRYPTED:
                self._add_fault("encrypted", info.filename, f"{info.filename} is encrypted")
            else:
                self.members[info.filename] = info

    def _find_doubles(self, listed: list[zipfile.ZipInfo]) -> None:
        """Add a fault for members of several names that are installed as one file: which, the installer decides."""
        first: dict[str, str] = {}
        for info in listed:
            target = find_target(info.filename)
            other = first.setdefault(target, info.filename)
            if other != info.filename and info.filename not in self._duplicates:
                self._duplicates.add(info.filename)
                self._add_fault(
                    "duplicate",
                    info.filename,
                    f"{other} and {info.filename} are both installed as {target}",
                )

    def _is_bomb(self, listed: list[zipfile.ZipInfo]) -> bool:
        """Return whether the wheel is a bomb: its members are far larger or more than those of real packages.

        That is recorded as a fault.
        """
        size = sum(info.file_size for info in listed)
        packed = max(1, self.path.stat().st_size)
        grows_too_much = size > BOMB_BYTES and size > BOMB_RATIO * packed

        if size > MOST_UNPACKED_BYTES or grows_too_much:
            self._add_fault("bomb", "", f"{packed} bytes unpack to {size}; it was not unpacked")
            return True
        if len(listed) > MOST_MEMBERS:
            self._add_fault("bomb", "", f"it has {len(listed)} members; they were not read")
            return True

        return False

    # --- members -----------------------------------------------------------------------------------------------------

    def text(self, name: str) -> str | None:
        """Return a member as text, cut at 16 MiB, with bytes that are not UTF-8 replaced.

        None where the wheel has no such member, or where it cannot be unpacked, which is recorded as a fault.
        """
        if name not in self.members:
            return None

        try:
            with self._archive.open(self.members[name]) as member:
                return member.read(_TEXT_LIMIT_BYTES).decode("utf-8", "replace")
        except _READ_ERRORS as error:
            self._add_fault("damaged", name, f"{name} cannot be read: {error}")
            return None

    def objects(self) -> Iterator[tuple[str, bytes | mmap.mmap]]:
        """Read every member once, compare it with RECORD, and give (name, content) of all ELF and `.so` files.

        The content can be used until the next one is asked for. A member that cannot be unpacked is skipped, with a
        fault; a file that RECORD lists and the wheel lacks is a fault as well.
        """
        self._read_record()
        for name, info in self.members.items():
            with ExitStack() as resources:
                try:
                    content = self._read_member(name, info, resources)
                except _READ_ERRORS as error:
                    self._add_fault("damaged", name, f"{name} cannot be read: {error}")
                    continue
                if content is not None:
                    yield name, content

        for name in sorted(set(self._record) - set(self.members)):
            self._add_fault("record", name, f"RECORD lists {name}, which is not in the wheel")

    def _read_member(
        self, name: str, info: zipfile.ZipInfo, resources: ExitStack
    ) -> bytes | mmap.mmap | None:
        """Compare one member with its hash in RECORD; return its content if it is native code, otherwise None.

        Args:
            name: the member's name.
            info: its entry in the archive's directory.
            resources: closes the file that content of more than `_IN_MEMORY_BYTES` is mapped from.
        """
        with self._archive.open(info) as member:
            first_chunk = member.read(_CHUNK_BYTES)
            is_native = first_chunk.startswith(MAGIC) or name.endswith(".so")
            algorithm, expected = self._expected_hash(name)
            digest = hashlib.new(algorithm, first_chunk)

            parts = [first_chunk]
            spool = None
            if is_native and info.file_size > _IN_MEMORY_BYTES:
                spool = resources.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is entered here
                spool.write(first_chunk)

            while chunk := member.read(_CHUNK_BYTES):
                digest.update(chunk)
                if spool is not None:
                    spool.write(chunk)
                elif is_native:
                    parts.append(chunk)

        if expected and _encode_digest(digest.digest()) != expected:
            self._add_fault("record", name, f"{name} is not the file whose {algorithm} RECORD has")

        if not is_native:
            return None
        if spool is None:
            return b"".join(parts)

        spool.flush()
        return resources.enter_context(mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ))

    # --- RECORD ------------------------------------------------------------------------------------------------------

    @cached_property
    def dist_info(self) -> str:
        """The name of its `.dist-info` folder; empty where there is none, or several. Each member asks for it."""
        tops = {name.partition("/")[0] for name in self.members}
        folders = [top for top in tops if top.endswith(".dist-info")]
        return folders[0] if len(folders) == 1 else ""

    def _read_record(self) -> None:
        """Read RECORD into `_record`: by file name, the (hash, size) that it promises.

        That it is missing, or is not CSV, is recorded as a fault.
        """
        text = self.text(f"{self.dist_info}/RECORD")
        if text is None:
            self._add_fault("record", "RECORD", "it has no RECORD, which every installer needs")
            return

        self._has_record = True
        try:
            for row in csv.reader(text.splitlines()):
                if row:
                    self._add_record_row(row)
        except csv.Error as error:
            self._add_fault("record", "RECORD", f"RECORD is not CSV: {error}")

    def _add_record_row(self, row: list[str]) -> None:
        """Take one row of RECORD, `name,hash,size`, and compare the size with the archive's directory.

        The size is not compared where RECORD gives none, where the member may not be read, or where it is in the
        archive twice, so that nobody knows which one is meant.
        """
        name, promised_hash, promised_size = [*row, "", ""][:3]
        if name in self._record:
            self._add_fault("record", name, f"RECORD lists {name} twice")
        self._record[name] = (promised_hash, promised_size)

        is_comparable = name in self.members and name not in self._duplicates
        if not is_comparable or not _SIZE.fullmatch(promised_size):
            return

        size = self.members[name].file_size
        if int(promised_size) != size:
            detail = f"{name} has {size} bytes; RECORD says {promised_size}"
            self._add_fault("record", name, detail)

    def _expected_hash(self, name: str) -> tuple[str, str]:
        """Return (algorithm, digest) that RECORD promises for a member; no digest where there is nothing to compare.

        `sha256=47DEQp…` -> `("sha256", "47DEQp…")`. Nothing is compared for RECORD itself and its signatures, which
        cannot have a hash (PEP 427), for duplicates, and without RECORD. A hash that is missing or weak is recorded as
        a fault.
        """
        folder, _, file = name.rpartition("/")
        needs_no_hash = folder == self.dist_info and file in _UNHASHED
        is_ambiguous = name in self._duplicates
        if not self._has_record or needs_no_hash or is_ambiguous:
            return "sha256", ""

        if name not in self._record:
            self._add_fault("record", name, f"{name} is in the wheel and not in RECORD")
            return "sha256", ""

        promised_hash, _ = self._record[name]
        algorithm, _, expected = promised_hash.partition("=")
        if algorithm in _HASHES and expected:
            return algorithm, expected

        detail = f"RECORD has no hash for {name} that an installer may rely on"
        self._add_fault("record", name, detail)
        return "sha256", ""


def _encode_digest(digest: bytes) -> str:
    """Write a digest as RECORD does."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _describe_danger(info: zipfile.ZipInfo) -> str:
    """Return why an installer must not unpack a member, to be read after its name; empty where it may.

    Dangerous are names that lead out of the folder, names that not every system can have, and links and devices.
    """
    name = info.filename
    if name.startswith("/") or ".." in name.split("/"):
        return "would be written outside the folder it is installed to"

    # `a/./b` and `a//b` are written where `a/b` is: two members would be one file, under names that no rule knows.
    if any(part in {"", "."} for part in name.split("/")):
        return "has several names for one folder in its path"

    has_backslash = "\\" in name
    has_drive = ":" in name.partition("/")[0]
    if has_backslash or has_drive or not name.isprintable():
        return "is no portable file name"

    file_type = stat.S_IFMT(info.external_attr >> 16)
    if file_type not in {0, stat.S_IFREG}:
        return "is no regular file"

    return ""


def find_target(name: str) -> str:
    """Return where a member is installed in the folder of packages: `x-1.data/purelib/a.py` -> `a.py` (PEP 427).

    What goes to other folders keeps the name that it has in the wheel.
    """
    folder, _, rest = name.partition("/")
    scheme, _, inner = rest.partition("/")
    is_moved = folder.endswith(".data") and scheme in {"purelib", "platlib"}
    return inner if is_moved and inner else name


def headers(text: str) -> dict[str, list[str]]:
    """Return the header fields of METADATA or WHEEL by lower-case name, each with all its values in order.

    `Tag: a` and `Tag: b`, each on its line -> `{"tag": ["a", "b"]}`. The first empty line ends the header. Of a
    value that goes on over several lines only the first is read.
    """
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.strip():
            break

        key, colon, value = line.partition(":")
        is_continued = key.startswith((" ", "\t"))
        if colon and not is_continued:
            fields.setdefault(key.lower(), []).append(value.strip())

    return fields
