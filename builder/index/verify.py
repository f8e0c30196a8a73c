"""Whether a file may be in the index: what its entry says of it is so, and it is a wheel of the project that lists it.

Evidence may be wrong about a file, the store may be damaged, and a snapshot may be older than a rule. So the content
is looked at whenever it is published under a name, and before it is uploaded.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from builder.distributions.identity import explain_file_mismatch
from builder.store.files import file_sha256
from builder.untrusted.names import UntrustedNameError, parse_sha256, parse_wheel_name

if TYPE_CHECKING:
    from builder.index.manifest import Entry
    from builder.store.store import Store


def explain_unfit(project: str, entry: Entry, store: Store) -> str:
    """Return why a file must not be in the index, in a sentence; empty where it may.

    Args:
        project: the project that lists it, by its normalized name.
        entry: the file.
        store: has its content, and that of its METADATA.
    """
    try:
        parse_wheel_name(entry.filename)
        hashes = [parse_sha256(entry.sha256)]
        if entry.metadata:
            hashes.append(parse_sha256(entry.metadata))
    except UntrustedNameError as error:
        return str(error)

    for sha256 in hashes:
        if not _is_intact(sha256, store):
            return "the store's file is missing or damaged; `wheelfarm run` builds it again"

    _, version, _, _ = parse_wheel_filename(entry.filename)
    return explain_file_mismatch(project, str(version), entry.filename, store.file(entry.sha256))


def _is_intact(sha256: str, store: Store) -> bool:
    """Return whether the store has a regular file, and no link to one, with the content that its name states."""
    path = store.file(sha256)
    try:
        is_regular = stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False

    return is_regular and file_sha256(path) == sha256
