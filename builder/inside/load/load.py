"""Facts about installing and importing wheels, as JSON. Runs offline, without privileges.

Usage: python -m inside.load REQUEST.json OUTPUT.json

The request is a list of `{"abi", "python", "requirement", "index"}`. For each, the requirement is installed from the
index into a folder of its own, and what it brought is imported in processes of their own: plainly by probe.py, and
where that works under stricter conditions by the other programs beside this one. At most two processes run at once.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import IO, Any

PROGRAMS = Path(__file__).parents[2]
"""The folder that `inside` is in: probes are started there, and so find this package."""

# Not measured: so long that a package that is merely slow on a busy machine is not taken for one that hangs.
INSTALL_TIMEOUT_S = 120
IMPORT_TIMEOUT_S = 60
_DUMP_TIMEOUT_S = 5  # for faulthandler to write the stack of a process that hangs

FRAMES = 12  # of a stack: enough to see where a crash comes from, little enough to be read
_SIGNAL_FRAMES = 2  # the handler itself, and the C library's return from it
_LOG_CHARACTERS = 4000  # of what a probe printed, its end
_ERROR_OUTPUT_BYTES = 1 << 20

_NOT_CODE = (".dist-info", ".libs", ".data")
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


def load_requirement(item: dict[str, str]) -> dict[str, Any]:
    """Install one requirement and import all of it; return the facts of that.

    Where pip refuses, it is tried once more without regard to requires-python. Where that fails as well, `install` has
    pip's error and `modules` is empty; otherwise `install` is None.

    Args:
        item: one item of the request.
    """
    with tempfile.TemporaryDirectory() as site:
        install_error = install(item, site)
        is_python_ignored = False
        if install_error:
            # Whether it would work but for its requires-python is a fact of its own.
            is_python_ignored = install(item, site, "--ignore-requires-python") is None
            if not is_python_ignored:
                return {"install": install_error, "modules": []}

        # Dependencies are installed beside it, so it is looked for by its name.
        name = item["requirement"].partition("==")[0]
        distribution = next(iter(distributions(name=name, path=[site])))
        tops, natives = find_modules(distribution)

        facts = {
            "install": None,
            "python_version": read_python_version(item["python"]),
            "metadata": read_metadata(distribution, is_python_ignored=is_python_ignored),
        }
        return facts | import_modules(item["python"], site, tops, natives)


# --- installing ------------------------------------------------------------------------------------------------------


def install(item: dict[str, str], site: str, *options: str) -> str | None:
    """Install a requirement and what it depends on, from wheels alone; return what went wrong, or None.

    Args:
        item: one item of the request.
        site: folder to install to.
        options: further options of pip.
    """
    command = [
        item["python"], "-m", "pip", "install", "--isolated", "--quiet", "--no-input", "--no-cache-dir",
        "--no-compile", "--disable-pip-version-check", "--only-binary", ":all:", "--target", site,
        "--index-url", item["index"], *options, item["requirement"],
    ]  # fmt: skip
    print("$", *command, flush=True)

    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"pip did not end within {INSTALL_TIMEOUT_S} s"

    print(completed.stdout, completed.stderr, flush=True)
    if completed.returncode == 0:
        return None

    for line in completed.stderr.splitlines():
        if line.startswith("ERROR: "):
            return line.removeprefix("ERROR: ")

    return f"pip ended with exit code {completed.returncode}"


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


def find_modules(distribution: Distribution) -> tuple[dict[str, bool], list[str]]:
    """Return (top-level modules, native modules) of a distribution, by the list of its installed files.

    A native module is an extension module: a `.so` file that `import` loads. The top-level modules are a mapping: name
    -> whether the module itself is native. `a/__init__.py` and `a/b.abi3.so` -> `({"a": False}, ["a.b"])`. Shared
    libraries (`libx.so`), and files that are no module by their name, are left out.
    """
    top_modules: dict[str, bool] = {}
    native_modules: set[str] = set()

    for file in distribution.files or ():
        if not _is_code(file.parts[0]):
            continue

        stem, _, suffix = file.name.partition(".")
        is_native = suffix.endswith("so")
        is_importable = all(part.isidentifier() for part in (*file.parts[:-1], stem))
        is_plain_library = stem.startswith("lib") and suffix == "so"

        if is_importable and is_native and not is_plain_library:
            package = file.parts[:-1]
            native_modules.add(".".join(package if stem == "__init__" else (*package, stem)))

        is_module = len(file.parts) == 1 and suffix.endswith(("py", "so"))
        is_package = file.parts[1:] == (file.name,) and stem == "__init__"
        if is_module and is_importable:
            top_modules[stem] = is_native
        elif is_package:
            top_modules[file.parts[0]] = is_native

    # Native modules of a namespace package have no module of the distribution above them.
    for name in native_modules:
        top_modules.setdefault(_top_of(name), False)

    return dict(sorted(top_modules.items())), sorted(native_modules)


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
    python: str, site: str, tops: dict[str, bool], natives: list[str]
) -> dict[str, Any]:
    """Import a distribution's modules: each alone in a fresh process, then everything under the stricter conditions.

    Alone are imported the top-level modules, and those native modules that were not loaded with one of these. The
    stricter conditions get what could be imported; their facts are left out where nothing could.

    Args:
        python: the interpreter.
        site: folder that the distribution is installed in.
        tops: its top-level modules, each with whether it is native.
        natives: its native modules.
    """
    request: dict[str, Any] = {"site": site, "tops": [*tops], "natives": natives}
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
        facts |= import_strictly(python, {"site": site, "tops": importable, "natives": reachable})

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

        answer = run_probe(python, program, request, options)
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
    answer = run_probe(python, "probe", {**request, "module": module}, ())
    lines = answer.pop("lines")
    answer.pop("during", None)

    facts = lines[0] if lines else {}
    # It wrote nothing and yet ended with exit code 0, as after `os._exit(0)`.
    if not facts and not answer:
        answer = {
            "error": "the interpreter ended in the middle of the import, without an exception"
        }

    return {"module": module, "native": native, **facts, **answer}


# --- one process -----------------------------------------------------------------------------------------------------


def run_probe(
    python: str, program: str, request: dict[str, Any], options: tuple[str, ...]
) -> dict[str, Any]:
    """Run one probe, a program of this package, in a process of its own, and return how that ended.

    Args:
        python: the interpreter.
        program: name of the probe, such as `walk`.
        request: the request of the probe, without its journal, the file it writes its lines to.
        options: the interpreter's options.

    Returns:
        `lines`, what the probe wrote. Where it did not end with exit code 0, also `signal`, `hang` or `exit_code`; the
        Python and native `stack` of a signal or a hang; and `during`, the module that was being imported then.
    """
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as journal:
        request_text = json.dumps({**request, "output": journal.name})
        module = f"inside.load.{program}"
        command = [python, "-X", "faulthandler", *options, "-m", module, request_text]
        print("$", *command, flush=True)

        exit_code, printed = _run(command)
        print(printed[-_LOG_CHARACTERS:], flush=True)
        lines = _read_journal(journal, request["site"])

    facts: dict[str, Any] = {"lines": [line for line in lines if "begin" not in line]}
    if exit_code is None:
        facts["hang"] = f"no end within {IMPORT_TIMEOUT_S} s"
        facts["stack"] = read_stack(printed, request["site"])
    elif exit_code < 0:
        facts["signal"] = signal.Signals(-exit_code).name
        facts["stack"] = read_stack(printed, request["site"])
    elif exit_code > 0:
        facts["exit_code"] = exit_code

    ended_badly = exit_code != 0
    if ended_badly and lines and "begin" in lines[-1]:
        facts["during"] = lines[-1]["begin"]

    return facts


def _run(command: list[str]) -> tuple[int | None, str]:
    """Run a command; return (exit code, what it printed).

    The exit code is None where the command did not end in time, and -n where signal n killed it. Of what it printed
    only the first `_ERROR_OUTPUT_BYTES` come back.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=PROGRAMS, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        has_ended = _await_end(process)
        output.seek(0)
        printed = output.read(_ERROR_OUTPUT_BYTES).decode(errors="replace")

    return process.returncode if has_ended else None, printed


def _await_end(process: subprocess.Popen[bytes]) -> bool:
    """Wait for a process to end and return True; where its time is up, end it and return False.

    SIGABRT comes first: faulthandler then writes where the process hangs. One that does not even die of that is killed.
    """
    try:
        process.wait(IMPORT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        try:
            process.wait(_DUMP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return False

    return True


def _read_journal(journal: IO[str], site: str) -> list[dict[str, Any]]:
    """Return the lines that a probe wrote; a last line that it was killed in the middle of is skipped."""
    lines = []
    for line in journal:
        if line.endswith("\n"):
            # The folder has a new name each time; what is said of the same file has to be the same on every base.
            lines.append(json.loads(line.replace(f"{site}/", "")))

    return lines


def read_stack(printed: str, site: str) -> dict[str, list[str]]:
    """Return the stack that faulthandler printed, as `native` and `python` frames, the innermost first.

    `File "/site/a/b.py", line 3 in f` -> `a/b.py:3 in f`. Left out are the frames of the signal handler, of the import
    system and of these programs, and all beyond `FRAMES`. Both lists are empty where no stack was printed.

    Args:
        printed: all that the process printed.
        site: folder that packages are installed in; paths are given relative to it.
    """
    native_frames: list[str] = []
    for binary, frame in re.findall(r'^  Binary file "([^"]+)", at (\S+)', printed, re.MULTILINE):
        native_frames.append(f"{frame} in {Path(binary).name}")
        if frame.startswith("_Py_DumpStack"):
            native_frames.clear()  # frames up to here are faulthandler's own

    # Frames of the import system, of the start by `-m`, and of these programs say nothing of the package.
    ignored_paths = ("<frozen importlib", "<frozen runpy", str(PROGRAMS / "inside"))
    python_frames = []
    matches = re.findall(r'^  File "([^"]+)", line (\d+) in (.+)$', printed, re.MULTILINE)
    for path, line, function in matches:
        if not path.startswith(ignored_paths):
            python_frames.append(f"{path.removeprefix(site + '/')}:{line} in {function}")

    return {"native": native_frames[_SIGNAL_FRAMES:][:FRAMES], "python": python_frames[:FRAMES]}


def main() -> None:
    """Answer the request: all its items, two at a time, in the request's order."""
    request, output = sys.argv[1:]
    items = json.loads(Path(request).read_text())

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(load_requirement, items))

    answers = [{**item, **answer} for item, answer in zip(items, results, strict=True)]
    Path(output).write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
