"""Whether anything at all changed since the last whole run: then there is nothing to look up, to judge or to write.

The seal of a run is a hash of everything its keys, verdicts and pages go by: matrix, sources, patches, effort and the
farm's own files. It is set once all of that is published, and only where every job found out what it was asked. With it
go the hashes of single packages, so that a plan has to look at nothing but what changed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder import ROOT, host
from builder.config import catalog
from builder.index import SERVED_CHANNEL
from builder.store.hashing import digest, digest_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from builder.config.matrix import Matrix
    from builder.judge.package import JudgedPackage
    from builder.sources import Sources
    from builder.store.evidence import Evidence
    from builder.store.store import Store

_NAME = "seal"
_PACKAGES = "sealed packages"
_OUTPUT_FILES = ("verdicts.json", "report/index.html", f"{SERVED_CHANNEL}/.published")
"""Files a whole run leaves, by which it is told that nobody removed its results."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletedRun:
    """What a whole run left.

    Attributes:
        of: hash of everything the run went by.
        common: hash of what all packages go by.
        newest: the last piece of evidence recorded when it was set.
        run: its id.
        snapshot: what it published.
        left: size and time of the files it left, by path.
        jobs: how many jobs it had.
        verdicts: how many packages have each verdict on some ABI.
    """

    of: str
    common: str
    newest: int
    run: str
    snapshot: str
    left: Mapping[str, Sequence[int]]
    jobs: int
    verdicts: Mapping[str, int]


_FIELDS = {field.name for field in fields(CompletedRun)}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunInputs:
    """What a whole run goes by.

    Attributes:
        common: hash of what all packages go by.
        packages: hash of what each goes by besides: source or fault, settings, patches; in the matrix's order.
    """

    common: str
    packages: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Hash of all of it."""
        return digest(self.common, list(self.packages.items()))


def fingerprint_inputs(
    matrix: Matrix, sources: Sources, patches: Mapping[str, tuple[str, ...]], effort: str
) -> RunInputs:
    """Hash everything a whole run goes by."""
    rest = matrix.model_dump(mode="json", exclude={"root", "packages"})
    names = dict.fromkeys([*matrix.packages, *sources.found, *sources.faults])

    def own(name: str) -> str:
        source, settings = (
            sources.found.get(name) or sources.faults.get(name),
            matrix.packages.get(name),
        )
        # `repr` names every field of a source, at a fraction of what JSON takes.
        return f"{source!r} {settings and settings.model_dump_json(exclude_defaults=True)} {patches.get(name)!r}"

    return RunInputs(
        common=digest(farm_digest(), rest, effort),
        packages={name: digest_text(own(name)) for name in names},
    )


@cache
def farm_digest() -> str:
    """Hash the farm's own files, and what else it is made of."""
    total = hashlib.sha256(f"{version('cibuildwheel')} {host.ca_bundle()}".encode())
    folders = {ROOT, catalog.images_dir()}
    for folder in sorted(folders):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(folder)}\0".encode())
                total.update(path.read_bytes())
    return total.hexdigest()


def record_run(
    store: Store,
    ground: RunInputs,
    run: str,
    evidence: Mapping[str, Evidence],
    judged: Iterable[JudgedPackage],
) -> None:
    """Seal a run that is published and written, if it left nothing untold."""
    verdicts: dict[str, int] = {}
    for package in judged:
        for judgement in package.abis.values():
            verdicts[judgement.verdict.value] = verdicts.get(judgement.verdict.value, 0) + 1
    left = {name: _file_stamp(store.wheelhouse / name) for name in _OUTPUT_FILES}
    snapshot = store.current_snapshot()
    if (
        snapshot is None
        or None in left.values()
        or not all(one.is_determined for one in evidence.values())
    ):
        store.delete_note(_NAME)
        return
    seal = CompletedRun(
        of=ground.fingerprint, common=ground.common, newest=store.last_evidence_number(), run=run, snapshot=snapshot,
        left={name: stamp for name, stamp in left.items() if stamp is not None}, jobs=len(evidence), verdicts=verdicts,
    )  # fmt: skip
    files = sorted({sha256 for one in evidence.values() for sha256 in one.files.values()})
    store.set_note(_NAME, json.dumps({"seal": asdict(seal), "files": "\n".join(files)}))
    store.set_note(_PACKAGES, json.dumps({"of": seal.of, "packages": dict(ground.packages)}))


def find_unchanged_run(store: Store, ground: RunInputs) -> CompletedRun | None:
    """Return the seal of the last whole run, if it went by the very same and everything it left is still there."""
    content = _read_record(store)
    if content.get("seal", {}).get("of") != ground.fingerprint:
        return None
    seal = CompletedRun(**content["seal"])
    if seal.newest != store.last_evidence_number():
        return None  # a run of a part found out something since
    if seal.snapshot != store.current_snapshot():
        return None  # the index was returned to an earlier state
    if any(_file_stamp(store.wheelhouse / name) != stamp for name, stamp in seal.left.items()):
        return None
    return seal if _has_files(content, store) else None


def changed_packages(store: Store, ground: RunInputs) -> frozenset[str] | None:
    """Return the packages that do not go by what the last whole run did, or None where that says nothing.

    All evidence about the others, and about what all of them go by, is there.
    """
    content = _read_record(store)
    seal = content.get("seal", {})
    if seal.get("common") != ground.common or seal["newest"] != store.last_evidence_number():
        return None
    before = json.loads(store.get_note(_PACKAGES) or "{}")
    if before.get("of") != seal["of"] or not _has_files(content, store):
        return None
    return frozenset(
        name for name, one in ground.packages.items() if before["packages"].get(name) != one
    )


def _read_record(store: Store) -> dict[str, Any]:
    text = store.get_note(_NAME)
    content: dict[str, Any] = json.loads(text) if text else {}
    return (
        content if content.get("seal", {}).keys() == _FIELDS else {}
    )  # another farm may have written it


def _has_files(content: Mapping[str, Any], store: Store) -> bool:
    return store.all_files().issuperset(content["files"].split())


def _file_stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
