"""What is installed to measure an application with an interpreter: the wheels that its lock names, and from where.

Wheels for the farm's ABIs are those of its index. For an interpreter that only is compared with, such as CPython 3.13,
the farm makes none: there, upstream's are taken, as a service that still runs on it does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from builder.distributions.tags import is_pure_wheel
from builder.farm.application_files import ApplicationError, read_lock
from builder.index.rollout import version_of
from builder.jobs.application import LockedWheels
from builder.jobs.measurement import Environment
from builder.judge.application import select_wheels
from builder.sources.upstream import choose_wheel, explain_lack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from builder.config.catalog import Base, Interpreter
    from builder.config.matrix import Application, Matrix
    from builder.index import Entry, Manifest
    from builder.index.rollout import PendingRelease
    from builder.judge.application import LockedPackage
    from builder.sources.client import Index


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelFinder:
    """Finds the wheels of locks.

    Attributes:
        matrix: has the application.
        base: that it is measured on.
        served: the content of `simple/`.
        canary: the content of `canary/`; empty where the index has none.
        index: the package index, which has upstream's wheels.
    """

    matrix: Matrix
    base: Base
    served: Manifest
    canary: Manifest
    index: Index

    def make_environment(self, application: Application, interpreter: Interpreter) -> Environment:
        """Return exactly what an application locks, for an interpreter.

        Raises:
            ApplicationError: a package has no wheel for it.
            FarmError: the lock cannot be read, or the package index does not answer.
        """
        locked = read_lock(self.matrix, application, interpreter)
        is_own = interpreter.wheel_abi in self.matrix.abis

        wheels: list[LockedWheels] = []
        for package in locked:
            entries = _list_release(self.served, package)
            if is_own or _is_pure(entries):
                wheels.append(self._take_served(package, entries, interpreter))
            else:
                wheels.append(self._take_upstream(package, interpreter))

        return Environment(interpreter=interpreter, locked=wheels)

    def find_pending(
        self, application: Application, interpreter: Interpreter, pending: Iterable[PendingRelease]
    ) -> dict[str, PendingRelease]:
        """Return by project the release of what an application locks that waits in `canary/`.

        Of several it is the one that is locked, or else the newest. One without a wheel for the interpreter is left
        out.

        Raises:
            FarmError: the lock cannot be read.
        """
        versions = {
            one.name: one.version for one in read_lock(self.matrix, application, interpreter)
        }
        found: dict[str, PendingRelease] = {}
        for release in pending:  # of each project the oldest first
            filenames = [file.entry.filename for file in release.files]
            if not select_wheels(filenames, interpreter.wheel_abi, self.base):
                continue
            earlier = found.get(release.project)
            is_locked = earlier is not None and earlier.version == versions[release.project]
            if release.project in versions and not is_locked:
                found[release.project] = release

        return found

    def make_canary_environments(
        self,
        application: Application,
        interpreter: Interpreter,
        pending: Mapping[str, PendingRelease],
    ) -> tuple[Environment, Environment]:
        """Return what an application locks as `simple/` has it, and with the releases that wait in `canary/`.

        Where `simple/` does not have the release that is locked, its newest one takes its place.

        Args:
            application: has the lock.
            interpreter: one of the farm's ABIs.
            pending: by project, the releases that are tried.

        Raises:
            ApplicationError: a package has no wheel for the interpreter.
            FarmError: the lock cannot be read.
        """
        before: list[LockedWheels] = []
        after: list[LockedWheels] = []
        for locked in read_lock(self.matrix, application, interpreter):
            package = self._choose_served(locked)
            entries = _list_release(self.served, package)
            served = self._take_served(package, entries, interpreter)
            before.append(served)

            release = pending.get(locked.name)
            if release is None:
                after.append(served)
                continue
            waiting = replace(locked, version=release.version)
            entries = _list_release(self.canary, waiting)
            after.append(self._take_served(waiting, entries, interpreter))

        return (
            Environment(interpreter=interpreter, locked=before),
            Environment(interpreter=interpreter, locked=after),
        )

    def _choose_served(self, locked: LockedPackage) -> LockedPackage:
        """Return the release of `simple/` that stands for a locked one: itself, or the newest."""
        versions = {Version(version_of(entry)) for entry in self.served.get(locked.name, ())}
        if not versions or Version(locked.version) in versions:
            return locked

        return replace(locked, version=str(max(versions)))

    def _take_served(
        self, package: LockedPackage, entries: Sequence[Entry], interpreter: Interpreter
    ) -> LockedWheels:
        """Return the wheels of the farm's index.

        Raises:
            ApplicationError: it has none that the interpreter takes.
        """
        hashes = {entry.filename: entry.sha256 for entry in entries}
        names = select_wheels(hashes, interpreter.wheel_abi, self.base)
        if not names:
            raise ApplicationError(
                f"the index of the farm has no wheel of {package.name} {package.version} for {interpreter.name} on "
                f"{self.base.name}; `wheelfarm app` says what blocks the application"
            )

        wheels = tuple((name, hashes[name]) for name in names)
        return LockedWheels(name=package.name, version=package.version, wheels=wheels)

    def _take_upstream(self, package: LockedPackage, interpreter: Interpreter) -> LockedWheels:
        """Return upstream's wheel, which is in the store afterwards.

        The index is not asked about a package with a local sdist: there, the name may be somebody else's.

        Raises:
            ApplicationError: upstream has none.
            FarmError: the index does not answer.
        """
        names = self.matrix.find_packages(package.name)
        is_local = any(self.matrix.packages[name].sdist for name in names)
        releases = () if is_local else self.index.releases(package.name) or ()
        version = Version(package.version)
        same = [release for release in releases if release.version == version]
        if not same:
            why = "is built from a local sdist" if is_local else "is not on the package index"
            raise ApplicationError(
                f"{package.name} {package.version} {why}: {interpreter.name} cannot be compared with"
            )

        python = Version(interpreter.release)
        wheel = choose_wheel(same[0], interpreter.wheel_abi, [self.base], python)
        if wheel is None:
            why = explain_lack(same[0], interpreter.wheel_abi, [self.base], python)
            raise ApplicationError(f"{package.name} {package.version}: {why}")

        sha256 = self.index.download(wheel)
        wheels = ((wheel.filename, sha256),)
        return LockedWheels(name=package.name, version=package.version, wheels=wheels)


def _list_release(manifest: Manifest, package: LockedPackage) -> list[Entry]:
    """Return the files that a channel has of a release."""
    version = Version(package.version)
    entries = manifest.get(package.name, ())
    return [entry for entry in entries if parse_wheel_filename(entry.filename)[1] == version]


def _is_pure(entries: Sequence[Entry]) -> bool:
    """Return whether the farm serves a release without native code, which any interpreter takes."""
    return bool(entries) and all(is_pure_wheel(entry.filename) for entry in entries)
