"""Do file name, WHEEL, suffixes and machine code tell the same story (PEP 425, 427, 3149, 384, 703, 803)?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from packaging.tags import parse_tag

from builder.judge.findings import Finding
from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.judge.wheel.subject import Subject

_BUILDS = {True: "free-threaded", False: "gil"}
_NAMES = {"free-threaded": "CPython without the GIL", "gil": "CPython with the GIL"}


def findings(subject: Subject) -> Iterator[Finding]:
    """Judge the tags against everything else."""
    yield from _check_stated_tags(subject)
    yield from _check_root_is_purelib(subject)
    yield from _check_stable_abi(subject)
    yield from _check_machine(subject)
    for path, tag in subject.facts["extensions"].items():
        yield from _check_suffix(subject, path, tag)
    yield from group_finding("WF304", list(_find_other_builds(subject)))


def _check_stated_tags(subject: Subject) -> Iterator[Finding]:
    """Compare WHEEL's Tag fields with the file name."""
    stated = {tag for text in subject.facts["wheel"].get("tag", ()) for tag in _parse_tag(text)}
    if stated == subject.tags or not subject.facts["wheel"]:
        return
    parts = []
    if missing := sorted(map(str, subject.tags - stated)):
        parts.append(f"the file name promises {', '.join(missing)}, which WHEEL does not have")
    if extra := sorted(map(str, stated - subject.tags)):
        parts.append(f"WHEEL has {', '.join(extra)}, which the file name does not promise")
    yield Finding(code="WF309", detail="; ".join(parts), where="WHEEL")


def _parse_tag(text: str) -> frozenset[Any]:
    return parse_tag(text) if text.count("-") == 2 else frozenset({text})  # noqa: PLR2004 - PEP 425: three parts


def _check_root_is_purelib(subject: Subject) -> Iterator[Finding]:
    native = [path for path, _ in subject.objects]
    pure = next(iter(subject.facts["wheel"].get("root-is-purelib", ())), "").lower() == "true"
    anywhere = any(tag.platform == "any" for tag in subject.tags)
    if anywhere and native:
        yield Finding(
            code="WF312",
            detail=f"it is tagged for any platform and holds {native[0]}",
            where=native[0],
        )
    elif pure and native:
        detail = f"Root-Is-Purelib is true, and {native[0]} is native code"
        yield Finding(code="WF310", detail=detail, where="WHEEL")
    elif (
        not native
        and not subject.facts["objects"]
        and not subject.facts["faults"]
        and not anywhere
        and subject.abi_tags != {"none"}
    ):
        detail = (
            f"it is tagged {', '.join(sorted(subject.abi_tags))} and holds no native code at all"
        )
        yield Finding(code="WF311", detail=detail, where=subject.filename)


def _check_stable_abi(subject: Subject) -> Iterator[Finding]:
    """Check that nothing of the stable ABI claims to serve a free-threaded build of 3.14 (PEP 703, PEP 803)."""
    for tag in sorted(subject.tags, key=str):
        if tag.abi == "abi3" and re.fullmatch(r"cp3\d+t", tag.interpreter):
            detail = f"the tag {tag} says that the stable ABI serves a build without the GIL"
            yield Finding(code="WF321", detail=detail, where=subject.filename)
            return
        if (
            tag.abi == "abi3t"
            and (match := re.fullmatch(r"cp3(\d+)", tag.interpreter))
            and int(match[1]) < 15  # noqa: PLR2004
        ):
            detail = f"the tag {tag} names the free-threaded stable ABI, which begins with 3.15 (PEP 803)"
            yield Finding(code="WF321", detail=detail, where=subject.filename)
            return


def _check_machine(subject: Subject) -> Iterator[Finding]:
    """Find native files that are for another machine, or none at all."""
    libraries = re.compile(r"\.so(\.[\w.]+)?$")
    found = [
        (path, facts) for path, facts in subject.facts["objects"].items() if libraries.search(path)
    ]
    here = any(tag.platform == "any" or tag.platform.endswith("x86_64") for tag in subject.tags)
    for path, facts in found:
        if "damaged" in facts:
            yield Finding(code="WF314", detail=f"{path}: {facts['damaged']}", where=path)
        elif "machine" in facts and here:
            yield Finding(
                code="WF313",
                detail=f"{path} is for {facts['machine']}; the wheel is for x86_64",
                where=path,
            )


def _check_suffix(subject: Subject, path: str, tag: str) -> Iterator[Finding]:
    """Check that the interpreters a wheel is for look for a suffix (PEP 3149): `.cpython-314-x86_64-linux-gnu.so`."""
    if tag == "abi3" and subject.free_threaded:
        detail = (
            f"{path} is named as of the stable ABI, which needs the GIL; "
            "CPython without it loads the file all the same"
        )
        yield Finding(code="WF321", detail=detail, where=path)
        return
    if tag in {"", "abi3"} or (tag == "abi3t" and "abi3t" in subject.abi_tags):
        return
    wanted = [
        f"cpython-{abi[2:]}-x86_64-linux-gnu"
        for abi in sorted(subject.abi_tags)
        if abi.startswith("cp")
    ]
    if tag not in wanted:
        promised = (
            " or ".join(wanted)
            or "no single interpreter: only the stable ABI, or no tag, would be right"
        )
        yield Finding(
            code="WF301",
            detail=f"{path} is for {tag}; the wheel's tag is for {promised}",
            where=path,
        )


def _find_other_builds(subject: Subject) -> Iterator[tuple[str, str]]:
    wanted = _BUILDS[subject.free_threaded]
    if not subject.free_threaded and any(
        abi.endswith("t") or abi == "none" for abi in subject.abi_tags
    ):
        return  # it claims both
    for path, facts in subject.objects:
        stable = (
            subject.facts["extensions"].get(path) == "abi3" and subject.free_threaded
        )  # WF321 says it
        if is_other_build(facts, wanted) and not stable:
            found, sign = _NAMES[facts["build"]], facts["build_sign"]
            yield (
                path,
                f"{path} was compiled for {found} ({sign} shows it); the wheel is for {_NAMES[wanted]}",
            )


def is_other_build(facts: Mapping[str, Any], wanted: str) -> bool:
    """Return whether code was compiled for another build of CPython than the wanted one."""
    return facts["build"] is not None and facts["build"] != wanted
