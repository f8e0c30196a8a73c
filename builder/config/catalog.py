"""The tables under images/: operating-system bases and interpreters. Adding one touches no code."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from builder import ROOT


def images_dir() -> Path:
    """Return the folder of Dockerfiles and tables: beside the package in a checkout, inside it when installed."""
    installed = ROOT / "_images"
    return installed if installed.is_dir() else ROOT.parent / "images"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Distribution(_Row):
    """What the releases of one distribution share."""

    variant: str
    """mmdebstrap's variant."""
    components: tuple[str, ...]
    pockets: tuple[str, ...]
    """Suffixes of the suites that carry updates, in the same archive."""
    security: str | None = None
    """Suffix of the security suite where that is an archive of its own."""
    keyring: str
    keyring_package: str
    keyring_suite: str | None = None
    """Debian suite that packages the keyring, for hosts of another distribution."""


class Base(_Row):
    """One operating-system image."""

    name: str
    distribution: str
    suite: str
    glibc: Annotated[str, Field(pattern=r"^2\.\d+$")]
    enabled: bool
    registry: str
    runtime: tuple[str, ...]
    sanitizer: tuple[str, ...]

    @property
    def glibc_version(self) -> tuple[int, int]:
        """The C library's version, comparable."""
        major, minor = self.glibc.split(".")
        return int(major), int(minor)


class Release(_Row):
    """One release of CPython's source."""

    version: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    filename: str
    upstream: str
    pool: str


def interpreter_path(directory: str) -> str:
    """Return where an interpreter is in images: manylinux has a folder for each, and so do ours."""
    return f"/opt/python/{directory}/bin/python"


class Abi(_Row):
    """One interpreter: a release and how it is configured."""

    name: str
    release: str
    directory: str
    configure: tuple[str, ...]

    @property
    def python(self) -> str:
        """Where it is in images."""
        return interpreter_path(self.directory)

    @property
    def free_threaded(self) -> bool:
        """Whether this is a build without the GIL (PEP 703)."""
        return "--disable-gil" in self.configure

    @property
    def suffix(self) -> str:
        """The tagged suffix of its extension modules, without `.so` (PEP 3149): `cpython-314t`."""
        return self.name.replace("cp", "cpython-", 1)


class Catalog(_Row):
    """All tables, checked when loaded."""

    distributions: dict[str, Distribution]
    bases: dict[str, Base]
    releases: dict[str, Release]
    abis: dict[str, Abi]

    def oldest(self, names: tuple[str, ...]) -> Base:
        """Return the base with the oldest glibc among `names`."""
        return min((self.bases[name] for name in names), key=lambda base: base.glibc_version)


def _insert_names(table: dict[str, dict[str, object]], field: str) -> dict[str, dict[str, object]]:
    return {name: {field: name, **row} for name, row in table.items()}


@cache
def load() -> Catalog:
    """Read images/bases.toml and images/interpreters.toml.

    Raises:
        pydantic.ValidationError: a table is wrong; the text has its dotted path.
    """
    bases = tomllib.loads((images_dir() / "bases.toml").read_text())
    interpreters = tomllib.loads((images_dir() / "interpreters.toml").read_text())
    return Catalog.model_validate(
        {
            "distributions": bases["distributions"],
            "bases": _insert_names(bases["bases"], "name"),
            "releases": _insert_names(interpreters["releases"], "version"),
            "abis": _insert_names(interpreters["abis"], "name"),
        }
    )
