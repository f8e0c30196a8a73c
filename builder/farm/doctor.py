"""Whether this machine can run the farm, and what to do about what is missing."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from rich.table import Table
from rich.text import Text

from builder import host
from builder.config import catalog
from builder.engine import client
from builder.errors import EngineMissingError
from builder.jobs.images import cpython
from builder.sources import http
from builder.store.files import file_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

_MIN_DISK_BYTES = 10 << 30
_MIN_MEMORY_BYTES = 4 << 30
_TIMEOUT_S = (5, 10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing looked at.

    Attributes:
        found: what was seen.
        remedy: what to do where it is not as it should be.
        required: without it nothing runs; else something is skipped or slower.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""
    required: bool = True

    def record(self) -> dict[str, Any]:
        """Return the fields as JSON data."""
        return asdict(self)


def run_checks(wheelhouse: Path) -> list[Check]:
    """Look at everything; installs and changes nothing."""
    return [
        *_check_engine(),
        *_check_machine(wheelhouse),
        *_check_network(),
        *_check_bases(),
        *_check_interpreters(),
        *_check_race_detector(),
    ]


def render(checks: list[Check], console: Console) -> None:
    """Print the checks, and the remedies of those that failed."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in checks:
        mark = (
            Text("ok", style="green")
            if check.ok
            else Text("MISSING", style="bold red")
            if check.required
            else Text("no", style="yellow")
        )
        table.add_row(mark, check.name, Text(check.found, overflow="fold"))
    console.print(table)
    wrong = [check for check in checks if not check.ok]
    for check in wrong:
        console.print(Text(f"\n{check.name}: {check.remedy}"))
    if not wrong:
        console.print("\nThis machine can run the farm.")


def _check_engine() -> Iterator[Check]:
    try:
        found = client.connect()
    except EngineMissingError as error:
        yield Check(name="engine", ok=False, found=str(error), remedy="make engine")
        return
    about = found.describe()
    version = ".".join(map(str, found.api_version))
    yield Check(name="engine", ok=True, found=f"{about.get('ServerVersion')} at {found.address}")
    yield Check(
        name="engine API",
        ok=found.api_version >= client.MINIMUM_API,
        found=version,
        remedy="upgrade to Docker Engine 20.10 or newer",
    )
    limits = [
        name
        for name in ("MemoryLimit", "PidsLimit", "CPUCfsQuota")
        if not about.get(name, about.get("CpuCfsQuota"))
    ]
    yield Check(
        name="engine limits",
        ok=not limits,
        found=f"not supported: {', '.join(limits)}" if limits else "memory, processes, CPU",
        remedy="enable the control groups, or use another engine: builds would not be held to their limits",
    )
    yield Check(
        name="docker command",
        ok=client.find_docker_command() is not None,
        found=client.find_docker_command() or "not on PATH",
        remedy="install docker-cli or docker.io: cibuildwheel drives the engine with it",
    )


def _check_machine(wheelhouse: Path) -> Iterator[Check]:
    existing = next(
        path for path in (wheelhouse.resolve(), *wheelhouse.resolve().parents) if path.exists()
    )
    free = shutil.disk_usage(existing).free
    yield Check(
        name="disk", ok=free >= _MIN_DISK_BYTES, found=f"{free >> 30} GiB free at {existing}",
        remedy="free some, or use --wheelhouse on another disk: images and wheels take about 10 GiB",
    )  # fmt: skip
    memory = _memory_bytes()
    yield Check(
        name="memory", ok=memory >= _MIN_MEMORY_BYTES, found=f"{memory >> 30} GiB",
        remedy="lower `memory` per package in matrix.toml; a build may use 4 GiB by default", required=False,
    )  # fmt: skip
    yield Check(
        name="machine", ok=platform.machine() == "x86_64", found=platform.machine(),
        remedy="the farm builds for x86-64 and has to run there",
    )  # fmt: skip
    has = shutil.which("setpriv") is not None
    yield Check(
        name="setpriv", ok=has, found="there" if has else "not on PATH", remedy="install util-linux"
    )


def _memory_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) << 10
    return 0


def _check_network() -> Iterator[Check]:
    settings = host.index_settings()
    yield _check_url(
        "package index",
        settings.url + "pip/",
        "check pip's index-url, the proxy and the CA",
        required=True,
    )
    if settings.left_out:
        yield Check(
            name="index settings", ok=True, required=False,
            found=f"{len(settings.left_out)} of pip's settings name files of this machine and stay outside containers",
        )  # fmt: skip
    yield Check(name="CA bundle", ok=True, found=str(host.ca_bundle()))
    proxies = sorted(name for name in host.proxy_variables() if name.islower())
    yield Check(name="proxies", ok=True, found=", ".join(proxies) or "none set")


def _check_url(name: str, url: str, remedy: str, *, required: bool) -> Check:
    try:
        with http.open_session(retries=False) as session:
            answer = session.head(url, timeout=_TIMEOUT_S, allow_redirects=True)
    except requests.RequestException as error:
        return Check(
            name=name,
            ok=False,
            found=f"does not answer ({type(error).__name__})",
            remedy=remedy,
            required=required,
        )
    status = answer.status_code
    good = status < requests.codes.bad_request
    return Check(
        name=name,
        ok=good,
        found="answers" if good else f"answers with status {status}",
        remedy=remedy,
        required=required,
    )


def _check_bases() -> Iterator[Check]:
    bootstrap = shutil.which("mmdebstrap")
    yield Check(
        name="mmdebstrap", ok=bootstrap is not None, found=bootstrap or "not installed", required=False,
        remedy="needed only where no registry answers; root gets it, others run: sudo apt-get install mmdebstrap",
    )  # fmt: skip
    for name in sorted({base.distribution for base in catalog.load().bases.values()}):
        archive = host.host_archive(name)
        if archive is not None:
            yield _check_url(
                f"{name} archive", archive.main, "check apt's sources and the proxy", required=False
            )
        else:
            yield Check(
                name=f"{name} archive", ok=True, required=False,
                found="not in this machine's apt sources; mmdebstrap's own address for it is used",
            )  # fmt: skip
    try:
        found = client.connect()
        answers = found.is_registry_reachable(next(iter(catalog.load().bases.values())).registry)
    except EngineMissingError:
        answers = False
    yield Check(
        name="container registry", ok=answers, found="answers" if answers else "does not answer", required=False,
        remedy="nothing to do: bases are then made from the distributions' signed archives",
    )  # fmt: skip


def _check_interpreters() -> Iterator[Check]:
    for release in catalog.load().releases.values():
        places = cpython.cached_files(release)
        good = [path for path in places if file_sha256(path) == release.sha256]
        found = (
            str(good[0])
            if good
            else "wrong hash"
            if places
            else "not cached; downloaded when interpreters are built"
        )
        yield Check(
            name=f"CPython {release.version} source", ok=bool(good) or not places, found=found, required=False,
             remedy=f"remove the wrong file from {cpython.CACHE_VARIABLE}",
        )  # fmt: skip


def _check_race_detector() -> Iterator[Check]:
    """What the race detector needs of the machine: memory maps that ThreadSanitizer can live with."""
    try:
        bits = int(Path("/proc/sys/vm/mmap_rnd_bits").read_text())
    except (OSError, ValueError):
        bits = 28
    known = subprocess.run(
        ["getconf", "LONG_BIT"], capture_output=True, text=True, check=False
    ).stdout.strip()
    most = 30  # clang 19's runtime shares the address space with at most this much randomness
    yield Check(
        name="race detector", ok=bits <= most and known == "64", required=False,
        found=f"vm.mmap_rnd_bits = {bits}, {known}-bit",
        remedy=f"run `sysctl vm.mmap_rnd_bits=28`: ThreadSanitizer refuses to start with more than {most}",
    )  # fmt: skip
