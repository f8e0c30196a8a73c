"""The wheel that is judged: its name taken apart, its facts, and what it may count on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from builder.distributions.tags import accepts_wheel, glibc_floors, runs_on
from builder.judge.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.tags import Tag
    from packaging.version import Version

    from builder.config.catalog import Base
    from builder.evidence.audit import NativeObject, WheelFacts
    from builder.judge.interfaces import Interfaces, Policy
    from builder.verdicts.codes import FindingCode

_MAX_DETAILS = 3  # of one finding, in its sentence: `wheelfarm check --json` has all
_OLDEST_STABLE_ABI = (3, 2)  # PEP 384: what a tag such as `py3-abi3` can mean at most


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One wheel.

    Attributes:
        bases: those it claims to run on.
        policy: what its platform tag promises to be content with; None where it names no policy.
        excluded: shared libraries that the matrix leaves to the system, as patterns of file names.
    """

    filename: str
    name: str
    version: Version
    tags: frozenset[Tag]
    facts: WheelFacts
    bases: tuple[Base, ...]
    policy: Policy | None
    interfaces: Interfaces
    excluded: tuple[str, ...] = ()

    @classmethod
    def from_filename(
        cls,
        filename: str,
        facts: WheelFacts,
        bases: Sequence[Base],
        interfaces: Interfaces,
        excluded: tuple[str, ...] = (),
    ) -> Subject:
        """Return the subject for a wheel: its file name parsed, the bases it claims, and its platform policy.

        Raises:
            packaging.utils.InvalidWheelFilename: it is no wheel's name (PEP 427).
        """
        name, version, _, tags = parse_wheel_filename(filename)
        floors = glibc_floors(filename)
        policy = interfaces.policy(floors[0]) if floors else None

        return cls(
            filename=filename,
            name=str(name),
            version=version,
            tags=tags,
            facts=facts,
            bases=tuple(base for base in bases if runs_on(filename, base)),
            policy=policy,
            interfaces=interfaces,
            excluded=excluded,
        )

    def is_excluded(self, soname: str) -> bool:
        """Return whether the matrix leaves a shared library to the system."""
        return any(fnmatchcase(soname, pattern) for pattern in self.excluded)

    @property
    def objects(self) -> Mapping[str, NativeObject]:
        """The native files that could be read, by path."""
        return self.facts.native_objects

    @cached_property
    def strays(self) -> frozenset[str]:
        """Paths of extension modules for other interpreters of which the wheel has the right one as well.

        No import loads `a.cpython-311-….so` where `a.cpython-314-….so` is beside it.
        """
        importable: set[str] = set()
        others: dict[str, str] = {}
        for path, tag in self.facts.extensions.items():
            module = path.removesuffix(".so").removesuffix(f".{tag}")
            if self.is_sought(tag):
                importable.add(module)
            else:
                others[path] = module

        return frozenset(path for path, module in others.items() if module in importable)

    def is_sought(self, tag: str) -> bool:
        """Return whether the wheel's interpreters look for extension modules with a tag in their suffix (PEP 3149).

        Args:
            tag: such as `cpython-314-x86_64-linux-gnu`; empty for a plain `.so`, which every interpreter loads.
        """
        is_for_any_build = tag in {"", "abi3"}
        is_promised_abi3t = tag == "abi3t" and "abi3t" in self.abi_tags
        return is_for_any_build or is_promised_abi3t or tag in self.suffixes

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The tags in the suffixes of extension modules that its interpreters look for, beside those of stable ABIs."""
        return tuple(
            f"cpython-{abi.removeprefix('cp')}-x86_64-linux-gnu"
            for abi in sorted(self.abi_tags)
            if abi.startswith("cp")
        )

    @property
    def extensions(self) -> Iterator[tuple[str, NativeObject]]:
        """Each extension module that could be read and that its interpreters look for, and its facts."""
        for path, native in self.objects.items():
            if native.kind == "extension" and path not in self.strays:
                yield path, native

    @property
    def abi_tags(self) -> frozenset[str]:
        """Its ABI tags, such as `cp314t` or `abi3`."""
        return frozenset(tag.abi for tag in self.tags)

    @property
    def is_free_threaded(self) -> bool:
        """Whether it is for builds without the GIL alone."""
        return all(re.fullmatch(r"cp3\d+t", abi) for abi in self.abi_tags)

    @property
    def stable_since(self) -> tuple[int, int] | None:
        """The oldest release that an `abi3` wheel claims, `cp310-abi3` -> (3, 10); None for other wheels (PEP 384)."""
        if "abi3" not in self.abi_tags:
            return None

        releases: list[tuple[int, int]] = []
        for tag in self.tags:
            match = re.fullmatch(r"cp3(\d+)", tag.interpreter)
            releases.append((3, int(match[1])) if match else _OLDEST_STABLE_ABI)

        return min(releases)

    @property
    def abis(self) -> tuple[str, ...]:
        """The interpreters the farm knows that would take it."""
        return tuple(abi for abi in self.interfaces.exports if accepts_wheel(self.filename, abi))


def group_finding(
    code: FindingCode, seen: Sequence[tuple[str, str]], bases: Sequence[str] = ()
) -> Iterator[Finding]:
    """Yield one finding for what was seen in several places; nothing where it was seen in none.

    The finding is at the first place, and its detail names at most `_MAX_DETAILS` different ones.

    Args:
        code: what was found.
        seen: (where, detail) of each place.
        bases: where it matters.
    """
    if not seen:
        return

    details = list(dict.fromkeys(sentence for _, sentence in seen))
    detail = "; ".join(details[:_MAX_DETAILS])
    hidden = len(details) - _MAX_DETAILS
    if hidden > 0:
        detail += f"; and {hidden} more"

    first_where, _ = seen[0]
    yield Finding(code=code, detail=detail, where=first_where, bases=tuple(bases))
