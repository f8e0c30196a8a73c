"""The matrix, resolved: which release of each package, its sdist in the store, and what it needs at run time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from builder.distributions.metadata import NotADistributionError, sdist_metadata
from builder.sources.build_requirements import add_build_requirements
from builder.sources.client import FileMismatchError, Index, NoIndexAnswerError, Release, same_name
from builder.sources.closure import Candidate, NoSolutionError, resolve_closure
from builder.sources.model import Fault, Pure, Source, Sources
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from builder.config.matrix import Matrix, Package
    from builder.store.store import Store

_MAX_PARALLEL = 8


def resolve(
    matrix: Matrix, store: Store, index: Index, python: Version, *, names: Iterable[str], fresh_s: float,
    say: Callable[[str], None],
) -> Sources:  # fmt: skip
    """Find a source for every package of the matrix, and for every native package those need.

    Args:
        matrix: the matrix.
        store: where sdists are kept and answers are recorded.
        index: the package index.
        python: the interpreters' version.
        names: packages to resolve; what they need is added.
        fresh_s: how long a recorded answer is believed, in seconds.
        say: shows progress.

    Returns:
        A source or a fault for each; nothing is raised for a package's sake.
    """
    wanted = list(names)
    asked = resolution_key(matrix, wanted, index.settings.urls, python)
    recorded = _read_recorded(store.get_resolution(asked, fresh_s), matrix, store)
    if recorded is not None:
        return recorded
    resolver = _Resolver(matrix, store, index, python, say)
    sources = resolver.resolve(wanted)
    sources = replace(sources, found=add_build_requirements(sources.found, store, python))
    silent = any(fault.code == "WF106" for fault in sources.faults.values())
    if (
        silent
        and (old := _read_recorded(store.get_resolution(asked, None), matrix, store)) is not None
    ):
        say("the index does not answer: using what it said last time")
        return old
    if not silent:
        answer = {
            "found": {name: source.record() for name, source in sources.found.items()},
            "faults": {
                name: [fault.code, fault.detail, fault.version]
                for name, fault in sources.faults.items()
            },
        }
        store.record_resolution(asked, answer)
    return sources


def resolution_key(
    matrix: Matrix, names: Iterable[str], urls: Iterable[str], python: Version
) -> str:
    """Return what a resolution is recorded under: everything it goes by but the index's content and the time."""
    packages = matrix.model_dump(mode="json", include={"packages"})
    return digest("sources 2", packages, list(names), list(urls), str(python))


def _read_recorded(answer: object, matrix: Matrix, store: Store) -> Sources | None:
    """Take a recorded answer, unless a file it names is gone or a local sdist has changed."""
    if not isinstance(answer, dict):
        return None
    found = {name: Source.from_record(record) for name, record in answer["found"].items()}
    for name, source in found.items():
        files = [item.sha256 for item in source.pure] + (
            [] if source.only_pure else [source.sha256]
        )
        if not all(store.file(sha256).exists() for sha256 in files):
            return None
        if (
            source.kind == "local"
            and store.add_file(matrix.root / (matrix.packages[name].sdist or "")) != source.sha256
        ):
            return None
    if any(matrix.packages[name].sdist for name in answer["faults"] if name in matrix.packages):
        return None  # a local file may be mended at any moment
    faults = {
        name: Fault(name=name, code=code, detail=detail, version=version)
        for name, (code, detail, version) in answer["faults"].items()
    }
    return Sources(found=found, faults=faults)


class _Resolver:
    """One resolution of a matrix."""

    def __init__(
        self,
        matrix: Matrix,
        store: Store,
        index: Index,
        python: Version,
        say: Callable[[str], None],
    ) -> None:
        self._matrix = matrix
        self._store = store
        self._index = index
        self._python = python
        self._say = say
        self._pinned: dict[str, Candidate] = {}

    def resolve(self, names: list[str]) -> Sources:
        found: dict[str, Source] = {}
        faults: dict[str, Fault] = {}
        with ThreadPoolExecutor(_MAX_PARALLEL) as pool:
            for done, answer in enumerate(pool.map(self._find_source, names), 1):
                self._say(f"sources: {done} of {len(names)}")
                if isinstance(answer, Fault):
                    faults[answer.name] = answer
                else:
                    found[answer.name] = answer
            self._pinned = {name: self._candidate(source) for name, source in found.items()}
            # What a package needs natively is built too, and what that needs, until nothing new turns up.
            fresh = list(found.values())
            while fresh:
                implied: list[Source | Fault] = []
                for source, extra in pool.map(self._add_needs, fresh):
                    found[source.name] = source
                    implied += extra
                fresh = self._admit(implied, found, faults)
        return Sources(found=found, faults=faults)

    @staticmethod
    def _admit(
        implied: list[Source | Fault], found: dict[str, Source], faults: dict[str, Fault]
    ) -> list[Source]:
        fresh: list[Source] = []
        for item in implied:
            if item.name in found or item.name in faults:
                continue
            if isinstance(item, Fault):
                faults[item.name] = item
            else:
                found[item.name] = item
                fresh.append(item)
        return fresh

    def _candidate(self, source: Source) -> Candidate:
        release = None
        if source.kind == "index":
            release = next(
                one
                for one in self._index.releases(source.name) or ()
                if str(one.version) == source.version
            )
        return Candidate(
            name=source.name,
            version=Version(source.version),
            extras=frozenset(),
            release=release,
            requires=source.requires,
        )

    # --- which release ---------------------------------------------------------------------------------------------

    def _find_source(self, name: str) -> Source | Fault:
        package = self._matrix.packages[name]
        try:
            return (
                self._local_source(name, package)
                if package.sdist
                else self._index_source(name, package)
            )
        except NoIndexAnswerError as error:
            return Fault(name=name, code="WF106", detail=str(error))
        except FileMismatchError as error:
            return Fault(name=name, code="WF103", detail=str(error))

    def _local_source(self, name: str, package: Package) -> Source | Fault:
        assert package.sdist is not None
        path = self._matrix.root / package.sdist
        if not path.is_file():
            return Fault(name=name, code="WF105", detail=f"there is no file {package.sdist}")
        sha256 = self._store.add_file(path)
        if package.sha256 and sha256 != package.sha256:
            detail = f"{path.name} has sha256 {sha256}; the matrix wants {package.sha256}"
            return Fault(name=name, code="WF103", detail=detail)
        try:
            metadata = sdist_metadata(path, path.name)
        except NotADistributionError as error:
            return Fault(name=name, code="WF105", detail=str(error))
        stated = metadata.get("name", "")
        if not same_name(stated, name):
            return Fault(
                name=name,
                code="WF105",
                detail=f"{path.name} is an sdist of {stated!r}, not of {name!r}",
            )
        return Source(
            name=name,
            version=str(Version(metadata.get("version", "0"))),
            kind="local",
            filename=path.name,
            sha256=sha256,
            requires=tuple(metadata.get("requires_dist", ())),
        )

    def _index_source(self, name: str, package: Package) -> Source | Fault:
        releases = self._index.releases(name)
        if releases is None:
            return Fault(name=name, code="WF101", detail="the index knows no such name")
        release = self._choose_release(name, package.version, releases)
        if isinstance(release, Fault):
            return release
        return self._make_source(name, release, releases, package.sha256)

    def _choose_release(
        self, name: str, specifier: str, releases: tuple[Release, ...]
    ) -> Release | Fault:
        """Choose a release as pip would: the newest that is asked for, stable, not yanked, and for this Python."""
        wanted = SpecifierSet(specifier)
        exact = any(one.operator in {"==", "==="} and "*" not in one.version for one in wanted)
        usable = [release for release in releases if exact or not release.yanked]
        matching = set(wanted.filter(release.version for release in usable))
        if not matching:
            newest = f"; the newest is {releases[0].version}" if releases else ""
            return Fault(
                name=name,
                code="WF104",
                detail=f"no release matches {specifier or 'any stable version'!r}{newest}",
            )
        chosen = [release for release in usable if release.version in matching]
        admitting = [release for release in chosen if release.allows_python(self._python)]
        if not admitting:
            stated = next(
                (file.requires_python for file in chosen[0].files if file.requires_python), ""
            )
            detail = f"requires-python is {stated!r}, which leaves Python {self._python} out"
            return Fault(name=name, code="WF107", detail=detail, version=str(chosen[0].version))
        return admitting[0]

    def _make_source(
        self,
        name: str,
        release: Release,
        releases: tuple[Release, ...],
        sha256: str | None = None,
        needed_by: str = "",
    ) -> Source | Fault:
        version = str(release.version)
        if release.is_pure and release.pure_wheel is not None:
            pure = self._make_pure(name, release)
            return Source(
                name=name, version=version, kind="index", filename=pure.filename, sha256=pure.sha256,
                requires=pure.requires, only_pure=pure, needed_by=needed_by,
            )  # fmt: skip
        if release.sdist is None:
            older = next(
                (
                    other.version
                    for other in releases
                    if other.sdist and other.version < release.version
                ),
                None,
            )
            hint = f"; the newest release with one is {older}" if older else "; no release has one"
            return Fault(
                name=name,
                code="WF102",
                detail=f"the index has no sdist of {name} {version}{hint}",
                version=version,
            )
        found = self._index.download(release.sdist)
        if sha256 and found != sha256:
            detail = f"{release.sdist.filename} has sha256 {found}; the matrix wants {sha256}"
            return Fault(name=name, code="WF103", detail=detail, version=version)
        return Source(
            name=name, version=version, kind="index", filename=release.sdist.filename, sha256=found,
            requires=self._index.requirements(name, release), needed_by=needed_by,
        )  # fmt: skip

    # --- what it needs ---------------------------------------------------------------------------------------------

    def _add_needs(self, source: Source) -> tuple[Source, list[Source | Fault]]:
        """Return a source with what it needs, and the native packages among that which are new to the farm."""
        try:
            needed = resolve_closure(
                self._candidate(source), self._pinned, self._index, self._python
            )
            native, pure, implied = self._classify_needs(source, needed)
        except (NoSolutionError, NoIndexAnswerError, FileMismatchError) as error:
            return replace(source, trouble=str(error)), []
        return replace(source, needs=tuple(native), pure=tuple(pure)), implied

    def _classify_needs(
        self, source: Source, needed: list[Candidate]
    ) -> tuple[list[str], list[Pure], list[Source | Fault]]:  # fmt: skip
        native: list[str] = []
        pure: list[Pure] = []
        implied: list[Source | Fault] = []
        for candidate in needed:
            release = candidate.release
            if candidate.name in self._pinned and (release is None or not release.is_pure):
                native.append(candidate.name)
            elif release is not None and release.pure_wheel is not None:
                pure.append(self._make_pure(candidate.name, release))
            elif release is not None:
                native.append(candidate.name)
                releases = self._index.releases(candidate.name) or ()
                implied.append(
                    self._make_source(candidate.name, release, releases, needed_by=source.name)
                )
        return native, pure, implied

    def _make_pure(self, name: str, release: Release) -> Pure:
        wheel = release.pure_wheel
        assert wheel is not None
        return Pure(
            name=name,
            version=str(release.version),
            filename=wheel.filename,
            sha256=self._index.download(wheel),
            requires=self._index.requirements(name, release),
        )


def read_patches(
    matrix: Matrix, found: Mapping[str, Source]
) -> tuple[dict[str, tuple[str, ...]], dict[str, Fault]]:  # fmt: skip
    """Read the patches of every package, and return a fault for each package one of whose patches cannot be read."""
    texts: dict[str, tuple[str, ...]] = {}
    faults: dict[str, Fault] = {}
    for name, source in found.items():
        package = matrix.packages.get(name)
        try:
            texts[name] = tuple(
                (matrix.root / path).read_text() for path in (package.patches if package else ())
            )
        except (OSError, UnicodeDecodeError) as error:
            faults[name] = Fault(name=name, code="WF108", detail=str(error), version=source.version)
    return texts, faults
