"""Which format a file has, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.pylock import is_valid_pylock_path

from builder.dependencies.files import (
    pipfile_lock,
    poetry_lock,
    pylock,
    pyproject,
    requirements_txt,
    uv_lock,
)
from builder.errors import DependencyFileError

if TYPE_CHECKING:
    from pathlib import Path

    from builder.dependencies.files.model import DependencyFile, Selection

_FREEZE = "pip freeze > requirements.txt, in the environment"
_EXPORT_COMMANDS = {
    "pdm.lock": "pdm export -o requirements.txt",
    "pipfile": "pipenv lock",
    "environment.yml": _FREEZE,
    "environment.yaml": _FREEZE,
    "conda-lock.yml": _FREEZE,
}

_OF_A_PROJECT = (
    "uv.lock",
    "pylock.toml",
    "poetry.lock",
    "Pipfile.lock",
    "requirements.txt",
    "requirements.in",
    "pyproject.toml",
)
"""What is looked for in a project's folder, in this order: lock files before what they are made of."""


def find_file(path: Path) -> Path:
    """Return the file of dependencies that a path means: itself, or the best one in a project's folder.

    Where the folder has only one of a format that is not read, it is that one.

    Args:
        path: a file, or a folder.

    Raises:
        DependencyFileError: the folder has none.
    """
    if not path.is_dir():
        return path

    for name in _OF_A_PROJECT:
        if (path / name).is_file():
            return path / name

    # Of what is not read, `read` says how to write a file that is.
    for file in sorted(path.iterdir()):
        if file.name.lower() in _EXPORT_COMMANDS and file.is_file():
            return file

    text = f"is a folder without a file of dependencies; looked for {', '.join(_OF_A_PROJECT)}"
    raise DependencyFileError(path, [("", text)])


def read(path: Path, selection: Selection) -> DependencyFile:
    """Return the dependencies of a file, read in the format that its name tells.

    Formats that the farm does not read are refused; for a known one the error has the command that writes another. Any
    other name, such as `deps.txt`, is read as requirements.txt. An extra or a group that is selected and that the file
    does not have is refused, too: what it leads to would be missing without a word.

    Args:
        path: the file; its name tells the format.
        selection: which part of it is meant.

    Raises:
        DependencyFileError: it cannot be read, is wrong, or of no known format.
    """
    file = _read_format(path, selection)
    if file.parts is None:
        return file

    unknown = sorted((selection.extras | selection.groups) - file.parts)
    if unknown:
        listed = ", ".join(sorted(file.parts)) or "none"
        text = f"there is no extra or group {', '.join(unknown)}; there is {listed}"
        raise DependencyFileError(path, [("", text)])
    return file


def _read_format(path: Path, selection: Selection) -> DependencyFile:
    """Return the dependencies of a file, read in the format that its name tells; other formats are refused."""
    name = path.name.lower()
    if name in _EXPORT_COMMANDS:
        text = f"is of a format the farm does not read; write one that it does: {_EXPORT_COMMANDS[name]}"
        raise DependencyFileError(path, [("", text)])
    if is_valid_pylock_path(path):
        return pylock.read(path, selection)
    if name.endswith("uv.lock"):
        return uv_lock.read(path, selection)
    if name.endswith("poetry.lock"):
        return poetry_lock.read(path, selection)
    if name.endswith("pipfile.lock"):
        return pipfile_lock.read(path, selection)
    if name.endswith("pyproject.toml"):
        return pyproject.read(path, selection)
    if name.endswith((".toml", ".lock", ".json", ".yml", ".yaml", ".py", ".cfg")):
        text = (
            "is no file of dependencies by its name; "
            "expected requirements.txt, pylock.toml, uv.lock, poetry.lock, Pipfile.lock or pyproject.toml"
        )
        raise DependencyFileError(path, [("", text)])
    return requirements_txt.read(path, selection)
