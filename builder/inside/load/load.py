"""Facts about installing and importing wheels, as JSON. Runs offline, without privileges.

Usage: python -m inside.load REQUEST.json OUTPUT.json

The request is a list of `{"abi", "python", "requirement", "index"}`. For each, the requirement is installed from the
index into a folder of its own, and what it brought is imported in processes of their own: plainly by probe.py, and
where that works under stricter conditions by the other programs beside this one. At most two processes run at once.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

INSTALL_TIMEOUT_S = 120
IMPORT_TIMEOUT_S = 60
PROGRAMS = Path(__file__).parents[2]
"""The folder that `inside` is in."""
FRAMES = 12
_NOT_CODE = (".dist-info", ".libs", ".data")

# Each stricter condition: the program, and the interpreter's options. `-X dev` includes PYTHONMALLOC=debug.
CONDITIONS = {
    "walk": ("walk", ()),
    "dev": ("walk", ("-X", "dev")),
    "strict": ("walk", ("-W", "error")),
    "threads": ("threads", ()),
    "again": ("again", ()),
    "subinterpreters": ("subinterpreter", ()),
}


def load(wanted: dict[str, str]) -> dict[str, Any]:
    """Install one requirement and import all of it."""
    with tempfile.TemporaryDirectory() as site:
        problem = install(wanted, site)
        ignored = False
        if problem:
            # Whether it would work but for its requires-python is a fact of its own.
            ignored = install(wanted, site, "--ignore-requires-python") is None
            if not ignored:
                return {"install": problem, "modules": []}
        found = next(
            iter(distributions(name=wanted["requirement"].partition("==")[0], path=[site]))
        )
        facts = {
            "install": None,
            "python_version": version(wanted["python"]),
            "metadata": metadata(found, ignored=ignored),
        }
        return facts | imports(wanted["python"], site, *modules(found))


def imports(python: str, site: str, tops: dict[str, bool], natives: list[str]) -> dict[str, Any]:
    """Import the top level, then what is native and was left for later, then all of it under stricter conditions."""
    wanted: dict[str, Any] = {"site": site, "tops": [*tops], "natives": natives}
    probes = [probe(python, wanted, name, native=native) for name, native in tops.items()]
    good = [fact["module"] for fact in probes if not {"error", "hang", "signal"} & fact.keys()]
    loaded = {name for fact in probes for name in fact.get("natives", ())}
    # Importing `a.b` begins with importing `a`: where that failed, or brought `a.b` along, there is nothing to add.
    late = [
        name
        for name in natives
        if name not in loaded and name not in tops and name.partition(".")[0] in good
    ]
    probes += [probe(python, wanted, name, native=True) for name in late]
    facts: dict[str, Any] = {"modules": probes}
    if good:
        wanted = {
            **wanted,
            "tops": good,
            "natives": [name for name in natives if name.partition(".")[0] in good],
        }
        for condition, (program, options) in CONDITIONS.items():
            if "signal" in facts.get("dev", {}):
                break  # memory is damaged: what follows would differ from run to run
            facts[condition] = told(
                run(python, program, wanted, options), whole=condition == "walk"
            )
    return facts


def told(answer: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Leave out of an answer the lines that say nothing but that a module was imported."""
    lines = answer.pop("lines")
    telling = [line for line in lines if whole or "error" in line]
    warned = [warning for line in lines for warning in line.get("warnings", ())]
    return {
        "lines": [line for line in telling if "warnings" not in line],
        "warnings": warned,
        **answer,
    }


def install(wanted: dict[str, str], site: str, *options: str) -> str | None:
    """Install a requirement from an index and return what went wrong, or None."""
    command = [
        wanted["python"], "-m", "pip", "install", "--isolated", "--quiet", "--no-input", "--no-cache-dir",
        "--no-compile", "--disable-pip-version-check", "--only-binary", ":all:", "--target", site,
        "--index-url", wanted["index"], *options, wanted["requirement"],
    ]  # fmt: skip
    print("$", *command, flush=True)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"pip did not end within {INSTALL_TIMEOUT_S} s"
    print(done.stdout, done.stderr, flush=True)
    if done.returncode == 0:
        return None
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return (
        errors[0].removeprefix("ERROR: ")
        if errors
        else f"pip ended with exit code {done.returncode}"
    )


def version(python: str) -> str:
    """Return an interpreter's version."""
    command = [python, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def metadata(found: Distribution, *, ignored: bool) -> dict[str, Any]:
    """Return what a distribution claims of the interpreters it serves, and whether that had to be ignored."""
    prefix = "Programming Language :: Python :: Free Threading"
    claims = [line for line in found.metadata.get_all("Classifier", ()) if line.startswith(prefix)]
    return {
        "requires_python": (found.metadata.get_all("Requires-Python") or [""])[0],
        "requires_python_ignored": ignored,
        "free_threading": claims[-1].removeprefix(prefix).removeprefix(" :: ") or "yes"
        if claims
        else None,
    }


def modules(found: Distribution) -> tuple[dict[str, bool], list[str]]:
    """Return a distribution's top-level modules, each with whether it is native, and its extension modules."""
    top: dict[str, bool] = {}
    native: set[str] = set()
    for file in found.files or ():
        first = file.parts[0]
        if (
            first == "__pycache__"
            or not first.partition(".")[0].isidentifier()
            or first.endswith(_NOT_CODE)
        ):
            continue
        stem, _, rest = file.name.partition(".")
        importable = all(part.isidentifier() for part in (*file.parts[:-1], stem))
        if importable and rest.endswith("so") and not (stem.startswith("lib") and rest == "so"):
            package = file.parts[:-1]
            native.add(".".join(package if stem == "__init__" else (*package, stem)))
        if len(file.parts) == 1 and rest.endswith(("py", "so")) and importable:
            top[stem] = rest.endswith("so")
        elif file.parts[1:] == (file.name,) and stem == "__init__":
            top[first] = rest.endswith("so")
    # Native modules of a namespace package have no module of the distribution above them.
    for name in sorted(native):
        if name.partition(".")[0] not in top:
            top[name.partition(".")[0]] = False
    return dict(sorted(top.items())), sorted(native)


def probe(python: str, wanted: dict[str, Any], module: str, *, native: bool) -> dict[str, Any]:
    """Import one module in a fresh process."""
    answer = run(python, "probe", {**wanted, "module": module}, ())
    facts = answer["lines"][0] if answer["lines"] else {}
    ended = {key: value for key, value in answer.items() if key not in {"lines", "during"}}
    if not facts and not ended:
        ended = {"error": "the interpreter ended in the middle of the import, without an exception"}
    return {"module": module, "native": native, **facts, **ended}


def run(
    python: str, program: str, wanted: dict[str, Any], options: tuple[str, ...]
) -> dict[str, Any]:
    """Run one probe in a process of its own.

    Returns:
        Its `lines`; and where it did not end well `signal`, `hang` or `exit_code`, the `stack` it left, and `during`,
        what it was importing.
    """
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as output:
        request = json.dumps({**wanted, "output": output.name})
        command = [
            python, "-X", "faulthandler", *options, "-m", f"inside.load.{program}", request
        ]  # fmt: skip
        print("$", *command, flush=True)
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                command, cwd=PROGRAMS, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
            )
            hung = not waited(process)
            errors.seek(0)
            text = errors.read(1 << 20).decode(errors="replace")
        print(text[-4000:], flush=True)
        # The folder has a new name each time; what is said of the same file has to be the same on every base.
        lines = [
            json.loads(line.replace(f"{wanted['site']}/", ""))
            for line in output
            if line.endswith("\n")
        ]
    facts: dict[str, Any] = {"lines": [line for line in lines if "begin" not in line]}
    if hung:
        facts |= {
            "hang": f"no end within {IMPORT_TIMEOUT_S} s",
            "stack": stack(text, wanted["site"]),
        }
    elif process.returncode < 0:
        facts |= {
            "signal": signal.Signals(-process.returncode).name,
            "stack": stack(text, wanted["site"]),
        }
    elif process.returncode > 0:
        facts["exit_code"] = process.returncode
    if len(facts) > 1 and lines and "begin" in lines[-1]:
        facts["during"] = lines[-1]["begin"]
    return facts


def waited(process: subprocess.Popen[bytes]) -> bool:
    """Wait for a process; where its time is up, let it dump its stack, end it and return False."""
    try:
        process.wait(IMPORT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return False
    return True


def stack(text: str, site: str) -> dict[str, list[str]]:
    """Read the frames that faulthandler wrote, the innermost first, without the signal handler's."""
    native: list[str] = []
    for binary, frame in re.findall(r'^  Binary file "([^"]+)", at (\S+)', text, re.MULTILINE):
        native.append(f"{frame} in {Path(binary).name}")
        if frame.startswith("_Py_DumpStack"):
            native.clear()
    python = [
        f"{path.removeprefix(site + '/')}:{line} in {function}"
        for path, line, function in re.findall(
            r'^  File "([^"]+)", line (\d+) in (.+)$', text, re.MULTILINE
        )
        if not path.startswith(("<frozen importlib", "<frozen runpy", str(PROGRAMS / "inside")))
    ]
    # What follows _Py_DumpStack is the handler itself and the C library's return from it.
    return {"native": native[2:][:FRAMES], "python": python[:FRAMES]}


def main() -> None:
    """Answer the request, the interpreters side by side."""
    request, output = sys.argv[1:]
    wanted = json.loads(Path(request).read_text())
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(load, wanted))
    Path(output).write_text(
        json.dumps([{**item, **answer} for item, answer in zip(wanted, answers, strict=True)])
    )


if __name__ == "__main__":
    main()
