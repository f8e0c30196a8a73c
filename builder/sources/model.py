"""What resolving the matrix gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from builder.distributions.thread_statements import Quote, ThreadStatement
from builder.untrusted.package_names import project_of
from builder.verdicts.codes import FindingCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.config.values import From


MAX_NEEDED = 1_000
"""Packages that one package may need, directly or not; far above any, not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pure:
    """A pure-Python wheel from the index, served as it is: nothing in it depends on the ABI.

    Attributes:
        requires: requirements of its metadata (PEP 508).
    """

    name: str
    version: str
    filename: str
    sha256: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamWheel:
    """A wheel that the project itself released, which serves one ABI; one file may serve several.

    Attributes:
        abi: the ABI.
        sha256: of the file, which the store has.
    """

    abi: str
    filename: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A package with what its wheels are made of: its sdist, upstream's wheels, or both.

    Attributes:
        kind: where the files are from.
        filename: of the sdist; empty where the release has none, so that upstream's wheels are taken.
        sha256: of the sdist, which the store has; empty without one.
        take_from: what the wheels are made of.
        wheels: upstream's wheels, at most one for each ABI; empty where they are not asked for.
        lacking: ABIs that upstream has no wheel for, each with what it has instead, where its wheels are asked for.
        offers: for an ABI, the release whose wheel with native code upstream has for it: this one, or the nearest.
        requires: requirements of its metadata (PEP 508).
        needs: native packages of the farm that must be there when it is imported.
        pure: pure wheels that must be there when it is imported.
        needed_by: the package for whose sake it is built, where the matrix does not name it.
        only_pure: the index has nothing but a pure wheel of this release, which is served as it is.
        trouble: why what it needs could not be found out, if so.
        builds_with: native packages of the farm that are installed when it is built.
        uses_rust: whether it is built with Rust, by what it needs to be built.
        has_crates: whether this machine has a registry of crates for a build with Rust.
        rust_version: the oldest release of Rust that its sdist asks for, `1.90.0`; empty where it asks for none.
        has_toolchains: whether this machine has a server of Rust toolchains for it.
        circle: packages each of which needs the next to be built, itself first and last, if so.
        held: what newer release the cool-down holds back, and until when; empty where it holds none.
        is_pure: its sdist shows no native code, so that a wheel for every Python is a right outcome of its build.
        pure_wheel: upstream's wheel without native code of a release that has native ones as well; empty without one.
        doubt: why only the build can tell whether there is native code, where that is so.
        statement: what the project says itself of threads; None where that was not read. It changes no job.
    """

    name: str
    version: str
    kind: Literal["index", "local"]
    filename: str
    sha256: str
    requires: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    pure: tuple[Pure, ...] = ()
    needed_by: str = ""
    only_pure: Pure | None = None
    trouble: str = ""
    builds_with: tuple[str, ...] = ()
    uses_rust: bool = False
    has_crates: bool = False
    rust_version: str = ""
    has_toolchains: bool = False
    circle: tuple[str, ...] = ()
    held: str = ""
    is_pure: bool = False
    pure_wheel: str = ""
    doubt: str = ""
    take_from: From = "sdist"
    wheels: tuple[UpstreamWheel, ...] = ()
    lacking: tuple[tuple[str, str], ...] = ()
    offers: tuple[tuple[str, str], ...] = ()
    statement: ThreadStatement | None = None

    @property
    def project(self) -> str:
        """The project that it is of, as an index and wheels name it."""
        return project_of(self.name)

    @property
    def is_built(self) -> bool:
        """Whether its sdist is built; otherwise upstream's wheels are all there is of it."""
        return self.take_from != "wheel" and bool(self.sha256)

    def record(self) -> dict[str, Any]:
        """Return the fields as JSON data."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Source:
        """Return the source that `record()` wrote as JSON data; tuples become lists in JSON, and are restored."""
        fields = dict(record)
        for name in ("requires", "needs", "builds_with", "circle"):
            fields[name] = tuple(record.get(name, ()))  # JSON has lists alone

        fields["pure"] = tuple(_pure_from_record(item) for item in record["pure"])
        if record["only_pure"]:
            fields["only_pure"] = _pure_from_record(record["only_pure"])

        fields["wheels"] = tuple(UpstreamWheel(**wheel) for wheel in record.get("wheels", ()))
        fields["lacking"] = tuple((abi, reason) for abi, reason in record.get("lacking", ()))
        fields["offers"] = tuple((abi, version) for abi, version in record.get("offers", ()))
        if record.get("statement"):
            fields["statement"] = statement_from_record(record["statement"])
        return cls(**fields)


def statement_from_record(record: Mapping[str, Any]) -> ThreadStatement:
    """Return the statement whose fields were recorded as JSON data."""
    return ThreadStatement(
        classifier=record["classifier"],
        quotes=tuple(Quote(**quote) for quote in record["quotes"]),
    )


def _pure_from_record(record: Mapping[str, Any]) -> Pure:
    return Pure(**{**record, "requires": tuple(record["requires"])})


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Why a package has no usable sdist.

    Attributes:
        code: the finding's code (builder/judge/codes.toml).
        detail: what happened, for a person.
        version: the release that was meant, if it is known.
    """

    name: str
    code: FindingCode
    detail: str
    version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """The matrix, resolved.

    Attributes:
        found: packages with a source, by name; those that others need among them.
        faults: packages without, by name.
    """

    found: Mapping[str, Source] = field(default_factory=dict)
    faults: Mapping[str, Fault] = field(default_factory=dict)
