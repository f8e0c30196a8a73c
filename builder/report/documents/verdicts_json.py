"""verdicts.json: stable, versioned, with a JSON Schema made from its model (docs/verdicts.schema.json)."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from builder import __version__
from builder.report.documents.applications import ApplicationPart, make_application_part
from builder.report.documents.packages import AbiPart, PackagePart, make_package_part
from builder.report.documents.part import Part
from builder.store.files import atomic_write
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.config.matrix import Matrix
    from builder.judge.application import JudgedApplication
    from builder.judge.package import JudgedPackage


SCHEMA_VERSION = 1


class FarmPart(Part):
    """The farm that wrote this file."""

    version: str
    bases: list[str]
    build_on: list[str]


class ContainmentPart(Part):
    """What held the code of packages on the machine that ran it last."""

    engine: str
    """Version of the container engine."""

    runc: str
    """Version of what starts its containers; empty where it does not say."""

    kernel: str

    cgroup: str
    """Version of the control groups, which limits stand on."""

    user_namespaces: bool
    """Whether root of a container is nobody outside."""

    seccomp: str
    """Hash of the list of system calls; empty where none are filtered."""

    capabilities: dict[str, list[str]]
    """What each kind of container may do beside an ordinary user."""

    weaknesses: list[str]
    """What contains less there than it could, as `wheelfarm doctor` explains it."""


class Document(Part):
    """The verdicts of a run."""

    schema_version: Literal[1]

    generated_at: str
    """UTC, ISO 8601."""

    farm: FarmPart

    containment: ContainmentPart | None = None
    """Null where it is not known: no code of a package was run yet, or the verdicts are of several machines."""

    packages: list[PackagePart]

    applications: list[ApplicationPart] = Field(default=[])
    """What the farm's index has to do for: one for each application, ABI and base."""

    def iter_verdicts(self) -> Iterator[tuple[PackagePart, str, AbiPart]]:
        """Iterate over (package, ABI, verdict with its findings) of every verdict, package by package."""
        for package in self.packages:
            for abi, part in package.abis.items():
                yield package, abi, part

    def list_abis(self) -> list[str]:
        """Return the ABIs that some package has a verdict for, each once."""
        abis = dict.fromkeys(abi for _, abi, _ in self.iter_verdicts())
        return list(abis)

    def list_verdicts(self, abi: str) -> list[Verdict]:
        """Return the verdicts of all packages on an ABI."""
        return [part.verdict for _, name, part in self.iter_verdicts() if name == abi]


def make_document(
    judged: Iterable[JudgedPackage],
    matrix: Matrix,
    containment: Mapping[str, Any] | None = None,
    applications: Iterable[JudgedApplication] = (),
) -> Document:
    """Return the content of verdicts.json for judged packages; the time in it is now.

    Args:
        judged: the packages.
        matrix: what they are from.
        containment: what held them, as `Engine.record_containment` says it; None where that is not known.
        applications: the judged applications.
    """
    now = datetime.datetime.now(datetime.UTC)
    farm = FarmPart(
        version=__version__,
        bases=list(matrix.bases),
        build_on=list(matrix.build_on),
    )

    return Document(
        schema_version=SCHEMA_VERSION,
        generated_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        farm=farm,
        containment=None if containment is None else ContainmentPart.model_validate(containment),
        packages=[make_package_part(package) for package in judged],
        applications=[make_application_part(application) for application in applications],
    )


def write(
    judged: Sequence[JudgedPackage],
    matrix: Matrix,
    wheelhouse: Path,
    containment: Mapping[str, Any] | None = None,
    applications: Iterable[JudgedApplication] = (),
) -> Document:
    """Replace verdicts.json as a whole, and return its content; for the arguments see `make_document`."""
    document = make_document(judged, matrix, containment, applications)
    text = document.model_dump_json(indent=1) + "\n"
    with atomic_write(wheelhouse / "verdicts.json") as draft:
        draft.write_text(text)

    return document


def read(wheelhouse: Path) -> Document | None:
    """Return the verdicts of the last whole run.

    None means that there was no such run, or that a version of wheelfarm with another format wrote the file.
    """
    try:
        return Document.model_validate_json((wheelhouse / "verdicts.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
