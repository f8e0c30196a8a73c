"""The tables under images/: operating-system bases and interpreters. Adding one touches no code."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from builder import ROOT


def images_dir() -> Path:
    """Return the folder of Dockerfiles and tables: beside the package in a checkout, inside it when installed."""
    installed = ROOT / "_images"
    return installed if installed.is_dir() else ROOT.parent / "images"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Distribution(_Row):
    """`[distributions.NAME]` of images/bases.toml: what the releases of one distribution share."""

    variant: str
    """mmdebstrap's variant, the set of packages a base starts from."""
    components: tuple[str, ...]
    """Components of the archive that apt in a base may install from."""
    pockets: tuple[str, ...]
    """Suffixes of the suites that carry updates, in the same archive."""
    security: str | None = None
    """Suffix of the security suite where that is an archive of its own."""
    keyring: str
    """File on the host with the keys that the archive's index is signed by."""
    keyring_package: str
    """Package that has the file, for hosts where it is not installed."""
    keyring_suite: str | None = None
    """Debian suite that packages the keyring, for hosts of another distribution."""


class Rust(_Row):
    """`[bases.NAME.rust]` of images/bases.toml: the newest Rust that a base's own archive has."""

    version: Annotated[str, Field(pattern=r"^1\.\d+$")]
    """Its version when this was written; the archive may have a newer one by now."""
    packages: tuple[str, ...]
    """Packages that have `cargo` and `rustc`."""
    folder: str = ""
    """Where these are, if not where programs usually are: packages of one version among several have a folder."""


class Base(_Row):
    """`[bases.NAME]` of images/bases.toml: one operating-system image."""

    name: str
    """The table's name, by which matrix.toml means it: the distribution and its version."""
    distribution: str
    """Key of `[distributions]`."""
    suite: str
    """The archive's name for the release."""
    glibc: Annotated[str, Field(pattern=r"^2\.\d+$")]
    """Version of the C library that the release ships."""
    enabled: bool
    """Whether a matrix that names no bases uses it."""
    registry: str
    """Image that is tried first, where a container registry answers."""
    runtime: tuple[str, ...]
    """Packages the interpreters load at run time."""
    sanitizer: tuple[str, ...]
    """Packages of a compiler with ThreadSanitizer; without any, races are not looked for on the base."""
    rust: Rust | None = None
    """What packages with Rust in them are built with; None where the archive has none that is new enough for them."""

    @property
    def glibc_version(self) -> tuple[int, int]:
        """The C library's version, comparable."""
        major, minor = self.glibc.split(".")
        return int(major), int(minor)


class Release(_Row):
    """`[releases.VERSION]` of images/interpreters.toml: one release of CPython's source."""

    version: str
    """The table's name."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The release's published checksum; anything else is refused, wherever it came from."""
    filename: str
    """What the file is called in a cache folder."""
    upstream: str
    """The project's own download."""
    pool: str
    """The same bytes in a Debian archive, relative to the mirror apt is configured with."""


def interpreter_path(directory: str) -> str:
    """Return where an interpreter is in images: manylinux has a folder for each, and so do ours."""
    return f"/opt/python/{directory}/bin/python"


_JIT_OPTION = "--enable-experimental-jit"


class Interpreter(_Row):
    """What the tables of interpreters share: a release of CPython and how it is compiled."""

    name: str
    """The table's name."""
    release: str
    """Key of `[releases]`."""
    directory: str
    """Folder under /opt/python, as manylinux images name it and cibuildwheel expects it."""
    configure: tuple[str, ...]
    """Options for `./configure` beside those that every interpreter gets."""

    @property
    def python(self) -> str:
        """Where it is in images."""
        return interpreter_path(self.directory)

    @property
    def wheel_abi(self) -> str:
        """ABI tag of the wheels that it installs (PEP 425)."""
        return self.name

    @property
    def has_jit(self) -> bool:
        """Whether it is compiled with the JIT (PEP 744), which PYTHON_JIT turns on and off."""
        return any(option.startswith(_JIT_OPTION) for option in self.configure)


class Abi(Interpreter):
    """`[abis.NAME]` of images/interpreters.toml: an interpreter that wheels are made for; its name is their ABI tag."""

    @property
    def free_threaded(self) -> bool:
        """Whether this is a build without the GIL (PEP 703)."""
        return "--disable-gil" in self.configure

    @property
    def suffix(self) -> str:
        """The tagged suffix of its extension modules, without `.so` (PEP 3149): `cpython-314t`."""
        return self.name.replace("cp", "cpython-", 1)


class Comparison(Interpreter):
    """`[comparisons.NAME]` of images/interpreters.toml: an interpreter that others are compared with."""

    abi: Annotated[str, Field(pattern=r"^cp3\d+t?$")]
    """ABI tag of the wheels that it installs (PEP 425)."""
    packages: tuple[str, ...]
    """System packages that compiling it needs beside what every interpreter does."""

    @property
    def wheel_abi(self) -> str:
        """ABI tag of the wheels that it installs."""
        return self.abi


class Catalog(_Row):
    """All tables, checked when loaded."""

    distributions: dict[str, Distribution]
    """By name."""
    bases: dict[str, Base]
    """By name, in the order of the table."""
    releases: dict[str, Release]
    """By version."""
    abis: dict[str, Abi]
    """By name, in the order of the table."""
    comparisons: dict[str, Comparison]
    """By name, in the order of the table."""

    @property
    def interpreters(self) -> dict[str, Interpreter]:
        """All that wheels are made for and that those are compared with, by name."""
        return {**self.abis, **self.comparisons}

    @property
    def abi_releases(self) -> dict[str, Release]:
        """The releases that wheels are made for, by version."""
        return {abi.release: self.releases[abi.release] for abi in self.abis.values()}

    def oldest(self, names: tuple[str, ...]) -> Base:
        """Return the base with the oldest glibc among `names`."""
        bases = [self.bases[name] for name in names]
        return min(bases, key=lambda base: base.glibc_version)


def _insert_names(table: dict[str, dict[str, object]], field: str) -> dict[str, dict[str, object]]:
    """Give each row the name of its table, which TOML has outside it."""
    return {name: {field: name, **row} for name, row in table.items()}


@cache
def load() -> Catalog:
    """Return the tables of images/bases.toml and images/interpreters.toml, read and checked once per process.

    Raises:
        pydantic.ValidationError: a table is wrong; the text has its dotted path.
    """
    bases = _read_table("bases.toml")
    interpreters = _read_table("interpreters.toml")

    return Catalog.model_validate(
        {
            "distributions": bases["distributions"],
            "bases": _insert_names(bases["bases"], "name"),
            "releases": _insert_names(interpreters["releases"], "version"),
            "abis": _insert_names(interpreters["abis"], "name"),
            "comparisons": _insert_names(interpreters["comparisons"], "name"),
        }
    )


def _read_table(filename: str) -> dict[str, Any]:
    return tomllib.loads((images_dir() / filename).read_text())
