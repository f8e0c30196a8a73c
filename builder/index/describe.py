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
    """Return a channel's manifest.

    Args:
        files: what the channel holds; of two with one name the first one.
        store: has every file.
    """
    wanted = list(files)
    known = store.publications.distributions()
    missing = {file.sha256 for file in wanted} - known.keys()
    if missing:
        _add_distributions(sorted(missing), store)
        known = store.publications.distributions()

    return make_manifest(_iter_entries(wanted, known))


def _iter_entries(
    files: Iterable[ServedFile], known: Mapping[str, tuple[str, str, int, float]]
) -> Iterator[Entry]:
    for file in files:
        metadata, requires_python, size_bytes, added_at = known[file.sha256]
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
    """Record what the metadata of wheels says, of all of them in one transaction."""
    rows: list[tuple[str, str, str, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "METADATA"
        for sha256 in hashes:
            metadata, requires_python = _extract_metadata(sha256, store, scratch)
            size_bytes = store.file(sha256).stat().st_size
            rows.append((sha256, metadata, requires_python, size_bytes))

    store.publications.add_distributions(rows)


def _extract_metadata(sha256: str, store: Store, scratch: Path) -> tuple[str, str]:
    """Keep the METADATA of a wheel in the store; a wheel that cannot be read is served without.

    Returns:
        sha256 of its METADATA, and `requires-python`; empty where it cannot be read.
    """
    try:
        content, raw = wheel_metadata_bytes(store.file(sha256))
    except NotADistributionError:
        return "", ""

    scratch.write_bytes(content)
    return store.add_file(scratch), raw.get("requires_python", "")
