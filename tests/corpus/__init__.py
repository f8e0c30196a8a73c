"""Small packages with known answers, and sdists made of them."""

from __future__ import annotations

import io
import tarfile
import tomllib
from pathlib import Path

CORPUS = Path(__file__).parent
THREADS = CORPUS / "threads"


def make_sdist(name: str, folder: Path, version: str = "") -> Path:
    """Make an sdist of a corpus package; its bytes depend on its files alone.

    Args:
        name: of the package and its folder, here or in `threads`.
        folder: where the sdist goes.
        version: another version than its own, with the same content otherwise.
    """
    source = _source(name)
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    own_line = f'version = "{project["version"]}"'.encode()
    version = version or project["version"]
    root = f"{name}-{version}"
    path = folder / f"{root}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file in sorted(source.rglob("*")):
            if file.is_file() and file.suffix != ".patch":
                content = file.read_bytes()
                if file.name == "pyproject.toml":
                    content = content.replace(own_line, f'version = "{version}"'.encode())
                _add(archive, f"{root}/{file.relative_to(source)}", content)
        lines = ["Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in project.get("dependencies", [])]
        _add(archive, f"{root}/PKG-INFO", ("\n".join(lines) + "\n").encode())
    return path


def _source(name: str) -> Path:
    return THREADS / name if (THREADS / name).is_dir() else CORPUS / name


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
