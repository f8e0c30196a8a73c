"""The virtual environment of an application: exactly what its lock names, and the variables that its commands have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..load.install import compile_packages, describe_refusal, run_as
from ..supervise.folders import make_folder
from ..supervise.process import choose_variables

if TYPE_CHECKING:
    from ..supervise.accounts import Account

INSTALL_TIMEOUT_S = 600
"""Longest time of an installation; not measured: for some hundred wheels on a busy machine."""

_OPTIONS = (
    "--isolated", "--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check",
)  # fmt: skip


def install_lock(
    python: str, index: str, requirements: str, environment: Path, account: Account
) -> str | None:
    """Make a virtual environment with exactly what is locked; return what went wrong, or None.

    Args:
        python: the interpreter.
        index: the address of the package index.
        requirements: the text of a requirements file in which every line has its hashes.
        environment: the folder that it is made in.
        account: who installs, and owns what is installed.
    """
    make_folder(environment)
    file = environment.with_name(f"{environment.name}.txt")
    file.write_text(requirements)
    steps = (
        [python, "-m", "venv", "--without-pip", str(environment)],
        [
            *pip_command(python, environment), "install", *_OPTIONS, "--no-compile", "--only-binary", ":all:",
            "--no-deps", "--require-hashes", "--index-url", index, "--requirement", str(file),
        ],
    )  # fmt: skip

    for command in steps:
        exit_code, printed = run_as(account, command, INSTALL_TIMEOUT_S)
        if exit_code is None:
            return f"installing did not end within {INSTALL_TIMEOUT_S} s"
        if exit_code != 0:
            return describe_refusal(exit_code, printed)

    compile_packages(python, str(environment), account)
    return None


def pip_command(python: str, environment: Path) -> list[str]:
    """Return the beginning of a command of pip about an environment, which has none of its own."""
    return [python, "-s", "-m", "pip", "--python", str(environment / "bin" / "python")]


def describe_environment(request: dict[str, Any], environment: Path, home: Path) -> dict[str, str]:
    """Return the variables that a command of the application has.

    Args:
        request: the request of this program.
        environment: the virtual environment.
        home: the command's home.
    """
    return {
        **choose_variables(os.environ, str(home)),
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(environment),
        # The folder of the project belongs to another user.
        "PYTHONDONTWRITEBYTECODE": "1",
        **request["variables"],
    }


def find_site(environment: Path) -> Path:
    """Return the folder of a virtual environment that packages are installed in."""
    return next((environment / "lib").glob("python*/site-packages"))
