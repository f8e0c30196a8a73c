"""The compiler cache: what shares one, and what a build says of its use."""

from __future__ import annotations

from itertools import combinations, product

from builder.engine import compiler_cache
from builder.engine.compiler_cache import CompilerCache


def test_nothing_but_the_same_sdist_on_the_same_base_in_the_same_wheelhouse_shares_a_cache():
    mounts = [
        CompilerCache(base=base, sdist_sha256=sdist, generation=generation).arguments(farm)[0]
        for base, sdist, farm, generation in product(
            ("debian-12", "ubuntu-24.04"), ("0" * 64, "1" * 64), ("one", "other"), ("", "next")
        )
    ]

    sources = [
        dict(part.split("=", 1) for part in mount.removeprefix("--mount=").split(","))["src"]
        for mount in mounts
    ]
    assert all(one != other for one, other in combinations(sources, 2))
    assert sources[0] in CompilerCache(base="debian-12", sdist_sha256="0" * 64).arguments("one")[0]


def test_the_last_count_of_a_build_is_read():
    printed = """
gcc -c one.c
wheelfarm-compiler-cache: hits=900 misses=900
a package may print what it likes; the container speaks last
wheelfarm-limits: processes-refused=0 memory-kills=0 memory-peak-bytes=1
wheelfarm-compiler-cache: hits=3 misses=1
"""

    assert compiler_cache.read_statistics(printed) == {"hits": 3, "misses": 1}
    assert compiler_cache.read_statistics("gcc -c one.c") == {}
