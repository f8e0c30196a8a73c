"""Facts about installing and importing wheels, as JSON. Runs offline, without privileges.

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
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from ..supervise.accounts import supervise, take_account
from ..supervise.folders import make_folder, open_folder, seal_folder
from .distribution import find_gil_setters, find_modules, read_metadata
from .imports import import_modules
from .install import install
from .probe_process import compile_programs


def load_requirement(item: dict[str, Any]) -> dict[str, Any]:
    """Install one requirement and import all of it; return the facts of that.

    Where pip refuses, it is tried once more without regard to requires-python. Where that fails as well, `install` has
    pip's error and `modules` is empty; otherwise `install` is None.

    Args:
        item: one item of the request.
    """
    with open_folder(is_writable=False) as folder:
        return _load_into(item, str(folder / "site"))


def _load_into(item: dict[str, Any], site: str) -> dict[str, Any]:
    """Install one requirement into a folder that is not there yet, and import all of it; return the facts of that."""
    account = take_account()
    make_folder(Path(site))
    install_error = install(item, site, account)
    is_python_ignored = False
    if install_error:
        # Whether it would work but for its requires-python is a fact of its own.
        is_python_ignored = install(item, site, account, "--ignore-requires-python") is None
        if not is_python_ignored:
            return {"install": install_error, "modules": []}

    # What is judged is what was installed: nothing that runs from now on can write here.
    seal_folder(Path(site))

    # Dependencies are installed beside it, so it is looked for by its name.
    name = item["requirement"].partition("==")[0]
    distribution = next(iter(distributions(name=name, path=[site])))
    tops, natives = find_modules(distribution)
    request = {"site": site, "tops": [*tops], "natives": natives}
    if "after" in item:
        request["after"] = list_companions(item["after"], site)

    facts = {
        "install": None,
        "python_version": read_python_version(item["python"]),
        "metadata": read_metadata(distribution, is_python_ignored=is_python_ignored),
        "sets_gil": find_gil_setters(distribution, site),
    }
    return facts | import_modules(item["python"], request, tops)


def list_companions(names: list[str], site: str) -> list[str]:
    """Return the top-level modules of distributions, in the order of their names as they are given."""
    modules: list[str] = []
    for name in names:
        tops, _ = find_modules(next(iter(distributions(name=name, path=[site]))))
        modules += tops

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

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(load_requirement, items))

    answers = [{**item, **answer} for item, answer in zip(items, results, strict=True)]
    Path(output).write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
