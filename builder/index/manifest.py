"""What an index holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from packaging.utils import parse_wheel_filename

from builder.store.hashing import digest_text
from builder.untrusted.names import (
    FileName,
    ProjectName,
    parse_project_name,
    parse_wheel_name,
)

SERVED_CHANNEL = "simple"
"""The channel that services install from, and its folder under the wheelhouse.

It has what policy admits; where the matrix has a rollout, what of that was promoted.
"""

CANARY_CHANNEL = "canary"
"""The channel of everything that policy admits, where the matrix has a rollout; without one there is no such folder."""

QUARANTINE_CHANNEL = "quarantine/simple"
"""The channel of the rest: every file of it is yanked (PEP 592), with the verdict as the reason."""

CHANNELS = (SERVED_CHANNEL, CANARY_CHANNEL, QUARANTINE_CHANNEL)
"""In the order of publication: a wheel that is withdrawn is gone from `simple/` before it is anywhere else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedFile:
    """A file of the store under the name that the index gives it.

    Attributes:
        filename: name of the wheel.
        sha256: hash of its content.
        yanked: why it is in quarantine; empty if it is served.
        verdicts: of its package, for the ABIs that it concerns, as in `Entry`.
    """

    filename: str
    sha256: str
    yanked: str = ""
    verdicts: str = ""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Entry:
    """A file of the index, with what the project's page says about it.

    Attributes:
        requires_python: `Requires-Python` of the metadata (PEP 503); empty for any.
        metadata: sha256 of its METADATA, which the store has (PEP 658); empty where it is not served.
        size_bytes: PEP 700; 0 where it is not known.
        uploaded_at: when the farm first had it, UTC and ISO 8601 (PEP 700); empty where it is not known.
        yanked: why nobody should install it (PEP 592); empty where anybody may.
        folder: subfolder of the project's folder that holds the file; empty for none. See `builder/index/publish.py`.
        verdicts: where the matrix has a rollout, the verdicts that it has in this channel, `cp314 compatible, cp314t
            distinct`; no page has them. Empty for a pure wheel that only comes with packages.
        since: where the matrix has a rollout, when it came into the canary channel with these verdicts, UTC and ISO
            8601.
    """

    filename: str
    sha256: str
    requires_python: str = ""
    metadata: str = ""
    size_bytes: int = 0
    uploaded_at: str = ""
    yanked: str = ""
    folder: str = ""
    verdicts: str = ""
    since: str = ""

    @property
    def path(self) -> str:
        """Where it lies, relative to its project's page."""
        return f"{self.folder}/{self.filename}" if self.folder else self.filename


Manifest = Mapping[str, tuple[Entry, ...]]
"""The whole content of a channel: the files of each project, by canonical project name."""

_FIELDS = (
    "filename",
    "sha256",
    "requires_python",
    "metadata",
    "size_bytes",
    "uploaded_at",
    "yanked",
)
"""What a snapshot keeps of an entry, in the order of its rows: what was written once is read by position."""

_ROLLOUT_FIELDS = (*_FIELDS, "verdicts", "since")
"""The same of an entry that has verdicts: without a rollout, rows and hashes are as they were before there was one."""

_row = attrgetter(*_FIELDS)
_rollout_row = attrgetter(*_ROLLOUT_FIELDS)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def make_manifest(entries: Iterable[Entry]) -> Manifest:
    """Group entries by project, sorted by name. Of two entries with the same file name the first is kept.

    Raises:
        UntrustedNameError: a file is named as no wheel is; its name would become a path.
    """
    projects: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        filename, project = parse_names(entry.filename)
        projects.setdefault(project, {}).setdefault(filename, entry)

    return {name: tuple(sorted(files.values())) for name, files in sorted(projects.items())}


@lru_cache(
    maxsize=100_000
)  # names of an index of ten thousand packages are parsed at every publication
def parse_names(filename: str) -> tuple[FileName, ProjectName]:
    """Return the name of a wheel and of its project: the only parts that paths of the index are made of.

    Raises:
        UntrustedNameError: it is no wheel's name.
    """
    name = parse_wheel_name(filename)
    return name, parse_project_name(str(parse_wheel_filename(name)[0]))


def render_listing(entries: Iterable[Entry]) -> str:
    """Return a project's files as JSON text for a snapshot; the same files always give the same text."""
    return _encode([_rollout_row(entry) if entry.since else _row(entry) for entry in entries])


def parse_listing(text: str) -> tuple[Entry, ...]:
    """Return the files of a project from the JSON text of a snapshot, as `render_listing` wrote it."""
    entries: list[Entry] = []
    for row in json.loads(text):
        fields = _FIELDS if len(row) == len(_FIELDS) else _ROLLOUT_FIELDS
        entries.append(Entry(**dict(zip(fields, row, strict=True))))

    return tuple(entries)


class RecordedManifest(Mapping[str, tuple[Entry, ...]]):
    """A channel's manifest as a snapshot has it. A project's files are parsed when they are asked for, and kept.

    Attributes:
        digests: the hash of each project's files, by project.
    """

    def __init__(
        self,
        digests: Mapping[str, str],
        read_listing: Callable[[str], str],
        parsed: dict[str, tuple[Entry, ...]],
    ) -> None:
        """Take the hashes of a snapshot.

        Args:
            digests: hash of each project's files.
            read_listing: returns the listing with a hash.
            parsed: listings that were parsed, by hash; channels that share it parse equal listings once.
        """
        self.digests = digests
        self._read_listing = read_listing
        self._parsed = parsed

    def __getitem__(self, project: str) -> tuple[Entry, ...]:
        digest = self.digests[project]
        entries = self._parsed.get(digest)
        if entries is None:
            entries = parse_listing(self._read_listing(digest))
            self._parsed[digest] = entries
        return entries

    def replace(self, changes: Mapping[str, tuple[Entry, ...]]) -> RecordedManifest:
        """Return the manifest with other files of some projects."""
        digests = project_digests(changes)
        parsed = dict(self._parsed)
        for project, entries in changes.items():
            parsed[digests[project]] = entries

        names = dict(sorted({**self.digests, **digests}.items()))
        return RecordedManifest(names, self._read_listing, parsed)

    def __iter__(self) -> Iterator[str]:
        return iter(self.digests)

    def __len__(self) -> int:
        return len(self.digests)


def replace_projects(content: Manifest, changes: Mapping[str, tuple[Entry, ...]]) -> Manifest:
    """Return a manifest with other files of some projects, sorted by name; what is known of the others stays known."""
    if not changes:
        return content
    if not isinstance(content, RecordedManifest):
        return dict(sorted({**content, **changes}.items()))

    return content.replace(changes)


def project_digests(content: Manifest) -> Mapping[str, str]:
    """Return a hash of each project's files, by project; equal hashes mean equal files."""
    if isinstance(content, RecordedManifest):
        return content.digests

    digests: dict[str, str] = {}
    for project, entries in content.items():
        digests[project] = digest_text("\n".join(map(_encode_entry, entries)))

    return digests


def _encode_entry(entry: Entry) -> str:
    """Return a text that is different for every two different entries, for hashing.

    It is not JSON, which takes longer: this is done for every file in every publication.
    """
    text = (
        f"{entry.filename}\0{entry.sha256}\0{entry.requires_python}\0{entry.metadata}\0{entry.size_bytes}\0"
        f"{entry.uploaded_at}\0{entry.yanked}"
    )
    return f"{text}\0{entry.verdicts}\0{entry.since}" if entry.since else text
