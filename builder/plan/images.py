"""The jobs that make images: bases, interpreters, and what is built, imported and measured in. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.jobs.images.base import BaseImage
from builder.jobs.images.ids import COMPARISON_INTERPRETERS, INTERPRETERS
from builder.jobs.images.interpreters import InterpretersImage
from builder.jobs.images.measure import MeasureImage
from builder.jobs.images.proxy import IndexImage
from builder.jobs.images.python import BuilderImage, VerifyImage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.config.catalog import Abi, Catalog, Comparison
    from builder.jobs.job import Job


def image_jobs(
    bases: tuple[str, ...], build_on: tuple[str, ...], catalog: Catalog, abis: tuple[Abi, ...]
) -> Iterator[Job]:
    """Iterate over the jobs that make images, each after those it needs.

    Images with the system packages of a package are not among them: graph.py plans those.

    Args:
        bases: names of the bases (releases of Debian or Ubuntu) that wheels are imported on. The interpreters are
            compiled on the oldest of them.
        build_on: names of the bases that wheels are built on; empty where nothing is built.
        catalog: bases and interpreters.
        abis: the ABIs, each of which stands for one interpreter.
    """
    oldest = catalog.oldest(bases).name
    releases = {abi.release: catalog.releases[abi.release] for abi in abis}

    for name in bases:
        base = catalog.bases[name]
        yield BaseImage(base=base, distribution=catalog.distributions[base.distribution])
    yield InterpretersImage(base=oldest, interpreters=abis, releases=releases)

    for name in build_on:
        yield BuilderImage(base=catalog.bases[name])
    for name in bases:
        yield VerifyImage(base=catalog.bases[name])

    if build_on:
        yield IndexImage(base=oldest, abi=abis[0])


def measure_image_jobs(
    base: str, comparisons: tuple[Comparison, ...], catalog: Catalog
) -> Iterator[Job]:
    """Iterate over the jobs that make the image to measure in, besides those of `image_jobs`, which they need.

    Args:
        base: name of the base that is measured on; the interpreters to compare with are compiled on it.
        comparisons: what is compared with; where there are none, none are compiled.
        catalog: bases and interpreters.
    """
    if not comparisons:
        yield MeasureImage(base=base, interpreters=INTERPRETERS)
        return

    packages: set[str] = set()
    for comparison in comparisons:
        packages.update(comparison.packages)

    yield InterpretersImage(
        id=COMPARISON_INTERPRETERS,
        base=base,
        interpreters=comparisons,
        releases=catalog.releases,
        packages=tuple(sorted(packages)),
    )
    yield MeasureImage(base=base)
