"""What is on record of a build's compiler cache: which volume it is, and what everything in it was built with.

A build requirement is code of others, and it can write into the compiler cache of the build that installs it: object
files, even settings by which a compiler runs a program. What a requirement left there must not reach a build that no
longer installs it. So a cache is for builds with the very same requirements, by hash. These are known only when a build
has ended: a build whose cache proves to be another's is made again, with an empty one.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from builder.engine.compiler_cache import CompilerCache
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.proxy.cache import FetchedFile
    from builder.proxy.crates import FetchedCrate
    from builder.proxy.toolchains import ToolchainFile
    from builder.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheRecord:
    """What is on record of the compiler cache of one sdist on one base.

    Attributes:
        generation: names the volume; each time that a cache is emptied it is another one.
        made_with: hash of what all builds that used it were made with; None while one uses it. It stays None where that
            one is cut off, so that nobody knows any more.
    """

    generation: str
    made_with: str | None = None


def hash_requirements(
    fetched: Iterable[FetchedFile | FetchedCrate | ToolchainFile],
    own_wheels: object,
    processor: str = "",
) -> str:
    """Return a hash of everything of others that a build was made with.

    Args:
        fetched: the files that it fetched from the index, crates, and a Rust toolchain.
        own_wheels: hashes of the farm's own wheels that it was built with.
        processor: the one that it was compiled for; empty where that is any.
    """
    files = sorted({(file.filename, file.sha256) for file in fetched})
    if not processor:
        return digest(files, own_wheels)

    return digest(files, own_wheels, processor)


class BuildCache:
    """The compiler cache of one build job, with what is on record of it."""

    def __init__(self, base: str, sdist_sha256: str, store: Store) -> None:
        """Take the cache that is on record, or a new one where there is none that may be used.

        Args:
            base: what the build is for.
            sdist_sha256: what is built.
            store: has the record.
        """
        self._base = base
        self._sdist_sha256 = sdist_sha256
        self._store = store
        self._note = f"compiler cache of {sdist_sha256} on {base}"
        self._replaced: CompilerCache | None = None
        self._made_with: str | None = None

        recorded = self._read()
        if recorded is not None and recorded.made_with is not None:
            self._generation = recorded.generation
            self._made_with = recorded.made_with
            self._write(None)
            return

        if recorded is not None:
            self._replaced = self._make_cache(recorded.generation)
        self._begin()

    @property
    def cache(self) -> CompilerCache:
        """The cache to build with."""
        return self._make_cache(self._generation)

    def take_replaced(self) -> CompilerCache | None:
        """Return the cache that was replaced and can be removed, once; None where none was."""
        replaced, self._replaced = self._replaced, None
        return replaced

    def fits(self, made_with: str) -> bool:
        """Return whether all that is in the cache was built with the same as the build that has now used it."""
        return self._made_with in {None, made_with}

    def renew(self) -> None:
        """Begin a new, empty cache in the place of this one."""
        self._replaced = self.cache
        self._begin()

    def confirm(self, made_with: str) -> None:
        """Record what the build that has used the cache was made with; the next one that is made so may use it."""
        self._write(made_with)

    def _begin(self) -> None:
        """Record a new cache, before anything is written to it."""
        self._generation = uuid.uuid4().hex
        self._made_with = None
        self._write(None)

    def _make_cache(self, generation: str) -> CompilerCache:
        return CompilerCache(
            base=self._base, sdist_sha256=self._sdist_sha256, generation=generation
        )

    def _read(self) -> CacheRecord | None:
        text = self._store.get_note(self._note)
        return None if text is None else CacheRecord(**json.loads(text))

    def _write(self, made_with: str | None) -> None:
        record = CacheRecord(generation=self._generation, made_with=made_with)
        self._store.set_note(self._note, json.dumps(asdict(record)))
