"""Do file name, WHEEL and contents tell the same story, and is there an interpreter for it (PEP 425, 427, 703, 803)?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.tags import parse_tag

from builder.distributions.cpython import is_taken
from builder.evidence.audit import DamagedObject, ForeignObject
from builder.judge.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.tags import Tag

    from builder.judge.wheel.subject import Subject

_LIBRARY = re.compile(r"\.so(\.[\w.]+)?$")
_TAG_PARTS = 3  # PEP 425: interpreter, ABI, platform


def judge_tags(subject: Subject) -> Iterator[Finding]:
    """Yield findings where the tags of the file name contradict WHEEL, contents or each other, or are nobody's."""
    yield from _check_stated_tags(subject)
    yield from _check_purity(subject)
    yield from _check_interpreters(subject)
    yield from _check_machine(subject)


def _check_stated_tags(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where WHEEL's Tag fields are not the tags of the file name; nothing without a WHEEL file."""
    stated: set[Tag | str] = set()
    for text in subject.facts.wheel.get("tag", ()):
        stated |= _parse_tag(text)
    has_no_wheel_file = not subject.facts.wheel
    if has_no_wheel_file or stated == subject.tags:
        return

    parts: list[str] = []
    if missing := sorted(map(str, subject.tags - stated)):
        parts.append(f"the file name promises {', '.join(missing)}, which WHEEL does not have")
    if extra := sorted(map(str, stated - subject.tags)):
        parts.append(f"WHEEL has {', '.join(extra)}, which the file name does not promise")

    yield Finding(code="WF309", detail="; ".join(parts), where="WHEEL")


def _parse_tag(text: str) -> frozenset[Tag | str]:
    """Return the tags that a text stands for; what is no tag stands for itself."""
    if len(text.split("-")) != _TAG_PARTS:
        return frozenset({text})
    return frozenset(parse_tag(text))


def _check_purity(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where Root-Is-Purelib or the platform tag contradicts whether the wheel holds native code."""
    first_native = next(iter(subject.objects), None)
    is_for_any_platform = any(tag.platform == "any" for tag in subject.tags)
    root_is_purelib = next(iter(subject.facts.wheel.get("root-is-purelib", ())), "")

    if first_native is not None:
        if is_for_any_platform:
            yield _describe_any_platform(subject, first_native)
        elif root_is_purelib.lower() == "true":
            detail = f"Root-Is-Purelib is true, and {first_native} is native code"
            yield Finding(code="WF310", detail=detail, where="WHEEL")
        return

    has_no_native_file = not subject.facts.objects and not subject.facts.faults
    names_interpreter = subject.abi_tags != {"none"}
    if has_no_native_file and names_interpreter and not is_for_any_platform:
        abis = ", ".join(sorted(subject.abi_tags))
        detail = f"it is tagged {abis} and holds no native code at all"
        yield Finding(code="WF311", detail=detail, where=subject.filename)


def _describe_any_platform(subject: Subject, first_native: str) -> Finding:
    """Return the finding on a wheel for any platform that has native code.

    Extension modules are imported wherever it is installed. What is none is loaded by the package's own code, which may
    have a file for each machine, and choose.
    """
    extension = next((path for path, _ in subject.extensions), None)
    where = extension or first_native
    detail = f"it is tagged for any platform and holds {where}"
    return Finding(code="WF338" if extension is None else "WF312", detail=detail, where=where)


def _check_interpreters(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where the wheel promises `abi3` to a free-threaded build, or where nobody takes any tag of it.

    The stable ABI never serves a free-threaded build by `abi3` (PEP 703). Where several tags are written as one
    (`cp314.cp315-abi3.abi3t`), some of them may be nobody's (PEP 425).
    """
    tags = sorted(subject.tags, key=str)
    for tag in tags:
        if tag.abi == "abi3" and re.fullmatch(r"cp3\d+t", tag.interpreter):
            detail = f"the tag {tag} says that the stable ABI serves a build without the GIL"
            yield Finding(code="WF321", detail=detail, where=subject.filename)
            return

    if not any(is_taken(tag) for tag in tags):
        detail = f"no interpreter takes the tag {tags[0]}"
        if "t" in tags[0].interpreter.removeprefix("py"):
            detail += ": a free-threaded build has its `t` in the ABI tag alone"
        yield Finding(code="WF339", detail=detail, where=subject.filename)


def _check_machine(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each library that is damaged, or built for another machine than the wheel's platform tag.

    Files that are not named as libraries (`.so`) are skipped.
    """
    is_for_x86_64 = any(
        tag.platform == "any" or tag.platform.endswith("x86_64") for tag in subject.tags
    )
    for path, native in subject.facts.objects.items():
        if not _LIBRARY.search(path):
            continue

        if isinstance(native, DamagedObject):
            yield Finding(code="WF314", detail=f"{path}: {native.damaged}", where=path)
        elif isinstance(native, ForeignObject) and is_for_x86_64:
            detail = f"{path} is for {native.machine}; the wheel is for x86_64"
            yield Finding(code="WF313", detail=detail, where=path)
