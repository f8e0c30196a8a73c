"""Runs of the farm as a child process that is watched: how long it takes, how much memory, what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.corpus import make_sdist as make_corpus_sdist
from tests.hostile.attack import Site, World
from tests.hostile.sdists import make_wheel, wheel_filename
from tests.hostile.server import HostileIndex

ROOT = Path(__file__).parents[2]

HEAD = '[farm]\nbases = ["debian-12"]\nbuild-on = ["debian-12"]\nabis = ["cp314"]\n'

NEIGHBOURS = ("neighbour", "steady")
"""The honest packages beside every attack: a pure wheel on the index, and a local sdist with a C module."""

_LIMITED = ("prlimit", f"--as={8 << 30}", f"--fsize={2 << 30}")
"""Runs a command with limits on its address space and on any file that it writes, in bytes: an attack that gets through
ends the farm and not this machine."""


_POLL_S = 0.02
"""How often the memory of a process is looked at; the kernel keeps the most that it had."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a watched process ended; see `World`."""

    exit_code: int | None
    seconds: float
    peak_bytes: int
    output: bytes


def make_site(name: str, folder: Path, index: HostileIndex) -> Site:
    """Return a place for an attack, with the host's file and the honest packages in place."""
    site = Site(name=name, folder=folder, host=folder / "host", index=index)
    site.make_host()
    _make_steady(folder)
    filename = wheel_filename("neighbour")
    index.page("neighbour", index.file(filename, make_wheel("neighbour")))
    return site


def _make_steady(folder: Path) -> None:
    """Make the honest sdist, the same bytes every time: a gzip file has the time of its making in bytes 4 to 7."""
    path = make_corpus_sdist("steady", folder)
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(4) + content[8:])


def write_matrix(site: Site, tables: Mapping[str, str], head: str = HEAD) -> Path:
    """Write matrix.toml with the honest packages, then those of attacks, and return its path."""
    parts = [head, "[packages.neighbour]", '[packages.steady]\nsdist = "steady-1.0.tar.gz"']
    parts += [f'[packages."{name}"]\n{table}' for name, table in tables.items()]
    path = site.folder / "matrix.toml"
    path.write_text("\n".join(parts) + "\n")
    return path


def watch(command: Sequence[str], site: Site, seconds: float) -> Ended:
    """Run a command, kill it when its time is up, and tell what it used.

    The index is the site's, whatever this machine's is; no variable of pip's reaches the command.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "UV_", "WHEELFARM_"))
        and not name.lower().endswith("_proxy")
    }
    environment |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": site.index.url,
        "PYTHONPATH": str(ROOT),
        "WHEELFARM_EFFORT": "none",
        "NO_COLOR": "1",
        "DOCKER_HOST": "unix:///engine.invalid",
    }
    return watch_process(command, environment, site.folder / "output.txt", seconds)


def watch_process(
    command: Sequence[str], environment: Mapping[str, str], output: Path, seconds: float
) -> Ended:
    """Run a command in a session of its own, with limits that protect this machine, and tell how it ended."""
    began = time.monotonic()
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*_LIMITED, *command],
            env=dict(environment),
            cwd=output.parent,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        peak_bytes = 0
        deadline = began + seconds
        while process.poll() is None and time.monotonic() < deadline:
            peak_bytes = max(peak_bytes, _read_peak(process.pid))
            time.sleep(_POLL_S)
        has_ended = process.poll() is not None
        if not has_ended:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    return Ended(
        exit_code=process.returncode if has_ended else None,
        seconds=time.monotonic() - began,
        peak_bytes=peak_bytes,
        output=output.read_bytes(),
    )


def _read_peak(process: int) -> int:
    """Return the most memory that a process had since it was started; 0 where it has ended.

    The figures of `wait4` would do as well, but they count what the test's own process has at the fork.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0

    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


def run_offline(site: Site, matrix: Path, seconds: float, *options: str) -> World:
    """Run the farm without an engine, and return what is there afterwards."""
    script = site.folder / "script.json"
    machine = {"connections": str(site.connections), **site.machine}
    script.write_text(json.dumps({"answers": site.answers, "machine": machine}))
    wheelhouse = site.folder / "wheelhouse"
    command = [
        sys.executable, "-P", "-m", "tests.hostile.offline", str(script), "run", "--matrix", str(matrix),
        "--wheelhouse", str(wheelhouse), "--effort", "none", *options,
    ]  # fmt: skip
    ended = watch(command, site, seconds)
    return make_world(site, wheelhouse, ended)


def make_world(site: Site, wheelhouse: Path, ended: Ended) -> World:
    """Return what is there when a command has ended."""
    return World(
        site=site,
        wheelhouse=wheelhouse,
        exit_code=ended.exit_code,
        seconds=ended.seconds,
        peak_bytes=ended.peak_bytes,
        output=ended.output,
    )
