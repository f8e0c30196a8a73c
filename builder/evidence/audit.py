"""Facts of an audit job: what wheels say of themselves, and what their native code needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, JsonValue, Tag, model_validator

from builder.evidence.base import (
    ARRAY,
    EvidenceError,
    Facts,
    MalformedFactsError,
    Many,
    Model,
    decode,
)
from builder.verdicts.codes import FindingCode

if TYPE_CHECKING:
    from builder.store.evidence import Evidence

FaultKind = Literal[
    "unreadable", "bomb", "unsafe", "duplicate", "encrypted", "damaged", "metadata", "record"
]
"""What is wrong with an archive: builder/inside/audit/wheelfile.py finds them."""

Fault = Annotated[tuple[FaultKind, str, str], ARRAY]
"""What is wrong, where, and in what way."""

Component = Annotated[tuple[str, str, str], ARRAY]
"""Name, version and package URL of something that a wheel brings along."""

Objection = Annotated[tuple[FindingCode, str, str], ARRAY]
"""Code of a finding, where it is, and what it says."""

Content = Literal["package", "module", "folder", "libraries", "file"]
"""What a wheel puts beside other packages; a folder has no code in it."""


class AbiInfo(Model):
    """What an extension module says it was compiled for, in its slot `Py_mod_abi` (new in CPython 3.15)."""

    stable: bool
    """Whether for the stable ABI."""

    builds: Many[Literal["gil", "free-threaded"]]
    """For which builds of CPython; none where it does not say, which import takes for both."""

    version: str
    """The version of the ABI, such as `3.15`; empty where it names none."""


class Init(Model):
    """How an extension module is initialised, read without loading it."""

    function: bool
    """Whether it has a function that import calls, by its name."""

    hooks: Many[Literal["PyInit", "PyModExport"]] | None = None
    """Which of these functions it has (PEP 793); None where a farm that did not look for that read it."""

    abi: AbiInfo | None = None
    """What it says it was compiled for; None where it says nothing, or where that could not be read."""

    phases: Literal["single", "multi"] | None
    """By single-phase or multi-phase initialisation (PEP 489); None where neither shows."""

    slots: dict[Literal["gil", "multiple_interpreters"], int]
    """Slots of its module definition, with their values."""


class ThreadSigns(Model):
    """What native code shows of how it was made for threads. Signs, not proofs."""

    locks: Many[str]
    """Functions it uses that wait for other threads."""

    types: bool
    """Whether it makes types."""

    borrowed: Many[str]
    """Functions it uses that hand out a reference which another thread may drop."""

    libc: Many[str]
    """Functions it uses that POSIX does not promise to be safe among threads."""

    writable: int
    """Bytes of static data that it may write."""


class NativeObject(Model):
    """A native file that could be read. What is said of `undefined`, `unreached` and `outside` counts what it loads."""

    kind: Literal["extension", "library", "program"]
    """What it is."""

    needed: Many[str]
    """Sonames of the libraries it needs."""

    soname: str
    """Its own name for others to need; empty where it has none."""

    rpath: Many[str]
    """Folders of `DT_RPATH`."""

    runpath: Many[str]
    """Folders of `DT_RUNPATH`."""

    versions: dict[str, dict[str, str]]
    """Library -> version -> a symbol that needs it, for libraries that are not in the wheel; the symbol is empty where
    packed relocations need the version."""

    stack: bool
    """Whether loading it makes the stack executable."""

    text_relocations: bool
    """Whether loading it writes to its code."""

    relro: bool
    """Whether relocated data becomes read-only after loading."""

    bind_now: bool
    """Whether it asks for all its symbols when it is loaded."""

    isa: int
    """The x86-64 level it declares to need, 1 to 4."""

    debug: bool = False
    """Whether it has debug information; not where a farm that did not look for that read it."""

    build: Literal["gil", "free-threaded"] | None
    """The build of CPython it was compiled for; None where it does not show."""

    build_sign: str
    """What shows it."""

    init: Init | None
    """Of an extension module, how it is initialised."""

    threads: ThreadSigns | None = None
    """How it was made for threads; None where a farm that did not look for that read it."""

    paths: Many[str]
    """Folders of the machine it was built on."""

    undefined: dict[str, str]
    """Symbols left to the interpreter and the system -> path of the object that needs them."""

    unreached: dict[str, str]
    """Needed libraries that are in the wheel, where nothing looks for them -> path of who needs them."""

    outside: dict[str, str]
    """Needed libraries that are not in the wheel -> path of who needs them."""


class ForeignObject(Model):
    """A native file for another machine than x86-64."""

    machine: str
    """The machine."""


class DamagedObject(Model):
    """A native file that could not be read."""

    damaged: str
    """What is wrong with it."""


def _choose_model(value: object) -> str:
    """Return the tag of the model that describes a native file: `native`, `foreign` or `damaged`.

    Without this choice pydantic would try all three, and an error would list the mistakes of each.
    """
    # The value is JSON data, or one of the models already.
    keys = value if isinstance(value, dict) else ()
    if isinstance(value, DamagedObject) or "damaged" in keys:
        return "damaged"
    if isinstance(value, ForeignObject) or "machine" in keys:
        return "foreign"
    return "native"


WheelObject = Annotated[
    Annotated[NativeObject, Tag("native")]
    | Annotated[ForeignObject, Tag("foreign")]
    | Annotated[DamagedObject, Tag("damaged")],
    Discriminator(_choose_model),
]
"""Any native file of a wheel."""


class AuditwheelReport(Model):
    """What `auditwheel show --json` says. It is another project's format: what it adds is kept."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, JsonValue]

    overall_tag: str
    """The platform tag that the wheel is consistent with."""


class Installs(Model):
    """Where its files end up when it is installed (builder/inside/audit/installs.py)."""

    roots: dict[str, Literal["package", "module", "folder"]]
    """What it puts beside other packages: outermost package, module, or folder without `__init__`, by path."""

    metadata: Many[str]
    """`.dist-info` and `.egg-info` folders and files other than its own."""

    pth: dict[str, str]
    """`.pth` files that run code at the start of every interpreter -> the first such line."""

    scripts: Many[str]
    """Programs beside the interpreter."""

    data: Many[str]
    """What goes to other places, relative to the folder of the environment."""


class WheelFacts(Facts):
    """What builder/inside/audit/ answers of one wheel."""

    faults: Many[Fault]
    """What is wrong with the archive, its metadata or RECORD."""

    size: int
    """In bytes."""

    members: int
    """How many files it has."""

    dist_info: str
    """Name of its `.dist-info` folder; empty where there is none, or more than one."""

    metadata: dict[str, Many[str]]
    """Header fields of METADATA, by lower-case name; only those that somebody asks for."""

    wheel: dict[str, Many[str]]
    """Header fields of WHEEL."""

    top_level: dict[str, Content]
    """What it puts beside other packages."""

    installs: Installs | None = None
    """Where its files end up; None where a farm that did not look for that read it."""

    bytecode: Many[str]
    """Compiled Python files that it ships."""

    sboms: Many[str]
    """Files under `.dist-info/sboms` (PEP 770)."""

    components: Many[Component]
    """What those say it brings along, the wheel itself left out."""

    extensions: dict[str, str]
    """Path of each extension module -> the tag in its suffix (PEP 3149), empty where there is none."""

    objects: dict[str, WheelObject]
    """Its native files by path."""

    grafted: Many[str]
    """Libraries that a repair tool put in, by path."""

    auditwheel: AuditwheelReport | None = None
    """What auditwheel says; None where it was not asked, or failed."""

    auditwheel_error: str | None = None
    """Why it failed."""

    abi3audit: Many[Objection] = ()
    """What abi3audit objects to, of a wheel of the stable ABI."""

    @property
    def native_objects(self) -> dict[str, NativeObject]:
        """The native files that could be read, by path."""
        return {
            path: native_file
            for path, native_file in self.objects.items()
            if isinstance(native_file, NativeObject)
        }

    @model_validator(mode="after")
    def _has_one_answer_of_auditwheel(self) -> Self:
        """Check that auditwheel did not both answer and fail."""
        if self.auditwheel is not None and self.auditwheel_error is not None:
            raise ValueError("expected either an answer of auditwheel or its error")
        return self


class AuditFacts(Facts):
    """What an audit job found out."""

    schema_version = 2  # `upstream`

    wheels: dict[str, WheelFacts]
    """By file name."""

    upstream: dict[str, WheelFacts] = Field(default_factory=dict)
    """Upstream's wheels that those the farm built are compared with, by file name: the two may have one name."""


class AuditAnswer(AuditFacts):
    """What builder/inside/audit/ answers: an object of wheels."""

    @classmethod
    def parse(cls, answer: bytes) -> Self:
        """Return the object that the program answered, checked, as the field `wheels`.

        Raises:
            MalformedFactsError: it is not JSON, or not what the model describes.
        """
        return cls.check({"wheels": decode(answer)})


def read_wheel(evidence: Evidence, filename: str) -> WheelFacts | None:
    """Return what an audit job found out about one wheel; None where the job did not audit a wheel of that name.

    The other wheels are not checked, for speed: the keys of race jobs ask for this, also where nothing changed.

    Raises:
        EvidenceError: what is recorded is not what the model describes.
    """
    facts = evidence.facts["wheels"].get(filename)
    if facts is None:
        return None

    try:
        return WheelFacts.check(facts)
    except MalformedFactsError as error:
        raise EvidenceError(evidence.job, f"wheels.{filename}.{error}") from error
