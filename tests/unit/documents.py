"""Documents of verdicts for the tests of what is made from them."""

from collections.abc import Sequence

from builder.report.documents.findings import FindingPart, LocationPart, TrialPart
from builder.report.documents.packages import AbiPart, PackagePart, SourcePart, WheelPart
from builder.report.documents.speed import RatioPart, SpeedPart
from builder.report.documents.thread_safety import (
    CallablePart,
    ExercisedPart,
    QuotePart,
    ThreadSafetyPart,
    UpstreamPart,
)
from builder.report.documents.verdicts_json import Document, FarmPart
from builder.verdicts import Severity
from builder.verdicts.levels import Consequence, Level, Need

BASES = ["debian-12", "debian-13"]
HOSTILE = '"><script>alert(1)</script>&\x00|`'


def finding(
    code: str = "WF402",
    where: str = "foo.bar",
    detail: str = "importing foo.bar: no",
    locations: Sequence[LocationPart] = (),
) -> FindingPart:
    return FindingPart(
        id="0123456789ab", code=code, severity="error", title="error on import", detail=detail, where=where, locations=list(locations), bases=BASES[:1],
        remedy="Read it.", log="logs/load/foo@debian-12_debian-12.01234567.log", replay="wheelfarm run --only foo --again",
    )  # fmt: skip


def abi(
    verdict: str = "compatible", reason: str = "all is well", *findings: FindingPart
) -> AbiPart:
    wheel = WheelPart(
        filename="foo-1-cp314-cp314-linux_x86_64.whl",
        base="debian-12",
        sha256="0" * 64,
        floor="manylinux_2_17",
        log="logs/build/foo@debian-12.01234567.log",
    )
    return AbiPart(
        verdict=verdict,
        reason=reason,
        wheels=[wheel],
        loaded_on=BASES[:1],
        on={"debian-12": "imports", "debian-13": "fails"},
        exercised=ExercisedPart(
            native_callables=0,
            called_alone=0,
            under_threads=0,
            pairs=0,
            missed=1.0,
            race_detector=False,
        ),
        findings=list(findings),
    )


def ratio(low: float, median: float, high: float) -> RatioPart:
    return RatioPart(low=low, median=median, high=high)


SPEED = SpeedPart(
    calls=8,
    tried=11,
    cpus=2,
    baseline="cp314",
    throughput={
        "cp314t": {
            "1": ratio(0.71, 0.93, 1.02),
            "2": ratio(0.88, 1.81, 1.95),
            "4": ratio(0.61, 1.74, 1.96),
        },
        "cp314": {"1": ratio(1, 1, 1), "2": ratio(0.93, 0.99, 1.01), "4": ratio(0.9, 0.97, 1.02)},
    },
    machine={"1": 1.0, "2": 1.97, "4": 1.95},
    cost=ratio(0.98, 1.12, 1.43),
    plain_cost=1.15,
    why="",
)
UNKNOWN_SPEED = SPEED.model_copy(
    update={
        "throughput": {},
        "cost": None,
        "plain_cost": None,
        "calls": 0,
        "why": "not measured: no call is known",
    }
)

SENTENCE = "safe as long as no two threads use the same object: if threads share an object of foo.Box, it crashes"
SAFETY = ThreadSafetyPart(
    level=Level.DISTINCT,
    sentence=SENTENCE,
    callables=[
        CallablePart(
            name="foo.Box.put",
            level=Level.DISTINCT,
            needs=Need.OBJECT,
            consequence=Consequence.CRASH,
            findings=["0123456789ab"],
        ),
        CallablePart(
            name="foo.hash", level=Level.SHARED, needs=None, consequence=None, findings=[]
        ),
    ],
    not_tried=["foo.open"],
    not_tried_count=12,
)

UPSTREAM = UpstreamPart(
    classifier="3 - Stable",
    meaning="supported in production",
    quotes=[
        QuotePart(file="README.md", line=7, text="Boxes are not thread-safe."),
        QuotePart(file="foo/core.py", line=12, text=HOSTILE, about="Box"),
    ],
    disagreement="foo.Box broke here",
)


def fault() -> FindingPart:
    """Return a crash that takes an object which threads share."""
    return finding(
        "WF601", where="foo._core.Box.put", detail="SIGSEGV in Box_put (box.c:7)"
    ).model_copy(
        update={
            "title": "crash under threads",
            "severity": Severity.WARNING,
            "needs": Need.OBJECT,
            "headline": "if threads share an object of `Box` that one of them changes, the process crashes",
            "consequence": Consequence.CRASH,
            "remedy": "Give each thread its own `Box`.",
            "calls": "`s.put(1)` of `foo.Box()`",
            "trials": [
                TrialPart(how="as it was found", shown=3, ran=3),
                TrialPart(how="with nothing shared", shown=0, ran=2),
            ],
            "program": f"import foo  # {HOSTILE}",
            "replay": "wheelfarm replay 0123456789ab",
        }
    )


def fault_abi() -> AbiPart:
    """Return the verdict of a package with such a crash, and with what its project says of threads."""
    said = SAFETY.model_copy(update={"upstream": UPSTREAM})
    reason = "crash under threads: SIGSEGV in Box_put (box.c:7) (and 2 more)"
    other = finding("WF504", detail="one phase").model_copy(update={"id": "ba9876543210"})
    part = abi("thread-unsafe", reason, other, fault())
    exercised = part.exercised.model_copy(update={"native_callables": 4, "under_threads": 2})
    return part.model_copy(update={"thread_safety": said, "exercised": exercised})


def document(packages: dict[str, dict[str, AbiPart]], **speeds: SpeedPart) -> Document:
    source = SourcePart(kind="index", filename="foo-1.tar.gz", sha256="0" * 64, needed_by="")
    return Document(
        schema_version=1,
        generated_at="2026-11-21T02:00:00Z",
        farm=FarmPart(version="0.1.0", bases=BASES, build_on=BASES[:1]),
        packages=[
            PackagePart(name=name, version="1.0", source=source, abis=abis, speed=speeds.get(name))
            for name, abis in packages.items()
        ],
    )
