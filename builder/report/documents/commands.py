"""What commands print with `--json`: one model per command, stable and versioned.

Each has its JSON Schema beside the documentation: docs/COMMAND.schema.json. verdicts.json, which `wheelfarm run --json`
prints, and the documents of `wheelfarm check`, `parity` and `migrate` have modules of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue, RootModel

from builder.config.edit import Action
from builder.dependencies.survey import Status
from builder.report.documents.applications import ApplicationPart
from builder.report.documents.check import CheckDocument
from builder.report.documents.measurements import MeasureDocument
from builder.report.documents.migration import MigrateDocument
from builder.report.documents.packages import PackagePart
from builder.report.documents.parity import ParityDocument
from builder.report.documents.part import CleanLine, CleanText, Part
from builder.report.documents.promotion import PromoteDocument
from builder.report.documents.verdicts_json import Document
from builder.sources.kind import Kind
from builder.verdicts import ApplicationVerdict, Severity, Verdict

if TYPE_CHECKING:
    from pydantic import BaseModel

SCHEMA_VERSION = 1
"""Version of all documents here: a key is added without another one, and removed or changed with one."""


class LeftOutPart(Part):
    """A dependency that was not taken."""

    name: CleanLine

    where: CleanLine
    """The line or dotted path that names it; empty where another dependency brings it."""

    why: CleanText


class AddedPart(Part):
    """One package of the matrix that the file names."""

    name: str

    action: Action
    """`added`, `changed`, `same` as before, or `differs` and stays."""

    version: str
    """A specifier (PEP 440)."""

    sha256: str | None
    """The first of `hashes`; null where there are none."""

    hashes: list[str]
    """What the files that are taken for it must hash to, each to one of these; empty where the file has no hashes."""

    take_from: str = Field(alias="from")
    """The key `from` of its table: `wheel` where there is nothing to build from; empty where it has none."""

    group: str
    """What it stands under in the matrix; empty where there are no groups."""

    detail: CleanText


class AddDocument(Part):
    """What `wheelfarm add --json` prints."""

    schema_version: Literal[1]
    file: CleanLine
    format: str
    packages: list[AddedPart]
    left_out: list[LeftOutPart]
    notes: list[CleanText]


class OutlookPart(Part):
    """How a dependency stands towards one move."""

    status: Status

    upgrade: str
    """The newest release that has what is missing; empty where none has, or none is needed."""

    blockers: list[CleanText]
    remark: CleanText


class NewestPart(Part):
    """The newest stable release of a dependency."""

    version: str

    wheels: dict[str, str]
    """By ABI the lowest manylinux floor; `any` where a wheel needs none."""

    free_threading: CleanLine
    """The grade of the free-threading classifier; empty without it."""

    day: str | None
    """When it was made, `2026-01-31`; null where nothing tells."""

    day_from: Literal["", "index", "wheel"]
    """What told: the index (PEP 700), or the date inside a wheel."""


class SurveyedPart(Part):
    """One dependency."""

    name: str
    version: str

    where: CleanLine
    """The line or dotted path that names it; empty where another dependency brings it."""

    kind: Kind
    sdist: bool
    requires_python: CleanLine

    wheels: dict[str, str]
    """By ABI the lowest manylinux floor; the key `pure` for a wheel that serves every Python."""

    classifiers: list[CleanLine]
    free_threading: CleanLine
    newest: NewestPart

    newest_with: dict[str, str]
    """By ABI the newest release that has a wheel for it."""

    outlooks: dict[str, OutlookPart]
    """By move: `3.14` and `3.14t`."""


class SurveyDocument(Part):
    """What `wheelfarm survey --json` prints."""

    schema_version: Literal[1]
    file: CleanLine
    format: str
    summary: CleanText

    counts: dict[str, dict[str, int]]
    """By move how many dependencies have each status."""

    dependencies: list[SurveyedPart]
    left_out: list[LeftOutPart]
    notes: list[CleanText]


class KnownJobPart(Part):
    """A job whose result is on record."""

    id: str
    needs: list[str]
    known: Literal[True]


class PendingJobPart(Part):
    """A job that would run."""

    id: str
    needs: list[str]
    known: Literal[False]

    why: list[CleanText]
    """What changed; empty where it only waits for others."""

    after: list[str]
    """The jobs that have to run before it."""

    seconds: float


class TimesPart(Part):
    """How long a run would take, by the durations on record."""

    seconds: float
    work_seconds: float
    cpus: float


class ShardPart(Part):
    """What one shard of the run would have."""

    shard: str
    """`2/4` is the second of four."""

    packages: list[str]


class PlanDocument(Part):
    """What `wheelfarm plan --json` prints."""

    schema_version: Literal[1]
    jobs: list[KnownJobPart | PendingJobPart]
    expected: TimesPart

    why: dict[str, int]
    """How many jobs would run for each reason."""

    trials: dict[str, float]
    """By the job that may try an application once the index is published, how many seconds that should take."""

    faults: dict[str, CleanText]
    """Packages without a source, and why."""

    shards: list[ShardPart]


class JobPart(Part):
    """The evidence of one job."""

    id: str
    key: str
    seconds: float
    log: CleanLine

    facts: dict[str, JsonValue]
    """Raw facts; builder/evidence/ describes them. Others may be added."""


class ShowDocument(Part):
    """What `wheelfarm show --json` prints."""

    schema_version: Literal[1]
    name: str

    verdicts: PackagePart | None
    """As in verdicts.json; null if no whole run has judged it yet."""

    jobs: list[JobPart]
    """The oldest first."""


class ReplayDocument(Part):
    """What `wheelfarm replay --json` prints."""

    schema_version: Literal[1]

    finding: str
    """Its id."""

    shown: int
    """How many runs reproduced it."""

    runs: int

    what: list[CleanText]
    """The symptoms of each run; `nothing` for one without any."""

    output: CleanText
    """What the last run that reproduced it printed."""


class UploadedPart(Part):
    """One file and what became of it."""

    filename: CleanLine
    sha256: str
    outcome: Literal["sent", "there", "refused"]
    detail: CleanText


class PublishDocument(Part):
    """What `wheelfarm publish --json` prints."""

    schema_version: Literal[1]
    target: CleanLine
    files: list[UploadedPart]


class SnapshotPart(Part):
    """The index as it once was."""

    id: str

    published_at: str
    """When it was first published, in UTC: `2026-01-31T12:00:00Z`."""

    projects: int
    current: bool


class RollbackDocument(Part):
    """What `wheelfarm rollback --json` prints, with and without `--list`."""

    schema_version: Literal[1]
    snapshots: list[SnapshotPart]

    refused: dict[str, CleanText]
    """Files of the snapshot that are not in the index, and why; empty with `--list`."""


class CheckPart(Part):
    """One property of the machine."""

    name: CleanLine
    ok: bool
    found: CleanText
    remedy: CleanText

    required: bool
    """Whether nothing runs without it."""


class DoctorDocument(RootModel[list[CheckPart]]):
    """What `wheelfarm doctor --json` prints."""


class EngineDocument(Part):
    """What `wheelfarm engine --json` prints."""

    schema_version: Literal[1]
    address: CleanLine
    api_version: str


class GcDocument(Part):
    """What `wheelfarm gc --json` prints."""

    schema_version: Literal[1]
    dry_run: bool
    evidence: int
    images: int
    files: int
    freed_bytes: int
    kept_bytes: int
    referenced_bytes: int

    engine: dict[str, int]
    """How much was removed from the engine, by kind; empty with `--dry-run`, or where no engine answers."""


class ReleaseChangePart(Part):
    """A package with another version than before; a version is empty where that run did not have the package."""

    package: str
    before: str
    after: str


class VerdictChangePart(Part):
    """A verdict that is another than before."""

    package: str
    abi: str
    direction: Literal["worse", "better", "new", "gone"]

    before: Verdict | None
    """Null where that run did not have it."""

    after: Verdict | None
    reason: CleanText


class NewFindingPart(Part):
    """A finding that the run before did not have."""

    package: str
    abi: str
    id: str
    code: str
    severity: Severity
    title: CleanText
    detail: CleanText
    where: CleanLine


class ApplicationChangePart(Part):
    """An application whose verdict on an ABI and a base is another than before."""

    application: str
    abi: str
    base: str

    before: ApplicationVerdict | None
    """Null where that run did not have it."""

    after: ApplicationVerdict
    reason: CleanText

    way_out: CleanText
    """The shortest way out; empty where nothing blocks, or no way is known."""


class NightDocument(Part):
    """What `wheelfarm nightly --json` and `wheelfarm merge --json` print: what changed since the last run."""

    schema_version: Literal[1]

    first: bool
    """Whether there was no run before."""

    releases: list[ReleaseChangePart]

    changes: list[VerdictChangePart]
    """The worst first."""

    applications: list[ApplicationChangePart]
    findings: list[NewFindingPart]


class DeliveryPart(Part):
    """What came of telling one target."""

    name: str
    """Of its table."""

    kind: str

    outcome: Literal["sent", "nothing", "failed", "shown"]
    """`nothing` where there was nothing to tell it, `shown` with `--dry-run`."""

    detail: CleanText
    """What was done, or what was observed and what to do."""

    content: CleanText
    """What would be sent, where it is shown; else empty."""


class NotifyDocument(Part):
    """What `wheelfarm notify --json` prints."""

    schema_version: Literal[1]
    targets: list[DeliveryPart]


class AppDocument(Part):
    """What `wheelfarm app --json` prints."""

    schema_version: Literal[1]
    applications: list[ApplicationPart]
    """As in verdicts.json."""


DOCUMENTS: dict[str, type[BaseModel]] = {
    "add": AddDocument,
    "survey": SurveyDocument,
    "plan": PlanDocument,
    "run": Document,
    "nightly": NightDocument,
    "merge": NightDocument,
    "notify": NotifyDocument,
    "check": CheckDocument,
    "show": ShowDocument,
    "app": AppDocument,
    "parity": ParityDocument,
    "measure": MeasureDocument,
    "migrate": MigrateDocument,
    "replay": ReplayDocument,
    "publish": PublishDocument,
    "promote": PromoteDocument,
    "rollback": RollbackDocument,
    "doctor": DoctorDocument,
    "engine": EngineDocument,
    "gc": GcDocument,
}
"""By command, what it prints with `--json`. `wheelfarm serve` prints no data."""
