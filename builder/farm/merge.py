"""Merging the wheelhouses of a run's shards into one store. Each shard leaves `shard.json` in its wheelhouse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
)

from builder.errors import MergeError
from builder.evidence.base import MalformedFactsError
from builder.evidence.kinds import MODELS, schema_version
from builder.finding_codes import FindingCode
from builder.proxy.cache import IndexCache
from builder.sources import Fault, Source, Sources
from builder.store.evidence import Evidence, JobOutcome
from builder.store.files import atomic_write, file_sha256
from builder.store.hashing import digest
from builder.store.job_ids import JobId

if TYPE_CHECKING:
    from builder.config.matrix import Matrix
    from builder.plan.shards import Shard
    from builder.store.store import Store

RECORD_FILE = "shard.json"
"""File name of a shard's record, in the wheelhouse of the shard."""


def _check_log_path(value: str) -> str:
    """Return a log's path unchanged if it is empty or lies under `logs/`; a record may come from another machine.

    Raises:
        ValueError: the path is absolute, leaves the folder by `..`, or begins with another folder.
    """
    if not value:
        return value

    path = PurePosixPath(value)
    is_outside = path.is_absolute() or path.parts[0] != "logs"
    if is_outside or ".." in path.parts:
        raise ValueError(f"expected a path under logs/, not {value!r}")
    return value


def _job_id(value: object) -> JobId:
    """Return a job's id from its text, `'build:lxml@debian-12'`; an id that is read already is returned as it is."""
    return value if isinstance(value, JobId) else JobId.parse(str(value))


_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Evidence(_Strict):
    key: str
    job: Annotated[JobId, PlainValidator(_job_id), PlainSerializer(str)]
    outcome: JobOutcome
    reason: str
    facts: dict[str, Any]
    files: dict[str, _Sha256]
    log: Annotated[str, AfterValidator(_check_log_path)]
    seconds: float
    asked: str = ""
    facts_version: int = 1


class _ShardRecord(_Strict):
    schema_version: Literal[1]
    number: int
    of: int
    matrix: str
    """Digest of the matrix: shards of different ones do not go together."""
    found: dict[str, dict[str, Any]]
    faults: dict[str, tuple[FindingCode, str, str]]
    """(code, detail, version) by package."""
    evidence: list[_Evidence]


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedShards:
    """Sources and evidence of all shards, as if one run had found them.

    Attributes:
        sources: the sources of all packages, and the faults of packages without one.
        evidence: the result of every job, by job id.
    """

    sources: Sources
    evidence: Mapping[JobId, Evidence]


def matrix_digest(matrix: Matrix) -> str:
    """Hash the content of a matrix without the path of its file: shards run on different machines."""
    return digest("matrix", matrix.model_dump(mode="json", exclude={"root"}))


def write_record(
    shard: Shard,
    matrix: Matrix,
    sources: Sources,
    evidence: Mapping[JobId, Evidence],
    wheelhouse: Path,
) -> None:
    """Write `shard.json`, which `wheelfarm merge` reads, into the wheelhouse of a shard.

    Args:
        shard: number of the shard, and how many there are.
        matrix: the whole matrix, of which the shard is a part.
        sources: sources of the shard's packages, and the faults of packages without one.
        evidence: results of the shard's jobs, by job id.
        wheelhouse: the shard's folder of results.
    """
    source_records = {name: source.record() for name, source in sources.found.items()}
    faults = {}
    for name, fault in sources.faults.items():
        faults[name] = (fault.code, fault.detail, fault.version)

    record = _ShardRecord(
        schema_version=1,
        number=shard.number,
        of=shard.total,
        matrix=matrix_digest(matrix),
        found=source_records,
        faults=faults,
        evidence=[_make_record(job, recorded) for job, recorded in evidence.items()],
    )
    with atomic_write(wheelhouse / RECORD_FILE) as aside:
        aside.write_text(record.model_dump_json(indent=1) + "\n")


def _make_record(job: JobId, evidence: Evidence) -> _Evidence:
    """Return a job's evidence in the form in which `shard.json` holds it.

    The job's own id replaces the recorded one: two jobs with the same inputs share one piece of evidence, which names
    only the job that ran.
    """
    fields = {name: getattr(evidence, name) for name in _Evidence.model_fields}
    fields["job"] = job
    return _Evidence(**fields)


def merge_shards(wheelhouses: Iterable[Path], matrix: Matrix, store: Store) -> MergedShards:
    """Copy the evidence, files and logs of all shards of a run into one store.

    Args:
        wheelhouses: folders of the shards' results, in any order.
        matrix: the whole matrix, of which each shard is a part.
        store: the store to copy into; the caller holds its lock.

    Returns:
        The sources and evidence of all shards; both are empty if no folder is given.

    Raises:
        MergeError: a shard is missing, damaged, or was run with another matrix.
    """
    records = {wheelhouse: _read_record(wheelhouse) for wheelhouse in wheelhouses}
    _check_shards(records, matrix)

    sources_by_name: dict[str, Source] = {}
    faults: dict[str, Fault] = {}
    evidence: dict[JobId, Evidence] = {}
    for wheelhouse, record in sorted(records.items(), key=lambda item: item[1].number):
        sources = _read_sources(record, wheelhouse)
        sources_by_name |= sources.found
        faults |= sources.faults

        _copy_files(record, sources, wheelhouse, store)
        _copy_logs(record, wheelhouse, store)
        _merge_index_cache(wheelhouse, store)

        for recorded in record.evidence:
            _check_facts(recorded, wheelhouse)
            fields = {name: getattr(recorded, name) for name in _Evidence.model_fields}
            merged = Evidence(**fields)
            evidence[recorded.job] = merged
            store.put(merged)

    return MergedShards(sources=Sources(found=sources_by_name, faults=faults), evidence=evidence)


def _read_record(wheelhouse: Path) -> _ShardRecord:
    """Return the record of a shard.

    Raises:
        MergeError: the wheelhouse has no record, or it does not fit the model; the text names the first wrong field.
    """
    try:
        return _ShardRecord.model_validate_json((wheelhouse / RECORD_FILE).read_bytes())
    except OSError as error:
        raise MergeError(
            wheelhouse,
            f"has no {RECORD_FILE} ({error.strerror}); `wheelfarm run --shard K/N` leaves one",
        ) from None  # the message has the cause
    except ValidationError as error:
        first_error = error.errors()[0]
        field_path = ".".join(map(str, first_error["loc"]))
        raise MergeError(
            wheelhouse, f"{RECORD_FILE}: {field_path or 'it'}: {first_error['msg']}"
        ) from None  # the message has the cause


def _check_facts(evidence: _Evidence, wheelhouse: Path) -> None:
    """Refuse facts (a job's structured answer) that do not fit this farm's model of that kind of job.

    Jobs without a result have no facts to check, and neither have kinds of jobs without a model.

    Raises:
        MergeError: a newer farm wrote the facts, or they are malformed.
    """
    kind = evidence.job.kind
    if evidence.outcome is JobOutcome.UNDETERMINED or kind not in MODELS:
        return

    known_version = schema_version(kind)
    if evidence.facts_version > known_version:
        raise MergeError(
            wheelhouse,
            f"the facts of {evidence.job} are of version {evidence.facts_version}, and this farm knows {known_version}",
        )
    try:
        MODELS[kind].check(evidence.facts)
    except MalformedFactsError as error:
        raise MergeError(
            wheelhouse, f"the facts of {evidence.job}: {error}"
        ) from None  # the message has the cause


def _check_shards(records: Mapping[Path, _ShardRecord], matrix: Matrix) -> None:
    """Check that the records are those of all shards of one run of this matrix, each of them once.

    Raises:
        MergeError: a shard is of another matrix, of another run, given twice, or missing.
    """
    if not records:
        return

    expected_matrix = matrix_digest(matrix)
    total = max(record.of for record in records.values())
    numbers: set[int] = set()
    for wheelhouse, record in records.items():
        if record.matrix != expected_matrix:
            raise MergeError(wheelhouse, "is a shard of another matrix than --matrix names")

        is_of_this_run = record.of == total and 1 <= record.number <= total
        if not is_of_this_run or record.number in numbers:
            raise MergeError(
                wheelhouse, f"shard {record.number}/{record.of} does not go with the other shards"
            )
        numbers.add(record.number)

    first_wheelhouse = next(iter(records))
    missing = sorted(set(range(1, total + 1)) - numbers)
    if missing:
        names = ", ".join(f"{number}/{total}" for number in missing)
        raise MergeError(first_wheelhouse, f"is one of {total} shards, and {names} is missing")

    _check_packages(records, matrix, first_wheelhouse)


def _check_packages(records: Mapping[Path, _ShardRecord], matrix: Matrix, wheelhouse: Path) -> None:
    """Check that each package of the matrix, and each that one requires, is in exactly one shard.

    Args:
        records: the record of each shard.
        matrix: the whole matrix.
        wheelhouse: the folder that the error names.

    Raises:
        MergeError: a package is in no shard or in several: the shards resolved different releases of what they require.
    """
    shard_counts: Counter[str] = Counter()
    for record in records.values():
        shard_counts.update([*record.found, *record.faults])

    for name in {*matrix.packages, *shard_counts}:
        if shard_counts[name] != 1:
            reason = (
                f"{name} is in {shard_counts[name]} shards: they saw different releases; "
                "plan and run them again"
            )
            raise MergeError(wheelhouse, reason)


def _read_sources(record: _ShardRecord, wheelhouse: Path) -> Sources:
    """Return the sources that a shard resolved, and the faults of packages without one.

    Raises:
        MergeError: a source lacks a field, or has an unknown one.
    """
    try:
        sources_by_name = {
            name: Source.from_record(source) for name, source in record.found.items()
        }
    except (KeyError, TypeError) as error:
        raise MergeError(
            wheelhouse, f"{RECORD_FILE}: found: {type(error).__name__}: {error}"
        ) from None  # the message has the cause

    faults = {}
    for name, (code, detail, version) in record.faults.items():
        faults[name] = Fault(name=name, code=code, detail=detail, version=version)

    return Sources(found=sources_by_name, faults=faults)


def _copy_files(record: _ShardRecord, sources: Sources, wheelhouse: Path, store: Store) -> None:
    """Copy each file that a shard's evidence and sources name into the store, after comparing its sha256.

    Files that the store has already are skipped.

    Raises:
        MergeError: a file is missing or damaged.
    """
    for sha256 in dict.fromkeys(_iter_file_hashes(record, sources)):
        if store.file(sha256).exists():
            continue

        shard_file = wheelhouse / "store/files" / sha256[:2] / sha256
        if not shard_file.is_file() or file_sha256(shard_file) != sha256:
            raise MergeError(
                wheelhouse, f"the file {sha256} is missing or damaged; run the shard again"
            )
        store.add_file(shard_file)


def _copy_logs(record: _ShardRecord, wheelhouse: Path, store: Store) -> None:
    """Copy the logs that a shard's evidence names. A log that is missing, or there already, is skipped."""
    logs = {recorded.log for recorded in record.evidence if recorded.log}
    for log in logs:
        source = wheelhouse / log
        target = store.wheelhouse / log
        if source.is_file() and not target.exists():
            with atomic_write(target) as aside:
                aside.write_bytes(source.read_bytes())


def _merge_index_cache(wheelhouse: Path, store: Store) -> None:
    """Copy what the shard's index proxy downloaded, and its locks: the lists of files that each job downloaded.

    Raises:
        MergeError: the shard's cache cannot be read.
    """
    shard_cache = IndexCache(wheelhouse / "store" / "index")
    try:
        IndexCache(store.folder / "index").merge_from(shard_cache)
    except (ValueError, LookupError, TypeError) as error:
        raise MergeError(
            wheelhouse, f"what it kept of the package index cannot be read ({error})"
        ) from None  # the message has the cause


def _iter_file_hashes(record: _ShardRecord, sources: Sources) -> Iterator[str]:
    """Iterate over the sha256 of every file to copy: outputs of jobs, sdists, pure wheels. One may come twice."""
    for recorded in record.evidence:
        yield from recorded.files.values()

    for source in sources.found.values():
        yield source.sha256
        for pure in source.pure:
            yield pure.sha256
