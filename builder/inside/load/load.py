"""Facts about installing and importing wheels, as JSON. Runs offline, without privileges.

Usage: python -m inside.load REQUEST.json OUTPUT.json

The request is a list of `{"abi", "python", "requirement", "index"}`, some with `after`, the names of distributions to
install beside the requirement and to import before it. For each, the requirement is installed from the index into a
folder of its own, and what it brought is imported in processes of their own: plainly by probe.py, and
where that works under stricter conditions by the other programs beside this one. At most two processes run at once.

This program is the supervisor of all these: each runs as a user of its own (inside.supervise), and what a probe says
counts only if it came to its end.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path
from typing import Any

from ..supervise.accounts import Account, supervise, take_account
from ..supervise.folders import make_folder, open_folder, seal_folder
from ..supervise.process import choose_variables, run_to_end
from .probe_process import compile_programs, run_probe

# So long that a package that is merely slow on a busy machine is not taken for one that hangs: pip compiles all that it
# installs, and took 50 s for what needs numpy while four did so on two CPUs.
INSTALL_TIMEOUT_S = 300

_FILE_OF_TOP_PACKAGE = 2  # parts of the path `a/__init__.py`
_NOT_CODE = (".dist-info", ".libs", ".data")
_ELF = b"\x7fELF"
_MODULE_MARKS = (
    b"PyInit_",
    b"PyInitU_",
    b"PyModExport_",
    b"PyModuleDef_Init",
    b"PyModule_Create2",
    b"PyModule_FromDefAndSpec2",
)
"""What every extension module defines or calls (PEP 489, PEP 793): one that forgot the first calls another."""

_MODULE_NAME = re.compile(r"[A-Za-z0-9_-]+|\w+")
"""What a module may be called that is imported by its name alone; `-` stands for `_` in the name of its function."""

_GIL_SETTER = b"PyUnstable_Module_SetGIL"
_FREE_THREADING = "Programming Language :: Python :: Free Threading"

# Each stricter condition: the program, and the interpreter's options. `-X dev` includes PYTHONMALLOC=debug.
CONDITIONS = {
    "walk": ("walk", ()),
    "dev": ("walk", ("-X", "dev")),
    "strict": ("walk", ("-W", "error")),
    "threads": ("threads", ()),
    "again": ("again", ()),
    "subinterpreters": ("subinterpreter", ()),
}


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
        "sets_gil": find_gil_setters(distribution),
    }
    return facts | import_modules(item["python"], request, tops, natives)


def list_companions(names: list[str], site: str) -> list[str]:
    """Return the top-level modules of distributions, in the order of their names as they are given."""
    modules: list[str] = []
    for name in names:
        tops, _ = find_modules(next(iter(distributions(name=name, path=[site]))))
        modules += tops

    return modules


# --- installing ------------------------------------------------------------------------------------------------------


def install(item: dict[str, Any], site: str, account: Account, *options: str) -> str | None:
    """Install a requirement and what it depends on, from wheels alone; return what went wrong, or None.

    Args:
        item: one item of the request.
        site: folder to install to.
        account: who installs, and owns what is installed.
        options: further options of pip.
    """
    command = [
        item["python"], "-m", "pip", "install", "--isolated", "--quiet", "--no-input", "--no-cache-dir",
        "--disable-pip-version-check", "--only-binary", ":all:", "--target", site, "--index-url", item["index"],
        *options, item["requirement"], *item.get("after", ()),
    ]  # fmt: skip
    print("$", *command, flush=True)

    with open_folder() as home:
        exit_code, printed = run_to_end(
            command,
            account=account,
            seconds=INSTALL_TIMEOUT_S,
            folder="/",
            environment=choose_variables(os.environ, str(home)),
        )
    print(printed, flush=True)
    if exit_code is None:
        return f"pip did not end within {INSTALL_TIMEOUT_S} s"
    if exit_code == 0:
        return None

    return describe_refusal(exit_code, printed)


def describe_refusal(exit_code: int, printed: str) -> str:
    """Return why pip ended with an exit code other than 0: the first error that it printed, if there is one."""
    for line in printed.splitlines():
        if line.startswith("ERROR: "):
            return line.removeprefix("ERROR: ")

    return f"pip ended with exit code {exit_code}"


def read_python_version(python: str) -> str:
    """Ask an interpreter for its version, such as `3.14.0`."""
    command = [python, "-c", "import platform; print(platform.python_version())"]
    completed = subprocess.run(command, capture_output=True, text=True, check=True)
    return completed.stdout.strip()


def read_metadata(distribution: Distribution, *, is_python_ignored: bool) -> dict[str, Any]:
    """Return what a distribution says of the interpreters it is for; builder/evidence/load.py describes the fields.

    Args:
        distribution: the installed distribution.
        is_python_ignored: whether it could be installed only by ignoring its requires-python.
    """
    requires_python = distribution.metadata.get_all("Requires-Python") or [""]

    free_threading = None
    for line in distribution.metadata.get_all("Classifier", ()):
        if line.startswith(_FREE_THREADING):
            # The level, such as `3 - Stable`; the classifier without one says `yes`.
            free_threading = line.removeprefix(_FREE_THREADING).removeprefix(" :: ") or "yes"

    return {
        "requires_python": requires_python[0],
        "requires_python_ignored": is_python_ignored,
        "free_threading": free_threading,
    }


def find_gil_setters(distribution: Distribution) -> list[str]:
    """Return the extension modules of a distribution that name the function with which they can leave the GIL off.

    It is read from their files, whatever they do when they are loaded. `PyUnstable_Module_SetGIL` is how a module of
    single-phase initialisation says that it needs no GIL; it has no slot to say so.
    """
    setters: list[str] = []
    for file in distribution.files or ():
        module = _name_native_module(file)
        if module is not None and _GIL_SETTER in Path(str(file.locate())).read_bytes():
            setters.append(module)

    return sorted(setters)


def find_modules(distribution: Distribution) -> tuple[dict[str, bool], list[str]]:
    """Return (top-level modules, native modules) of a distribution, by the list of its installed files.

    A native module is an extension module: a `.so` file that `import` loads. The top-level modules are a mapping: name
    -> whether the module itself is native. `a/__init__.py` and `a/b.abi3.so` -> `({"a": False}, ["a.b"])`. Of a
    namespace package (PEP 420), which has no module of its own, it is each package in it: `google/protobuf/__init__.py`
    -> `google.protobuf`. Shared libraries (`libx.so`), and files that are no module by their name, are left out.
    """
    top_modules: dict[str, bool] = {}
    native_modules: set[str] = set()
    packages: set[tuple[str, ...]] = set()

    for file in distribution.files or ():
        native_module = _name_native_module(file)
        if native_module is not None:
            native_modules.add(native_module)
            if len(file.parts) == 1:
                top_modules[native_module] = True

        if not _is_code(file.parts[0]):
            continue

        stem, _, suffix = file.name.partition(".")
        is_module = len(file.parts) == 1 and suffix.endswith("py")
        if is_module:
            top_modules.setdefault(stem, False)
        elif stem == "__init__" and len(file.parts) > 1 and suffix.endswith(("py", "so")):
            packages.add(file.parts[:-1])
            if len(file.parts) == _FILE_OF_TOP_PACKAGE:
                top_modules[file.parts[0]] = native_module is not None

    for package in _find_outermost(packages):
        top_modules.setdefault(".".join(package), False)

    # Native modules of a namespace package have no module of the distribution above them.
    for name in native_modules:
        top_modules.setdefault(_top_of(name), False)

    return dict(sorted(top_modules.items())), sorted(native_modules)


def _find_outermost(packages: set[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Iterate over the packages that are in no other one, as the folders that lead to them."""
    for package in packages:
        is_named_well = all(folder.isidentifier() for folder in package)
        is_inside = any(package[:depth] in packages for depth in range(1, len(package)))
        if is_named_well and not is_inside:
            yield package


def _name_native_module(file: PackagePath) -> str | None:
    """Return the name by which a file of a distribution is imported as an extension module; None where it is none.

    The name of the module itself need be no identifier, as those are not that mypyc makes of a hash.
    """
    *folders, filename = file.parts
    stem, _, suffix = filename.partition(".")
    if not suffix.endswith("so") or not _MODULE_NAME.fullmatch(stem):
        return None

    if folders and not _is_code(folders[0]):
        return None
    if not all(folder.isidentifier() for folder in folders):
        return None

    is_plain_library = stem.startswith("lib") and suffix == "so"
    if is_plain_library or _is_foreign_library(Path(str(file.locate()))):
        return None

    return ".".join(folders if stem == "__init__" else (*folders, stem))


def _is_foreign_library(path: Path) -> bool:
    """Return whether a native file has nothing of an extension module but its suffix: ctypes loads it, or cffi.

    setuptools gives libraries that are made as an `Extension` the suffix of one.
    """
    if not path.is_file():
        return False

    content = path.read_bytes()
    return content.startswith(_ELF) and not any(mark in content for mark in _MODULE_MARKS)


def _is_code(name: str) -> bool:
    """Return whether a file or folder, seen from the folder for packages, can be a module or hold some.

    `a` and `a.py` can; `a-1.dist-info`, `a.libs` and `__pycache__` cannot.
    """
    if name == "__pycache__" or name.endswith(_NOT_CODE):
        return False

    return _top_of(name).isidentifier()


def _top_of(name: str) -> str:
    return name.partition(".")[0]


# --- importing -------------------------------------------------------------------------------------------------------


def import_modules(
    python: str, request: dict[str, Any], tops: dict[str, bool], natives: list[str]
) -> dict[str, Any]:
    """Import a distribution's modules: each alone in a fresh process, then everything under the stricter conditions.

    Alone are imported the top-level modules, and those native modules that were not loaded with one of these. The
    stricter conditions get what could be imported; their facts are left out where nothing could.

    Args:
        python: the interpreter.
        request: the request of a probe: `site`, `tops`, `natives`, perhaps `after`.
        tops: its top-level modules, each with whether it is native.
        natives: its native modules.
    """
    probes = [probe_module(python, request, name, native=native) for name, native in tops.items()]

    importable = []
    loaded_natives: set[str] = set()
    for probe in probes:
        loaded_natives.update(probe.get("natives", ()))
        has_failed = bool({"error", "hang", "signal"} & probe.keys())
        if not has_failed:
            importable.append(probe["module"])

    # Importing `a.b` begins with importing `a`: where that failed, or brought `a.b` along, there is nothing to add.
    reachable = [name for name in natives if _top_of(name) in importable]
    for name in reachable:
        if name not in loaded_natives and name not in tops:
            probes.append(probe_module(python, request, name, native=True))

    facts: dict[str, Any] = {"modules": probes}
    if importable:
        strict = {**request, "tops": importable, "natives": reachable}
        facts |= import_strictly(python, strict)

    return facts


def import_strictly(python: str, request: dict[str, Any]) -> dict[str, Any]:
    """Import everything once under each condition of `CONDITIONS`; return what came of it, by the condition's name.

    Conditions after `dev` are left out where that died of a signal.

    Args:
        python: the interpreter.
        request: the request of a probe: `site`, `tops`, `natives`.
    """
    facts: dict[str, Any] = {}
    for condition, (program, options) in CONDITIONS.items():
        if "signal" in facts.get("dev", {}):
            break  # memory is damaged: what follows would differ from run to run

        answer = run_probe(python, f"inside.load.{program}", request, options)
        facts[condition] = summarize(answer, is_walk=condition == "walk")

    return facts


def summarize(answer: dict[str, Any], *, is_walk: bool) -> dict[str, Any]:
    """Gather the warnings of an answer, and drop the lines that say no more than that a module was imported.

    Args:
        answer: what `run_probe` returned.
        is_walk: whether it is of the condition whose lines are all of interest.
    """
    lines = []
    warnings: list[object] = []
    for line in answer.pop("lines"):
        if "warnings" in line:
            warnings += line["warnings"]
        elif is_walk or "error" in line:
            lines.append(line)

    return {"lines": lines, "warnings": warnings, **answer}


def probe_module(
    python: str, request: dict[str, Any], module: str, *, native: bool
) -> dict[str, Any]:
    """Import one module in a fresh process; return what that showed, the fields of Probe in builder/evidence/load.py.

    `during`, which names the module that was being imported, is left out: there is only this one.

    Args:
        python: the interpreter.
        request: the request of a probe, without the module.
        module: the module's dotted name.
        native: whether it is an extension module.
    """
    answer = run_probe(python, "inside.load.probe", {**request, "module": module}, ())
    lines = answer.pop("lines")
    answer.pop("during", None)

    facts = lines[0] if lines else {}
    gil_seen = answer.pop("gil_seen", None)
    if "gil" in facts:
        facts["gil"]["seen"] = gil_seen
    # An import that ends the interpreter, or speaks in the place of the probe, is no import that worked.
    if "fault" in answer:
        answer["error"] = answer["fault"]

    return {"module": module, "native": native, **facts, **answer}


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
