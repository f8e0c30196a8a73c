"""Do file name, WHEEL, suffixes and machine code tell the same story (PEP 425, 427, 3149, 384, 703, 803)?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.tags import parse_tag

from builder.evidence.audit import DamagedObject, ForeignObject
from builder.judge.findings import Finding
from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.tags import Tag

    from builder.evidence.audit import NativeObject
    from builder.judge.wheel.subject import Subject

_BUILD_NAMES = {
    "free-threaded": "CPython without the GIL",
    "gil": "CPython with the GIL",
}
_LIBRARY = re.compile(r"\.so(\.[\w.]+)?$")
_TAG_PARTS = 3  # PEP 425: interpreter, ABI, platform
_FIRST_ABI3T_MINOR = 15  # PEP 803


def judge_tags(subject: Subject) -> Iterator[Finding]:
    """Yield findings where the tags of the file name contradict WHEEL, suffixes, machine code or each other."""
    yield from _check_stated_tags(subject)
    yield from _check_purity(subject)
    yield from _check_stable_abi(subject)
    yield from _check_machine(subject)
    for path, tag in subject.facts.extensions.items():
        yield from _check_suffix(subject, path, tag)
    yield from group_finding("WF304", list(_find_other_builds(subject)))
    strays = [(path, f"{path} is beside the one that is loaded") for path in sorted(subject.strays)]
    yield from group_finding("WF337", strays)


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


def _check_stable_abi(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for the first tag by which the stable ABI would serve a free-threaded 3.14 (PEP 703, 803)."""
    for tag in sorted(subject.tags, key=str):
        detail = _explain_stable_abi(tag)
        if detail is not None:
            yield Finding(code="WF321", detail=detail, where=subject.filename)
            return


def _explain_stable_abi(tag: Tag) -> str | None:
    """Return what is wrong with a tag of the stable ABI, `cp314t-abi3-…` say; None where nothing is."""
    if tag.abi == "abi3" and re.fullmatch(r"cp3\d+t", tag.interpreter):
        return f"the tag {tag} says that the stable ABI serves a build without the GIL"

    release = re.fullmatch(r"cp3(\d+)", tag.interpreter)
    if tag.abi == "abi3t" and release is not None and int(release[1]) < _FIRST_ABI3T_MINOR:
        return f"the tag {tag} names the free-threaded stable ABI, which begins with 3.15 (PEP 803)"

    return None


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


def _check_suffix(subject: Subject, path: str, tag: str) -> Iterator[Finding]:
    """Yield a finding where an extension module's suffix is not one that the wheel's interpreters look for (PEP 3149).

    Such a suffix is `.cpython-314-x86_64-linux-gnu.so`. A plain `.so` is always fine.

    Args:
        subject: the wheel.
        path: of an extension module.
        tag: of its suffix; empty for a plain `.so`, which every interpreter loads.
    """
    if tag == "abi3" and subject.is_free_threaded:
        detail = (
            f"{path} is named as of the stable ABI, which needs the GIL; "
            "CPython without it loads the file all the same"
        )
        yield Finding(code="WF321", detail=detail, where=path)
        return

    if subject.is_sought(tag) or path in subject.strays:
        return

    promised = " or ".join(subject.suffixes)
    if not subject.suffixes:
        promised = "no single interpreter: only the stable ABI, or no tag, would be right"
    detail = f"{path} is for {tag}; the wheel's tag is for {promised}"
    yield Finding(code="WF301", detail=detail, where=path)


def _find_other_builds(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for native code compiled for the other build of CPython than the wheel is for.

    The builds are those with and without the GIL. A wheel whose tags serve both is skipped.
    """
    wanted_build = "free-threaded" if subject.is_free_threaded else "gil"
    serves_both = any(abi.endswith("t") or abi == "none" for abi in subject.abi_tags)
    if serves_both and not subject.is_free_threaded:
        return

    for path, native in subject.objects.items():
        is_stable = subject.facts.extensions.get(path) == "abi3"
        if subject.is_free_threaded and is_stable:
            continue  # WF321 reports it already
        if path in subject.strays:
            continue  # and so does WF337
        if native.build is not None and is_other_build(native, wanted_build):
            compiled = f"{path} was compiled for {_BUILD_NAMES[native.build]} ({native.build_sign} shows it)"
            yield path, f"{compiled}; the wheel is for {_BUILD_NAMES[wanted_build]}"


def is_other_build(native: NativeObject, wanted: str) -> bool:
    """Return whether code was compiled for another build of CPython than the wanted one."""
    return native.build is not None and native.build != wanted
