"""Files of the store -> entries with the metadata of PEP 658 and PEP 700. A wheel is opened once, ever."""

from __future__ import annotations

import datetime
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from builder.distributions.metadata import NotADistributionError, wheel_metadata_bytes
from builder.index.manifest import Entry, make_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from builder.index.manifest import Manifest, ServedFile
    from builder.store.store import Store


def describe(files: Iterable[ServedFile], store: Store) -> Manifest:
    """Return a channel's manifest, i.e. the entry of every file of the channel, by project.

    A wheel that was not served before is opened to read its metadata, which is then recorded.

    Args:
        files: the files of the channel; of two with the same name the first one is served.
        store: has the content of every file.
    """
    served_files = list(files)
    distributions = store.publications.distributions()
    missing = {file.sha256 for file in served_files} - distributions.keys()
    if missing:
        _add_distributions(sorted(missing), store)
        distributions = store.publications.distributions()

    return make_manifest(_iter_entries(served_files, distributions))


def _iter_entries(
    files: Iterable[ServedFile], recorded: Mapping[str, tuple[str, str, int, float]]
) -> Iterator[Entry]:
    """Iterate over the index's entry of each file.

    Args:
        files: the files of a channel.
        recorded: (sha256 of METADATA, requires-python, size in bytes, seconds since the epoch), by sha256 of the file.
    """
    for file in files:
        metadata, requires_python, size_bytes, added_at = recorded[file.sha256]
        uploaded_at = datetime.datetime.fromtimestamp(added_at, datetime.UTC)
        yield Entry(
            filename=file.filename,
            sha256=file.sha256,
            requires_python=requires_python,
            metadata=metadata,
            size_bytes=size_bytes,
            uploaded_at=uploaded_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            yanked=file.yanked,
        )


def _add_distributions(hashes: Iterable[str], store: Store) -> None:
    """Record the metadata and size of wheels, all in one transaction.

    Args:
        hashes: sha256 of the wheels.
        store: has the wheels, and takes their METADATA.
    """
    rows: list[tuple[str, str, str, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "METADATA"
        for sha256 in hashes:
            metadata, requires_python = _extract_metadata(sha256, store, scratch)
            size_bytes = store.file(sha256).stat().st_size
            rows.append((sha256, metadata, requires_python, size_bytes))

    store.publications.add_distributions(rows)


def _extract_metadata(sha256: str, store: Store, scratch: Path) -> tuple[str, str]:
    """Add the METADATA of a wheel to the store, as a file of its own that the index can serve (PEP 658).

    Args:
        sha256: of the wheel.
        store: has the wheel.
        scratch: a path for a temporary file.

    Returns:
        The sha256 of METADATA, and `requires-python`. Both are empty if the wheel cannot be read.
    """
    try:
        content, fields = wheel_metadata_bytes(store.file(sha256))
    except NotADistributionError:
        return "", ""

    scratch.write_bytes(content)
    return store.add_file(scratch), fields.get("requires_python", "")
