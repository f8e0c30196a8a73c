"""What the projects of a run say themselves of threads, from the store's record where it was read before."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from builder.distributions.thread_statements import (
    ThreadStatement,
    read_sdist_statement,
    read_wheel_statement,
)
from builder.sources.model import Source, Sources, statement_from_record

if TYPE_CHECKING:
    from builder.store.store import Store

_READER = 1
"""Which reader a record is of: a new one reads everything again, which takes a tenth of a second for an sdist."""


def add_statements(sources: Sources, store: Store) -> Sources:
    """Return the sources with what each project says of threads, by its sdist or, without one, a wheel of upstream's.

    What is known already stays, as that of another machine's shard. Packages without native code are left out: how
    these do under threads is not measured.

    This is not part of what is resolved: nothing that runs depends on it, and so no job's key.

    Args:
        sources: the packages of a run.
        store: has the files, and remembers what they say.
    """
    found: dict[str, Source] = {}
    for name, source in sources.found.items():
        is_wanted = source.statement is None and source.only_pure is None
        try:
            found[name] = _add_statement(source, store) if is_wanted else source
        except Exception:  # nothing that one project writes may end the run of all others, so late
            found[name] = source

    return replace(sources, found=found)


def _add_statement(source: Source, store: Store) -> Source:
    """Return a source with what its file says; as it is where it has none in the store."""
    sha256 = source.sha256
    if not sha256 and source.wheels:
        sha256 = source.wheels[0].sha256
    if not sha256 or not store.file(sha256).exists():
        return source

    query = f"thread-statement:{_READER}:{sha256}"
    recorded = store.get_resolution(query, None)
    if recorded is not None:
        return replace(source, statement=statement_from_record(recorded))

    statement = _read_statement(source, store)
    store.record_resolution(query, asdict(statement))
    return replace(source, statement=statement)


def _read_statement(source: Source, store: Store) -> ThreadStatement:
    if source.sha256:
        return read_sdist_statement(store.file(source.sha256), source.filename)
    return read_wheel_statement(store.file(source.wheels[0].sha256))
