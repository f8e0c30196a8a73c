"""A compiler cache (ccache) for what is built again: one volume of the engine for each sdist on each base.

What a build may write, a later one trusts. So a volume is shared by nothing but builds of the very same sdist on the
same base, in the same wheelhouse: no package can put an object file into another's wheel, nor a release into the next
one's. What compiler, flags, headers and ABI an object file is made with, ccache itself hashes (its manual, "How ccache
works"); the compiler by content.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from builder.store.hashing import digest

LABEL = "wheelfarm.compiler-cache"
"""Label of a volume: the id of the farm that it belongs to."""
SDIST_LABEL = "wheelfarm.sdist"
"""Label of a volume: the sha256 of the sdist that it is for."""

PATH = "/opt/wheelfarm/compilers:$PATH"
"""Where compilers are looked for first: images/compiler.sh under each of their names."""

_FOLDER = "/var/cache/wheelfarm-compiler"
_NAME_DIGITS = 24  # of the hash in a volume's name: no two are alike, and a line of `docker volume ls` is not too long
SETTINGS = {
    "CCACHE_DIR": _FOLDER,
    "CCACHE_COMPILERCHECK": "content",
    "CCACHE_MAXSIZE": "2G",
    "CCACHE_NOCPP2": "1",  # what was preprocessed to be hashed is what is compiled: a first build costs no more
    "CCACHE_STATSLOG": "/wheelfarm-compiler-cache",  # images/limits.sh reads it
}
"""What ccache is told (ccache's manual, "Configuration options")."""
LIMIT_BYTES = 3 << 30
"""What a volume may have in it. ccache itself keeps to `CCACHE_MAXSIZE`, but for what it is just writing."""
_STATISTICS_LINE = re.compile(
    r"^wheelfarm-compiler-cache: hits=([0-9]{1,15}) misses=([0-9]{1,15})$", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CompilerCache:
    """What is kept between the builds of one sdist on one base.

    Attributes:
        base: the base.
        sdist_sha256: of the sdist.
        generation: which one of several that follow each other, as each is given up for a new, empty one.
    """

    base: str
    sdist_sha256: str
    generation: str = ""

    def volume(self, farm_id: str) -> str:
        """Return the name of the volume in a wheelhouse's farm, so that two wheelhouses share no cache."""
        parts = (farm_id, self.base, self.sdist_sha256, self.generation)
        return f"wheelfarm-{digest(*parts)[:_NAME_DIGITS]}"

    def arguments(self, farm_id: str) -> list[str]:
        """Return options of `docker create` that mount the cache's volume and tell ccache to use it.

        The engine creates the volume when it is first mounted.

        Args:
            farm_id: id of the wheelhouse's farm.
        """
        mount = ",".join(
            (
                f"type=volume,src={self.volume(farm_id)},dst={_FOLDER}",
                f"volume-label={LABEL}={farm_id}",
                f"volume-label={SDIST_LABEL}={self.sdist_sha256}",
            )
        )
        settings = [f"--env={variable}={value}" for variable, value in SETTINGS.items()]
        return [f"--mount={mount}", *settings]


def read_statistics(printed: str) -> Counter[str]:
    """Return how often a build found an object file in the cache (`hits`), and how often it did not (`misses`).

    `wheelfarm-compiler-cache: hits=3 misses=1` -> `Counter({"hits": 3, "misses": 1})`. The last such line counts; empty
    where there is none.

    Args:
        printed: what the build's container printed.
    """
    lines = _STATISTICS_LINE.findall(printed)
    if not lines:
        return Counter()

    hits, misses = lines[-1]
    return Counter({"hits": int(hits), "misses": int(misses)})
