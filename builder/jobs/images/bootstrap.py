"""A base's root file system from its distribution's signed archive, by mmdebstrap, where no registry answers."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from builder import host
from builder.engine import provision
from builder.errors import EngineMissingError, InfrastructureError, Interrupted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from builder.config.catalog import Base, Distribution

_DOCUMENTATION = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
)
_TIMEOUT_S = 900.0


def make_root(
    base: Base,
    distribution: Distribution,
    target: Path,
    *,
    log: Path,
    stop: threading.Event,
    say: Callable[[str], None],
) -> None:
    """Write a tar file of a base's root file system.

    Args:
        base: which release.
        distribution: what it shares with its siblings.
        target: the tar file.
        log: file that gets mmdebstrap's output.
        stop: set when the farm is asked to stop.
        say: told what is installed on the host, if anything.

    Raises:
        InfrastructureError: mmdebstrap is not to be had, or the archive did not answer.
        Interrupted: the farm was asked to stop.
    """
    if shutil.which("mmdebstrap") is None:
        try:
            provision.install_packages(
                provision.BOOTSTRAP_PACKAGES, "mmdebstrap, which makes base images", say
            )
        except EngineMissingError as error:
            raise InfrastructureError(f"mmdebstrap is not installed: {error}") from None
    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as scratch:
        Path(scratch).chmod(0o755)  # apt reads the keyring as a user of its own
        keyring = _find_keyring(distribution, Path(scratch), log, stop)
        options = [
            f"--variant={distribution.variant}",
            f"--components={','.join(distribution.components)}",
            f"--keyring={keyring}",
            "--include=ca-certificates",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in _DOCUMENTATION),
        ]
        _run_mmdebstrap(
            [*options, base.suite, str(target), *_apt_sources(base, distribution)], log, stop
        )


def _apt_sources(base: Base, distribution: Distribution) -> list[str]:
    """Return apt lines from this host's own mirror; none lets mmdebstrap use its built-in one for the suite."""
    archive = host.host_archive(base.distribution)
    if archive is None:
        return []
    components = " ".join(distribution.components)
    suites = [base.suite, *(f"{base.suite}-{pocket}" for pocket in distribution.pockets)]
    lines = [f"deb {archive.main} {suite} {components}" for suite in suites]
    if distribution.security:
        lines.append(f"deb {archive.security} {base.suite}-{distribution.security} {components}")
    return lines


def _find_keyring(
    distribution: Distribution, scratch: Path, log: Path, stop: threading.Event
) -> Path:
    """Return the archive's keyring: this host's, or one taken from a signed archive that packages it."""
    installed = Path(distribution.keyring)
    if installed.is_file():
        return installed
    if distribution.keyring_suite is None:
        raise InfrastructureError(
            f"{installed} is missing; install the package {distribution.keyring_package}"
        )
    root = scratch / "keyring"
    _run_mmdebstrap(
        [
            "--variant=extract",
            f"--include={distribution.keyring_package}",
            distribution.keyring_suite,
            str(root),
        ],
        log,
        stop,
    )
    return root / distribution.keyring.lstrip("/")


def _run_mmdebstrap(arguments: list[str], log: Path, stop: threading.Event) -> None:
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["mmdebstrap", *arguments], stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
        waited = 0.0
        try:
            while process.poll() is None:
                if stop.wait(0.2):
                    raise Interrupted
                waited += 0.2
                if waited > _TIMEOUT_S:
                    raise InfrastructureError(f"mmdebstrap did not end within {_TIMEOUT_S:.0f} s")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode != 0:
        lines = log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("E:")] or lines[-1:]
        raise InfrastructureError(
            f"the archive did not give {arguments[-1]}: {errors[0] if errors else 'no output'}"
        )
