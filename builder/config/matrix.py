"""matrix.toml -> frozen, validated models. Every mistake is reported at once, with its dotted path."""

from __future__ import annotations

import datetime
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from packaging.version import Version
from pydantic import Field, ValidationError, field_validator

from builder.config import DEFAULT_MATRIX, catalog
from builder.config.mistakes import describe_mistake
from builder.config.notify import TARGETS, Targets
from builder.config.rollout import Rollout
from builder.config.scenarios import Scenario
from builder.config.table import Table
from builder.config.values import (
    EVERY_BASE,
    NO_KEYS,
    AbiName,
    ApplicationName,
    AptPackages,
    BaseName,
    BuildTag,
    Companion,
    Constraint,
    Duration,
    EnvName,
    From,
    Hashes,
    Memory,
    Reason,
    RelativePath,
    Setting,
    SettingList,
    SharedLibrary,
    Specifier,
    VerdictName,
)
from builder.config.versions import normalize_names, pinned_version
from builder.errors import MatrixError
from builder.untrusted.names import UntrustedNameError
from builder.untrusted.package_names import (
    parse_package_name,
    project_of,
    table_key,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.config.catalog import Abi, Base, Catalog


_OF_ONE_RELEASE = frozenset({"version", "sdist", "sha256", "patches", "skip", "pure", "build_tag"})
"""Fields of a package that are about one release of it, and mean nothing for another."""


_MOST_SMOKE_COMMANDS = 30
"""Each may take two minutes, and one job runs all: an hour, as much as the largest builds take."""


class Farm(Table):
    """`[farm]`: what holds for every package."""

    bases: tuple[BaseName, ...] = Field(default=(), validate_default=False)
    """Bases wheels are verified on. Default: every enabled one of images/bases.toml."""
    build_on: tuple[BaseName, ...] = Field(default=(), alias="build-on")
    """Bases wheels are built on. Default: of each distribution among `bases`, the release with the oldest glibc."""
    abis: tuple[AbiName, ...] = ()
    """Interpreters. Default: all of images/interpreters.toml."""
    publish: tuple[VerdictName, ...] = ("compatible", "distinct", "unproven", "gil-required")
    """Verdicts whose wheels `simple/` serves; the other wheels go to `quarantine/simple/`."""
    take_from: From = Field(default="sdist", alias="from")
    """What wheels are made of, where the package does not say: built from the "sdist", upstream's own "wheel" as the
    index has it, or "either", which builds and takes upstream's wheel where the build fails."""

    cool_down: Duration = Field(default=datetime.timedelta(), alias="cool-down")
    """How long files have to have been on the index before they are taken, `7 days` or `P7D`; those without an upload
    time are too young."""

    @field_validator("bases", "build_on", "abis", "publish")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("expected at least one; leave the key out for the default")
        return tuple(dict.fromkeys(value))


def select_apt_packages(
    table: Mapping[str, tuple[str, ...]], base: catalog.Base
) -> tuple[str, ...]:
    """Return the system packages that a table names for a base, sorted.

    They are those for every base, those for its distribution, and those for itself.
    """
    names: set[str] = set()
    for key in (EVERY_BASE, base.distribution, base.name):
        names.update(table.get(key, ()))
    return tuple(sorted(names))


class OwnTests(Table):
    """`[packages.NAME.tests]`: how a package's own tests are run in threads."""

    requires: tuple[str, ...] = ()
    """What they need beside what the sdist says (PEP 508)."""
    options: tuple[str, ...] = ()
    """Options for pytest."""
    deselect: dict[str, Reason] = Field(default_factory=dict)
    """Tests to leave out, as pytest names them, each with a reason."""


class Package(Table):
    """`[packages.NAME]`: one native dependency."""

    version: Specifier = ""
    """Which releases to choose from (PEP 440). Default: the newest stable one that is not yanked."""
    sdist: str | None = None
    """A local sdist instead of one from the index, relative to matrix.toml."""
    take_from: From | None = Field(default=None, alias="from")
    """Built from the "sdist", upstream's own "wheel", or "either". Default: `from` of [farm]."""
    sha256: Hashes = ()
    """What the files that are taken for it, sdist and wheels, must hash to: one hash, or a list of which each file has
    one."""
    cool_down: Duration | None = Field(default=None, alias="cool-down")
    """The same as in [farm], for this package; `0 days` takes its files at once."""
    apt: AptPackages = Field(default_factory=dict)
    """System packages the build needs: one list, or a table by distribution or base where the names differ."""
    apt_run: AptPackages = Field(default_factory=dict, alias="apt-run")
    """System packages that the wheels need where they are used, such as those of libraries in `exclude`."""
    env: dict[EnvName, Setting] = Field(default_factory=dict)
    """Environment of the build."""
    config_settings: dict[str, SettingList] = Field(default_factory=dict, alias="config-settings")
    """Settings for the build backend (PEP 517)."""
    build_constraints: tuple[Constraint, ...] = Field(default=(), alias="build-constraints")
    """Which releases of build requirements may be taken, such as `setuptools<82` (PEP 508)."""
    exclude: tuple[SharedLibrary, ...] = ()
    """Shared libraries that the wheel takes from the system it is used on, in place of a copy: `libodbc.so.2`."""
    patches: tuple[str, ...] = ()
    """Patches applied with `patch -p1` before the build, relative to matrix.toml."""
    timeout_s: Annotated[int, Field(ge=10, le=86_400)] = 1800
    """Longest time one build of all ABIs may take, in seconds."""
    memory: Memory = 4 << 30
    """Memory a build may use, in bytes; written as '4g'."""
    skip: dict[AbiName, Reason] = Field(default_factory=dict)
    """ABIs not to build, each with a reason."""
    pure: tuple[AbiName, ...] = ()
    """ABIs for which upstream's wheel without native code (`py3-none-any`) is taken, whatever else there is: where the
    native one breaks under threads, for example."""
    build_tag: BuildTag | None = Field(default=None, alias="build-tag")
    """Build tag of the wheels that are built (PEP 427): raise it to publish a version that is published once more."""
    import_after: tuple[Companion, ...] = Field(default=(), alias="import-after")
    """Packages that must be imported before this one: they are installed beside it and imported first wherever it is
    tried, such as psycopg for psycopg-c."""
    recipes: tuple[str, ...] = ()
    """Python expressions that make objects of the package, such as `pkg.Table(16)`, to be called by threads."""
    tests: OwnTests = OwnTests()
    """How the package's own tests are run."""

    def apt_packages(self, base: catalog.Base) -> tuple[str, ...]:
        """Return the system packages to install for the build on a base, sorted."""
        return select_apt_packages(self.apt, base)

    def run_packages(self, base: catalog.Base) -> tuple[str, ...]:
        """Return the system packages that its wheels need on a base where they are used, sorted."""
        return select_apt_packages(self.apt_run, base)


class Application(Table):
    """`[applications.NAME]`: a service or program whose whole lock file has to work."""

    lock: RelativePath
    """Its lock file, in any format that `wheelfarm add` reads, relative to matrix.toml. It names a release of
    everything."""
    extras: tuple[str, ...] = ()
    """Optional dependencies to install."""
    groups: tuple[str, ...] = ()
    """Dependency groups to install (PEP 735)."""
    bases: tuple[BaseName, ...] = ()
    """Bases that it has to run on. Default: all of the matrix."""
    apt: AptPackages = Field(default_factory=dict)
    """System packages it needs at run time: one list, or a table by distribution or base."""
    env: dict[EnvName, Setting] = Field(default_factory=dict)
    """Environment in which it is imported, and commands are run."""
    files: tuple[RelativePath, ...] = ()
    """Files and folders of the project that its commands need, relative to matrix.toml; commands start beside them."""
    smoke: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Commands that end with exit code 0 where it works, such as `python -c 'import shop'`: thirty at most, each within
    120 s."""
    tests: str = ""
    """Command that runs its tests. Where the lock has pytest-run-parallel, several threads run them on free-threaded
    interpreters."""
    scenarios: dict[ApplicationName, Scenario] = Field(default_factory=dict)
    """Work whose speed and memory `wheelfarm measure` looks at, by a name of its own."""

    @field_validator("smoke")
    @classmethod
    def _not_too_many(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > _MOST_SMOKE_COMMANDS:
            raise ValueError(
                f"expected {_MOST_SMOKE_COMMANDS} commands at most, not {len(value)}: "
                "one job runs them all; put several into a script that `files` brings"
            )
        return value

    def apt_packages(self, base: catalog.Base) -> tuple[str, ...]:
        """Return the system packages that it needs on a base, sorted; see Package."""
        return select_apt_packages(self.apt, base)


class Matrix(Table):
    """A whole matrix.toml."""

    farm: Farm = Farm()
    """What holds for every package."""
    rollout: Rollout | None = None
    """How what is new comes into `simple/`. Without the table everything that policy admits is there at once."""
    packages: dict[str, Package] = Field(default_factory=dict)
    """By canonical name (PEP 503), `numpy`, or `numpy==2.3.4` for one of several versions; in the file's order."""
    applications: dict[ApplicationName, Application] = Field(default_factory=dict)
    """By a name of their own, in the file's order."""
    notify: Targets = Field(default_factory=dict)
    """Who is told when something got worse, by a name of their own, in the file's order."""
    root: Path = Path()
    """The folder that relative paths in it start from; no key of the file."""
    file: Path = DEFAULT_MATRIX
    """The file that it was read from; no key of the file."""

    @property
    def bases(self) -> tuple[str, ...]:
        """Bases wheels are verified on, those they are built on among them."""
        enabled = [base.name for base in catalog.load().bases.values() if base.enabled]
        named = self.farm.bases or enabled

        return tuple(dict.fromkeys((*named, *self.farm.build_on)))

    @property
    def build_on(self) -> tuple[str, ...]:
        """Bases that wheels are built on, the oldest glibc first.

        Where the file names none, it is the base with the oldest glibc of each distribution.
        """
        table = catalog.load()
        if self.farm.build_on:
            chosen = [table.bases[name] for name in self.farm.build_on]
        else:
            by_distribution: dict[str, list[str]] = {}
            for name in self.bases:
                distribution = table.bases[name].distribution
                by_distribution.setdefault(distribution, []).append(name)
            chosen = [table.oldest(tuple(names)) for names in by_distribution.values()]

        chosen.sort(key=lambda base: base.glibc_version)
        return tuple(base.name for base in chosen)

    @property
    def abis(self) -> tuple[str, ...]:
        """Interpreters wheels are built for."""
        return self.farm.abis or tuple(catalog.load().abis)

    def find_packages(self, text: str) -> tuple[str, ...]:
        """Return the names of the packages that a person means, in the file's order; empty where there is none.

        `numpy` means every version of it, `numpy==2.3.4` that version, which may be the one that `[packages.numpy]`
        asks for.
        """
        try:
            wanted = parse_package_name(text)
        except UntrustedNameError:
            return ()

        project, version = project_of(wanted), version_of(wanted)
        versions = [name for name in self.packages if project_of(name) == project]
        if not version:
            return tuple(versions)

        names: list[str] = []
        for name in versions:
            is_pinned = pinned_version(self.packages[name].version) == Version(version)
            if is_pinned or name == wanted:
                names.append(name)

        return tuple(names)

    def source_of(self, name: str) -> From:
        """Return what the wheels of a package are made of.

        What upstream's wheel would be without, a local sdist or patches, is always built unless the package says
        otherwise itself, which is a mistake.

        Args:
            name: of the package; it may be one that the matrix does not name.
        """
        package = self.packages.get(name)
        if package is None:
            return self.farm.take_from
        if package.take_from is not None:
            return package.take_from

        is_changed = bool(package.sdist or package.patches)
        return "sdist" if is_changed else self.farm.take_from


def load(path: Path) -> Matrix:
    """Return the checked matrix that a file has.

    Args:
        path: the file.

    Raises:
        MatrixError: the file cannot be read or is wrong; the error lists every mistake.
    """
    return parse(_read_file(path), path)


def load_begun(path: Path) -> Matrix:
    """Return the checked matrix of a file that may have no packages yet: applications alone are a beginning.

    Args:
        path: the file.

    Raises:
        MatrixError: the file cannot be read or is wrong; the error lists every mistake.
    """
    return parse(_read_file(path), path, needs_packages=False)


def load_settings(path: Path) -> Matrix:
    """Return a matrix without its packages and applications: all that commands about the index need.

    Of ten thousand packages, checking each takes longer than moving some between channels.

    Args:
        path: the file.

    Raises:
        MatrixError: the file cannot be read, or the rest of it is wrong.
    """
    data = _read_file(path)
    settings = {key: data[key] for key in data if key not in {"packages", "applications"}}
    return parse(settings, path, needs_packages=False)


def _read_file(path: Path) -> dict[str, Any]:
    """Return a file's tables.

    Raises:
        MatrixError: the file cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    # A mistake in the user's file: the traceback of the library that found it would only hide the message.
    except FileNotFoundError:
        raise MatrixError(
            path, [("", "there is no such file; name one with --matrix PATH")]
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise MatrixError(path, [("", f"cannot be read: {error}")]) from None
    except tomllib.TOMLDecodeError as error:
        raise MatrixError(path, [("", f"is not TOML: {error}")]) from None


def parse(data: dict[str, Any], path: Path, *, needs_packages: bool = True) -> Matrix:
    """Return the checked matrix of a parsed file.

    Args:
        data: the parsed TOML.
        path: the file it came from, for messages and relative paths.
        needs_packages: whether one without packages is a mistake.

    Raises:
        MatrixError: it is wrong; the error lists every mistake.
    """
    mistakes: list[tuple[str, str]] = []
    mistakes += [(key, "unknown key") for key in sorted(NO_KEYS & data.keys())]

    bad_names: list[tuple[str, str]] = []
    packages = normalize_names(data.get("packages", {}), bad_names)
    mistakes += bad_names
    file = path.resolve()
    content = {**data, "packages": packages, "root": file.parent, "file": file}
    try:
        matrix = Matrix.model_validate(content)
    except ValidationError as error:
        mistakes += [
            describe_mistake(details, _find_model(details["loc"])) for details in error.errors()
        ]
        raise MatrixError(path, mistakes) from None

    if not bad_names:
        mistakes += _find_version_mistakes(matrix.packages)
        matrix = matrix.model_copy(update={"packages": _complete_settings(matrix.packages)})
    for name, package in matrix.packages.items():
        if package.sdist and package.version:
            where = f"packages.{table_key(name)}.version"
            mistakes.append((where, "an sdist has a version of its own; leave out one of the two"))
        mistakes += _find_contradictions(name, package)
    if needs_packages and not matrix.packages and not mistakes:
        mistakes.append(("packages", "expected at least one table [packages.NAME]"))
    if mistakes:
        raise MatrixError(path, mistakes)
    return matrix


def _find_version_mistakes(packages: Mapping[str, Package]) -> Iterator[tuple[str, str]]:
    """Yield a mistake for each table whose version is said twice: by its name and its own key, or by another table."""
    tables: dict[tuple[str, Version], str] = {}
    for name, package in packages.items():
        where = f"packages.{table_key(name)}"
        stated = version_of(name)
        if stated and package.version:
            yield f"{where}.version", "its name states the version; leave out one of the two"
            continue

        version = Version(stated) if stated else pinned_version(package.version)
        if version is None:
            continue
        other = tables.setdefault((project_of(name), version), name)
        if other != name:
            yield (
                where,
                f"has the version that [packages.{table_key(other)}] has; keep one of the two",
            )


def _complete_settings(packages: Mapping[str, Package]) -> dict[str, Package]:
    """Return the packages in which each that is one version of a project has what the project's own table says.

    Its own keys come first. Its version is the one in its name; a local sdist has its own.
    """
    complete: dict[str, Package] = {}
    for name, package in packages.items():
        version = version_of(name)
        if not version:
            complete[name] = package
            continue

        settings: dict[str, object] = {}
        general = packages.get(project_of(name))
        if general is not None:
            for field in general.model_fields_set - package.model_fields_set - _OF_ONE_RELEASE:
                settings[field] = getattr(general, field)
        if package.sdist or package.patches:
            settings.pop("take_from", None)  # it is built, whatever holds for the others
        if not package.sdist:
            settings["version"] = f"=={version}"
        complete[name] = package.model_copy(update=settings)

    return complete


def _find_contradictions(name: str, package: Package) -> Iterator[tuple[str, str]]:
    """Yield a mistake for each key of a package that upstream's wheel, which is taken as it is, cannot heed."""
    for other, value in (("sdist", package.sdist), ("patches", package.patches)):
        if package.pure and value:
            yield (
                f"packages.{table_key(name)}.pure",
                f"takes a wheel of the index as it is, which heeds no `{other}`; leave out one of the two",
            )

    where = f"packages.{table_key(name)}.from"
    if package.take_from in {None, "sdist"}:
        return

    if package.sdist:
        yield (
            where,
            f"{package.take_from!r} takes files of the index, and `sdist` is a local one; leave out one",
        )
    if package.patches:
        yield (
            where,
            f"{package.take_from!r} takes a wheel without `patches`; leave out one of the two",
        )
    if package.build_tag and package.take_from == "wheel":
        yield (
            where,
            "upstream's wheel keeps its name, so that it gets no `build-tag`; leave out one of the two",
        )


def _find_model(location: tuple[str | int, ...]) -> type[Table]:
    """Return the model of the table that a key stands in: `("packages", "lxml", "apt")` -> Package."""
    match location:
        case ("farm", _, *_):
            return Farm
        case ("rollout", _, *_):
            return Rollout
        case ("packages", _, "tests", _, *_):
            return OwnTests
        case ("packages", _, *_):
            return Package
        case ("applications", _, "scenarios", _, *_):
            return Scenario
        case ("applications", _, _, *_):
            return Application
        case ("notify", _, str(kind), _, *_):
            return TARGETS[kind]
        case _:
            return Matrix


def select_thread_target(matrix: Matrix, catalog: Catalog) -> tuple[Base, Abi] | None:
    """Return the base and the ABI that threads are tried on, or None where the matrix has no such pair.

    It is the first base to build on (they are sorted by glibc) that has a sanitizer, and the first free-threaded ABI.
    """
    bases = [catalog.bases[name] for name in matrix.build_on if catalog.bases[name].sanitizer]
    abis = [catalog.abis[name] for name in matrix.abis if catalog.abis[name].free_threaded]
    return (bases[0], abis[0]) if bases and abis else None
