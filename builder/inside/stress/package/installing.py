"""Install wheels from a folder, without a network, and say which modules they brought."""

import os
from importlib.metadata import PackagePath
from pathlib import Path, PurePath
from typing import Any

from ...supervise.accounts import Account, take_account
from ...supervise.distributions import find_distribution, list_files
from ...supervise.folders import make_folder, open_folder, seal_folder
from ...supervise.process import choose_variables, run_to_end

SITE = "/tmp/site/site-packages"
RACE_SITE = "/tmp/race-site/site-packages"
"""Where a distribution is installed, and where the copy of it that was compiled with the sanitizer is."""

TOOLS = "site-packages"
"""The folder for what tests need. By this name tools know what is installed: hypothesis parses all modules elsewhere,
which takes a minute under a sanitizer."""

_PIP_OPTIONS = (
    "--isolated",
    "--quiet",
    "--no-input",
    "--no-cache-dir",
    "--disable-pip-version-check",
    "--no-index",
    "--only-binary",
    ":all:",
)

_INSTALL_S = 600.0  # not measured: the container's own limit is more, and a slow disk is no fault of a package

_NOT_CODE = (".dist-info", ".libs", ".data")
"""Ends of the names of folders in a wheel that hold no modules."""

_MOST_BYTES = 1 << 30  # as in instrumentation.py

_TESTS = ("test", "tests", "testing", "conftest", "_testcapi", "_testlib", "__main__", "setup")
"""Names of modules and packages that are not called: they test the package, or run it."""


def install(
    python: str, requirements: list[str], wheels: str, site: str, *options: str
) -> str | None:
    """Install requirements from a folder of wheels; return pip's last line about a failure, or None where it worked.

    What is installed belongs to a user that nothing else runs as: no code of a package can change it.

    Args:
        python: the interpreter to install for.
        requirements: what to install, as pip takes it.
        wheels: the folder of wheels, where pip looks for everything.
        site: the folder to install in, which nothing was installed in before.
        options: further options of pip.
    """
    account = take_account()
    make_folder(Path(site))
    failure = _run_pip(account, python, requirements, wheels, site, *options)
    seal_folder(Path(site))

    return failure


def list_requirements(request: dict[str, Any]) -> list[str]:
    """Return what is to be installed: the distribution, and those that must be imported before it (`after`)."""
    return [request["requirement"], *request.get("after", ())]


def list_companions(request: dict[str, Any], site: str) -> list[str]:
    """Return the top-level modules of the distributions that must be imported first, in their order.

    Args:
        request: what the program was asked, perhaps with `after`.
        site: the folder they are installed in.
    """
    modules: dict[str, None] = {}
    for name in request.get("after", ()):
        import_names, _ = find_modules(name, site)
        modules.update(dict.fromkeys(name.partition(".")[0] for name in import_names))

    return list(modules)


def install_each(
    python: str, requirements: list[str], wheels: str, site: str, *options: str
) -> None:
    """Install each of some requirements by itself, where it can be; the arguments are those of `install`."""
    account = take_account()
    make_folder(Path(site))
    for requirement in requirements:
        _run_pip(account, python, [requirement], wheels, site, "--upgrade", *options)
    seal_folder(Path(site))


def _run_pip(
    account: Account, python: str, requirements: list[str], wheels: str, site: str, *options: str
) -> str | None:
    """Run pip as a user; return what went wrong, or None."""
    folders = ["--find-links", wheels, "--target", site]
    command = [python, "-m", "pip", "install", *_PIP_OPTIONS, *folders, *options, *requirements]
    exit_code, printed = _run(account, command)
    if exit_code == 0:
        return None

    lines = printed.strip().splitlines()
    # pip names the reason last.
    return lines[-1] if lines else "pip failed"


def _run(account: Account, command: list[str]) -> tuple[int | None, str]:
    """Run a command as a user; return its exit code (None where its time was up) and what it printed."""
    with open_folder() as home:
        environment = choose_variables(os.environ, str(home))
        exit_code, printed = run_to_end(
            command, account=account, seconds=_INSTALL_S, folder="/", environment=environment
        )
    print("$", *command, printed, flush=True)

    return exit_code, printed


def install_beside(site: str, wheel: str, python: str, target: str) -> str | None:
    """Copy an installation and put another build of one of its wheels into the copy; return what went wrong, or None.

    Args:
        site: the folder of the installation.
        wheel: the other build.
        python: the interpreter to install for.
        target: the folder of the copy, which must not exist.
    """
    account = take_account()
    make_folder(Path(target))
    # With other times, what is compiled of Python files would count for nothing. The folder itself is not the user's.
    installed = sorted(str(path) for path in Path(site).iterdir())
    copy = ["cp", "-R", "--preserve=timestamps", "--target-directory", target, *installed]
    exit_code, printed = _run(account, copy)
    failure: str | None = f"cp: {printed.strip()}"
    if exit_code == 0:
        failure = _run_pip(
            account, python, [wheel], str(Path(wheel).parent), target, "--no-deps", "--upgrade"
        )
    seal_folder(Path(target))

    return failure


def find_modules(name: str, site: str) -> tuple[list[str], set[str]]:
    """Return the import names of a distribution's modules, sorted, and the file names of its extension modules (.so).

    The file names include those of shared libraries (.so) in the package: they have frames in stacks as well. Tests
    are skipped. Both are empty where there is not exactly one distribution of that name.

    Args:
        name: the distribution's name.
        site: the folder it is installed in.
    """
    import_names: set[str] = set()
    extension_modules: set[str] = set()
    distribution = find_distribution(site, name)
    for file in [] if distribution is None else list_files(distribution):
        if not _is_code(file):
            continue

        # A library that an extension module is linked with has frames in stacks, too, but cannot be imported.
        if file.suffix == ".so":
            extension_modules.add(file.name)
        import_name = _name_module(file)
        if import_name:
            import_names.add(import_name)

    return sorted(import_names), extension_modules


def _is_code(file: PurePath) -> bool:
    """Return whether a file of a wheel belongs to the package itself: neither its tests nor files elsewhere do."""
    is_elsewhere = file.parts[0].endswith(_NOT_CODE) or ".." in file.parts
    is_test = any(part.partition(".")[0] in _TESTS for part in file.parts)

    return not is_elsewhere and not is_test


def _name_module(file: PackagePath) -> str | None:
    """Return the name that a file is imported by, or None where it is no module.

    `pkg/_speedups.cpython-314t-x86_64-linux-gnu.so` -> `pkg._speedups`; `pkg/__init__.py` -> `pkg`.
    """
    parts = list(file.parts[:-1])
    first_part = file.name.partition(".")[0]
    if _is_extension_module(file):
        return ".".join([*parts, first_part])
    if file.suffix != ".py":
        return None

    if file.stem != "__init__":
        parts.append(file.stem)
    # A script such as `pkg/data/run-me.py` cannot be imported.
    is_importable = all(part.isidentifier() for part in parts)
    if not parts or not is_importable:
        return None

    return ".".join(parts)


def _is_extension_module(file: PackagePath) -> bool:
    """Return whether a file is an extension module of CPython: by its name, or by the function that makes the module.

    `_fast.so` is imported as well as `_fast.cpython-314t-….so`, and may be a library that one of these is linked with.
    """
    if file.suffix != ".so":
        return False

    is_of_one_version = ".cpython-" in file.name
    if is_of_one_version or file.name.endswith(".abi3.so"):
        return True

    path = Path(str(file.locate()))
    name = file.name.removesuffix(".so")
    is_importable = all(part.isidentifier() for part in (*file.parts[:-1], name))
    if not is_importable or not path.is_file():
        return False
    with path.open("rb") as content:
        return f"PyInit_{name}\0".encode() in content.read(_MOST_BYTES)
