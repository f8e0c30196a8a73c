"""Install wheels from a folder, without a network, and say which modules they brought."""

import shutil
import subprocess
from importlib.metadata import distributions
from pathlib import Path

_NOT_CODE = (".dist-info", ".libs", ".data")
_TESTS = ("test", "tests", "testing", "conftest", "_testcapi", "_testlib", "__main__", "setup")


def install(
    python: str, requirements: list[str], wheels: str, site: str, *options: str
) -> str | None:
    """Install requirements from a folder of wheels and return what went wrong, or None."""
    command = [
        python, "-m", "pip", "install", "--isolated", "--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check",
        "--no-index", "--find-links", wheels, "--only-binary", ":all:", "--target", site, *options, *requirements,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print("$", *command, done.stdout, done.stderr, flush=True)
    return (
        None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    )


def beside(site: str, wheel: str, python: str, target: str) -> str | None:
    """Copy an installation and put another build of one of its wheels into the copy."""
    shutil.copytree(site, target)
    return install(python, [wheel], str(Path(wheel).parent), target, "--no-deps", "--upgrade")


def modules(name: str, site: str) -> tuple[list[str], set[str]]:
    """Return the import names of a distribution's modules, its tests left out, and the file names of its extension modules."""
    found: dict[str, None] = {}
    native: set[str] = set()
    distribution = next(iter(distributions(name=name, path=[site])))
    for file in distribution.files or ():
        parts = file.parts
        if (
            parts[0].endswith(_NOT_CODE)
            or ".." in parts
            or any(part.partition(".")[0] in _TESTS for part in parts)
        ):
            continue
        if (file.suffix == ".so" and ".cpython-" in file.name) or file.name.endswith(".abi3.so"):
            native.add(file.name)
            found[".".join([*parts[:-1], file.name.partition(".")[0]])] = None
        elif file.suffix == ".so":
            native.add(file.name)
        elif file.suffix == ".py":
            listed = [*parts[:-1], *([] if file.stem == "__init__" else [file.stem])]
            if listed and all(part.isidentifier() for part in listed):
                found[".".join(listed)] = None
    return sorted(found), native
