"""A wheel file for a test: its members, its RECORD, and its name."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NAME, VERSION = "planted", "1.0"
DIST_INFO = f"{NAME}-{VERSION}.dist-info"
PLATFORM = "manylinux_2_17_x86_64"
MACHINE = "x86_64-linux-gnu"
GIL, FREE = f"cpython-314-{MACHINE}", f"cpython-314t-{MACHINE}"
SO, SO_T = f"planted/_native.{GIL}.so", f"planted/_native.{FREE}.so"

LINKED = "-shared -fPIC -s -Wl,-z,relro -Wl,-z,now"
"""Options of the compiler for a shared object that no rule objects to."""

Members = dict[str, bytes]


def members(
    native: bytes, path: str = SO, tags: tuple[str, ...] = (f"cp314-cp314-{PLATFORM}",)
) -> Members:
    """Return the members of a good wheel around one native file, RECORD left out."""
    wheel = "Wheel-Version: 1.0\nGenerator: planted\nRoot-Is-Purelib: false\n" + "".join(
        f"Tag: {tag}\n" for tag in tags
    )
    return {
        "planted/__init__.py": b"from planted import _native\n",
        path: native,
        f"{DIST_INFO}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n".encode(),
        f"{DIST_INFO}/WHEEL": wheel.encode(),
    }


def record(content: Mapping[str, bytes]) -> bytes:
    """Return RECORD for some members."""
    lines = []
    for name, data in content.items():
        hashed = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={hashed},{len(data)}")
    return ("\n".join([*lines, f"{DIST_INFO}/RECORD,,"]) + "\n").encode()


def pack(content: Mapping[str, bytes], recorded: bytes | None = None) -> bytes:
    """Return a wheel; RECORD is made for it unless it is given. An empty one is left out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        listed = record(content) if recorded is None else recorded
        if listed:
            archive.writestr(f"{DIST_INFO}/RECORD", listed)
    return buffer.getvalue()


@dataclass(frozen=True, kw_only=True)
class Planted:
    """One wheel with one fault.

    Attributes:
        fault: a few words.
        code: what wheelfarm has to call it.
        content: the file.
    """

    fault: str
    code: str
    filename: str
    content: bytes

    def write(self, folder: Path) -> Path:
        """Write the file into a folder of its own and return its path."""
        path = folder / self.fault.replace(" ", "-").replace("/", "-") / self.filename
        path.parent.mkdir(parents=True)
        path.write_bytes(self.content)
        return path


def name_of(abi: str = "cp314", platform: str = PLATFORM, python: str = "cp314") -> str:
    """Return a wheel's file name."""
    return f"{NAME}-{VERSION}-{python}-{abi}-{platform}.whl"
