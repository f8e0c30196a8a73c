"""Facts about an application on one interpreter, as JSON. Runs offline; each process of a package has no privileges.

Usage: python -m inside.application REQUEST.json OUTPUT.json

The request has `python`, the interpreter; `index`, the address of a package index; `requirements`, the text of a
requirements file in which every line has its hashes; `after`, by distribution those that have to be imported before it;
`variables`, the environment of the application; `project`, the folder that commands are run in; `smoke`, commands, each
for `smoke_s` seconds at most; `tests`, a command or null, for `tests_s` seconds at most; and `threads`, how many
threads run the tests (0 for no such thing). `amplify` is null, or has `threads` and `seconds` (see amplified.py).

What the lock names is installed into a virtual environment, exactly that and nothing else. All of it is imported in one
process, as a service does that runs for long, and the GIL is looked at in the end. Then the commands are run, each as a
user of its own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ..load.distribution import find_modules
from ..load.install import run_as
from ..load.probe_process import run_probe
from ..supervise.accounts import supervise, take_account
from ..supervise.distributions import list_distributions
from ..supervise.folders import open_folder, seal_folder
from ..supervise.programs import compile_programs
from .amplified import amplify_commands
from .commands import run_command
from .environment import INSTALL_TIMEOUT_S, find_site, install_lock, pip_command


def examine(request: dict[str, Any]) -> dict[str, Any]:
    """Install, import and run an application; return the facts of that (builder/evidence/application.py).

    Args:
        request: see above.
    """
    with open_folder(is_writable=False) as folder:
        environment = folder / "environment"
        account = take_account()
        error = install_lock(
            request["python"], request["index"], request["requirements"], environment, account
        )
        if error is not None:
            return {"install": error}

        # What is judged is what was installed: nothing that runs from now on can write here.
        seal_folder(environment)
        unmet = _find_unmet(request["python"], environment)
        imports = import_everything(request, environment)
        smoke = []
        for command in request["smoke"]:
            smoke.append(run_command(command, request, environment, request["smoke_s"]))
        tests = _run_tests(request, environment)
        amplified = []
        if request["amplify"] is not None:
            amplified = amplify_commands(request, environment, smoke, account)

        return {
            "install": None,
            "unmet": unmet,
            "imports": imports,
            "smoke": smoke,
            "tests": tests,
            "amplified": amplified,
        }


# --- what is installed -----------------------------------------------------------------------------------------------


def _find_unmet(python: str, environment: Path) -> list[str]:
    """Return what the installed packages require of each other and do not get, as `pip check` puts it.

    The environment's interpreter runs `.pth` files of packages: it is another user who asks than who installed.
    """
    command = [*pip_command(python, environment), "check"]
    exit_code, printed = run_as(take_account(), command, INSTALL_TIMEOUT_S)
    if exit_code is None:
        return [f"it did not end within {INSTALL_TIMEOUT_S} s"]
    return [] if exit_code == 0 else printed.splitlines()


# --- importing -------------------------------------------------------------------------------------------------------


def import_everything(request: dict[str, Any], environment: Path) -> dict[str, Any]:
    """Import every top-level module of an environment in one process; return what came of it.

    Args:
        request: the request of this program.
        environment: the virtual environment.
    """
    site = find_site(environment)
    tops: dict[str, str] = {}
    natives: list[str] = []
    for name, distribution in list_distributions(str(site)):
        modules = find_modules(distribution)
        tops |= dict.fromkeys(modules.tops, name)
        natives += modules.natives

    in_order = order_modules(tops, request["after"])
    asked = {"site": str(site), "tops": in_order, "natives": natives}
    # Not the environment's own interpreter: `.pth` files of packages would run before the probe does.
    answer = run_probe(
        request["python"],
        "inside.application.imports",
        asked,
        (),
        variables=request["variables"],
    )

    lines = answer.pop("lines")
    end = lines.pop() if lines and "module" not in lines[-1] else {}
    failed = [line for line in lines if "error" in line]
    for line in failed:
        line["distribution"] = tops.get(line["module"], "")

    return {"modules": len(lines), "failed": failed, **end, **answer}


def order_modules(tops: dict[str, str], after: dict[str, list[str]]) -> list[str]:
    """Return top-level modules by name, but each after those of the distributions that have to be imported before it.

    Args:
        tops: the modules, each with its distribution.
        after: by distribution those that have to be imported before it. One that is not installed is passed over: what
            needs it then shows that itself.
    """
    modules: dict[str, list[str]] = {}
    for module, name in sorted(tops.items()):
        modules.setdefault(name, []).append(module)

    ordered: dict[str, None] = {}
    for module, name in sorted(tops.items()):
        for earlier in _list_earlier(name, after, {name}):
            ordered.update(dict.fromkeys(modules.get(earlier, ())))
        ordered[module] = None

    return list(ordered)


def _list_earlier(name: str, after: dict[str, list[str]], passed: set[str]) -> list[str]:
    """Return the distributions to import before one, in their order.

    Args:
        name: the distribution.
        after: by distribution those that have to be imported before it.
        passed: distributions that are on the list already, or wait for this one: where two are each to be first, one
            of them is not.
    """
    earlier: list[str] = []
    for companion in after.get(name, ()):
        if companion not in passed:
            passed.add(companion)
            earlier += [*_list_earlier(companion, after, passed), companion]

    return earlier


# --- tests ---------------------------------------------------------------------------------------------------------


def _run_tests(request: dict[str, Any], environment: Path) -> dict[str, Any] | None:
    """Run the application's tests, by several threads where they are to run so (pytest-run-parallel)."""
    if request["tests"] is None:
        return None

    options = f"-p no:cacheprovider {request['variables'].get('PYTEST_ADDOPTS', '')}"
    if request["threads"]:
        options += f" --parallel-threads={request['threads']}"
    return run_command(
        request["tests"], request, environment, request["tests_s"], PYTEST_ADDOPTS=options.strip()
    )


def main() -> None:
    """Answer the request as the supervisor of all that is of the application."""
    supervise()
    compile_programs()
    request, output = sys.argv[1:]
    facts = examine(json.loads(Path(request).read_text()))
    Path(output).write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
