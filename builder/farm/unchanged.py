"""Whether anything at all changed since the last whole run: then there is nothing to look up, to judge or to write.

The seal of a run is a hash of everything its keys, verdicts and pages go by: matrix, sources, patches, effort and the
farm's own files. It is set once all of that is published, and only where every job found out what it was asked. With it
go the hashes of single packages, so that a plan has to look at nothing but what changed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import version
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
    from builder.store.job_ids import JobId
    from builder.store.store import Store

_RUN_NOTE = "seal"
_PACKAGES_NOTE = "sealed packages"
_OUTPUT_FILES = ("verdicts.json", "report/index.html", f"{SERVED_CHANNEL}/.published")
"""Files that a whole run writes: as long as they are as it left them, nobody removed or changed its results."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletedRun:
    """The last whole run, in which every job was determined.

    Attributes:
        of: hash of everything the run went by.
        common: hash of what all packages go by.
        newest: number of the last piece of evidence when it ended.
        run: its id.
        snapshot: what it published.
        left: size and time of the files it wrote, by path.
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
    """Hash everything that can change the result of a whole run.

    Args:
        matrix: the matrix.
        sources: what was resolved for it.
        patches: content of each package's patches, by name.
        effort: name of the effort level.
    """
    common = matrix.model_dump(mode="json", exclude={"root", "packages"})
    names = dict.fromkeys([*matrix.packages, *sources.found, *sources.faults])
    packages = {}
    for name in names:
        source = sources.found.get(name) or sources.faults.get(name)
        settings = matrix.packages.get(name)
        settings_text = None
        if settings is not None:
            settings_text = settings.model_dump_json(exclude_defaults=True)
        # `repr` names every field of a source, at a fraction of what JSON takes.
        packages[name] = digest_text(f"{source!r} {settings_text} {patches.get(name)!r}")

    return RunInputs(common=digest(farm_digest(), common, effort), packages=packages)


@cache
def farm_digest() -> str:
    """Hash the farm's own files, the version of cibuildwheel, and the CA bundle's path."""
    total = hashlib.sha256(f"{version('cibuildwheel')} {host.ca_bundle()}".encode())
    for folder in sorted({ROOT, catalog.images_dir()}):
        for path in sorted(folder.rglob("*")):
            is_source = path.is_file() and "__pycache__" not in path.parts
            if is_source:
                total.update(f"{path.relative_to(folder)}\0".encode())
                total.update(path.read_bytes())

    return total.hexdigest()


def record_run(
    store: Store,
    inputs: RunInputs,
    run: str,
    evidence: Mapping[JobId, Evidence],
    judged: Iterable[JudgedPackage],
) -> None:
    """Remember a whole run that is published and written; forget the last one if a job of this was undetermined."""
    snapshot = store.publications.current_snapshot()
    stamps = _stamp_outputs(store)
    is_determined = all(recorded.is_determined for recorded in evidence.values())
    if snapshot is None or stamps is None or not is_determined:
        store.delete_note(_RUN_NOTE)
        return

    completed = CompletedRun(
        of=inputs.fingerprint,
        common=inputs.common,
        newest=store.retention.last_evidence_number(),
        run=run,
        snapshot=snapshot,
        left=stamps,
        jobs=len(evidence),
        verdicts=_count_verdicts(judged),
    )
    files: set[str] = set()
    for recorded in evidence.values():
        files.update(recorded.files.values())
    content = {"seal": asdict(completed), "files": "\n".join(sorted(files))}
    store.set_note(_RUN_NOTE, json.dumps(content))
    packages = {"of": completed.of, "packages": dict(inputs.packages)}
    store.set_note(_PACKAGES_NOTE, json.dumps(packages))


def find_unchanged_run(store: Store, inputs: RunInputs) -> CompletedRun | None:
    """Return the last whole run, if its inputs were the very same and everything it wrote is still there."""
    content = _read_record(store)
    if content.get("seal", {}).get("of") != inputs.fingerprint:
        return None

    completed = CompletedRun(**content["seal"])
    # A run of a part may have recorded something since.
    if completed.newest != store.retention.last_evidence_number():
        return None
    # The index may have been rolled back.
    if completed.snapshot != store.publications.current_snapshot():
        return None
    if completed.left != _stamp_outputs(store):
        return None

    return completed if _has_files(content, store) else None


def changed_packages(store: Store, inputs: RunInputs) -> frozenset[str] | None:
    """Return the packages whose inputs differ from those of the last whole run; None where that cannot be said.

    All evidence about the others, and about what is common to all of them, is there.
    """
    content = _read_record(store)
    completed = content.get("seal", {})
    if completed.get("common") != inputs.common:
        return None
    if completed["newest"] != store.retention.last_evidence_number():
        return None

    before = json.loads(store.get_note(_PACKAGES_NOTE) or "{}")
    if before.get("of") != completed["of"] or not _has_files(content, store):
        return None

    return frozenset(
        name for name, digest in inputs.packages.items() if before["packages"].get(name) != digest
    )


def _read_record(store: Store) -> dict[str, Any]:
    text = store.get_note(_RUN_NOTE)
    if text is None:
        return {}

    content: dict[str, Any] = json.loads(text)
    # Another version of wheelfarm may have written it, with other fields.
    is_known = content.get("seal", {}).keys() == _FIELDS
    return content if is_known else {}


def _has_files(content: Mapping[str, Any], store: Store) -> bool:
    return store.all_files().issuperset(content["files"].split())


def _count_verdicts(judged: Iterable[JudgedPackage]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for package in judged:
        counts.update(judgement.verdict.value for judgement in package.abis.values())

    return dict(counts)


def _stamp_outputs(store: Store) -> dict[str, list[int]] | None:
    """Return size and time of modification (ns) of every file a run writes; None where one is missing."""
    stamps = {}
    for name in _OUTPUT_FILES:
        try:
            status = (store.wheelhouse / name).stat()
        except OSError:
            return None
        stamps[name] = [status.st_size, status.st_mtime_ns]

    return stamps
