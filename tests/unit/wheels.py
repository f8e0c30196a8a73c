"""Wheels with nothing but their metadata, which is that of their names."""

from __future__ import annotations

import zipfile
from pathlib import Path

from builder.store.store import Store


def write_wheel(path: Path, filename: str, note: str = "") -> None:
    """Write a wheel to a path; another note makes another content."""
    name, version = filename.split("-")[:2]
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(f"{name}-{version}.dist-info/METADATA")  # the same at any time
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n{note}"
        archive.writestr(info, text)


def add_wheel(store: Store, filename: str, note: str = "") -> str:
    """Put a wheel into a store, and return its sha256."""
    path = store.folder / "incoming.whl"
    write_wheel(path, filename, note)
    sha256 = store.add_file(path)
    path.unlink()
    return sha256


def read_note(path: Path) -> str:
    """Return the note of a wheel."""
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        return archive.read(name).decode().partition("\n\n")[2]
