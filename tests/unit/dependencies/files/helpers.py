"""Files of dependencies, written and read."""

from pathlib import Path

import pytest
from packaging.version import Version

from builder.dependencies import files as lockfiles
from builder.dependencies.files import DependencyFile, Selection
from builder.errors import DependencyFileError, ExitCode

HERE = Selection(python=Version("3.14.5"))
A, B = "a" * 64, "b" * 64


def read(
    tmp_path: Path, name: str, content: str | bytes, selection: Selection = HERE
) -> DependencyFile:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return lockfiles.read(path, selection)


def refused(tmp_path: Path, name: str, content: str | bytes, selection: Selection = HERE) -> str:
    with pytest.raises(DependencyFileError) as caught:
        read(tmp_path, name, content, selection)
    assert caught.value.exit_code == ExitCode.USAGE
    return str(caught.value)


def wanted(file: DependencyFile) -> dict[str, str]:
    return {one.name: one.specifier for one in file.dependencies}


def left_out(file: DependencyFile) -> dict[str, str]:
    return {one.name: one.why for one in file.left_out}
