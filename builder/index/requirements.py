"""What the wheels of a channel require of one another, by their METADATA. Each wheel is asked once, ever."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from builder.distributions.metadata import NotADistributionError, parse_metadata
from builder.distributions.tags import accepts_wheel
from builder.index.manifest import project_digests
from builder.sources.markers import marker_applies
from builder.untrusted.names import UntrustedNameError, parse_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

    from builder.config.catalog import Abi
    from builder.index.manifest import Entry, Manifest
    from builder.store.store import Store

_PROJECT_NAMES = re.compile(r'"([a-z0-9-]+)')
"""The project of each requirement in the ledger's JSON text: there each begins with its canonical name."""

Dependents = dict[str, list[tuple[str, "Entry"]]]
"""By project, the wheels that require it, each with its own project."""


class Requirements:
    """What wheels require. Requirements of extras are left out: nobody knows who asks for them."""

    def __init__(self, texts: Mapping[str, str], abis: Sequence[Abi]) -> None:
        """Take what is known.

        Args:
            texts: JSON text of a list of requirements (PEP 508) with canonical names, by sha256 of the wheel. A wheel
                that is not in it requires nothing.
            abis: those of the matrix.
        """
        self._texts = texts
        self._abis = abis

    def find_lacks(self, entry: Entry, served: Manifest) -> Iterator[tuple[Requirement, Abi]]:
        """Iterate over what a channel does not have of a wheel's requirements: (requirement, ABI).

        Args:
            entry: the wheel.
            served: the content of the channel.
        """
        requirements = _parse_all(self._texts.get(entry.sha256, "[]"))
        for abi in self._abis:
            if not accepts_wheel(entry.filename, abi.name):
                continue
            python = Version(abi.release)
            for requirement in requirements:
                if not marker_applies(requirement.marker, python):
                    continue
                offered = served.get(requirement.name, ())
                if not any(satisfies(other, requirement, abi) for other in offered):
                    yield requirement, abi

    def find_dependents(self, content: Manifest) -> Dependents:
        """Return the wheels of a channel that require each project, whatever the ABI."""
        dependents: Dependents = {}
        for project, entries in content.items():
            for entry in entries:
                for required in _PROJECT_NAMES.findall(self._texts.get(entry.sha256, "")):
                    dependents.setdefault(required, []).append((project, entry))

        return dependents


def satisfies(entry: Entry, requirement: Requirement, abi: Abi) -> bool:
    """Return whether a wheel is one that an installer takes for a requirement on an ABI."""
    if not accepts_wheel(entry.filename, abi.name):
        return False

    version = parse_wheel_filename(entry.filename)[1]
    return requirement.specifier.contains(version, prereleases=True)


def read_requirements(
    manifests: Iterable[Manifest], store: Store, abis: Sequence[Abi]
) -> Requirements:
    """Return what the wheels of some channels require; of wheels that were never asked, METADATA is read now.

    Args:
        manifests: the content of the channels.
        store: has the METADATA of the wheels, and remembers what they require.
        abis: those of the matrix.
    """
    texts = store.publications.requirements()
    missing: dict[str, str] = {}
    seen: set[str] = set()  # channels have most projects in common
    for manifest in manifests:
        for project, digest in project_digests(manifest).items():
            if digest in seen:
                continue
            seen.add(digest)
            for entry in manifest[project]:
                if entry.sha256 not in texts and entry.sha256 not in missing:
                    missing[entry.sha256] = _read_texts(entry, store)
    if missing:
        store.publications.set_requirements(missing)

    return Requirements({**texts, **missing}, abis)


def _read_texts(entry: Entry, store: Store) -> str:
    """Return a wheel's requirements as JSON text; none where its METADATA is not there or cannot be read."""
    try:
        content = store.file(entry.metadata).read_bytes() if entry.metadata else b""
        stated = parse_metadata(content, "its METADATA").get("requires_dist", [])
    except (OSError, NotADistributionError):
        return "[]"

    texts: list[str] = []
    for text in stated:
        try:
            requirement = parse_requirement(text)
        except UntrustedNameError:
            continue  # an installer does not take it either
        requirement.name = canonicalize_name(requirement.name)
        texts.append(str(requirement))

    return json.dumps(texts)


@lru_cache(
    maxsize=100_000
)  # the wheels of a release for several ABIs and platforms require the same
def _parse_all(texts: str) -> tuple[Requirement, ...]:
    return tuple(parse_requirement(text) for text in json.loads(texts))
