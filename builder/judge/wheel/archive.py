"""Is the file a whole and safe wheel (PEP 427)?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.evidence.audit import FaultKind
    from builder.finding_codes import FindingCode
    from builder.judge.findings import Finding
    from builder.judge.wheel.subject import Subject

_CODES: Mapping[FaultKind, FindingCode] = {
    "unreadable": "WF305",
    "damaged": "WF305",
    "encrypted": "WF305",
    "bomb": "WF306",
    "unsafe": "WF306",
    "duplicate": "WF306",
    "record": "WF307",
    "metadata": "WF308",
}


def judge_archive(subject: Subject) -> Iterator[Finding]:
    """Yield findings on the archive, on RECORD, and on name and version in the metadata, one for each code.

    An empty archive, or one whose metadata cannot be read, has no name to compare.
    """
    faults_by_code: dict[FindingCode, list[tuple[str, str]]] = {}
    for kind, where, detail in subject.facts.faults:
        faults_by_code.setdefault(_CODES[kind], []).append((where or subject.filename, detail))

    # Metadata that cannot be read has no name to compare, and its fault is told already.
    has_metadata_fault = any(kind == "metadata" for kind, _, _ in subject.facts.faults)
    if subject.facts.members and not has_metadata_fault:
        for detail in _check_identity(subject):
            faults_by_code.setdefault("WF308", []).append(("METADATA", detail))

    for code, faults in sorted(faults_by_code.items()):
        yield from group_finding(code, faults)


def _check_identity(subject: Subject) -> Iterator[str]:
    """Yield a sentence for each name or version that contradicts the file name, and for an unknown Wheel-Version.

    Compared are the name of the `.dist-info` folder and the fields of METADATA.
    """
    folder_name, _, folder_version = subject.facts.dist_info.removesuffix(".dist-info").rpartition(
        "-"
    )
    metadata_name = _first_value(subject.facts.metadata, "name")
    metadata_version = _first_value(subject.facts.metadata, "version")

    for source, name, version in (
        ("its folder is", folder_name, folder_version),
        ("METADATA says", metadata_name, metadata_version),
    ):
        if not _is_same_name(name, subject.name):
            yield f"its file name is of {subject.name}; {source} {name or 'nothing'}"
        if not _is_same_version(version, subject.version):
            yield f"its file name says version {subject.version}; {source} {version or 'nothing'}"

    wheel_version = _first_value(subject.facts.wheel, "wheel-version")
    if not wheel_version.startswith("1."):
        yield f"Wheel-Version is {wheel_version or 'missing'}; installers know 1.x"


def _first_value(headers: Mapping[str, tuple[str, ...]], name: str) -> str:
    return next(iter(headers.get(name, ())), "")


def _is_same_name(stated: str, name: str) -> bool:
    try:
        return canonicalize_name(stated, validate=True) == name
    except InvalidName:
        return False


def _is_same_version(stated: str, version: Version) -> bool:
    try:
        return Version(stated.replace("_", "-")) == version
    except InvalidVersion:
        return False
