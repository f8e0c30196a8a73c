"""Whether this machine can run the farm, and what to do about what is missing."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from rich.table import Table
from rich.text import Text

from builder.config import catalog
from builder.engine import connection
from builder.errors import EngineMissingError
from builder.host import crates, toolchains
from builder.host import settings as host
from builder.jobs.images import cpython
from builder.report.terminal.consoles import print_table
from builder.sources import http
from builder.store.files import file_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from builder.engine.client import Engine

_MIN_DISK_BYTES = 10 << 30  # images of three bases with three interpreters, and the wheels
_MIN_MEMORY_BYTES = 4 << 30  # what one build may use by default
_TIMEOUT_S = (5, 10)  # to connect, to answer: somebody waits before the screen
_ENGINE_LIMITS = ("MemoryLimit", "PidsLimit", "CpuCfsQuota")
_TARFILE_FIXES = {(3, 11): 13, (3, 12): 11, (3, 13): 4}
"""First patch release with the fixes of CVE-2025-4517 and its relatives, by series; every release of later ones has."""
_DEFAULT_RANDOM_BITS = 28  # the kernel's own default on x86-64, for kernels that do not tell
_MAX_RANDOM_BITS = 30  # the runtime of clang 19 shares the address space with at most this much


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One property of this machine.

    Attributes:
        name: what was checked.
        ok: whether it is as it should be.
        found: what was observed.
        remedy: what to do where it is not ok.
        required: whether nothing runs without it; otherwise something is skipped or slower.
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
    """Check everything that a run needs. This installs and changes nothing.

    Args:
        wheelhouse: the folder of results, whose disk is checked; it need not exist.

    Returns:
        Every check, passed or failed.
    """
    return [
        *_check_engine(),
        *_check_machine(wheelhouse),
        *_check_network(),
        *_check_bases(),
        *_check_interpreters(),
        *_check_race_detector(),
    ]


def render(checks: list[Check], console: Console) -> None:
    """Print a table of all checks, and below it what to do about each that failed."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in checks:
        table.add_row(_mark(check), check.name, Text(check.found, overflow="fold"))
    print_table(console, table)

    failed = [check for check in checks if not check.ok]
    for check in failed:
        console.print(Text(f"\n{check.name}: {check.remedy}"))
    if not failed:
        console.print("\nThis machine can run the farm.")


def _mark(check: Check) -> Text:
    """Return the first cell of a check's row: ok, MISSING (nothing runs without it) or no (something is skipped)."""
    if check.ok:
        return Text("ok", style="green")
    if check.required:
        return Text("MISSING", style="bold red")
    return Text("no", style="yellow")


def _check_engine() -> Iterator[Check]:
    """Check the container engine: that it answers, its API version, its limits, and the docker command.

    Only the first check is returned if no engine answers.
    """
    try:
        engine = connection.connect()
    except EngineMissingError as error:
        yield Check(name="engine", ok=False, found=str(error), remedy="make engine")
        return

    description = engine.describe()
    yield Check(
        name="engine",
        ok=True,
        found=f"{description.get('ServerVersion')} at {engine.address}",
    )
    yield Check(
        name="engine API",
        ok=engine.api_version >= connection.MINIMUM_API,
        found=".".join(map(str, engine.api_version)),
        remedy="upgrade to Docker Engine 20.10 or newer",
    )

    unsupported = [name for name in _ENGINE_LIMITS if not description.get(name)]
    limits_found = "memory, processes, CPU"
    if unsupported:
        limits_found = f"not supported: {', '.join(unsupported)}"
    yield Check(
        name="engine limits",
        ok=not unsupported,
        found=limits_found,
        remedy="enable the control groups, or use another engine: builds would not be held to their limits",
    )

    yield from _check_containment(engine)

    command = connection.find_docker_command()
    yield Check(
        name="docker command",
        ok=command is not None,
        found=command or "not on PATH",
        remedy="install docker-cli or docker.io: cibuildwheel drives the engine with it",
    )


def _check_containment(engine: Engine) -> Iterator[Check]:
    """Check what holds the code of packages: each weakness is a failed check, a fatal one is required."""
    weaknesses = engine.find_weaknesses()
    for weakness in weaknesses:
        yield Check(
            name=weakness.name,
            ok=False,
            found=weakness.found,
            remedy=weakness.remedy,
            required=weakness.is_fatal,
        )

    if not weaknesses:
        yield Check(name="containment", ok=True, found="user namespaces, seccomp, no known holes")

    version = sys.version_info[:3]
    is_fixed = _has_tarfile_fixes(version)
    yield Check(
        name="Python's tarfile",
        ok=is_fixed,
        found=f"Python {'.'.join(map(str, version))}",
        remedy="upgrade Python to 3.11.13, 3.12.11, 3.13.4 or newer: archives write outside of their folder in older "
        "ones (CVE-2024-12718, CVE-2025-4138, CVE-2025-4330, CVE-2025-4517). The farm unpacks none on this machine, "
        "so that this is a second wall",
        required=False,
    )


def _has_tarfile_fixes(version: tuple[int, int, int]) -> bool:
    """Return whether a release of Python has the fixes of CVE-2025-4517 and its relatives.

    Distributions put them into older releases as well, of which nothing tells.
    """
    first_fixed = _TARFILE_FIXES.get(version[:2])
    if first_fixed is not None:
        return version[2] >= first_fixed

    return version[:2] > max(_TARFILE_FIXES)


def _check_machine(wheelhouse: Path) -> Iterator[Check]:
    """Check the disk space, memory, processor architecture and the command setpriv."""
    folder = wheelhouse.resolve()
    # The disk is that of the nearest parent that exists: the wheelhouse may not be there before the first run.
    existing_folder = next(path for path in (folder, *folder.parents) if path.exists())
    free_bytes = shutil.disk_usage(existing_folder).free
    yield Check(
        name="disk",
        ok=free_bytes >= _MIN_DISK_BYTES,
        found=f"{free_bytes >> 30} GiB free at {existing_folder}",
        remedy="free some, or use --wheelhouse on another disk: images and wheels take about 10 GiB",
    )

    memory_bytes = _read_memory_bytes()
    yield Check(
        name="memory",
        ok=memory_bytes >= _MIN_MEMORY_BYTES,
        found=f"{memory_bytes >> 30} GiB",
        remedy="lower `memory` per package in matrix.toml; a build may use 4 GiB by default",
        required=False,
    )
    yield Check(
        name="machine",
        ok=platform.machine() == "x86_64",
        found=platform.machine(),
        remedy="the farm builds for x86-64 and has to run there",
    )

    has_setpriv = shutil.which("setpriv") is not None
    yield Check(
        name="setpriv",
        ok=has_setpriv,
        found="there" if has_setpriv else "not on PATH",
        remedy="install util-linux",
    )


def _read_memory_bytes() -> int:
    """Return this machine's memory in bytes; 0 if the kernel does not state it."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) << 10  # the kernel counts in KiB

    return 0


def _check_network() -> Iterator[Check]:
    """Check that the package index answers, and report pip's settings, the CA bundle and the proxies."""
    settings = host.index_settings()
    yield _check_url(
        "package index",
        settings.url + "pip/",
        "check pip's index-url, the proxy and the CA",
        required=True,
    )
    if settings.left_out:
        count = len(settings.left_out)
        yield Check(
            name="index settings",
            ok=True,
            found=f"{count} of pip's settings name files of this machine and stay outside containers",
            required=False,
        )

    yield _check_crate_registry()
    yield _check_toolchain_server()

    proxies = sorted(name for name in host.proxy_variables() if name.islower())
    yield Check(name="CA bundle", ok=True, found=str(host.ca_bundle()))
    yield Check(name="proxies", ok=True, found=", ".join(proxies) or "none set")


def _check_crate_registry() -> Check:
    """Return the check that the registry of crates answers; it passes where none is configured."""
    name = "registry of crates"
    registry = crates.find_crate_registry()
    if registry is None:
        found = f"none set ({crates.REGISTRY_VARIABLE}, or cargo's configuration)"
        return Check(name=name, ok=True, found=found, required=False)

    return _check_rust_address(
        name,
        f"{registry.url}config.json",
        registry.token,
        f"check {crates.REGISTRY_VARIABLE} and {crates.TOKEN_VARIABLE}: packages with Rust that bring no crates fail",
    )


def _check_toolchain_server() -> Check:
    """Return the check that the server of Rust toolchains answers; it passes where none is configured."""
    name = "Rust toolchains"
    server = toolchains.find_toolchain_server()
    if server is None:
        found = f"none set ({toolchains.SERVER_VARIABLE} or {toolchains.RUSTUP_VARIABLE})"
        return Check(name=name, ok=True, found=found, required=False)

    return _check_rust_address(
        name,
        f"{server.url}dist/channel-rust-stable.toml.sha256",
        server.authorization,
        f"check {toolchains.SERVER_VARIABLE}: packages that ask for a newer Rust than the bases have fail",
    )


def _check_rust_address(name: str, url: str, authorization: str, remedy: str) -> Check:
    """Return the check that a server answers for an address as builds ask it; the address is shown with the answer.

    Args:
        name: of the check.
        url: what is asked.
        authorization: what the server gets in `Authorization`; empty for nothing.
        remedy: what to do where it does not answer, or not well.
    """
    shown = host.without_credentials(url)
    headers = {"Authorization": authorization} if authorization else {}
    try:
        with http.open_session(retries=False, settings=host.index_settings()) as session:
            answer = session.get(url, headers=headers, timeout=_TIMEOUT_S, stream=True)
            answer.close()
    except requests.RequestException as error:
        found = f"{shown} does not answer ({type(error).__name__})"
        return Check(name=name, ok=False, found=found, remedy=remedy, required=False)

    is_good = answer.status_code < requests.codes.bad_request
    found = f"{shown} answers" if is_good else f"{shown} answers with status {answer.status_code}"
    return Check(name=name, ok=is_good, found=found, remedy=remedy, required=False)


def _check_url(name: str, url: str, remedy: str, *, required: bool) -> Check:
    """Return the check that a URL answers a HEAD request with a status below 400.

    Args:
        name: name of the check.
        url: the address to ask.
        remedy: what to do if it does not answer.
        required: whether nothing runs without it.
    """
    try:
        with http.open_session(retries=False, settings=host.index_settings()) as session:
            answer = session.head(url, timeout=_TIMEOUT_S, allow_redirects=True)
    except requests.RequestException as error:
        found = f"does not answer ({type(error).__name__})"
        return Check(name=name, ok=False, found=found, remedy=remedy, required=required)

    is_good = answer.status_code < requests.codes.bad_request
    found = "answers" if is_good else f"answers with status {answer.status_code}"
    return Check(name=name, ok=is_good, found=found, remedy=remedy, required=required)


def _check_bases() -> Iterator[Check]:
    """Check where base images come from: a registry, or the distributions' archives by mmdebstrap."""
    mmdebstrap = shutil.which("mmdebstrap")
    yield Check(
        name="mmdebstrap",
        ok=mmdebstrap is not None,
        found=mmdebstrap or "not installed",
        remedy="needed only where no registry answers; root gets it, others run: sudo apt-get install mmdebstrap",
        required=False,
    )

    bases = catalog.load().bases.values()
    for distribution in sorted({base.distribution for base in bases}):
        yield _check_archive(distribution)

    registry_answers = _reaches_registry()
    yield Check(
        name="container registry",
        ok=registry_answers,
        found="answers" if registry_answers else "does not answer",
        remedy="nothing to do: bases are then made from the distributions' signed archives",
        required=False,
    )


def _check_archive(distribution: str) -> Check:
    """Return the check that a distribution's package archive answers.

    It passes unasked if this machine's apt sources do not name an archive of the distribution.
    """
    name = f"{distribution} archive"
    archive = host.host_archive(distribution)
    if archive is None:
        found = "not in this machine's apt sources; mmdebstrap's own address for it is used"
        return Check(name=name, ok=True, found=found, required=False)

    return _check_url(name, archive.main, "check apt's sources and the proxy", required=False)


def _reaches_registry() -> bool:
    """Return whether the engine can pull the first base's image; False if there is no engine."""
    first_base = next(iter(catalog.load().bases.values()))
    try:
        return connection.connect().images.is_obtainable(first_base.registry)
    except EngineMissingError:
        return False


def _check_interpreters() -> Iterator[Check]:
    """Check for each CPython release whether its source is cached with the right hash.

    A file that is not cached is no failure: it is downloaded when interpreters are built.
    """
    for release in catalog.load().abi_releases.values():
        cached = cpython.cached_files(release)
        intact_files = [path for path in cached if file_sha256(path) == release.sha256]
        if intact_files:
            found = str(intact_files[0])
        elif cached:
            found = "wrong hash"
        else:
            found = "not cached; downloaded when interpreters are built"

        yield Check(
            name=f"CPython {release.version} source",
            ok=bool(intact_files) or not cached,
            found=found,
            remedy=f"remove the wrong file from {cpython.CACHE_VARIABLE}",
            required=False,
        )


def _check_race_detector() -> Iterator[Check]:
    """Check that the race detector can start: a 64-bit system, whose memory maps are not too random.

    ThreadSanitizer refuses to start if the kernel places memory maps with too many random bits.
    """
    try:
        random_bits = int(Path("/proc/sys/vm/mmap_rnd_bits").read_text())
    except (OSError, ValueError):
        random_bits = _DEFAULT_RANDOM_BITS

    getconf = subprocess.run(["getconf", "LONG_BIT"], capture_output=True, text=True, check=False)
    word_bits = getconf.stdout.strip()
    yield Check(
        name="race detector",
        ok=random_bits <= _MAX_RANDOM_BITS and word_bits == "64",
        found=f"vm.mmap_rnd_bits = {random_bits}, {word_bits}-bit",
        remedy="run `sysctl vm.mmap_rnd_bits=28`: ThreadSanitizer refuses to start with more than "
        f"{_MAX_RANDOM_BITS}",
        required=False,
    )
