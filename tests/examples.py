"""The examples, as a user has them after the commands of examples/README.md."""

from __future__ import annotations

import io
import shutil
import tarfile
import tomllib
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"
SOURCES = EXAMPLES / "sources"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/matrix.toml"))


def copy_example(name: str, folder: Path) -> Path:
    """Copy an example into a folder, make the sdists that it names, and return its matrix.

    Args:
        name: of the example.
        folder: an existing folder.
    """
    shutil.copytree(EXAMPLES / name, folder, dirs_exist_ok=True)
    matrix = folder / "matrix.toml"
    packages = tomllib.loads(matrix.read_text())["packages"]
    for package, table in packages.items():
        if "sdist" in table:
            write_sdist(SOURCES / package, folder / table["sdist"])
    return matrix


def write_sdist(source: Path, path: Path) -> None:
    """Write the sdist that `python -m build --sdist` makes of a source folder, as far as it matters, without an index."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    root = f"{project['name']}-{project['version']}"
    metadata = f"Metadata-Version: 2.2\nName: {project['name']}\nVersion: {project['version']}\n"
    files = {
        file.relative_to(source).as_posix(): file.read_bytes()
        for file in sorted(source.rglob("*"))
        if file.is_file()
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {**files, "PKG-INFO": metadata.encode()}.items():
            info = tarfile.TarInfo(f"{root}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
