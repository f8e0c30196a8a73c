"""What an earlier run resolved: the key that it is recorded under, the record, and whether it can be used again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder.sources.model import Fault, Source, Sources
from builder.sources.patches import read_patch_texts
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.version import Version

    from builder.config.matrix import Matrix
    from builder.store.store import Store


def resolution_key(
    matrix: Matrix, names: Iterable[str], urls: Iterable[str], python: Version
) -> str:
    """Return the key that a resolution is recorded under.

    It depends on everything that a resolution depends on, except the time and the content of the index.
    """
    asked = matrix.model_dump(mode="json", include={"packages": True, "farm": {"cool_down"}})
    # Which of upstream's wheels are taken depends on where they are to run.
    wheels = (matrix.farm.take_from, matrix.abis, matrix.bases)
    patches = {
        name: read_patch_texts(matrix, package)
        for name, package in matrix.packages.items()
        if package.patches
    }
    return digest("sources 9", asked, wheels, patches, list(names), list(urls), str(python))


def make_record(sources: Sources) -> dict[str, Any]:
    """Return sources and faults as JSON data, for `read_recorded`."""
    return {
        "found": {name: source.record() for name, source in sources.found.items()},
        "faults": {
            name: [fault.code, fault.detail, fault.version]
            for name, fault in sources.faults.items()
        },
    }


def read_recorded(answer: object, matrix: Matrix, store: Store) -> Sources | None:
    """Return the sources and faults of a recorded answer, or None where it cannot be used.

    It cannot be used if there is none, a file that it names is gone from the store, or a local sdist may have changed.
    """
    if not isinstance(answer, dict):
        return None

    found = {name: Source.from_record(record) for name, record in answer["found"].items()}
    for source in found.values():
        if not _has_files(source, store) or _has_changed(source, matrix, store):
            return None

    faults: dict[str, Fault] = {}
    for name, (code, detail, version) in answer["faults"].items():
        if name in matrix.packages and matrix.packages[name].sdist:
            return None  # a local file may be mended at any moment
        faults[name] = Fault(name=name, code=code, detail=detail, version=version)

    return Sources(found=found, faults=faults)


def _has_files(source: Source, store: Store) -> bool:
    """Return whether the store still has the files of a source: its sdist, its wheels, and the pure ones it needs.

    A package that is only a pure wheel has no sdist, and one whose wheels are upstream's perhaps none.
    """
    hashes = [pure.sha256 for pure in source.pure]
    hashes += [wheel.sha256 for wheel in source.wheels]
    if source.only_pure is None and source.sha256:
        hashes.append(source.sha256)
    return all(store.file(sha256).exists() for sha256 in hashes)


def _has_changed(source: Source, matrix: Matrix, store: Store) -> bool:
    """Return whether the local sdist of a source has another hash now; False for sources from the index."""
    if source.kind != "local":
        return False

    path = matrix.root / (matrix.packages[source.name].sdist or "")
    return store.add_file(path) != source.sha256


def add_recorded(sources: Sources, recorded: Sources, silent: Iterable[str]) -> Sources:
    """Return sources with the recorded ones of those packages that the index was silent about, and what these need."""
    found = dict(sources.found)
    faults = dict(sources.faults)

    pending = list(silent)
    while pending:
        name = pending.pop()
        if name in found or name not in recorded.found:
            continue
        found[name] = recorded.found[name]
        faults.pop(name, None)
        pending += recorded.found[name].needs

    return Sources(found=found, faults=faults)
