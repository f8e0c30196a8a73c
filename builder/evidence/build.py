"""Facts of a build job: a wheel or a failure for each ABI."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from builder.evidence.base import ARRAY, Facts, Many, Model, Pair
from builder.verdicts.codes import FindingCode


class Failure(Model):
    """Why there is no wheel, as the rules of jobs/build/log.py read it from the log."""

    code: FindingCode
    """Code of the finding it becomes (builder/judge/codes.toml)."""

    stage: str
    """Where it happened, in cibuildwheel's words."""

    error: str
    """The first error, for a person."""

    remedy: str
    """What to do; empty where nothing is known."""

    missing: Many[Pair] = ()
    """What of the system it asked for and did not find, as (kind, name); see judge/apt_contents.py for the kinds."""


class FailedCall(Model):
    """One call of cibuildwheel that failed: with the log, all that is needed to read the failure again."""

    abis: Many[str]
    """The ABIs it was to build, in order."""

    exit_code: int
    """Its exit code; negative for a signal."""

    log: Annotated[tuple[int, int], ARRAY]
    """Where in the job's log its output is: the first byte, and the one after the last."""

    timeout_s: int | None
    """The limit on time where it was reached, in seconds."""

    memory_bytes: int | None
    """The limit on memory where the kernel killed something for it."""

    processes: int | None
    """The limit on processes where the kernel refused one."""

    disk: str | None = None
    """What it wrote too much of where it was ended for that."""

    ended: int | None = None
    """Exit code of its container where something of the build ended that."""

    asked: Many[str] = ()
    """Hosts that it asked the index proxy for and that no build reaches."""

    index: str = ""
    """Address of the index proxy."""

    lacking: Many[str] = ()
    """Rust toolchains that were wanted and not had: what was asked, and what it answered."""


Origin = Literal["built", "upstream"]
"""Where a wheel is from: the farm built it, or the project released it and the farm took it as it is."""


class AbiBuild(Model):
    """What one ABI came to: a wheel or a failure, never both."""

    wheel: str | None = None
    """File name of the wheel; the evidence's files have its sha256."""

    requires_python: str = ""
    """`requires-python` of the wheel, as its metadata says it; empty where it says nothing."""

    origin: Origin = "built"
    """Where the wheel is from."""

    failure: Failure | None = None
    """Why there is no wheel."""

    stands_for: Failure | None = None
    """Why the build made no wheel, where upstream's wheel stands in its place."""

    call: FailedCall | None = None
    """The call that failed, where either failure was read from its log."""

    @model_validator(mode="after")
    def _is_wheel_or_failure(self) -> Self:
        """Check that an ABI has either a wheel or a failure."""
        if (self.wheel is None) == (self.failure is None):
            raise ValueError("expected either a wheel or a failure")
        if self.stands_for is not None and self.origin != "upstream":
            raise ValueError("expected upstream's wheel in the place of one that failed")
        return self


class Usage(Model):
    """What a build used of its limits, as images/limits.sh prints it. What else a build prints there is left out."""

    model_config = ConfigDict(extra="ignore")

    processes_refused: int | None = Field(default=None, alias="processes-refused")
    """How often the kernel refused a process."""

    memory_kills: int | None = Field(default=None, alias="memory-kills")
    """How often the kernel killed a process for memory."""

    memory_peak_bytes: int | None = Field(default=None, alias="memory-peak-bytes")
    """The most memory it used at any time."""


class CompilerCacheUse(Model):
    """How often the compiler cache was of use."""

    hits: int = 0
    """Files that it had."""

    misses: int = 0
    """Files that had to be compiled."""


class FetchedFile(Model):
    """A file that a container took from the package index."""

    filename: str
    """Its name."""

    sha256: str
    """Its hash; the index cache has it under this."""


class BuildFacts(Facts):
    """What a build job found out. Its evidence's files are the wheels."""

    schema_version = 2  # `origin` and `stands_for`

    abis: dict[str, AbiBuild]
    """By ABI."""

    rules: str = ""
    """Hash of the rules by which failures were read; empty for a wheel that was not built here."""

    limits: Usage = Usage()
    """What the container used."""

    compiler_cache: CompilerCacheUse = CompilerCacheUse()
    """How often the compiler cache was of use."""

    cpu_options: Many[str] = ()
    """How compilers were told to make code for the processor of the machine that built: `-march=native for src/a.c`."""

    processor: str = ""
    """The processor that its wheels were compiled for, where that is so; empty where they are for any."""

    fetched: Many[FetchedFile] = ()
    """Files it took from the package index, in the order it asked for them."""

    asked: Many[str] = ()
    """Hosts it asked for that no build reaches."""

    rust: str = ""
    """The Rust it was built with, such as `1.90.0`, where that is not the base's own; `fetched` has its files."""

    rebuilt: dict[str, Many[str]] = Field(default_factory=dict)
    """Where the same key was built before: by wheel, the members that came out otherwise. The executor adds it."""

    def wheel_of(self, abi: str) -> str | None:
        """Return the file name of the wheel for an ABI, or None where there is none."""
        outcome = self.abis.get(abi)
        return None if outcome is None else outcome.wheel
