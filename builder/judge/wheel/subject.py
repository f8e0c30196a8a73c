"""The wheel that is judged: its name taken apart, its facts, and what it may count on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from builder.distributions.cpython import (
    has_abi3t,
    list_interpreters,
    list_suffix_tags,
    list_triplets,
)
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
_STABLE_ABIS = ("abi3", "abi3t")
_OLDEST_STABLE_ABI = (3, 2)  # PEP 384: what a tag such as `py3-abi3` can mean at most


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedFile:
    """A file that is loaded as an extension module.

    Attributes:
        tag: in its suffix; empty for a plain `.so`.
        loaders: the interpreters that load it, oldest first.
    """

    path: str
    tag: str
    native: NativeObject
    loaders: tuple[str, ...]

    @property
    def name(self) -> str:
        """The module's name, as the functions that import calls have it."""
        folder, _, filename = self.path.rpartition("/")
        name = filename.partition(".")[0]
        return folder.rpartition("/")[2] if name == "__init__" else name


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
    def interpreters(self) -> tuple[str, ...]:
        """The interpreters that take the wheel, the farm's or not, oldest first."""
        return list_interpreters(self.filename, self.facts.metadata.get("requires-python", ()))

    @cached_property
    def triplets(self) -> tuple[str, ...]:
        """The machines in the suffixes of its extension modules: `x86_64-linux-gnu` (PEP 3149)."""
        return list_triplets(tag.platform for tag in self.tags)

    @cached_property
    def modules(self) -> Mapping[str, tuple[str, ...]]:
        """The files of each extension module, by its path without suffix: `a/b` -> `a/b.abi3.so`, `a/b.abi3t.so`."""
        modules: dict[str, tuple[str, ...]] = {}
        for path, tag in self.facts.extensions.items():
            module = path.removesuffix(".so").removesuffix(f".{tag}")
            modules[module] = (*modules.get(module, ()), path)

        return modules

    def find_loaded(self, module: str, abi: str) -> str | None:
        """Return the file that an interpreter loads as a module; None where it looks for none that there is.

        Args:
            module: path of the module, without suffix.
            abi: the interpreter.
        """
        paths = {self.facts.extensions[path]: path for path in self.modules[module]}
        for tag in list_suffix_tags(abi, self.triplets):
            if tag in paths:
                return paths[tag]

        return None

    @cached_property
    def loaded_files(self) -> tuple[LoadedFile, ...]:
        """The extension modules that could be read and that some interpreter loads."""
        files: list[LoadedFile] = []
        for module, paths in self.modules.items():
            loaded = {abi: self.find_loaded(module, abi) for abi in self.interpreters}
            for path in paths:
                loaders = tuple(abi for abi, found in loaded.items() if found == path)
                native = self.objects.get(path)
                if native is not None and loaders:
                    tag = self.facts.extensions[path]
                    file = LoadedFile(path=path, tag=tag, native=native, loaders=loaders)
                    files.append(file)

        return tuple(files)

    @cached_property
    def strays(self) -> frozenset[str]:
        """Paths of extension modules for other interpreters of which the wheel has the right one as well.

        No import loads `a.cpython-311-….so` where `a.cpython-314-….so` is beside it.
        """
        sought: set[str] = set()
        for abi in self.interpreters:
            sought.update(list_suffix_tags(abi, self.triplets))

        strays: set[str] = set()
        for paths in self.modules.values():
            others = [path for path in paths if self.facts.extensions[path] not in sought]
            if len(others) < len(paths):
                strays.update(others)

        return frozenset(strays)

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
    def promises_early_abi3t(self) -> bool:
        """Whether it promises `abi3t` to releases before 3.15, which do not have it (PEP 803)."""
        return "abi3t" in self.abi_tags and any(not has_abi3t(abi) for abi in self.interpreters)

    @property
    def stable_since(self) -> tuple[int, int] | None:
        """The oldest release that a wheel of a stable ABI claims: `cp310-abi3` -> (3, 10), `cp315-abi3t` -> (3, 15).

        None for other wheels (PEP 384, PEP 803).
        """
        if self.abi_tags.isdisjoint(_STABLE_ABIS):
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
