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
"""Its file name in a shard's wheelhouse."""


def _check_log_path(value: str) -> str:
    """Check that a log's path stays in the folder of logs."""
    path = PurePosixPath(value)
    if value and (path.is_absolute() or path.parts[0] != "logs" or ".." in path.parts):
        raise ValueError(f"expected a path under logs/, not {value!r}")
    return value


def _job_id(value: object) -> JobId:
    """Read the text of a job's id."""
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
    """Sources and evidence of all shards together."""

    sources: Sources
    evidence: Mapping[JobId, Evidence]


def matrix_digest(matrix: Matrix) -> str:
    """Hash the content of a matrix, wherever it lies."""
    return digest("matrix", matrix.model_dump(mode="json", exclude={"root"}))


def write_record(
    shard: Shard,
    matrix: Matrix,
    sources: Sources,
    evidence: Mapping[JobId, Evidence],
    wheelhouse: Path,
) -> None:
    """Leave a shard's record in its wheelhouse."""
    found = {name: source.record() for name, source in sources.found.items()}
    faults = {}
    for name, fault in sources.faults.items():
        faults[name] = (fault.code, fault.detail, fault.version)

    record = _ShardRecord(
        schema_version=1,
        number=shard.number,
        of=shard.total,
        matrix=matrix_digest(matrix),
        found=found,
        faults=faults,
        evidence=[_make_record(job, recorded) for job, recorded in evidence.items()],
    )
    with atomic_write(wheelhouse / RECORD_FILE) as aside:
        aside.write_text(record.model_dump_json(indent=1) + "\n")


def _make_record(job: JobId, evidence: Evidence) -> _Evidence:
    """Return evidence as the record has it, of this job: another job with the same key may have recorded it."""
    fields = {name: getattr(evidence, name) for name in _Evidence.model_fields}
    fields["job"] = job
    return _Evidence(**fields)


def merge_shards(wheelhouses: Iterable[Path], matrix: Matrix, store: Store) -> MergedShards:
    """Copy the evidence, files and logs of shards into a store.

    Args:
        wheelhouses: of the shards, in any order.
        matrix: what they are parts of.
        store: where they are merged; the caller holds its lock.

    Raises:
        MergeError: a shard is missing, damaged, or of another matrix.
    """
    records = {wheelhouse: _read(wheelhouse) for wheelhouse in wheelhouses}
    _check_shards(records, matrix)

    found: dict[str, Source] = {}
    faults: dict[str, Fault] = {}
    evidence: dict[JobId, Evidence] = {}
    for wheelhouse, record in sorted(records.items(), key=lambda item: item[1].number):
        sources = _read_sources(record, wheelhouse)
        found |= sources.found
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

    return MergedShards(sources=Sources(found=found, faults=faults), evidence=evidence)


def _read(wheelhouse: Path) -> _ShardRecord:
    try:
        return _ShardRecord.model_validate_json((wheelhouse / RECORD_FILE).read_bytes())
    except OSError as error:
        raise MergeError(
            wheelhouse,
            f"has no {RECORD_FILE} ({error.strerror}); `wheelfarm run --shard K/N` leaves one",
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise MergeError(wheelhouse, f"{RECORD_FILE}: {where or 'it'}: {first['msg']}") from None


def _check_facts(evidence: _Evidence, wheelhouse: Path) -> None:
    """Refuse facts that this farm does not understand: the judge takes nothing else."""
    kind = evidence.job.kind
    if evidence.outcome is JobOutcome.UNDETERMINED or kind not in MODELS:
        return

    known = schema_version(kind)
    if evidence.facts_version > known:
        raise MergeError(
            wheelhouse,
            f"the facts of {evidence.job} are of version {evidence.facts_version}, and this farm knows {known}",
        )
    try:
        MODELS[kind].check(evidence.facts)
    except MalformedFactsError as error:
        raise MergeError(wheelhouse, f"the facts of {evidence.job}: {error}") from None


def _check_shards(records: Mapping[Path, _ShardRecord], matrix: Matrix) -> None:
    """Refuse anything but all shards of one run of this matrix."""
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

    first = next(iter(records))
    missing = sorted(set(range(1, total + 1)) - numbers)
    if missing:
        names = ", ".join(f"{number}/{total}" for number in missing)
        raise MergeError(first, f"is one of {total} shards, and {names} is missing")

    _check_packages(records, matrix, first)


def _check_packages(records: Mapping[Path, _ShardRecord], matrix: Matrix, wheelhouse: Path) -> None:
    """Refuse shards that do not have each package exactly once."""
    shards_of: Counter[str] = Counter()
    for record in records.values():
        shards_of.update([*record.found, *record.faults])

    for name in {*matrix.packages, *shards_of}:
        if shards_of[name] != 1:
            text = (
                f"{name} is in {shards_of[name]} shards: they saw different releases; "
                "plan and run them again"
            )
            raise MergeError(wheelhouse, text)


def _read_sources(record: _ShardRecord, wheelhouse: Path) -> Sources:
    try:
        found = {name: Source.from_record(source) for name, source in record.found.items()}
    except (KeyError, TypeError) as error:
        raise MergeError(
            wheelhouse, f"{RECORD_FILE}: found: {type(error).__name__}: {error}"
        ) from None

    faults = {}
    for name, (code, detail, version) in record.faults.items():
        faults[name] = Fault(name=name, code=code, detail=detail, version=version)

    return Sources(found=found, faults=faults)


def _copy_files(record: _ShardRecord, sources: Sources, wheelhouse: Path, store: Store) -> None:
    for sha256 in dict.fromkeys(_iter_file_hashes(record, sources)):
        if store.file(sha256).exists():
            continue

        source = wheelhouse / "store/files" / sha256[:2] / sha256
        if not source.is_file() or file_sha256(source) != sha256:
            raise MergeError(
                wheelhouse, f"the file {sha256} is missing or damaged; run the shard again"
            )
        store.add_file(source)


def _copy_logs(record: _ShardRecord, wheelhouse: Path, store: Store) -> None:
    logs = {recorded.log for recorded in record.evidence if recorded.log}
    for log in logs:
        source = wheelhouse / log
        target = store.wheelhouse / log
        if source.is_file() and not target.exists():
            with atomic_write(target) as aside:
                aside.write_bytes(source.read_bytes())


def _merge_index_cache(wheelhouse: Path, store: Store) -> None:
    """Copy what the shard's index proxy fetched, and the locks that name it."""
    shard_cache = IndexCache(wheelhouse / "store" / "index")
    try:
        IndexCache(store.folder / "index").merge_from(shard_cache)
    except (ValueError, LookupError, TypeError) as error:
        raise MergeError(
            wheelhouse, f"what it kept of the package index cannot be read ({error})"
        ) from None


def _iter_file_hashes(record: _ShardRecord, sources: Sources) -> Iterator[str]:
    for recorded in record.evidence:
        yield from recorded.files.values()

    for source in sources.found.values():
        yield source.sha256
        for pure in source.pure:
            yield pure.sha256
