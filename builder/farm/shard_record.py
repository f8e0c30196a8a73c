"""`shard.json`: what a shard of a run leaves in its wheelhouse for `wheelfarm merge`, and how it is read.

It comes from another machine, which may have run hostile code: every field has a type that bounds it. Whether a record
speaks of what its shard was asked is decided in shard_sources.py and shard_evidence.py.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationError,
    model_validator,
)

from builder.config.effort import EffortLevel
from builder.config.values import NO_INPUTS, AbiName, From
from builder.distributions.metadata import MAX_REQUIREMENTS
from builder.distributions.tags import is_pure_wheel
from builder.distributions.thread_statements import (
    MAX_GRADE,
    MAX_QUOTE,
    MAX_QUOTED_FILE,
    MAX_QUOTES,
)
from builder.errors import MergeError
from builder.plan.shards import MAX_SHARDS
from builder.sources import Fault, Source, Sources
from builder.sources.model import MAX_NEEDED
from builder.store.evidence import Evidence, JobOutcome
from builder.store.files import atomic_write
from builder.store.hashing import digest
from builder.store.job_ids import JobId
from builder.untrusted.folder import MissingFileError, UnfitFileError, UntrustedFolder
from builder.untrusted.names import (
    MAX_REQUIREMENT,
    FileNameField,
    ProjectNameField,
    Sha256Field,
    UntrustedNameError,
    parse_distribution_name,
    parse_file_name,
    parse_version,
    parse_wheel_name,
)
from builder.untrusted.package_names import PackageNameField
from builder.untrusted.text import (
    JsonLimits,
    UnfitJsonError,
    clean_json,
    clean_line,
    parse_answer,
    show,
)
from builder.verdicts.codes import FindingCode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.config.matrix import Matrix
    from builder.plan.shards import Shard

RECORD_FILE = "shard.json"
"""File name of a shard's record, in the wheelhouse of the shard."""

_LIMIT_BYTES = 256 << 20
"""Of a record. The 20 packages of the default matrix take 4 MB: this is enough for a thousand packages a shard."""

_JSON_LIMITS = JsonLimits(items=20_000_000, characters=_LIMIT_BYTES)
"""Of a whole record, which has the facts of thousands of jobs; so many items take 2 GB of memory."""

_ABOVE_EVIDENCE = 2  # levels of a record that one job's evidence is inside of

_EVIDENCE_LIMITS = replace(_JSON_LIMITS, depth=_JSON_LIMITS.depth - _ABOVE_EVIDENCE)
"""Of one job's evidence: it takes as many levels as the record leaves it."""

_MAX_SECONDS = 30 * 86_400.0
"""Longest time that a job can have taken: a month. Estimates are made of it."""

_MAX_VERSION = 1_000
"""Of a model of facts; today's are below ten."""

_MAX_LINE = 1 << 24
"""Of a text: no file that is read has so many bytes."""

_MAX_ITEMS = MAX_NEEDED
"""Needs or files of one package."""


def _check_log_path(value: str) -> str:
    """Return a log's path unchanged if it is empty, or `logs/KIND/NAME`.

    Raises:
        ValueError: it leads elsewhere.
    """
    if not value:
        return value

    folder, _, rest = value.partition("/")
    kind, _, name = rest.partition("/")
    if folder != "logs":
        raise ValueError(f"expected a path under logs/, not {show(value)}")
    parse_file_name(kind)
    parse_file_name(name)
    return value


def _parse_job_id(value: object) -> JobId:
    """Return a job's id from its text, `'build:lxml@debian-12'`; an id that is read already is returned as it is."""
    if isinstance(value, JobId):
        return value
    if not isinstance(value, str):
        raise UntrustedNameError("the id of a job", value, "")

    job = JobId.parse(value)
    for part in (str(job.kind), job.name, job.filename):
        parse_file_name(part)
    return job


def _check_version(value: str) -> str:
    """Return a version as it is written, if it is one (PEP 440)."""
    parse_version(value)
    return value


_Text = Annotated[str, StringConstraints(max_length=MAX_REQUIREMENT)]
"""A requirement, or a sentence: cleaned with the whole record."""

_Key = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
"""A job's key; empty where there is none, because the job could not be tried."""

_Version = Annotated[str, AfterValidator(_check_version)]
_JobId = Annotated[JobId, PlainValidator(_parse_job_id), PlainSerializer(str)]
_Many = Annotated[tuple[_Text, ...], Field(max_length=MAX_REQUIREMENTS)]
_Names = Annotated[tuple[PackageNameField, ...], Field(max_length=_MAX_ITEMS)]


class UnfitEvidenceError(ValueError):
    """A reader would refuse a record for the sake of one job's evidence. The text says why."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Pure(_Strict):
    """A pure-Python wheel of the index, as `Pure` has it."""

    name: ProjectNameField
    version: _Version
    filename: Annotated[str, AfterValidator(parse_wheel_name)]
    sha256: Sha256Field
    requires: _Many = ()


class _UpstreamWheel(_Strict):
    """A wheel that the project released, as `UpstreamWheel` has it."""

    abi: AbiName
    filename: Annotated[str, AfterValidator(parse_wheel_name)]
    sha256: Sha256Field


class _Quote(_Strict):
    """A sentence about threads, as `Quote` has it."""

    file: Annotated[str, StringConstraints(max_length=MAX_QUOTED_FILE)]
    line: Annotated[int, Field(ge=0, le=_MAX_LINE)]
    text: Annotated[str, StringConstraints(max_length=MAX_QUOTE)]
    about: Annotated[str, Field(pattern=r"^\w{0,80}$")] = ""


class _Statement(_Strict):
    """What a project says of threads, as `ThreadStatement` has it."""

    classifier: Annotated[str, StringConstraints(max_length=MAX_GRADE)]
    quotes: Annotated[tuple[_Quote, ...], Field(max_length=MAX_QUOTES)]


class _Source(_Strict):
    """A package with what its wheels are made of, as `Source` has it."""

    name: PackageNameField
    version: _Version
    kind: Literal["index", "local"]
    filename: Annotated[str, AfterValidator(parse_distribution_name)] | Literal[""]
    sha256: Sha256Field | Literal[""]
    requires: _Many = ()
    needs: _Names = ()
    pure: Annotated[tuple[_Pure, ...], Field(max_length=_MAX_ITEMS)] = ()
    needed_by: PackageNameField | Literal[""] = ""
    only_pure: _Pure | None = None
    trouble: _Text = ""
    builds_with: _Names = ()
    uses_rust: bool = False
    has_crates: bool = False
    rust_version: Annotated[str, Field(pattern=r"^(?:[0-9]{1,4}(?:\.[0-9]{1,4}){2})?$")] = ""
    has_toolchains: bool = False
    circle: _Names = ()
    held: _Text = ""
    is_pure: bool = False
    pure_wheel: Annotated[str, AfterValidator(parse_wheel_name)] | Literal[""] = ""
    doubt: _Text = ""
    take_from: From = "sdist"
    wheels: Annotated[tuple[_UpstreamWheel, ...], Field(max_length=_MAX_ITEMS)] = ()
    lacking: Annotated[tuple[tuple[AbiName, _Text], ...], Field(max_length=_MAX_ITEMS)] = ()
    offers: Annotated[tuple[tuple[AbiName, _Version], ...], Field(max_length=_MAX_ITEMS)] = ()
    statement: _Statement | None = None

    @model_validator(mode="after")
    def _has_something_to_take(self) -> Self:
        """Check that there is an sdist, with its hash, or that upstream's wheels are taken, one for an ABI at most."""
        has_sdist = bool(self.filename)
        if has_sdist != bool(self.sha256):
            raise ValueError("expected the file name and the hash of an sdist, or neither")
        if not has_sdist and self.take_from == "sdist":
            raise ValueError("expected an sdist")

        abis = [wheel.abi for wheel in self.wheels] + [abi for abi, _ in self.lacking]
        if len(set(abis)) != len(abis):
            raise ValueError("expected one of upstream's wheels for each ABI")
        has_native = any(not is_pure_wheel(wheel.filename) for wheel in self.wheels)
        if has_native and self.take_from == "sdist":
            raise ValueError("expected no native wheels of upstream's beside what is built")
        return self


class EvidenceRecord(_Strict):
    """One job's evidence, as `Evidence` has it; the facts are checked by the model of the kind of job."""

    key: _Key
    job: _JobId
    outcome: JobOutcome
    reason: str
    facts: dict[str, Any]
    files: Annotated[dict[FileNameField, Sha256Field], Field(max_length=_MAX_ITEMS)]
    log: Annotated[str, AfterValidator(_check_log_path)]
    seconds: Annotated[float, Field(ge=0, le=_MAX_SECONDS)]
    asked: str = ""
    facts_version: Annotated[int, Field(ge=1, le=_MAX_VERSION)] = 1

    def to_evidence(self) -> Evidence:
        """Return it as the store has it."""
        fields = {name: getattr(self, name) for name in EvidenceRecord.model_fields}
        return Evidence(**fields)


class ShardRecord(_Strict):
    """The whole record."""

    schema_version: Literal[1]
    number: Annotated[int, Field(ge=1, le=MAX_SHARDS)]
    of: Annotated[int, Field(ge=1, le=MAX_SHARDS)]
    matrix: _Text
    """Digest of the matrix: shards of different ones do not go together."""
    effort: EffortLevel = EffortLevel.QUICK
    """How long it looked for thread-safety problems: the keys of its jobs stand on it."""
    found: dict[PackageNameField, _Source]
    faults: dict[PackageNameField, tuple[FindingCode, _Text, _Text]]
    """(code, detail, version) by package."""
    evidence: list[EvidenceRecord]

    def sources(self) -> Sources:
        """Return the sources that the shard resolved, and the faults of packages without one."""
        found: dict[str, Source] = {}
        for name, source in self.found.items():
            found[name] = Source.from_record(source.model_dump())

        faults: dict[str, Fault] = {}
        for name, (code, detail, version) in self.faults.items():
            faults[name] = Fault(name=name, code=code, detail=detail, version=version)

        return Sources(found=found, faults=faults)


def matrix_digest(matrix: Matrix) -> str:
    """Hash what results go by in a matrix, without the path of its file: shards run on different machines."""
    return digest("matrix", matrix.model_dump(mode="json", exclude=NO_INPUTS))


def write_record(
    shard: Shard,
    matrix: Matrix,
    sources: Sources,
    evidence: Mapping[JobId, Evidence],
    wheelhouse: Path,
    effort: EffortLevel = EffortLevel.QUICK,
) -> None:
    """Write `shard.json`, which `wheelfarm merge` reads, into the wheelhouse of a shard.

    Args:
        shard: number of the shard, and how many there are.
        matrix: the whole matrix, of which the shard is a part.
        sources: sources of the shard's packages, and the faults of packages without one.
        evidence: results of the shard's jobs, by job id.
        wheelhouse: the shard's folder of results.
        effort: how long the run looked for thread-safety problems.
    """
    faults = {}
    for name, fault in sources.faults.items():
        # Cleaned, it may be longer than a reader takes.
        faults[name] = (fault.code, clean_line(fault.detail, MAX_REQUIREMENT), fault.version)

    record = {
        "schema_version": 1,
        "number": shard.number,
        "of": shard.total,
        "matrix": matrix_digest(matrix),
        "effort": effort.value,
        "found": {name: source.record() for name, source in sources.found.items()},
        "faults": faults,
        "evidence": [_make_record(job, recorded) for job, recorded in evidence.items()],
    }
    with atomic_write(wheelhouse / RECORD_FILE) as aside:
        # What an index or a package said may be no text that a reader takes: it is cleaned when it is read.
        aside.write_bytes(_encode(record) + b"\n")


def encode_evidence(job: JobId, evidence: Evidence) -> bytes:
    """Return a job's evidence as the record has it, if a reader takes it.

    Raises:
        UnfitEvidenceError: a reader would refuse it.
    """
    content = _encode(_make_record(job, evidence))
    try:
        # As `read_record` does, and builder/farm/merge.py with the facts: what is cleaned may have become longer.
        value = clean_json(parse_answer(content, _LIMIT_BYTES, _EVIDENCE_LIMITS), _EVIDENCE_LIMITS)
        recorded = EvidenceRecord.model_validate(value)
        clean_json(recorded.facts)
    except ValidationError as error:
        raise UnfitEvidenceError(_describe_first(error)) from None  # the message has the cause
    except UnfitJsonError as error:
        raise UnfitEvidenceError(str(error)) from None  # the message has the cause

    return content


def _encode(record: Mapping[str, Any]) -> bytes:
    """Return JSON data in one line: indented, a list of lists has twenty times as many bytes as a job's answer."""
    return json.dumps(record, separators=(",", ":")).encode()


def _make_record(job: JobId, evidence: Evidence) -> dict[str, Any]:
    """Return a job's evidence in the form in which `shard.json` holds it.

    The job's own id replaces the recorded one: two jobs with the same inputs share one piece of evidence, which names
    only the job that ran.
    """
    fields = {name: getattr(evidence, name) for name in EvidenceRecord.model_fields}
    fields["job"] = str(job)
    fields["facts"] = dict(evidence.facts)
    return fields


def read_record(folder: UntrustedFolder) -> ShardRecord:
    """Return the record of a shard, with every text in it cleaned.

    Raises:
        MergeError: the wheelhouse has no record, or it does not fit the model; the text names the first wrong field.
    """
    try:
        content = folder.read(RECORD_FILE, _LIMIT_BYTES)
        value = clean_json(parse_answer(content, _LIMIT_BYTES, _JSON_LIMITS), _JSON_LIMITS)
        return ShardRecord.model_validate(value)
    except MissingFileError:
        raise MergeError(
            folder.path, f"has no {RECORD_FILE}; `wheelfarm run --shard K/N` leaves one"
        ) from None  # the message has the cause
    except ValidationError as error:
        reason = f"{RECORD_FILE}: {_describe_first(error)}; run the shard again"
        raise MergeError(folder.path, reason) from None  # the message has the cause
    except (UnfitFileError, UnfitJsonError, OSError) as error:
        reason = f"{RECORD_FILE} cannot be read: {error}; run the shard again"
        raise MergeError(folder.path, reason) from None  # the message has the cause


def _describe_first(error: ValidationError) -> str:
    first_error = error.errors(include_context=False, include_url=False)[0]
    field_path = ".".join(show_part(part) for part in first_error["loc"]) or "it"
    return f"{field_path}: {first_error['msg']}"


def show_part(part: object) -> str:
    """Return one part of a path into a record for an error: keys may be anything."""
    text = str(part)
    return text if text.isidentifier() or text.isdecimal() else show(text)
