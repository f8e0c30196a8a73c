"""Merging the wheelhouses of a run's shards into one store. Each shard leaves `shard.json` in its wheelhouse.

A shard is believed about its own packages and about nothing else: it ran hostile code on another machine. All of it is
read and checked first, beside the store; only when nothing was refused is any of it taken in. Images are never taken
in: this machine makes them, or has them in its engine (docs/decisions/0010-shards-bring-their-evidence.md).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from builder import sources as package_sources
from builder.config import catalog
from builder.config.effort import EFFORTS
from builder.config.matrix import Package
from builder.distributions.identity import explain_file_mismatch, explain_mismatch
from builder.distributions.tags import accepts_wheel
from builder.errors import MergeError
from builder.evidence.base import MalformedFactsError, UndeterminedFacts
from builder.evidence.kinds import MODELS, schema_version
from builder.farm.shard_lock import LOCK_LIMIT_BYTES, parse_lock
from builder.farm.shard_record import (
    RECORD_FILE,
    EvidenceRecord,
    ShardRecord,
    matrix_digest,
    read_record,
    write_record,
)
from builder.jobs.images.ids import ORDER_ONLY
from builder.plan import graph, shards
from builder.plan.graph import Plan
from builder.proxy.cache import FetchedFile, IndexCache
from builder.sources import Fault, Source, Sources
from builder.store.evidence import JobOutcome
from builder.store.job_ids import JobId, JobKind
from builder.untrusted.folder import MissingFileError, UnfitFileError, UntrustedFolder
from builder.untrusted.text import UnfitJsonError, clean_json, parse_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from builder.config.matrix import Matrix
    from builder.sources import Pure
    from builder.store.evidence import Evidence
    from builder.store.store import Store

__all__ = ["RECORD_FILE", "MergedShards", "matrix_digest", "merge_shards", "write_record"]

_FILE_LIMIT_BYTES = 4 << 30
"""Of a wheel, an sdist or a file of the index: what an sdist may unpack to. The largest wheels have 1 GiB."""

_LOG_LIMIT_BYTES = 256 << 20
"""Of a log: a build has several calls of cibuildwheel, each of which may write 64 MiB."""

_ASKED_LIMIT = 64 << 10
"""Characters of the hashes of what a job was asked with; a job has less than 2 KiB."""

_LOG_NAME = re.compile(r"(?P<name>.+)\.(?P<key>[0-9a-f]{8})\.log")

_RERUN = "run the shard again, with this wheelfarm and on a machine that you trust"


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedShards:
    """Sources and evidence of all shards, as if one run had found them.

    Attributes:
        sources: the sources of all packages, and the faults of packages without one.
        evidence: the result of every job, by job id.
    """

    sources: Sources
    evidence: Mapping[JobId, Evidence]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shard:
    """One shard, as it was read.

    Attributes:
        folder: its wheelhouse.
        record: its record.
        sources: what it says of its packages' sources.
        evidence: what it recorded, by job; that of images among it, which says with what the others were made.
    """

    folder: UntrustedFolder
    record: ShardRecord
    sources: Sources
    evidence: Mapping[JobId, EvidenceRecord]

    def refuse(self, reason: str, remedy: str = _RERUN) -> MergeError:
        """Return the error that refuses the shard."""
        return MergeError(self.folder.path, f"{reason}; {remedy}")


@dataclass(kw_only=True, slots=True)
class _Intake:
    """What of the shards is to be taken in: nothing of it is in the store yet.

    Attributes:
        scratch: folder for copies of what comes in, on the store's file system.
        files: copies that go into the store, by sha256.
        index_files: copies that go into the index cache, by sha256.
        logs: copies of logs, by path below the wheelhouse.
        locks: which files of the index a job fetched.
        evidence: by job.
        keys: the evidence under each key, with the shard that has it.
    """

    scratch: Path
    files: dict[str, Path] = field(default_factory=dict)
    index_files: dict[str, Path] = field(default_factory=dict)
    logs: dict[str, Path] = field(default_factory=dict)
    locks: dict[JobId, list[FetchedFile]] = field(default_factory=dict)
    evidence: dict[JobId, Evidence] = field(default_factory=dict)
    keys: dict[str, EvidenceRecord] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def next_path(self) -> Path:
        """Return a path for one more copy."""
        return self.scratch / str(next(self._numbers))


def merge_shards(wheelhouses: Iterable[Path], matrix: Matrix, store: Store) -> MergedShards:
    """Copy the evidence, files and logs of all shards of a run into one store: all of it, or nothing.

    Args:
        wheelhouses: folders of the shards' results, in any order.
        matrix: the whole matrix, of which each shard is a part.
        store: the store to copy into; the caller holds its lock.

    Returns:
        The sources and evidence of all shards; both are empty if no folder is given.

    Raises:
        MergeError: a shard is missing, damaged, was run with another matrix, or has something that is not its own.
    """
    read_shards = [_read_shard(wheelhouse) for wheelhouse in wheelhouses]
    in_order = sorted(read_shards, key=lambda shard: shard.record.number)
    _check_shards(in_order, matrix)
    sources = _join_sources(in_order, matrix)

    with store.scratch_folder() as scratch:
        intake = _Intake(scratch=scratch)
        for shard in in_order:
            _check_evidence(shard, matrix)
            _check_keys_once(shard, intake, store)
            _take_files(shard, intake, store)
            _check_wheels(shard, intake, store)
            _take_logs(shard, intake, store)
            _take_index_cache(shard, intake, store)
            for job, recorded in shard.evidence.items():
                if job.kind != JobKind.IMAGE:
                    intake.evidence[job] = recorded.to_evidence()

        _commit(intake, store)

    return MergedShards(sources=sources, evidence=intake.evidence)


def _read_shard(wheelhouse: Path) -> _Shard:
    """Return a shard's record, with its evidence by job.

    Raises:
        MergeError: it has none, or it does not fit the model, or two pieces of evidence are of one job.
    """
    folder = UntrustedFolder(wheelhouse)
    record = read_record(folder)
    evidence: dict[JobId, EvidenceRecord] = {}
    for number, recorded in enumerate(record.evidence):
        if recorded.job in evidence:
            reason = f"{RECORD_FILE}: evidence.{number}.job: {recorded.job} is there twice"
            raise MergeError(wheelhouse, f"{reason}; {_RERUN}")
        evidence[recorded.job] = recorded

    return _Shard(folder=folder, record=record, sources=record.sources(), evidence=evidence)


# --- which shards, and of what ----------------------------------------------------------------------------------------


def _check_shards(in_order: list[_Shard], matrix: Matrix) -> None:
    """Check that the records are those of all shards of one run of this matrix, each of them once.

    Raises:
        MergeError: a shard is of another matrix, of another run, given twice, or missing.
    """
    if not in_order:
        return

    expected_matrix = matrix_digest(matrix)
    total = max(shard.record.of for shard in in_order)
    numbers: set[int] = set()
    for shard in in_order:
        record = shard.record
        if record.matrix != expected_matrix:
            raise MergeError(shard.folder.path, "is a shard of another matrix than --matrix names")

        is_of_this_run = record.of == total and record.number <= total
        if not is_of_this_run or record.number in numbers:
            reason = f"shard {record.number}/{record.of} does not go with the other shards"
            raise MergeError(shard.folder.path, reason)
        numbers.add(record.number)

    missing = sorted(set(range(1, total + 1)) - numbers)
    if missing:
        names = ", ".join(f"{number}/{total}" for number in missing)
        reason = f"is one of {total} shards, and {names} is missing"
        raise MergeError(in_order[0].folder.path, reason)


def _join_sources(in_order: list[_Shard], matrix: Matrix) -> Sources:
    """Return the sources of all shards, each of which has exactly the packages that the plan gives it.

    Raises:
        MergeError: a package of the matrix is in no shard, or one is in several or in another than its own; or a source
            is not what the matrix asks for.
    """
    counts: Counter[str] = Counter()
    found: dict[str, Source] = {}
    faults: dict[str, Fault] = {}
    for shard in in_order:
        for name, source in shard.sources.found.items():
            _check_source(shard, name, source, matrix)
        counts.update([*shard.sources.found, *shard.sources.faults])
        found |= shard.sources.found
        faults |= shard.sources.faults

    joined = Sources(found=found, faults=faults)
    if not in_order:
        return joined

    for name in {*matrix.packages, *counts}:
        if counts[name] != 1:
            reason = (
                f"{name} is in {counts[name]} shards: they saw different releases; "
                "plan and run them again"
            )
            raise MergeError(in_order[0].folder.path, reason)

    for shard, owned in zip(in_order, shards.partition(joined, len(in_order)), strict=True):
        foreign = {*shard.sources.found, *shard.sources.faults} - set(owned)
        if foreign:
            own = f"shard {shard.record.number}/{shard.record.of}"
            reason = f"{RECORD_FILE}: {min(foreign)} is no package of {own} by the plan"
            raise shard.refuse(reason, "plan and run the shards again")

    _check_pure_wheels(in_order, joined)
    return joined


def _check_source(shard: _Shard, name: str, source: Source, matrix: Matrix) -> None:
    """Check that a source is one that the matrix may have: its own name, the release and hash that are asked for.

    Raises:
        MergeError: it is another, or of a package that nothing in the shard needs.
    """
    where = f"{RECORD_FILE}: found.{name}"
    if source.name != name:
        raise shard.refuse(f"{where}.name: it is {source.name}")

    settings = matrix.packages.get(name)
    if settings is None:
        if not _is_needed(name, shard.sources, matrix):
            raise shard.refuse(f"{where}: no package of the matrix in this shard needs it")
        return

    if settings.sha256 is not None and source.sha256 != settings.sha256:
        raise shard.refuse(f"{where}.sha256: the matrix says {settings.sha256}")
    allowed = SpecifierSet(settings.version)
    if settings.version and not allowed.contains(source.version, prereleases=True):
        raise shard.refuse(f"{where}.version: the matrix asks for {settings.version}")


def _is_needed(name: str, sources: Sources, matrix: Matrix) -> bool:
    """Return whether a package is there for the sake of one of the matrix, over any number of others."""
    seen: set[str] = set()
    while name not in matrix.packages:
        source = sources.found.get(name)
        if source is None or name in seen:
            return False
        seen.add(name)
        name = source.needed_by

    return name in sources.found


def _check_pure_wheels(in_order: list[_Shard], joined: Sources) -> None:
    """Check that shards agree on the pure wheels that come with their packages, and that each is of its project.

    Raises:
        MergeError: two have one name and another hash, one is of a package that is built, or named as another's.
    """
    known: dict[str, str] = {}
    for shard in in_order:
        for source in shard.sources.found.values():
            for pure in _iter_pure(source):
                where = f"{RECORD_FILE}: found.{source.name}: {pure.filename}"
                mismatch = explain_mismatch(pure.name, pure.version, pure.filename)
                if mismatch:
                    raise shard.refuse(f"{where}: {mismatch}")
                if known.setdefault(pure.filename, pure.sha256) != pure.sha256:
                    raise shard.refuse(f"{where}: another shard has it with another sha256")

                owner = joined.found.get(pure.name)
                if owner is not None and owner.only_pure != pure:
                    raise shard.refuse(f"{where}: {pure.name} is a package of its own")


def _iter_pure(source: Source) -> Iterator[Pure]:
    """Iterate over the pure wheels of a package: those that it needs, and its own if it is one."""
    yield from source.pure
    if source.only_pure is not None:
        yield source.only_pure


# --- what a shard says of its jobs ------------------------------------------------------------------------------------


def _check_evidence(shard: _Shard, matrix: Matrix) -> None:
    """Check that the evidence is that of exactly the jobs that the shard was to run, each under the key it has to have.

    Raises:
        MergeError: a job is missing or not the shard's, its key is another, or its facts do not fit.
    """
    plan = _plan_shard(shard, matrix)
    for job in shard.evidence:
        if job not in plan.jobs:
            reason = f"{RECORD_FILE}: evidence of {job}, which is no job of this shard"
            raise shard.refuse(reason)

    # Jobs come after those they need: what a key stands on is checked when its turn comes.
    for job_id in plan.jobs:
        recorded = shard.evidence.get(job_id)
        if recorded is None:
            raise shard.refuse(f"{RECORD_FILE}: it has no result of {job_id}")

        _check_facts(shard, recorded)
        if job_id.kind != JobKind.IMAGE:
            _check_key(shard, plan, recorded)
            _check_result(shard, plan, recorded)


def _plan_shard(shard: _Shard, matrix: Matrix) -> Plan:
    """Return the jobs that a run of the shard had, as `builder.farm.prepare.make_plan` plans them.

    Raises:
        MergeError: patches of its packages cannot be read on this machine.
    """
    found = shard.sources.found
    if not found:
        return Plan(jobs={})

    patches, faults = package_sources.read_patches(matrix, found)
    for name, fault in faults.items():
        raise shard.refuse(
            f"the patches of {name} cannot be read here: {fault.detail}",
            "merge where the matrix has its patches beside it",
        )

    effort = EFFORTS.get(shard.record.effort)
    return graph.make_plan(matrix, found, patches, catalog.load(), Package(), effort)


def _check_facts(shard: _Shard, recorded: EvidenceRecord) -> None:
    """Refuse facts (a job's structured answer) that do not fit this farm's model of that kind of job.

    Raises:
        MergeError: a newer farm wrote the facts, or they are malformed; or a job without a result has files.
    """
    job = recorded.job
    known_version = schema_version(job.kind)
    if recorded.facts_version > known_version:
        reason = f"the facts of {job} are of version {recorded.facts_version}, and this farm knows {known_version}"
        raise shard.refuse(reason, "merge with the newer wheelfarm")

    is_determined = recorded.outcome is not JobOutcome.UNDETERMINED
    try:
        model = MODELS[job.kind] if is_determined else UndeterminedFacts
        model.check(recorded.facts)
        # JSON of a bounded number of items: what is allowed to have further fields may have anything in them.
        clean_json(recorded.facts)
    except (MalformedFactsError, UnfitJsonError) as error:
        reason = f"the facts of {job}: {error}"
        raise shard.refuse(reason) from None  # the message has the cause

    if not is_determined and recorded.files:
        raise shard.refuse(f"{RECORD_FILE}: {job} has no result, and has files")
    _check_asked(shard, recorded)


def _check_asked(shard: _Shard, recorded: EvidenceRecord) -> None:
    """Refuse what is no JSON object of texts where a job says with what it was asked.

    Raises:
        MergeError: it is something else.
    """
    if not recorded.asked:
        return

    try:
        asked = parse_answer(recorded.asked.encode(), _ASKED_LIMIT)
        is_fit = isinstance(asked, dict) and all(isinstance(text, str) for text in asked.values())
    except UnfitJsonError:
        is_fit = False
    if not is_fit:
        raise shard.refuse(f"{RECORD_FILE}: {recorded.job}: `asked` is no object of hashes")


def _check_key(shard: _Shard, plan: Plan, recorded: EvidenceRecord) -> None:
    """Check that evidence is recorded under the key that the job's settings and the shard's other results give.

    A job without a result, and one whose inputs have none, has perhaps no key, and is never recorded.

    Raises:
        MergeError: it has another key, so that it would answer for another question or another job.
    """
    job = plan.jobs[recorded.job]
    is_determined = recorded.outcome is not JobOutcome.UNDETERMINED
    inputs: dict[str, Evidence] = {}
    for role, need in job.needs.items():
        if need in ORDER_ONLY:
            continue
        evidence = shard.evidence[need].to_evidence()
        if evidence.is_determined:
            inputs[role] = evidence
        elif is_determined:
            raise shard.refuse(f"{RECORD_FILE}: {recorded.job} has a result, and {need} has none")
        else:
            return

    try:
        key = job.key(inputs)
    except Exception as error:  # facts of another machine may be anything
        reason = f"the key of {recorded.job} cannot be told from its inputs ({type(error).__name__}: {error})"
        raise shard.refuse(reason) from None  # the message has the cause

    if recorded.key != key and (is_determined or recorded.key):
        reason = f"{RECORD_FILE}: {recorded.job}: its key is not the one that its inputs and this wheelfarm give"
        raise shard.refuse(reason)


def _check_result(shard: _Shard, plan: Plan, recorded: EvidenceRecord) -> None:
    """Check that a job's facts are about the wheels that the shard's build of the package made, and about no others.

    Raises:
        MergeError: they are about another wheel, or a build's wheels are not those of its facts or of its package.
    """
    if recorded.outcome is JobOutcome.UNDETERMINED:
        return

    job = recorded.job
    if job.kind == JobKind.BUILD:
        _check_build(shard, recorded)
        return

    build = shard.evidence[plan.jobs[job].needs["build"]]
    made = _made_wheels(build)
    facts = recorded.facts
    if job.kind == JobKind.AUDIT:
        is_about_build = facts["wheels"].keys() == build.files.keys()
    elif job.kind == JobKind.LOAD:
        loaded = {abi: load["wheel"] for abi, load in facts["loads"].items()}
        is_about_build = loaded == made
    elif job.kind in {JobKind.RACE, JobKind.EXERCISE, JobKind.SPEED}:
        is_about_build = facts["wheel"] is None or facts["wheel"] in made.values()
    else:
        is_about_build = True

    if not is_about_build:
        raise shard.refuse(
            f"{RECORD_FILE}: {job}: its facts are about other wheels than its build made"
        )


def _made_wheels(build: EvidenceRecord) -> dict[str, str]:
    """Return the file name of the wheel that a build made, by ABI."""
    wheels: dict[str, str] = {}
    for abi, outcome in build.facts["abis"].items():
        if outcome.get("wheel") is not None:
            wheels[abi] = outcome["wheel"]

    return wheels


def _check_build(shard: _Shard, build: EvidenceRecord) -> None:
    """Check that a build's files are the wheels of its facts, each named as one of its package for its ABI.

    Raises:
        MergeError: they are not.
    """
    made = _made_wheels(build)
    source = shard.sources.found[build.job.name]
    if set(made.values()) != build.files.keys():
        raise shard.refuse(f"{RECORD_FILE}: {build.job}: its files are not the wheels of its facts")

    for abi, filename in made.items():
        mismatch = explain_mismatch(source.name, source.version, filename)
        if not mismatch and not accepts_wheel(filename, abi):
            mismatch = f"{filename} is no wheel for {abi}"
        if mismatch:
            raise shard.refuse(f"{RECORD_FILE}: {build.job}: {mismatch}")


def _check_keys_once(shard: _Shard, intake: _Intake, store: Store) -> None:
    """Check that no key has two different results, neither in the shards nor in the ledger of this machine.

    Jobs of two packages may have the same key where neither has anything to do; then their results are equal. A job of
    the ledger that is run again may give another result than before, which takes its place.

    Raises:
        MergeError: it has.
    """
    for job, recorded in shard.evidence.items():
        if job.kind == JobKind.IMAGE or recorded.outcome is JobOutcome.UNDETERMINED:
            continue

        other = intake.keys.setdefault(recorded.key, recorded)
        if not _has_same_result(recorded, other):
            reason = f"{RECORD_FILE}: {job} and {other.job} have one key and different results"
            raise shard.refuse(reason)

        here = store.get(recorded.key)
        if here is None or here.job.name == job.name:
            continue
        if here.facts != recorded.facts or here.files != recorded.files:
            reason = f"{RECORD_FILE}: {job}: this wheelhouse has another result of {here.job} under its key"
            raise shard.refuse(reason)


def _has_same_result(recorded: EvidenceRecord, other: EvidenceRecord) -> bool:
    return recorded.facts == other.facts and recorded.files == other.files


# --- files ------------------------------------------------------------------------------------------------------------


def _take_files(shard: _Shard, intake: _Intake, store: Store) -> None:
    """Copy each file that the shard's evidence and sources name beside the store, and compare its sha256.

    Files that the store has already are skipped.

    Raises:
        MergeError: a file is missing, damaged, too large or no regular file.
    """
    for sha256 in dict.fromkeys(_iter_file_hashes(shard)):
        if sha256 in intake.files or store.file(sha256).exists():
            continue

        copy = intake.next_path()
        try:
            copied = shard.folder.copy(
                f"store/files/{sha256[:2]}/{sha256}", copy, _FILE_LIMIT_BYTES
            )
        except UnfitFileError as error:
            reason = f"the file {sha256} is missing or damaged: {error}"
            raise shard.refuse(reason) from None  # the message has the cause
        if copied != sha256:
            reason = f"the file {sha256} is missing or damaged: its sha256 is {copied}"
            raise shard.refuse(reason)
        intake.files[sha256] = copy


def _iter_file_hashes(shard: _Shard) -> Iterator[str]:
    """Iterate over the sha256 of every file to copy: outputs of jobs, sdists, pure wheels. One may come twice."""
    for job, recorded in shard.evidence.items():
        if job.kind != JobKind.IMAGE:
            yield from recorded.files.values()

    for source in shard.sources.found.values():
        yield source.sha256
        for pure in _iter_pure(source):
            yield pure.sha256


def _check_wheels(shard: _Shard, intake: _Intake, store: Store) -> None:
    """Check that every wheel that may be served or installed says inside what its name says.

    Raises:
        MergeError: one is of another package.
    """
    wheels: list[tuple[str, str, str, str]] = []
    for source in shard.sources.found.values():
        for pure in _iter_pure(source):
            wheels.append((pure.name, pure.version, pure.filename, pure.sha256))
    for job, recorded in shard.evidence.items():
        if job.kind == JobKind.BUILD:
            source = shard.sources.found[job.name]
            for wheel, digest in recorded.files.items():
                wheels.append((source.name, source.version, wheel, digest))

    for name, version, filename, sha256 in dict.fromkeys(wheels):
        path = intake.files.get(sha256) or store.file(sha256)
        mismatch = explain_file_mismatch(name, version, filename, path)
        if mismatch:
            raise shard.refuse(f"{filename}: {mismatch}")


def _take_logs(shard: _Shard, intake: _Intake, store: Store) -> None:
    """Copy the logs that the shard's evidence names beside the store. One that is missing, or here already, is skipped.

    Raises:
        MergeError: a log is not one of the shard's jobs, too large, or no regular file.
    """
    own = {(str(job.kind), job.filename) for job in shard.evidence}
    for job, recorded in shard.evidence.items():
        log = recorded.log
        is_known = not log or log in intake.logs or (store.wheelhouse / log).exists()
        if job.kind == JobKind.IMAGE or is_known:
            continue

        _, kind, filename = log.split("/")
        match = _LOG_NAME.fullmatch(filename)
        if match is None or (kind, match["name"]) not in own:
            raise shard.refuse(f"{RECORD_FILE}: {job}: log: {log} is no log of this shard's jobs")
        if recorded.key and recorded.outcome is not JobOutcome.UNDETERMINED:
            is_own_key = kind == job.kind and recorded.key.startswith(match["key"])
            if not is_own_key:
                raise shard.refuse(f"{RECORD_FILE}: {job}: log: {log} is no log of its key")

        copy = intake.next_path()
        try:
            shard.folder.copy(log, copy, _LOG_LIMIT_BYTES)
        except MissingFileError:
            continue
        except UnfitFileError as error:
            raise shard.refuse(f"the log of {job}: {error}") from None  # the message has the cause
        intake.logs[log] = copy


# --- what was fetched from the package index --------------------------------------------------------------------------


def _take_index_cache(shard: _Shard, intake: _Intake, store: Store) -> None:
    """Copy the locks of the shard's jobs, and the files of the package index that they name, beside the store.

    A lock lists the files that one job fetched: `run --locked` gives it these. What the shard remembers of the index
    beyond that would be given to other packages, and stays behind. What the shard lacks is left to the index: the lock
    has its hash.

    Raises:
        MergeError: a lock cannot be read, or is of another job.
    """
    cache = IndexCache(store.folder / "index")
    for job in shard.evidence:
        if job.kind == JobKind.IMAGE:
            continue

        inner = f"store/index/locks/{job.kind}/{job.filename}.json"
        try:
            content = shard.folder.read(inner, LOCK_LIMIT_BYTES)
            fetched = parse_lock(str(job), content)
        except MissingFileError:
            continue
        except ValueError as error:  # among them all that the doors of builder/untrusted/ raise
            raise shard.refuse(f"{inner}: {error}") from None  # the message has the cause

        intake.locks[job] = fetched
        for file in fetched:
            _take_index_file(shard, file, cache, intake)


def _take_index_file(shard: _Shard, file: FetchedFile, cache: IndexCache, intake: _Intake) -> None:
    """Copy a file of the index beside the store, unless it is here.

    Raises:
        MergeError: it is not what its name says, too large, or no regular file.
    """
    sha256 = file.sha256
    if sha256 in intake.index_files or cache.file(sha256).exists():
        return

    inner = f"store/index/files/{sha256[:2]}/{sha256}"
    copy = intake.next_path()
    try:
        copied = shard.folder.copy(inner, copy, _FILE_LIMIT_BYTES)
    except MissingFileError:
        return
    except UnfitFileError as error:
        raise shard.refuse(str(error)) from None  # the message has the cause
    if copied != sha256:
        raise shard.refuse(f"{inner} is damaged: its sha256 is {copied}")
    intake.index_files[sha256] = copy


# --- taking it in -----------------------------------------------------------------------------------------------------


def _commit(intake: _Intake, store: Store) -> None:
    """Take in what was checked: files first, then logs and locks, and last, in one step, the evidence that names them.

    Raises:
        NoSpaceError: the disk is full.
    """
    cache = IndexCache(store.folder / "index")
    for sha256, copy in intake.files.items():
        store.adopt_file(copy, store.file(sha256))
    for sha256, copy in intake.index_files.items():
        store.adopt_file(copy, cache.file(sha256))
    for log, copy in intake.logs.items():
        store.adopt_file(copy, store.wheelhouse / log)
    for job, fetched in intake.locks.items():
        cache.write_lock(job, fetched)

    store.put_all(intake.evidence.values())
