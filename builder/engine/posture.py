"""What the engine of this machine contains containers with, and what is weaker than it could be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.engine import containment
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

_UPSTREAM_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_KERNEL_VERSION = re.compile(r"(\d+)\.(\d+)")
_OLDEST_KERNEL = (5, 15)  # older series are not maintained any more (kernel.org, end of 2026)
_PROFILE_DIGITS = 16  # of the hash of the list of system calls

Version = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Advisory:
    """A hole of runc through which a container got out.

    Attributes:
        name: its CVE number.
        fixed: the first release of each series that has the fix, the newest series last. A later series has it too.
        packages: versions of distributions' packages that have the fix, by a pattern of what follows it in the version:
            they keep upstream's older number.
        is_open_to_builds: whether a build can use it as the farm runs it; otherwise an image or a mount would have to
            be the attacker's as well.
    """

    name: str
    fixed: tuple[Version, ...]
    packages: tuple[re.Pattern[str], ...] = ()
    is_open_to_builds: bool = False


RUNC_ADVISORIES = (
    Advisory(
        name="CVE-2024-21626",
        fixed=((1, 1, 12),),
        # Debian 12 (DSA-5615-1).
        packages=(re.compile(r"^1\.1\.5\+ds1-1\+deb12u[1-9]"),),
        is_open_to_builds=True,
    ),
    Advisory(
        name="CVE-2025-31133, CVE-2025-52565, CVE-2025-52881",
        fixed=((1, 2, 8), (1, 3, 3), (1, 4, 0)),
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Posture:
    """What contains the farm's containers.

    Attributes:
        engine: its version.
        runc: version of what starts containers; empty where the engine does not say.
        kernel: release of its kernel.
        cgroup: version of the control groups.
        storage: how it keeps file systems.
        user_namespaces: whether root of a container is nobody outside.
        seccomp: whether it filters system calls.
    """

    engine: str
    runc: str
    kernel: str
    cgroup: str
    storage: str
    user_namespaces: bool
    seccomp: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Weakness:
    """Something that contains less than it could on this machine.

    Attributes:
        name: a few words for it, which evidence records.
        found: what was observed.
        remedy: what to do.
        is_fatal: whether a hostile package gets out by it, so that nothing hostile should be run here.
    """

    name: str
    found: str
    remedy: str
    is_fatal: bool = False


def read_posture(description: Mapping[str, Any]) -> Posture:
    """Return what an engine says of itself (`Engine.describe`)."""
    options = [str(option) for option in description.get("SecurityOptions") or ()]
    names = {option.removeprefix("name=").partition(",")[0] for option in options}

    return Posture(
        engine=str(description.get("ServerVersion") or ""),
        runc=str((description.get("RuncCommit") or {}).get("ID") or ""),
        kernel=str(description.get("KernelVersion") or ""),
        cgroup=str(description.get("CgroupVersion") or ""),
        storage=str(description.get("Driver") or ""),
        user_namespaces=bool(names & {"userns", "rootless"}),
        seccomp="seccomp" in names,
    )


def find_weaknesses(posture: Posture, runc_version: str) -> list[Weakness]:
    """Return what is weaker than it could be, the gravest first.

    Args:
        posture: of the engine.
        runc_version: as the engine's components say it, such as `1.1.5+ds1-1+deb12u1`; empty where they do not.
    """
    weaknesses = [*_find_runc_weaknesses(runc_version)]

    if not posture.seccomp:
        weaknesses.append(
            Weakness(
                name="no seccomp",
                found="the engine filters no system calls",
                remedy="use an engine and a kernel with seccomp: a package may use any hole of the kernel",
                is_fatal=True,
            )
        )
    if not posture.user_namespaces:
        weaknesses.append(
            Weakness(
                name="no user namespaces",
                found="root of a build's container is root of the machine, were it to get out",
                remedy="start the engine with `--userns-remap=default` (`make engine` does), or run it rootless; "
                "images it has now are made again then",
            )
        )
    if posture.cgroup == "1":
        weaknesses.append(
            Weakness(
                name="control groups version 1",
                found="limits on memory do not cover all that the kernel keeps for a container",
                remedy="boot with `systemd.unified_cgroup_hierarchy=1`, or use a system with version 2",
            )
        )

    kernel = _KERNEL_VERSION.match(posture.kernel)
    if kernel is not None and (int(kernel[1]), int(kernel[2])) < _OLDEST_KERNEL:
        weaknesses.append(
            Weakness(
                name="old kernel",
                found=f"Linux {posture.kernel}",
                remedy="upgrade the kernel: containers share it, and this series gets no fixes",
            )
        )

    return sorted(weaknesses, key=lambda weakness: not weakness.is_fatal)


def make_record(posture: Posture, weaknesses: list[Weakness]) -> dict[str, Any]:
    """Return what evidence says of the containment that a run had, as JSON data."""
    capabilities = {kind.name: sorted(kind.capabilities) for kind in containment.KINDS}
    return {
        "engine": posture.engine,
        "runc": posture.runc,
        "kernel": posture.kernel,
        "cgroup": posture.cgroup,
        "user_namespaces": posture.user_namespaces,
        "seccomp": digest(containment.PROFILE.read_text())[:_PROFILE_DIGITS]
        if posture.seccomp
        else "",
        "capabilities": capabilities,
        "weaknesses": [weakness.name for weakness in weaknesses],
    }


def _find_runc_weaknesses(version: str) -> list[Weakness]:
    """Return the known ways out of containers that a version of runc has, or may have."""
    upstream = _UPSTREAM_VERSION.search(version)
    if upstream is None:
        return []

    number: Version = tuple(int(part) for part in upstream.groups())
    is_packaged = version[upstream.end() :].startswith(("+", "-", "~"))

    weaknesses = []
    for advisory in RUNC_ADVISORIES:
        is_fixed = _has_fix(number, advisory.fixed)
        is_backported = any(pattern.search(version) for pattern in advisory.packages)
        if is_fixed or is_backported:
            continue

        found = f"runc {version}"
        remedy = "upgrade runc: a container gets out of it"
        if is_packaged:
            found += (
                ", a distribution's package, of which it is not known here whether it has the fix"
            )
            remedy = "upgrade runc, or see in `apt changelog runc` that it has the fix"

        weaknesses.append(
            Weakness(
                name=advisory.name,
                found=found,
                remedy=remedy,
                is_fatal=advisory.is_open_to_builds and not is_packaged,
            )
        )

    return weaknesses


def _has_fix(version: Version, fixed: tuple[Version, ...]) -> bool:
    """Return whether a version is at least the first fixed one of its series, or of a later series than any."""
    for first in fixed:
        is_same_series = version[:2] == first[:2]
        if is_same_series:
            return version >= first

    return version > fixed[-1]
