"""Runs in a container: real clients against the farm's index. Prints what each did, as JSON. Standard library only.

Usage: clients_inside.py CASES, where CASES is JSON: {name: {"client", "python", "index", "wanted": [...], "tries": code}}.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

HOME = Path("/tmp/clients")
ENVIRONMENT = {
    "PATH": os.environ["PATH"], "HOME": str(HOME), "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1", "PDM_CHECK_UPDATE": "0", "PDM_USE_VENV": "0",
    "NO_COLOR": "1",
}  # fmt: skip
PDM = "import sys; sys.path.insert(0, '/tools'); from pdm.core import main; main()"
PROJECT = """
[project]
name = "app"
version = "0"
requires-python = ">=3.14"
dependencies = {needs}
[[tool.pdm.source]]
name = "pypi"
url = "{index}"
verify_ssl = false
[tool.pdm]
distribution = false
"""


def run(command: list[str], folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=folder,
        env={**ENVIRONMENT, **environment},
    )  # fmt: skip


def pip(
    python: str, index: str, wanted: list[str], folder: Path
) -> "subprocess.CompletedProcess[str]":
    trusted = ["--trusted-host", urlsplit(index).netloc] if index.startswith("http") else []
    return run(
        [
            python,
            "-m",
            "pip",
            "install",
            "--target",
            "site",
            "--index-url",
            index,
            *trusted,
            *wanted,
        ],
        folder,
    )


def uv(
    python: str, index: str, wanted: list[str], folder: Path
) -> "subprocess.CompletedProcess[str]":
    command = ["uv", "pip", "install", "--no-config", "--python", python, "--target", "site"]
    return run([*command, "--default-index", index, *wanted], folder)


def pdm(
    python: str, index: str, wanted: list[str], folder: Path
) -> "subprocess.CompletedProcess[str]":
    (folder / "pyproject.toml").write_text(PROJECT.format(needs=json.dumps(wanted), index=index))
    ended = run(
        ["/opt/python/cp314-cp314/bin/python", "-c", PDM, "install"],
        folder,
        PDM_PYTHON=python,
        PYTHONPYCACHEPREFIX="/tmp/pycache",
    )
    for packages in folder.glob("__pypackages__/*/lib"):
        (folder / "site").symlink_to(packages)
    return ended


CLIENTS = {"pip": pip, "uv": uv, "pdm": pdm}


def case(
    name: str, client: str, python: str, index: str, wanted: list[str], tries: str = ""
) -> dict[str, object]:
    folder = HOME / name
    folder.mkdir(parents=True)
    ended = CLIENTS[client](python, index, wanted, folder)
    tried = (
        run([python, "-c", tries], folder, PYTHONPATH=str(folder / "site")).stdout if tries else ""
    )
    return {"code": ended.returncode, "said": ended.stdout, "tried": tried.strip()}


def main() -> None:
    cases = json.loads(Path(sys.argv[1]).read_text())
    with ThreadPoolExecutor(2) as pool:
        found = {name: pool.submit(case, name, **given) for name, given in cases.items()}
    print(json.dumps({name: future.result() for name, future in found.items()}))


if __name__ == "__main__":
    main()
