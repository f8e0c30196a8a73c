"""The wheel that is judged: its name taken apart, its facts, and what it may count on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import parse_wheel_filename

from builder.distributions.tags import accepts_tag, glibc_floors, runs_on
from builder.finding_codes import FindingCode
from builder.judge.findings import Finding

if TYPE_CHECKING:
    from packaging.tags import Tag
    from packaging.version import Version

    from builder.config.catalog import Base
    from builder.judge.interfaces import Interfaces, Policy

_MAX_LISTED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One wheel.

    Attributes:
        bases: those it claims to run on.
        policy: what its platform tag promises to be content with; None where it names no policy.
    """

    filename: str
    name: str
    version: Version
    tags: frozenset[Tag]
    facts: Mapping[str, Any]
    bases: tuple[Base, ...]
    policy: Policy | None
    interfaces: Interfaces

    @classmethod
    def from_filename(
        cls, filename: str, facts: Mapping[str, Any], bases: Sequence[Base], interfaces: Interfaces
    ) -> Subject:
        """Take a wheel's name apart.

        Raises:
            packaging.utils.InvalidWheelFilename: it is no wheel's name (PEP 427).
        """
        name, version, _, tags = parse_wheel_filename(filename)
        floors = glibc_floors(filename)
        return cls(
            filename=filename, name=str(name), version=version, tags=tags, facts=facts, interfaces=interfaces,
            bases=tuple(base for base in bases if runs_on(filename, base)),
            policy=interfaces.policy(floors[0]) if floors else None,
        )  # fmt: skip

    @property
    def objects(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Each native file that could be read, and its facts."""
        return ((path, facts) for path, facts in self.facts["objects"].items() if "kind" in facts)

    @property
    def extensions(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Each extension module that could be read, and its facts."""
        return ((path, facts) for path, facts in self.objects if facts["kind"] == "extension")

    @property
    def abi_tags(self) -> frozenset[str]:
        """Its ABI tags, such as `cp314t` or `abi3`."""
        return frozenset(tag.abi for tag in self.tags)

    @property
    def free_threaded(self) -> bool:
        """Whether it is for builds without the GIL alone."""
        return all(re.fullmatch(r"cp3\d+t", abi) for abi in self.abi_tags)

    @property
    def stable_since(self) -> tuple[int, int] | None:
        """The oldest release an `abi3` wheel claims; None for others (PEP 384)."""
        if "abi3" not in self.abi_tags:
            return None
        found = [re.fullmatch(r"cp3(\d+)", tag.interpreter) for tag in self.tags]
        return min((3, int(match[1])) if match else (3, 2) for match in found)

    @property
    def abis(self) -> tuple[str, ...]:
        """The interpreters the farm knows that would take it."""
        known = self.interfaces.exports
        return tuple(abi for abi in known if any(accepts_tag(tag, abi) for tag in self.tags))


def group_finding(
    code: FindingCode, seen: Sequence[tuple[str, str]], bases: Sequence[str] = ()
) -> Iterator[Finding]:
    """Make one finding of what was seen in several places.

    Args:
        code: what was found.
        seen: (where, detail) of each.
        bases: where it matters.
    """
    if seen:
        details = list(dict.fromkeys(detail for _, detail in seen))
        more = f"; and {len(details) - _MAX_LISTED} more" if len(details) > _MAX_LISTED else ""
        yield Finding(
            code=code,
            detail="; ".join(details[:_MAX_LISTED]) + more,
            where=seen[0][0],
            bases=tuple(bases),
        )
