"""Which files of a release are taken into the store: its sdist, upstream's wheels, or its pure wheel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.config import catalog
from builder.config.matrix import Package
from builder.distributions.metadata import NotADistributionError, wheel_metadata
from builder.sources.hashes import HashMismatchError, check_hash, explain_hash
from builder.sources.kind import Kind, classify_release, classify_sdist
from builder.sources.model import Fault, Pure, Source, UpstreamWheel
from builder.sources.upstream import choose_wheel, explain_lack, find_offers
from builder.untrusted.names import parse_wheel_name
from builder.untrusted.package_names import project_of, table_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.version import Version

    from builder.config.matrix import Matrix
    from builder.config.values import From
    from builder.sources.client import Index
    from builder.sources.index_file import IndexFile
    from builder.sources.releases import Release
    from builder.store.store import Store


_NO_PURE_WHEEL = "it has no wheel without native code, for which `pure` asks"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Files:
    """What a package's wheels are made of, in the store: `Source` has the same fields."""

    sdist: str
    sdist_sha256: str
    wheels: tuple[UpstreamWheel, ...]
    lacking: tuple[tuple[str, str], ...]


class ReleaseFiles:
    """Takes the files of releases from the index into the store."""

    def __init__(self, matrix: Matrix, store: Store, index: Index, python: Version) -> None:
        self._matrix = matrix
        self._store = store
        self._index = index
        self._python = python

    def make_source(
        self,
        name: str,
        release: Release,
        releases: tuple[Release, ...],
        hashes: tuple[str, ...] = (),
        needed_by: str = "",
    ) -> Source | Fault:
        """Return a source for a release, or a fault: its pure wheel if it has nothing native, else its sdist or wheels.

        `hashes` are those that the matrix has for it, one of which each file must have: they decide whether a pure
        wheel is served or the sdist is built. `needed_by` names the package that needs the release.
        """
        project = project_of(name)
        version = str(release.version)
        try:
            pure_wheel = self._choose_pure_wheel(release, hashes)
            if pure_wheel is not None:
                pure = self.make_pure(project, release, pure_wheel)
                check_hash(pure.filename, pure.sha256, hashes)
                return Source(
                    name=name,
                    version=version,
                    kind="index",
                    filename=pure.filename,
                    sha256=pure.sha256,
                    requires=pure.requires,
                    only_pure=pure,
                    needed_by=needed_by,
                )

            take_from = self._matrix.source_of(name)
            if release.sdist is None and take_from == "sdist":
                hint = _hint_older(release, releases)
                detail = f"the index has no sdist of {project} {version}{hint}"
                remedy = self._suggest_wheels(name, release)
                return Fault(name=name, code="WF102", detail=f"{detail}{remedy}", version=version)

            package = self._matrix.packages.get(name, Package())
            files = self._take_files(release, take_from, hashes, package.pure)
        except HashMismatchError as error:
            return Fault(name=name, code="WF103", detail=str(error), version=version)

        is_pure, doubt = False, ""
        if files.sdist and release.wheels:
            is_pure = classify_release(release, self._index, self._store) is Kind.PURE
        elif files.sdist:
            sdist_kind = classify_sdist(self._store.file(files.sdist_sha256), files.sdist)
            is_pure = sdist_kind.kind is not Kind.NATIVE
            doubt = sdist_kind.doubt
        if is_pure and not release.wheels:
            # Upstream has no wheel that could be taken, and there is nothing native that could come out otherwise.
            take_from = "sdist"
            files = replace(files, lacking=())
        return Source(
            name=name,
            version=version,
            kind="index",
            filename=files.sdist,
            sha256=files.sdist_sha256,
            requires=self._read_requires(
                project, release, files.wheels if take_from != "sdist" else ()
            ),
            needed_by=needed_by,
            take_from=take_from,
            wheels=files.wheels,
            lacking=files.lacking,
            offers=self._find_offers(name, release, releases if files.lacking else ()),
            is_pure=is_pure,
            pure_wheel="" if package.patches else self._find_pure_wheel(release, hashes),
            doubt=doubt,
        )

    def _find_offers(
        self, name: str, release: Release, releases: Iterable[Release] = ()
    ) -> tuple[tuple[str, str], ...]:
        """Return for each ABI the release whose wheel upstream has for it; see `Source`.

        There are none for a package with patches, which upstream's wheel would be without.

        Args:
            name: the package.
            release: the release that was chosen.
            releases: the others that may be offered in its place.
        """
        package = self._matrix.packages.get(name)
        if package is not None and package.patches:
            return ()

        bases = [catalog.load().bases[base] for base in self._matrix.bases]
        return find_offers(release, releases, self._matrix.abis, bases, self._python)

    def _suggest_wheels(self, name: str, release: Release) -> str:
        """Return a clause on taking upstream's wheels of a release; empty where none is for an ABI of the matrix."""
        abis = [abi for abi, _ in self._find_offers(name, release)]
        if not abis:
            return ""
        return f'; `from = "wheel"` in [packages.{table_key(name)}] takes its wheels for {" and ".join(abis)}'

    def _choose_pure_wheel(self, release: Release, hashes: tuple[str, ...]) -> IndexFile | None:
        """Return the pure wheel that a package is served as; None where it is built, or upstream has native wheels.

        It is served where there is nothing native to the release, or where `hashes` lead to nothing else of it. Of
        several it is the one that they name.
        """
        wheels = release.pure_wheels
        if not hashes:
            return wheels[0] if wheels and release.is_pure else None

        native = [file for file in release.wheels if file not in wheels]
        names_another = any(file.digests.get("sha256") in hashes for file in native)
        if release.sdist is not None and wheels:
            names_another = names_another or self._index.find_sha256(release.sdist) in hashes
        for wheel in wheels:
            is_named = self._index.find_sha256(wheel) in hashes
            if is_named and (release.is_pure or not names_another):
                return wheel

        # None of them may be taken: the sdist, if that may be, and otherwise the first, which is then found wrong.
        if release.is_pure and wheels and not names_another:
            return wheels[0]
        return None

    def _read_requires(
        self, project: str, release: Release, wheels: tuple[UpstreamWheel, ...]
    ) -> tuple[str, ...]:
        """Return what a release requires at run time: as its own wheels say, where some are taken, or the index does.

        Then an sdist that nobody can read spoils nothing.
        """
        for wheel in wheels:
            try:
                metadata = wheel_metadata(self._store.file(wheel.sha256))
            except NotADistributionError:
                continue  # the job that takes it says what is wrong with it
            return tuple(metadata.get("requires_dist", ()))

        return self._index.requirements(project, release)

    def _find_pure_wheel(self, release: Release, hashes: tuple[str, ...]) -> str:
        """Return the wheel without native code that `pure` would take of a release with native ones; else nothing."""
        if release.is_pure:
            return ""

        bases = [catalog.load().bases[base] for base in self._matrix.bases]
        abi = self._matrix.abis[0]  # such a wheel serves all
        wheel = choose_wheel(release, abi, bases, self._python, hashes, only_pure=True)
        is_allowed = not hashes or (wheel is not None and wheel.digests.get("sha256") in hashes)
        return parse_wheel_name(wheel.filename) if wheel is not None and is_allowed else ""

    def _take_files(
        self, release: Release, take_from: From, hashes: tuple[str, ...], pure_abis: Sequence[str]
    ) -> _Files:
        """Bring what a package's wheels are made of into the store: the sdist, and upstream's wheels if asked for.

        For `pure_abis` that is the one without native code, also where the sdist is built for the others.
        Where upstream's wheels are asked for, an sdist that has another hash than the matrix wants is left out, and no
        mistake: lock files often have the hashes of wheels alone.

        Raises:
            HashMismatchError: a file that is served or built has none of the hashes that the matrix wants.
        """
        sdist, sdist_sha256, mismatch = "", "", ""
        if release.sdist is not None:
            sdist = release.sdist.filename
            sdist_sha256 = self._index.download(release.sdist)
            mismatch = explain_hash(sdist, sdist_sha256, hashes)
        if mismatch:
            sdist, sdist_sha256 = "", ""

        wheels: list[UpstreamWheel] = []
        lacking: list[tuple[str, str]] = []
        bases = [catalog.load().bases[base] for base in self._matrix.bases]
        for abi in self._matrix.abis:
            only_pure = abi in pure_abis
            if take_from == "sdist" and not only_pure:
                continue

            wheel = choose_wheel(release, abi, bases, self._python, hashes, only_pure=only_pure)
            if wheel is not None:
                wheels.append(self._take_wheel(abi, wheel, hashes))
            elif only_pure:
                lacking.append((abi, _NO_PURE_WHEEL))
            else:
                lacking.append((abi, explain_lack(release, abi, bases, self._python)))

        if mismatch and (take_from == "sdist" or not wheels):
            raise HashMismatchError(mismatch)
        return _Files(
            sdist=sdist,
            sdist_sha256=sdist_sha256,
            wheels=tuple(wheels),
            lacking=tuple(lacking),
        )

    def _take_wheel(self, abi: str, wheel: IndexFile, hashes: tuple[str, ...]) -> UpstreamWheel:
        """Bring one of upstream's wheels into the store.

        Raises:
            HashMismatchError: it has none of the hashes that the matrix wants.
        """
        sha256 = self._index.download(wheel)
        check_hash(wheel.filename, sha256, hashes)
        return UpstreamWheel(abi=abi, filename=parse_wheel_name(wheel.filename), sha256=sha256)

    def make_pure(self, project: str, release: Release, wheel: IndexFile) -> Pure:
        """Return a pure wheel of a release, downloaded into the store."""
        return Pure(
            name=project,
            version=str(release.version),
            filename=wheel.filename,
            sha256=self._index.download(wheel),
            requires=self._index.requirements(project, release),
        )


def _hint_older(release: Release, releases: tuple[Release, ...]) -> str:
    """Return a clause that names the newest older release with an sdist, or says that there is none."""
    for other in releases:
        if other.sdist and other.version < release.version:
            return f"; the newest release with one is {other.version}"
    return "; no release has one"
