"""Which format a file has, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.pylock import is_valid_pylock_path

from builder.dependencies.files import pylock, pyproject, requirements_txt, uv_lock
from builder.errors import DependencyFileError

if TYPE_CHECKING:
    from pathlib import Path

    from builder.dependencies.files.model import DependencyFile, Selection

_EXPORT_COMMANDS = {
    "poetry.lock": "poetry export -o requirements.txt (plugin poetry-plugin-export)",
    "pdm.lock": "pdm export -o requirements.txt",
    "pipfile.lock": "pipenv requirements --hash > requirements.txt",
    "pipfile": "pipenv requirements > requirements.txt",
    "environment.yml": "pip freeze > requirements.txt, in the environment",
}


def read(path: Path, selection: Selection) -> DependencyFile:
    """Return the dependencies of a file, read in the format that its name tells.

    Formats that the farm does not read are refused; for a known one the error has the command that writes another. Any
    other name, such as `deps.txt`, is read as requirements.txt.

    Args:
        path: the file; its name tells the format.
        selection: which part of it is meant.

    Raises:
        DependencyFileError: it cannot be read, is wrong, or of no known format.
    """
    name = path.name.lower()
    if name in _EXPORT_COMMANDS:
        text = f"is of a format the farm does not read; write one that it does: {_EXPORT_COMMANDS[name]}"
        raise DependencyFileError(path, [("", text)])
    if is_valid_pylock_path(path):
        return pylock.read(path, selection)
    if name.endswith("uv.lock"):
        return uv_lock.read(path, selection)
    if name.endswith("pyproject.toml"):
        return pyproject.read(path, selection)
    if name.endswith((".toml", ".lock", ".json", ".yml", ".yaml", ".py", ".cfg")):
        text = (
            "is no file of dependencies by its name; "
            "expected requirements.txt, pylock.toml, uv.lock or pyproject.toml"
        )
        raise DependencyFileError(path, [("", text)])
    return requirements_txt.read(path, selection)
