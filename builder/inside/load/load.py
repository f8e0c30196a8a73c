"""Facts about installing and importing wheels, as JSON. Runs offline; each process of a package has no privileges.

Usage: python -m inside.load REQUEST.json OUTPUT.json

The request is a list of `{"abi", "python", "requirement", "index"}`, some with `after`, the names of distributions to
install beside the requirement and to import before it. For each, the requirement is installed from the index into a
folder of its own, and what it brought is imported in processes of their own: plainly by probe.py, and where that works
under stricter conditions by the other programs beside this one. At most two processes run at once.

This program is the supervisor of all these: each runs as a user of its own (inside.supervise), and what a probe says
counts only if it came to its end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..supervise.accounts import supervise, take_account
from ..supervise.distributions import find_distribution
from ..supervise.folders import make_folder, open_folder, seal_folder
from ..supervise.programs import compile_programs
from .distribution import find_gil_setters, find_modules, read_metadata
from .imports import import_modules
from .install import install


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What became of installing one requirement.

    Attributes:
        error: pip's error; None where it was installed.
        is_python_ignored: whether that took an option not to regard requires-python.
    """

    error: str | None
    is_python_ignored: bool = False


def install_requirement(item: dict[str, Any], site: str) -> Installed:
    """Install one requirement into a folder that is not there yet; nobody can write there afterwards.

    Where pip refuses, it is tried once more without regard to requires-python: whether it would work but for that is a
    fact of its own.

    Args:
        item: one item of the request.
        site: the folder.
    """
    account = take_account()
    make_folder(Path(site))
    error = install(item, site, account)
    is_python_ignored = False
    if error is not None:
        is_python_ignored = install(item, site, account, "--ignore-requires-python") is None
    seal_folder(Path(site))

    return Installed(
        error=None if is_python_ignored else error, is_python_ignored=is_python_ignored
    )


def import_requirement(item: dict[str, Any], site: str, installed: Installed) -> dict[str, Any]:
    """Import all of one requirement; return the facts of that.

    Where it was not installed, `install` has the error and `modules` is empty; otherwise `install` is None.

    Args:
        item: one item of the request.
        site: the folder that it is installed in.
        installed: what became of that.
    """
    if installed.error is not None:
        return {"install": installed.error, "modules": []}

    distribution = find_distribution(site, item["requirement"])
    if distribution is None:
        error = (
            f"what was installed has not exactly one folder of metadata of {item['requirement']}"
        )
        return {"install": error, "modules": []}

    modules = find_modules(distribution)
    request = {"site": site, "tops": [*modules.tops], "natives": modules.natives}
    if "after" in item:
        request["after"] = list_companions(item["after"], site)

    facts = {
        "install": None,
        "python_version": read_python_version(item["python"]),
        "metadata": read_metadata(distribution, is_python_ignored=installed.is_python_ignored),
        "sets_gil": find_gil_setters(modules, site),
    }
    return facts | import_modules(item["python"], request, modules.tops)


def list_companions(names: list[str], site: str) -> list[str]:
    """Return the top-level modules of distributions, in the order of their names as they are given."""
    modules: list[str] = []
    for name in names:
        distribution = find_distribution(site, name)
        if distribution is not None:
            modules += find_modules(distribution).tops

    return modules


def read_python_version(python: str) -> str:
    """Ask an interpreter for its version, such as `3.14.0`."""
    command = [python, "-c", "import platform; print(platform.python_version())"]
    completed = subprocess.run(command, capture_output=True, text=True, check=True)
    return completed.stdout.strip()


def main() -> None:
    """Answer the request as the supervisor of all that imports the wheels."""
    supervise()
    compile_programs()
    answer_request(*sys.argv[1:])


def answer_request(request: str, output: str) -> None:
    """Answer all items of a request, two at a time, in the request's order.

    Args:
        request: the file with the items.
        output: the file for the answers.
    """
    items = json.loads(Path(request).read_text())

    with ExitStack() as folders, ThreadPoolExecutor(2) as pool:
        sites = [str(folders.enter_context(open_folder(is_writable=False)) / "site") for _ in items]
        # What is judged is what was installed: nothing of a package runs before all folders are sealed.
        installed = list(pool.map(install_requirement, items, sites))
        results = list(pool.map(import_requirement, items, sites, installed))

    answers = [{**item, **answer} for item, answer in zip(items, results, strict=True)]
    Path(output).write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
