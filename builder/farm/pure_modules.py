"""Which pure packages of a run bring a module that an import did not find: advice looks for it there."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from builder.distributions.members import DAMAGE
from builder.evidence.base import EvidenceError
from builder.evidence.load import LoadFacts
from builder.store.job_ids import JobKind
from builder.untrusted.zips import open_zip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from builder.sources import Pure, Sources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store


def find_pure_modules(
    sources: Sources, evidence: Mapping[JobId, Evidence], store: Store
) -> dict[str, tuple[str, ...]]:
    """Return which pure packages bring a module, by the first part of its name; see `find_missing` for which modules.

    Nothing is read where no import lacks a module.

    Args:
        sources: the packages of the run, with the pure wheels that they need.
        evidence: of the run's jobs.
        store: has the wheels.
    """
    missing = find_missing(evidence)
    if not missing:
        return {}

    bringers: dict[str, dict[str, None]] = {}
    for wheel in _iter_pure(sources):
        for module in missing & _list_tops(store.file(wheel.sha256)):
            bringers.setdefault(module, {})[wheel.name] = None

    return {module: tuple(sorted(names)) for module, names in bringers.items()}


def find_missing(evidence: Mapping[JobId, Evidence]) -> set[str]:
    """Return the first parts of the names of modules that could not be found when a package was imported.

    Evidence that cannot be read is skipped: the judgement of its package says so.
    """
    missing: set[str] = set()
    for job, recorded in evidence.items():
        if job.kind != JobKind.LOAD or not recorded.is_determined:
            continue
        try:
            loads = LoadFacts.read(recorded).loads
        except EvidenceError:
            continue
        for load in loads.values():
            missing.update((probe.missing or "").partition(".")[0] for probe in load.modules)

    return missing - {""}


def _iter_pure(sources: Sources) -> Iterator[Pure]:
    """Iterate over the pure wheels of a run, each file once."""
    seen: set[str] = set()
    for source in sources.found.values():
        wheels = [*source.pure]
        if source.only_pure is not None:
            wheels.append(source.only_pure)
        for wheel in wheels:
            if wheel.sha256 not in seen:
                seen.add(wheel.sha256)
                yield wheel


def _list_tops(wheel: Path) -> set[str]:
    """Return the first parts of the names of what a wheel has at its top; nothing of a file that cannot be read."""
    try:
        with open_zip(wheel) as archive:
            names = archive.namelist()
    except (*DAMAGE, zipfile.LargeZipFile):
        return set()

    return {name.partition("/")[0].removesuffix(".py") for name in names}
