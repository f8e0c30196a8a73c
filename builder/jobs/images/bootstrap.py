"""Make the root file system of a base from its distribution's signed archive, with the program mmdebstrap.

This is how a base is made where no container registry answers.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from builder.engine import provision
from builder.errors import EngineMissingError, InfrastructureError, Interrupted
from builder.host import settings as host

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from builder.config.catalog import Base, Distribution

# Files that packages install and that nobody reads in a container.
_DOCUMENTATION = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
)

# Enough for a base over a slow line; how long the slowest takes was not measured.
_TIMEOUT_S = 900.0
_POLL_S = 0.2


def make_root(
    base: Base,
    distribution: Distribution,
    target: Path,
    *,
    log: Path,
    stop: threading.Event,
    say: Callable[[str], None],
) -> None:
    """Write a tar file with the root file system of a base, without documentation.

    Installs mmdebstrap on this host if it is missing.

    Args:
        base: the release of Debian or Ubuntu.
        distribution: settings that all releases of the distribution share.
        target: the tar file to write.
        log: file that mmdebstrap's output is appended to.
        stop: set when the farm is asked to stop.
        say: shows one line of progress, here what is installed on the host.

    Raises:
        InfrastructureError: mmdebstrap cannot be installed, the archive's keyring is missing, or the archive did not
            answer.
        Interrupted: the farm was asked to stop.
    """
    _ensure_mmdebstrap(say)

    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)  # apt reads the keyring as a user of its own
        keyring = _find_keyring(distribution, scratch, log, stop)

        options = [
            f"--variant={distribution.variant}",
            f"--components={','.join(distribution.components)}",
            f"--keyring={keyring}",
            "--include=ca-certificates",
        ]
        for pattern in _DOCUMENTATION:
            options.append(f"--dpkgopt=path-exclude={pattern}")

        sources = _apt_sources(base, distribution)
        _run_mmdebstrap([*options, base.suite, str(target), *sources], log, stop)


def _ensure_mmdebstrap(say: Callable[[str], None]) -> None:
    """Install mmdebstrap on this host if it is missing.

    Raises:
        InfrastructureError: it cannot be installed.
    """
    if shutil.which("mmdebstrap") is not None:
        return

    purpose = "mmdebstrap, which makes base images"
    try:
        provision.install_packages(provision.BOOTSTRAP_PACKAGES, purpose, say)
    except EngineMissingError as error:
        # The installer's own error class is for a missing container engine, which is not the problem here.
        raise InfrastructureError(f"mmdebstrap is not installed: {error}") from None


def _apt_sources(base: Base, distribution: Distribution) -> list[str]:
    """Return the apt lines of a base for the mirror that this host itself uses.

    Such a line is `deb MIRROR trixie-updates main`. Empty where this host names no mirror of the distribution: then
    mmdebstrap uses the mirror that it knows for the suite.
    """
    archive = host.host_archive(base.distribution)
    if archive is None:
        return []

    components = " ".join(distribution.components)
    suites = [base.suite]
    suites += [f"{base.suite}-{pocket}" for pocket in distribution.pockets]

    lines = [f"deb {archive.main} {suite} {components}" for suite in suites]
    if distribution.security:
        suite = f"{base.suite}-{distribution.security}"
        lines.append(f"deb {archive.security} {suite} {components}")

    return lines


def _find_keyring(
    distribution: Distribution, scratch: Path, log: Path, stop: threading.Event
) -> Path:
    """Return the file with the keys that sign the distribution's archive.

    It is the one installed on this host or else, where the distribution names a suite for that, one unpacked from the
    keyring package of that suite.

    Args:
        distribution: the distribution.
        scratch: an empty folder to unpack the package in.
        log: file that mmdebstrap's output is appended to.
        stop: set when the farm is asked to stop.

    Raises:
        InfrastructureError: it is not installed, and cannot be unpacked.
        Interrupted: the farm was asked to stop.
    """
    installed = Path(distribution.keyring)
    if installed.is_file():
        return installed
    if distribution.keyring_suite is None:
        raise InfrastructureError(
            f"{installed} is missing; install the package {distribution.keyring_package}"
        )

    root = scratch / "keyring"
    arguments = [
        "--variant=extract",
        f"--include={distribution.keyring_package}",
        distribution.keyring_suite,
        str(root),
    ]
    _run_mmdebstrap(arguments, log, stop)

    return root / distribution.keyring.lstrip("/")


def _run_mmdebstrap(arguments: list[str], log: Path, stop: threading.Event) -> None:
    """Run mmdebstrap, the program that downloads packages of Debian or Ubuntu and unpacks them as a root file system.

    It does not run any more when this function returns or raises.

    Args:
        arguments: its command line: options, suite, the file or folder to write, and apt lines, if any.
        log: file that its output is appended to.
        stop: set when the farm is asked to stop.

    Raises:
        InfrastructureError: it failed, or did not end within `_TIMEOUT_S`. For a failure, the message has the last
            argument (the last apt line, or else the file or folder) and the first error in the log.
        Interrupted: the farm was asked to stop.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["mmdebstrap", *arguments],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
        try:
            _wait_for_end(process, stop)
        finally:
            # The wait may have been given up, because of `stop` or the timeout.
            is_running = process.poll() is None
            if is_running:
                process.terminate()
                process.wait()

    if process.returncode != 0:
        wanted = arguments[-1]
        raise InfrastructureError(f"the archive did not give {wanted}: {_first_error(log)}")


def _wait_for_end(process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    """Wait until a process has ended by itself.

    Raises:
        InfrastructureError: it did not end in time; it still runs.
        Interrupted: the farm was asked to stop; it still runs.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    while process.poll() is None:
        if stop.wait(_POLL_S):
            raise Interrupted
        if time.monotonic() > deadline:
            raise InfrastructureError(f"mmdebstrap did not end within {_TIMEOUT_S:.0f} s")


def _first_error(log: Path) -> str:
    """Return the first error of apt in a log (`E: Unable to fetch ...`), or else the log's last line."""
    lines = log.read_text(errors="replace").splitlines()
    for line in lines:
        if line.startswith("E:"):
            return line

    return lines[-1] if lines else "no output"
