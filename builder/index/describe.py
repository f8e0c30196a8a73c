"""Files of the store -> entries with what PEP 658 and PEP 700 tell about them. A wheel is opened once, ever."""

from __future__ import annotations

import datetime
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from builder.distributions.metadata import NotADistributionError, wheel_metadata_bytes
from builder.index.manifest import Entry, make_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from builder.index.manifest import Manifest, ServedFile
    from builder.store.store import Store


def describe(files: Iterable[ServedFile], store: Store) -> Manifest:
    """Return a channel's manifest.

    Args:
        files: what the channel holds; of two with one name the first one.
        store: has every file.
    """
    wanted = list(files)
    known = store.distributions()
    missing = {file.sha256 for file in wanted} - known.keys()
    if missing:
        with tempfile.TemporaryDirectory() as folder:
            store.add_distributions(
                [
                    _extract_metadata(sha256, store, Path(folder) / "METADATA")
                    for sha256 in sorted(missing)
                ]
            )
        known = store.distributions()
    return make_manifest(_entries(wanted, known))


def _entries(
    files: Iterable[ServedFile], known: dict[str, tuple[str, str, int, float]]
) -> Iterator[Entry]:
    for file in files:
        metadata, requires_python, size, added = known[file.sha256]
        yield Entry(
            filename=file.filename,
            sha256=file.sha256,
            requires_python=requires_python,
            metadata=metadata,
            size_bytes=size,
            uploaded_at=datetime.datetime.fromtimestamp(added, datetime.UTC).strftime(
                "%Y-%m-%dT%H:%M:%S.%fZ"
            ),
            yanked=file.yanked,
        )


def _extract_metadata(sha256: str, store: Store, scratch: Path) -> tuple[str, str, str]:
    """Take METADATA out of a wheel and keep it; a wheel that cannot be read is served without.

    Returns:
        sha256 of the wheel, sha256 of its METADATA, and `requires-python`.
    """
    try:
        content, raw = wheel_metadata_bytes(store.file(sha256))
    except NotADistributionError:
        return sha256, "", ""
    scratch.write_bytes(content)
    return sha256, store.add_file(scratch), raw.get("requires_python", "")
