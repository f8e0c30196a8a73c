"""Environment markers (PEP 508) as the target interpreter answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.markers import Marker
    from packaging.version import Version


def marker_environment(python: Version, extra: str = "") -> dict[str, str]:
    """Return what environment markers (PEP 508) are evaluated with, for CPython on x86-64 Linux.

    `extra` is the extra that is asked for; empty for the package itself.
    """
    return {
        "extra": extra,
        "implementation_name": "cpython",
        "implementation_version": str(python),
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": str(python),
        "python_version": f"{python.major}.{python.minor}",
        "sys_platform": "linux",
    }


def marker_applies(marker: Marker | None, python: Version, extras: Iterable[str] = ()) -> bool:
    """Return whether a requirement's marker holds, for the package itself or for one of its extras.

    A requirement without a marker (None) always holds. One whose marker has no answer does not: installers refuse it.
    """
    if marker is None:
        return True

    environments = [marker_environment(python, extra) for extra in ("", *sorted(extras))]
    try:
        return any(marker.evaluate(environment) for environment in environments)
    except (ValueError, LookupError, TypeError, RecursionError):
        return False  # versions compared that are none, variables that no environment has, brackets without an end
