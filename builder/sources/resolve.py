"""The matrix, resolved: which release of each package, its sdist in the store, and what it needs at run time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from builder.distributions.metadata import (
    NoPkgInfoError,
    NotADistributionError,
    sdist_metadata,
)
from builder.sources.build_requirements import add_build_requirements
from builder.sources.closure import Candidate, NoSolutionError, resolve_closure
from builder.sources.cool_down import find_held
from builder.sources.guard import describe_trouble, make_fault
from builder.sources.hashes import explain_hash
from builder.sources.http import MAX_PARALLEL
from builder.sources.kind import Kind, classify_sdist
from builder.sources.model import MAX_NEEDED, Fault, Pure, Source, Sources
from builder.sources.patches import read_patch_texts
from builder.sources.python_caps import allows_python, describe_exclusion, lifts_cap
from builder.sources.recorded import add_recorded, make_record, read_recorded, resolution_key
from builder.sources.release_files import ReleaseFiles
from builder.sources.releases import choose_release, names_one_version
from builder.untrusted.names import (
    UntrustedNameError,
    parse_distribution_name,
    parse_version,
)
from builder.untrusted.package_names import project_of, version_of
from builder.untrusted.text import clean_line, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from builder.config.matrix import Matrix, Package
    from builder.sources.client import Index
    from builder.sources.releases import Release
    from builder.store.store import Store
    from builder.verdicts.codes import FindingCode


_LACKS: frozenset[FindingCode] = frozenset({"WF102", "WF104", "WF107"})
"""Faults that say that the index does not have what is asked for; it may be there, and be too young."""

_MAX_NEEDED_CHARS = 4 << 20
"""Of the requirements of all wheels that one package needs: far above any; not measured."""


def resolve(
    matrix: Matrix,
    store: Store,
    index: Index,
    python: Version,
    *,
    names: Iterable[str],
    fresh_s: float,
    say: Callable[[str], None],
) -> Sources:
    """Return a source, or a fault, for every named package and for every native package that these need.

    A recorded answer is used while it is fresh, and also an older one where the index does not answer now.

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
    key = resolution_key(matrix, wanted, index.settings.public_urls, python)
    recorded = read_recorded(store.get_resolution(key, fresh_s), matrix, store)
    if recorded is not None:
        return recorded

    resolver = _Resolver(matrix, store, index, python, say)
    constraints = {name: package.build_constraints for name, package in matrix.packages.items()}
    sources = add_build_requirements(resolver.resolve(wanted), store, python, constraints)

    silent = {name for name, fault in sources.faults.items() if fault.code == "WF106"}
    if not silent:
        store.record_resolution(key, make_record(sources))
        return sources

    # What could not be asked now is taken from the last run, however old, if that heard everything.
    recorded = read_recorded(store.get_resolution(key, None), matrix, store)
    if recorded is None:
        return sources
    say("the index does not answer: using what it said last time")
    has_answered = any(source.kind == "index" for source in sources.found.values())
    if not has_answered:
        return recorded

    # One name that gets no answer must not hold all others at what they were.
    sources = add_recorded(sources, recorded, silent)
    return add_build_requirements(sources, store, python, constraints)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Needs:
    """What a package needs at run time.

    Attributes:
        native: names of packages of the farm.
        pure: wheels from the index.
        implied: native packages that are new to the farm, or why they cannot be.
    """

    native: list[str]
    pure: list[Pure]
    implied: list[Source | Fault]


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
        self._files = ReleaseFiles(matrix, store, index, python)
        self._pinned: dict[str, list[Candidate]] = {}
        self._pinned_sources: dict[str, list[Source]] = {}

    def resolve(self, names: list[str]) -> Sources:
        """Return a source or a fault for each name, and for each native package that any of them needs.

        Needed packages may need others in turn, so rounds follow until one finds nothing new.
        """
        found: dict[str, Source] = {}
        faults: dict[str, Fault] = {}
        with ThreadPoolExecutor(MAX_PARALLEL) as pool:
            for done, answer in enumerate(pool.map(self._find_source, names), 1):
                self._say(f"sources: {done} of {len(names)}")
                if isinstance(answer, Fault):
                    faults[answer.name] = answer
                else:
                    found[answer.name] = answer

            # Only now, when all of them are known: what the matrix names is preferred to any other release.
            for fault in self._pin(found.values()):
                faults[fault.name] = fault
                del found[fault.name]

            # What a package needs natively is built too, and what that needs, until nothing new turns up.
            new_sources = list(found.values())
            while new_sources:
                implied: list[Source | Fault] = []
                for source, extra in pool.map(self._add_needs, new_sources):
                    found[source.name] = source
                    implied += extra
                new_sources = self._admit(implied, found, faults)

        return Sources(found=found, faults=faults)

    def _pin(self, sources: Iterable[Source]) -> list[Fault]:
        """Keep sources as what is preferred for what others need; return the faults of those that cannot be.

        Of several versions of a project the newest comes first, as pip would have it.
        """
        faults: list[Fault] = []
        for source in sorted(sources, key=lambda source: Version(source.version), reverse=True):
            candidate = self._guard_candidate(source)
            if isinstance(candidate, Fault):
                faults.append(candidate)
            else:
                self._pinned.setdefault(source.project, []).append(candidate)
                self._pinned_sources.setdefault(source.project, []).append(source)

        return faults

    @staticmethod
    def _admit(
        implied: list[Source | Fault], found: dict[str, Source], faults: dict[str, Fault]
    ) -> list[Source]:
        """Add implied packages, i.e. those needed by others, to the sources and faults.

        Return the new ones that have a source; a package that is known already is skipped.
        """
        new_sources: list[Source] = []
        for item in implied:
            if item.name in found or item.name in faults:
                continue  # another package needed it before
            if isinstance(item, Fault):
                faults[item.name] = item
            else:
                found[item.name] = item
                new_sources.append(item)
        return new_sources

    def _guard_candidate(self, source: Source) -> Candidate | Fault:
        """Return a source as a candidate of the dependency resolution, or the fault for which it is none."""
        try:
            return self._make_candidate(source)
        except Exception as error:
            return make_fault(source.name, error, self._store, source.version)

    def _make_candidate(self, source: Source) -> Candidate:
        """Return a source as a candidate of the dependency resolution, its requirements known beforehand."""
        return Candidate(
            name=source.project,
            version=Version(source.version),
            extras=frozenset(),
            release=self._find_release(source),
            requires=source.requires,
        )

    def _find_release(self, source: Source) -> Release | None:
        """Return the index's release that a source was made from; None where the source is a local file."""
        if source.kind == "local":
            return None

        releases = self._index.releases(source.project) or ()
        return next(release for release in releases if str(release.version) == source.version)

    # --- which release ---------------------------------------------------------------------------------------------

    def _find_source(self, name: str) -> Source | Fault:
        """Return the source of a package of the matrix, or the fault for which there is none."""
        package = self._matrix.packages[name]
        try:
            if package.sdist:
                return self._make_local_source(name, package, package.sdist)
            return self._find_index_source(name, package)
        # All that a package or the index states goes through here first: whatever it brings about is about the package.
        except Exception as error:
            return make_fault(name, error, self._store)

    def _make_local_source(self, name: str, package: Package, sdist: str) -> Source | Fault:
        """Return a source for the sdist in a local file, or a fault.

        The fault is that there is no such file, or that it has another hash, is no sdist, or is of another package.
        """
        path = self._matrix.root / sdist
        if not path.is_file():
            return Fault(name=name, code="WF105", detail=f"there is no file {sdist}")

        sha256 = self._store.add_file(path)
        mismatch = explain_hash(path.name, sha256, package.sha256)
        if mismatch:
            return Fault(name=name, code="WF103", detail=mismatch)

        try:
            metadata = sdist_metadata(path, path.name)
        except NoPkgInfoError as error:
            detail = f"{error}: make an sdist of it with `python -m build --sdist`"
            return Fault(name=name, code="WF105", detail=detail)
        except NotADistributionError as error:
            return Fault(name=name, code="WF105", detail=str(error))

        project = project_of(name)
        stated_name = metadata.get("name", "")
        if canonicalize_name(stated_name) != canonicalize_name(project):
            detail = f"{path.name} is an sdist of {show(stated_name)}, not of {project!r}"
            return Fault(name=name, code="WF105", detail=detail)

        try:
            where = f"the PKG-INFO of {path.name}"
            version = parse_version(metadata.get("version", ""), where)
            _check_version(name, version, where)
            filename = parse_distribution_name(path.name, "the file that the matrix names")
        except UntrustedNameError as error:
            return Fault(name=name, code="WF105", detail=str(error))

        exclusion = self._explain_exclusion(package, metadata.get("requires_python", ""))
        if exclusion:
            return Fault(name=name, code="WF107", detail=exclusion, version=str(version))

        sdist_kind = classify_sdist(path, path.name)
        return Source(
            name=name,
            version=str(version),
            kind="local",
            filename=filename,
            sha256=sha256,
            requires=tuple(metadata.get("requires_dist", ())),
            is_pure=sdist_kind.kind is not Kind.NATIVE,
            doubt=sdist_kind.doubt,
        )

    def _find_index_source(self, name: str, package: Package) -> Source | Fault:
        """Return the source of a package on the index, or a fault where its name or release is not there."""
        releases = self._index.releases(project_of(name))
        if releases is None:
            return Fault(name=name, code="WF101", detail="the index knows no such name")

        release = self._choose_release(name, package, releases)
        if isinstance(release, Fault):
            return self._add_held(release, SpecifierSet(package.version))

        source = self._files.make_source(name, release, releases, package.sha256)
        return self._add_held(source, SpecifierSet(package.version))

    def _add_held(self, answer: Source | Fault, specifier: SpecifierSet) -> Source | Fault:
        """Return a source or a fault with what the cool-down holds back of releases that are asked for.

        Where that is why there is no source, the fault is the cool-down's (WF114).
        """
        releases = self._index.held_releases(project_of(answer.name))
        if isinstance(answer, Source):
            newer = find_held(releases, specifier, Version(answer.version))
            return answer if newer is None else replace(answer, held=newer.describe())

        held = find_held(releases, specifier)
        if held is None or answer.code not in _LACKS:
            return answer
        detail = f"{project_of(answer.name)} {held.describe()}"
        return Fault(name=answer.name, code="WF114", detail=detail, version=str(held.version))

    def _choose_release(
        self, name: str, package: Package, releases: tuple[Release, ...]
    ) -> Release | Fault:
        """Return the release that the matrix's version specifier leads to, or a fault.

        The fault says that no release matches (WF104), or that `requires-python` leaves this Python out (WF107), which
        a patch can change.
        """
        version = package.version
        specifier = SpecifierSet(version)
        is_exact = names_one_version(specifier)
        choice = choose_release(specifier, releases, self._python, exact=is_exact)

        if choice is None:
            newest = f"; the newest is {releases[0].version}" if releases else ""
            detail = f"no release matches {version or 'any stable version'!r}{newest}"
            return Fault(name=name, code="WF104", detail=detail)

        release = choice.release
        exclusion = self._explain_exclusion(package, choice.refusal)
        if exclusion:
            return Fault(name=name, code="WF107", detail=exclusion, version=str(release.version))
        return release

    def _explain_exclusion(self, package: Package, requires_python: str) -> str:
        """Return that `requires-python` leaves this Python out of a release; empty where it does not.

        Args:
            package: its table in the matrix, whose patches may change it.
            requires_python: as the release states it.
        """
        if allows_python(requires_python, self._python):
            return ""

        patches = read_patch_texts(self._matrix, package)
        if lifts_cap(patches, self._python):
            return ""
        return describe_exclusion(requires_python, self._python, is_patched=bool(patches))

    # --- what it needs ---------------------------------------------------------------------------------------------

    def _add_needs(self, source: Source) -> tuple[Source, list[Source | Fault]]:
        """Return a source with what it needs at run time, and the native packages among that which are new to the farm.

        Where that cannot be found out, the source's `trouble` says why, and no package is new.
        """
        try:
            root = self._make_candidate(source)
            package = self._matrix.packages.get(source.name)
            if package is not None:
                # What has to be imported first has to be there, whatever the metadata says.
                root = replace(root, requires=(*source.requires, *package.import_after))
            closure = resolve_closure(root, self._pinned, self._index, self._python)
            _check_count(closure)
            needs = self._classify_needs(source, closure)
            _check_size(needs.pure)
        except NoSolutionError as error:
            return replace(source, trouble=clean_line(str(error))), []
        except Exception as error:
            return replace(source, trouble=describe_trouble(source.name, error, self._store)), []

        complete = replace(source, needs=tuple(needs.native), pure=tuple(needs.pure))
        return complete, needs.implied

    def _classify_needs(self, source: Source, closure: list[Candidate]) -> _Needs:
        """Return which needed releases are native packages of the farm and which are pure wheels from the index.

        A native release that the matrix does not name is implied: the farm builds it as well.
        """
        needs = _Needs(native=[], pure=[], implied=[])
        for candidate in closure:
            name, release = candidate.name, candidate.release
            pinned = self._pinned_sources.get(name, ())
            same = [source for source in pinned if source.version == str(candidate.version)]

            if same and same[0].only_pure is not None:
                needs.pure.append(same[0].only_pure)
            elif same:
                needs.native.append(same[0].name)
            elif pinned and (release is None or not release.is_pure):
                needs.native.append(pinned[0].name)
            elif release is None:
                continue  # does not happen: only local sdists have no release, and these are pinned
            elif release.pure_wheel is not None:
                needs.pure.append(self._files.make_pure(name, release, release.pure_wheel))
            else:
                releases = self._index.releases(name) or ()
                implied = self._files.make_source(name, release, releases, needed_by=source.name)
                needs.native.append(name)
                needs.implied.append(implied)

        return needs


def _check_version(name: str, version: Version, where: str) -> None:
    """Go on where a local sdist has the version that its name in the matrix states, if it states one.

    Raises:
        UntrustedNameError: it has another.
    """
    asked = version_of(name)
    if asked and version != Version(asked):
        raise UntrustedNameError(f"version {asked}, as in the matrix", str(version), where)


def _check_count(closure: list[Candidate]) -> None:
    """Go on where a package does not need more others than the record of a shard takes.

    Raises:
        NoSolutionError: it does.
    """
    if len(closure) > MAX_NEEDED:
        raise NoSolutionError(f"it needs {len(closure)} packages, more than {MAX_NEEDED}")


def _check_size(wheels: Iterable[Pure]) -> None:
    """Go on where pure wheels, whose requirements are kept with the package that needs them, state no more than that.

    Raises:
        NoSolutionError: they do.
    """
    characters = 0
    for wheel in wheels:
        characters += sum(map(len, wheel.requires))
    if characters > _MAX_NEEDED_CHARS:
        limit = f"{_MAX_NEEDED_CHARS >> 20} Mi characters"
        raise NoSolutionError(f"what it needs states requirements of more than {limit}")
