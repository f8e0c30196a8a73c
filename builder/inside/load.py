"""Facts about installing and importing wheels, as JSON. Runs offline, without privileges.

Usage: load.py REQUEST.json OUTPUT.json

The request is a list of `{"abi", "python", "requirement", "index"}`. For each, the requirement is installed from the
index into a folder of its own, and every top-level package and native module it brought is imported in a process of its
own by probe.py.
"""

import json
import signal
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

INSTALL_TIMEOUT_S = 120
IMPORT_TIMEOUT_S = 60
PROBE = Path(__file__).with_name("probe.py")


def load(wanted: dict[str, str]) -> dict[str, object]:
    """Install one requirement and import all of it."""
    with tempfile.TemporaryDirectory() as site:
        problem = install(wanted, site)
        if problem:
            return {"install": problem, "modules": []}
        name = wanted["requirement"].partition("==")[0]
        return {"install": None, "modules": [probe(wanted["python"], site, *module) for module in modules(name, site)]}


def install(wanted: dict[str, str], site: str) -> str | None:
    """Install a requirement from an index and return what went wrong, or None."""
    command = [
        wanted["python"], "-m", "pip", "install", "--isolated", "--quiet", "--no-input", "--no-cache-dir",
        "--no-compile", "--disable-pip-version-check", "--only-binary", ":all:", "--target", site,
        "--index-url", wanted["index"], wanted["requirement"],
    ]  # fmt: skip
    print("$", *command, flush=True)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"pip did not end within {INSTALL_TIMEOUT_S} s"
    print(done.stdout, done.stderr, flush=True)
    if done.returncode == 0:
        return None
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return errors[0].removeprefix("ERROR: ") if errors else f"pip ended with exit code {done.returncode}"


def modules(name: str, site: str) -> list[tuple[str, bool]]:
    """Return (module, whether it is native) of what a distribution brought: the top level first, then the rest."""
    found = next(iter(distributions(name=name, path=[site])))
    top = {}
    native = {}
    for file in found.files or ():
        first = file.parts[0]
        if first == ".." or first.endswith((".dist-info", ".libs", ".data")) or first == "__pycache__":
            continue
        stem, _, rest = file.name.partition(".")
        importable = all(part.isidentifier() for part in (*file.parts[:-1], stem))
        if importable and rest.endswith("so") and not (stem.startswith("lib") and rest == "so"):
            package = file.parts[:-1]
            native[".".join(package if stem == "__init__" else (*package, stem))] = True
        if len(file.parts) == 1 and rest.endswith(("py", "so")) and importable:
            top[stem] = rest.endswith("so")
        elif file.parts[1:] == (file.name,) and stem == "__init__":
            top[first] = rest.endswith("so")
    return [*sorted(top.items()), *((module, True) for module in sorted(native) if module not in top)]


def probe(python: str, site: str, module: str, native: bool) -> dict[str, object]:  # noqa: FBT001
    """Import one module in a fresh process."""
    with tempfile.NamedTemporaryFile() as answer:
        command = [python, "-X", "faulthandler", str(PROBE), site, module, answer.name]
        print("$", *command, flush=True)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return {"module": module, "native": native, "hang": f"no end within {IMPORT_TIMEOUT_S} s"}
        print(done.stdout[-4000:], done.stderr[-4000:], flush=True)
        text = Path(answer.name).read_text()
    facts = json.loads(text) if text else {}
    if done.returncode < 0:
        facts["signal"] = signal.Signals(-done.returncode).name
    elif not text:
        facts["error"] = f"the interpreter ended with exit code {done.returncode} during the import"
    return {"module": module, "native": native, **facts}


def main() -> None:
    """Answer the request."""
    request, output = sys.argv[1:]
    wanted = json.loads(Path(request).read_text())
    Path(output).write_text(json.dumps([{**item, **load(item)} for item in wanted]))


if __name__ == "__main__":
    main()
