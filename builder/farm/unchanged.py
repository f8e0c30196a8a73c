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

from builder import ROOT
from builder.config import catalog
from builder.config.values import NO_INPUTS
from builder.farm.application_files import hash_files
from builder.host import settings as host
from builder.index import CANARY_CHANNEL, SERVED_CHANNEL
from builder.store.hashing import digest, digest_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from builder.config.matrix import Matrix
    from builder.judge.application import JudgedApplication
    from builder.judge.package import JudgedPackage
    from builder.sources import Sources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store

_RUN_NOTE = "seal"
_PACKAGES_NOTE = "sealed packages"
_OUTPUT_FILES = ("verdicts.json", "report/index.html", f"{SERVED_CHANNEL}/.published")
"""Files that a whole run writes: as long as they are as it left them, nobody removed or changed its results."""
_CANARY_FILE = f"{CANARY_CHANNEL}/.published"
"""One more where the matrix has a rollout."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletedRun:
    """The last run of the whole matrix in which every job had a result.

    Attributes:
        of: hash of all inputs of the run.
        common: hash of the inputs that all packages share.
        newest: number of the newest piece of evidence when the run ended.
        run: id of the run.
        snapshot: id of the snapshot of the index that it published.
        left: size and time of modification of the files that it wrote, by path.
        jobs: number of its jobs.
        verdicts: how often each verdict occurs, counting each package once per ABI.
        applications: how often each verdict of an application occurs, counting each once per ABI and base.
    """

    of: str
    common: str
    newest: int
    run: str
    snapshot: str
    left: Mapping[str, Sequence[int]]
    jobs: int
    verdicts: Mapping[str, int]
    applications: Mapping[str, int]


_FIELDS = {field.name for field in fields(CompletedRun)}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunInputs:
    """Hashes of everything that decides the result of a run of the whole matrix.

    Attributes:
        common: hash of the inputs that all packages share.
        packages: hash of each package's own inputs (source or fault, settings, patches), in the matrix's order.
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
    """Hash everything that can change the result of a run of the whole matrix.

    Args:
        matrix: the packages, bases and ABIs.
        sources: the sources that were resolved for the matrix, and the faults of packages without one.
        patches: content of each package's patches, by name.
        effort: name of the effort level.
    """
    common_settings = matrix.model_dump(mode="json", exclude={**NO_INPUTS, "packages": True})
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

    # Wheels that were compiled for another machine's processor are built anew.
    machine = host.describe_processor()
    common = digest(farm_digest(), common_settings, effort, hash_files(matrix), machine)
    return RunInputs(common=common, packages=packages)


@cache
def farm_digest() -> str:
    """Hash the farm's own source files and image definitions, the version of cibuildwheel, and the CA bundle's path.

    The result is cached: the files are read once per process.
    """
    hasher = hashlib.sha256(f"{version('cibuildwheel')} {host.ca_bundle()}".encode())
    for folder in sorted({ROOT, catalog.images_dir()}):
        for path in sorted(folder.rglob("*")):
            is_source = path.is_file() and "__pycache__" not in path.parts
            if is_source:
                hasher.update(f"{path.relative_to(folder)}\0".encode())
                hasher.update(path.read_bytes())

    return hasher.hexdigest()


def record_run(
    store: Store,
    inputs: RunInputs,
    run: str,
    evidence: Mapping[JobId, Evidence],
    judged: Iterable[JudgedPackage],
    applications: Iterable[JudgedApplication] = (),
) -> None:
    """Record a finished run of the whole matrix, for `find_unchanged_run` and `changed_packages` to compare with.

    If a job of it was undetermined, or its outputs are incomplete, the record of the run before is deleted instead, so
    that the next run looks at everything.

    Args:
        store: the store of the wheelhouse.
        inputs: hashes of the run's inputs.
        run: id of the run.
        evidence: results of all its jobs, by job id.
        judged: packages with their verdicts.
        applications: applications with theirs.
    """
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
        applications=dict(Counter(item.verdict.value for item in applications)),
    )
    files: set[str] = set()
    for recorded in evidence.values():
        files.update(recorded.files.values())
    content = {"seal": asdict(completed), "files": "\n".join(sorted(files))}
    store.set_note(_RUN_NOTE, json.dumps(content))
    packages = {"of": completed.of, "packages": dict(inputs.packages)}
    store.set_note(_PACKAGES_NOTE, json.dumps(packages))


def record_promotion(store: Store) -> None:
    """Let the record of the last whole run name the index as it is now: a promotion changes none of its inputs."""
    content = _read_record(store)
    stamps = _stamp_outputs(store)
    if not content or stamps is None:
        return

    content["seal"] |= {"snapshot": store.publications.current_snapshot(), "left": stamps}
    store.set_note(_RUN_NOTE, json.dumps(content))


def find_unchanged_run(store: Store, inputs: RunInputs) -> CompletedRun | None:
    """Return the last whole run if it had the same inputs and all its results are still there; otherwise None."""
    content = _read_record(store)
    if content.get("seal", {}).get("of") != inputs.fingerprint:
        return None

    completed = CompletedRun(**content["seal"])
    # A run of only some packages may have recorded other evidence since.
    if completed.newest != store.retention.last_evidence_number():
        return None
    # The index may have been rolled back.
    if completed.snapshot != store.publications.current_snapshot():
        return None
    # Somebody may have removed or changed a file that it wrote.
    if completed.left != _stamp_outputs(store):
        return None

    # Somebody may have removed a file from the store.
    if not _has_files(content, store):
        return None

    return completed


def changed_packages(store: Store, inputs: RunInputs) -> frozenset[str] | None:
    """Return the packages whose own inputs differ from those of the last whole run.

    For every other package, and for the inputs that all share, the recorded evidence is complete. None means that this
    cannot be said: there is no such run, the shared inputs changed, or evidence was recorded or files were removed
    since.
    """
    content = _read_record(store)
    completed = content.get("seal", {})
    # There is no earlier run (`completed` is empty), or what all packages share, such as the settings, has changed.
    if completed.get("common") != inputs.common:
        return None
    # A run of only some packages may have recorded other evidence since.
    if completed["newest"] != store.retention.last_evidence_number():
        return None

    # The digests of the packages are a note of their own, which may be missing or belong to another run.
    recorded_packages = json.loads(store.get_note(_PACKAGES_NOTE) or "{}")
    is_same_run = recorded_packages.get("of") == completed["of"]
    if not is_same_run or not _has_files(content, store):
        return None

    # A package that the earlier run did not have has no digest there, and so counts as changed.
    recorded_digests = recorded_packages["packages"]
    changed: set[str] = set()
    for name, input_digest in inputs.packages.items():
        if recorded_digests.get(name) != input_digest:
            changed.add(name)

    return frozenset(changed)


def _read_record(store: Store) -> dict[str, Any]:
    """Return the record of the last whole run; empty if there is none that this version of wheelfarm can read."""
    text = store.get_note(_RUN_NOTE)
    if text is None:
        return {}

    content: dict[str, Any] = json.loads(text)
    # Another version of wheelfarm may have written it, with other fields.
    is_known = content.get("seal", {}).keys() == _FIELDS
    return content if is_known else {}


def _has_files(content: Mapping[str, Any], store: Store) -> bool:
    """Return whether the store still has every file that the evidence of the recorded run names."""
    return store.all_files().issuperset(content["files"].split())


def _count_verdicts(judged: Iterable[JudgedPackage]) -> dict[str, int]:
    """Return how often each verdict occurs, counting each package once per ABI."""
    counts: Counter[str] = Counter()
    for package in judged:
        counts.update(judgement.verdict.value for judgement in package.abis.values())

    return dict(counts)


def _stamp_outputs(store: Store) -> dict[str, list[int]] | None:
    """Return [size, time of modification in ns] of every file that a whole run writes; None if one is missing."""
    names = list(_OUTPUT_FILES)
    if (store.wheelhouse / _CANARY_FILE).exists():
        names.append(_CANARY_FILE)

    stamps = {}
    for name in names:
        try:
            status = (store.wheelhouse / name).stat()
        except OSError:
            return None
        stamps[name] = [status.st_size, status.st_mtime_ns]

    return stamps
