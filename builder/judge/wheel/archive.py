"""Is the file a whole and safe wheel (PEP 427)?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import Version

from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.finding_codes import FindingCode
    from builder.judge.findings import Finding
    from builder.judge.wheel.subject import Subject

_CODES: dict[str, FindingCode] = {
    "unreadable": "WF305",
    "damaged": "WF305",
    "encrypted": "WF305",
    "bomb": "WF306",
    "unsafe": "WF306",
    "duplicate": "WF306",
    "record": "WF307",
    "metadata": "WF308",
}


def findings(subject: Subject) -> Iterator[Finding]:
    """Judge the archive, RECORD, and what metadata says of name and version."""
    seen: dict[FindingCode, list[tuple[str, str]]] = {}
    for kind, where, detail in subject.facts["faults"]:
        seen.setdefault(_CODES[kind], []).append((where or subject.filename, detail))
    if (
        not any(kind == "metadata" for kind, _, _ in subject.facts["faults"])
        and subject.facts["members"]
    ):
        seen.setdefault("WF308", []).extend(
            ("METADATA", detail) for detail in _check_identity(subject)
        )
    for code, found in sorted(seen.items()):
        yield from group_finding(code, found)


def _check_identity(subject: Subject) -> Iterator[str]:
    """Compare name and version in the file name, the folder's name and METADATA; and read WHEEL's version."""
    facts = subject.facts
    folder, _, version = facts["dist_info"].removesuffix(".dist-info").rpartition("-")
    stated = {"its folder is": (folder, version)}
    stated["METADATA says"] = (
        _first_value(subject, "metadata", "name"),
        _first_value(subject, "metadata", "version"),
    )
    for source, (name, number) in stated.items():
        if not _same_name(name, subject.name):
            yield f"its file name is of {subject.name}; {source} {name or 'nothing'}"
        if not _same_version(number, subject.version):
            yield f"its file name says version {subject.version}; {source} {number or 'nothing'}"
    wheel_version = _first_value(subject, "wheel", "wheel-version")
    if not wheel_version.startswith("1."):
        yield f"Wheel-Version is {wheel_version or 'missing'}; installers know 1.x"


def _first_value(subject: Subject, file: str, key: str) -> str:
    return str(next(iter(subject.facts[file].get(key, ())), ""))


def _same_name(stated: str, name: str) -> bool:
    try:
        return canonicalize_name(stated, validate=True) == name
    except InvalidName:
        return False


def _same_version(stated: str, version: Version) -> bool:
    try:
        return Version(stated.replace("_", "-")) == version
    except ValueError:
        return False
