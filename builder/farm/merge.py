"""What the shards of a run found out -> one store. Each leaves `shard.json` in its wheelhouse; merging takes it in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from builder.errors import MergeError
from builder.evidence.base import MalformedFactsError
from builder.evidence.kinds import MODELS, schema_version
from builder.finding_codes import FindingCode
from builder.proxy.cache import IndexCache
from builder.sources import Fault, Source, Sources
from builder.store.evidence import Evidence, JobOutcome
from builder.store.files import atomic_write, file_sha256
from builder.store.hashing import digest
from builder.store.job_ids import job_kind

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


_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Evidence(_Strict):
    key: str
    job: str
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
    """What all shards together found out."""

    sources: Sources
    evidence: Mapping[str, Evidence]


def matrix_digest(matrix: Matrix) -> str:
    """Hash what a matrix says."""
    return digest("matrix", matrix.model_dump(mode="json", exclude={"root"}))


def write_record(
    shard: Shard,
    matrix: Matrix,
    sources: Sources,
    evidence: Mapping[str, Evidence],
    wheelhouse: Path,
) -> None:
    """Leave a shard's record in its wheelhouse."""
    record = _ShardRecord(
        schema_version=1,
        number=shard.number,
        of=shard.total,
        matrix=matrix_digest(matrix),
        found={name: source.record() for name, source in sources.found.items()},
        faults={
            name: (fault.code, fault.detail, fault.version)
            for name, fault in sources.faults.items()
        },
        evidence=[_make_record(job, one) for job, one in evidence.items()],
    )
    with atomic_write(wheelhouse / RECORD_FILE) as aside:
        aside.write_text(record.model_dump_json(indent=1) + "\n")


def _make_record(job: str, evidence: Evidence) -> _Evidence:
    """Return evidence as the record has it: of this job, though another that asked the same may have found it out."""
    return _Evidence(
        **{name: getattr(evidence, name) for name in _Evidence.model_fields} | {"job": job}
    )


def merge_shards(wheelhouses: Iterable[Path], matrix: Matrix, store: Store) -> MergedShards:
    """Take what shards found out into a store: evidence, files and logs.

    Args:
        wheelhouses: of the shards, in any order.
        matrix: what they were cut from.
        store: takes it in; the caller holds its lock.

    Raises:
        MergeError: a shard is missing, damaged, or of another matrix.
    """
    records = {wheelhouse: _read(wheelhouse) for wheelhouse in wheelhouses}
    _check_shards(records, matrix)
    found: dict[str, Source] = {}
    faults: dict[str, Fault] = {}
    evidence: dict[str, Evidence] = {}
    for wheelhouse, record in sorted(records.items(), key=lambda item: item[1].number):
        sources = _sources(record, wheelhouse)
        _copy_files(record, sources, wheelhouse, store)
        try:
            IndexCache(store.folder / "index").merge_from(
                IndexCache(wheelhouse / "store" / "index")
            )
        except (ValueError, LookupError, TypeError) as error:
            raise MergeError(
                wheelhouse, f"what it kept of the package index cannot be read ({error})"
            ) from None
        found |= sources.found
        faults |= sources.faults
        for one in record.evidence:
            _check_facts(one, wheelhouse)
            taken = Evidence(**{name: getattr(one, name) for name in _Evidence.model_fields})
            evidence[one.job] = taken
            store.put(taken)
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
    kind = job_kind(evidence.job)
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
    wanted, of = matrix_digest(matrix), max((record.of for record in records.values()), default=0)
    seen: dict[int, Path] = {}
    for wheelhouse, record in records.items():
        if record.matrix != wanted:
            raise MergeError(wheelhouse, "is a shard of another matrix than --matrix names")
        if record.of != of or not 1 <= record.number <= of or record.number in seen:
            raise MergeError(
                wheelhouse, f"shard {record.number}/{record.of} does not go with the other shards"
            )
        seen[record.number] = wheelhouse
    if missing := sorted(set(range(1, of + 1)) - seen.keys()):
        first = next(iter(records))
        raise MergeError(
            first,
            f"is one of {of} shards, and {', '.join(f'{one}/{of}' for one in missing)} is missing",
        )
    covered = [name for record in records.values() for name in (*record.found, *record.faults)]
    for name in {*matrix.packages, *covered}:
        if covered.count(name) != 1:
            text = f"{name} is in {covered.count(name)} shards: they saw different releases; plan and run them again"
            raise MergeError(next(iter(records)), text)


def _sources(record: _ShardRecord, wheelhouse: Path) -> Sources:
    try:
        found = {name: Source.from_record(one) for name, one in record.found.items()}
    except (KeyError, TypeError) as error:
        raise MergeError(
            wheelhouse, f"{RECORD_FILE}: found: {type(error).__name__}: {error}"
        ) from None
    faults = {
        name: Fault(name=name, code=code, detail=detail, version=version)
        for name, (code, detail, version) in record.faults.items()
    }
    return Sources(found=found, faults=faults)


def _copy_files(record: _ShardRecord, sources: Sources, wheelhouse: Path, store: Store) -> None:
    for sha256 in dict.fromkeys(_file_hashes(record, sources)):
        source = wheelhouse / "store/files" / sha256[:2] / sha256
        if store.file(sha256).exists():
            continue
        if not source.is_file() or file_sha256(source) != sha256:
            raise MergeError(
                wheelhouse, f"the file {sha256} is missing or damaged; run the shard again"
            )
        store.add_file(source)
    for log in {one.log for one in record.evidence if one.log}:
        if (wheelhouse / log).is_file() and not (store.wheelhouse / log).exists():
            with atomic_write(store.wheelhouse / log) as aside:
                aside.write_bytes((wheelhouse / log).read_bytes())


def _file_hashes(record: _ShardRecord, sources: Sources) -> Iterator[str]:
    for one in record.evidence:
        yield from one.files.values()
    for source in sources.found.values():
        yield source.sha256
        yield from (pure.sha256 for pure in source.pure)
