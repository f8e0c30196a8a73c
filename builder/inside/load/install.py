"""Installs what is to be loaded: by pip, from wheels alone, and compiled so that no probe has to."""

from __future__ import annotations

import os

from ..supervise.accounts import Account
from ..supervise.folders import open_folder
from ..supervise.process import choose_variables, run_to_end

# So long that a package that is merely slow on a busy machine is not taken for one that hangs.
_INSTALL_TIMEOUT_S = 300

_TESTS = r"/tests?/"
"""Folders, as a regular expression, that no import of an application needs: half of what numpy and scipy have."""


def install(item: dict[str, str], site: str, account: Account, *options: str) -> str | None:
    """Install a requirement and what it depends on, from wheels alone; return what went wrong, or None.

    Args:
        item: one item of the request.
        site: folder to install to.
        account: who installs, and owns what is installed.
        options: further options of pip.
    """
    command = [
        item["python"], "-s", "-m", "pip", "install", "--isolated", "--quiet", "--no-input", "--no-cache-dir",
        "--disable-pip-version-check", "--no-compile", "--only-binary", ":all:", "--target", site,
        "--index-url", item["index"], *options, item["requirement"],
    ]  # fmt: skip
    exit_code, printed = run_as(account, command, _INSTALL_TIMEOUT_S)
    if exit_code is None:
        return f"pip did not end within {_INSTALL_TIMEOUT_S} s"
    if exit_code != 0:
        return describe_refusal(exit_code, printed)

    compile_packages(item["python"], site, account)
    return None


def compile_packages(python: str, site: str, account: Account) -> None:
    """Compile what was installed, but for its tests; files that cannot be compiled are left, as pip leaves them.

    A probe may write nothing: each would compile anew what it imports.

    Args:
        python: the interpreter.
        site: the folder that packages are installed in.
        account: who installed them.
    """
    command = [python, "-s", "-m", "compileall", "-q", "-x", _TESTS, site]
    run_as(account, command, _INSTALL_TIMEOUT_S)


def run_as(account: Account, command: list[str], seconds: float) -> tuple[int | None, str]:
    """Run a command of an installation; return its exit code (None: it did not end in time), and what it printed.

    Args:
        account: who runs it.
        command: the command.
        seconds: how long it may take.
    """
    print("$", *command, flush=True)
    with open_folder() as home:
        exit_code, printed = run_to_end(
            command,
            account=account,
            seconds=seconds,
            folder="/",
            environment=choose_variables(os.environ, str(home)),
        )
    print(printed, flush=True)

    return exit_code, printed


def describe_refusal(exit_code: int, printed: str) -> str:
    """Return why pip ended with an exit code other than 0: the first error that it printed, if there is one."""
    for line in printed.splitlines():
        if line.startswith("ERROR: "):
            return line.removeprefix("ERROR: ")

    return f"pip ended with exit code {exit_code}"
