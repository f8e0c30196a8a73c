"""Programs that the tests need and the farm does not: each in a folder of its own, made once from pinned requirements."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from builder.host import settings as host

ROOT = Path(__file__).parents[2] / ".tools"


def environment_of(name: str) -> Path:
    """Return the folder of the programs of a virtual environment with the requirements of `NAME.txt`."""
    folder = _folder(name)
    with _alone(folder):
        if not (folder / "ready").exists():
            _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
            _uv(
                "pip",
                "install",
                "--quiet",
                "--python",
                str(folder),
                "--require-hashes",
                "-r",
                str(_pins(name)),
            )
            (folder / "ready").touch()
    return folder / "bin"


def packages_of(name: str) -> Path:
    """Return a folder with the packages of `NAME.txt`, installed for CPython 3.14 without being run."""
    folder = _folder(name)
    with _alone(folder):
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            platform = ("--python-version", "3.14", "--python-platform", "x86_64-manylinux_2_28")
            where = ("--target", str(folder), *platform, "--require-hashes", "-r", str(_pins(name)))
            _uv("pip", "install", "--quiet", "--only-binary", ":all:", *where)
            (folder / "ready").touch()
    return folder


def _pins(name: str) -> Path:
    return Path(__file__).with_name(f"{name}.txt")


def _folder(name: str) -> Path:
    ROOT.mkdir(exist_ok=True)
    return ROOT / f"{name}-{hashlib.sha256(_pins(name).read_bytes()).hexdigest()[:12]}"


class _alone:  # noqa: N801 - reads as a verb
    """Let one of the tests' processes make a folder, and the others find it made."""

    def __init__(self, folder: Path) -> None:
        self._lock = folder.with_suffix(".lock").open("w")

    def __enter__(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._lock.close()


def _uv(*arguments: str) -> None:
    settings = {**host.index_settings().environment(), "SSL_CERT_FILE": str(host.ca_bundle())}
    subprocess.run(
        [sys.executable, "-m", "uv", *arguments], check=True, env={**os.environ, **settings}
    )
