"""What does it need of a system, and which symbol is to blame (PEP 600)?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.judge.findings import Finding
from builder.judge.interfaces import parse_version
from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.judge.interfaces import Policy
    from builder.judge.wheel.subject import Subject

_LIBPYTHON = "libpython"


def findings(subject: Subject) -> Iterator[Finding]:
    """Judge symbol versions and libraries against the platform tag and every base it claims."""
    yield from _versions(subject)
    yield from _libraries(subject)
    unreached = [
        (
            path,
            f"{soname}, which {needer} needs, is in the wheel, where the dynamic linker does not look",
        )
        for path, facts in subject.extensions
        for soname, needer in facts["unreached"].items()
    ]
    yield from group_finding("WF317", unreached)


def newest_needed(subject: Subject) -> dict[str, tuple[str, str, str]]:
    """Return by family of symbol versions the newest one needed, as (version, symbol, path of the object)."""
    newest: dict[str, tuple[str, str, str]] = {}
    for path, library, version, symbol in _needed_versions(subject):
        family, number = version.partition("_")[::2]
        known = newest.get(family)
        if (
            library in _SYSTEM
            and parse_version(number)
            and (known is None or _version_numbers(known[0]) < _version_numbers(version))
        ):
            newest[family] = (version, symbol, path)
    return newest


_SYSTEM = {
    "libatomic.so.1", "libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libmvec.so.1",
    "libpthread.so.0", "librt.so.1", "libstdc++.so.6", "libutil.so.1", "libz.so.1",
}  # fmt: skip


def _version_numbers(version: str) -> tuple[int, ...]:
    return parse_version(version.partition("_")[2]) or ()


def _needed_versions(subject: Subject) -> Iterator[tuple[str, str, str, str]]:
    for path, facts in subject.objects:
        for library, versions in facts["versions"].items():
            for version, symbol in versions.items():
                yield path, library, version, symbol


def _bases_without(subject: Subject, version: str) -> list[str]:
    """Return the bases it claims that lack a version."""
    shipped = subject.interfaces.bases
    return [
        base.name
        for base in subject.bases
        if base.name in shipped and not shipped[base.name].has_version(version)
    ]


def _versions(subject: Subject) -> Iterator[Finding]:
    """Report by family the newest version that is not promised, with the object and symbol that need it."""
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    for path, library, version, symbol in _needed_versions(subject):
        promised = subject.policy
        bad = (
            not promised.has_version(version)
            if promised is not None
            else bool(_bases_without(subject, version))
        )
        if bad and (promised is None or library in promised.libraries):
            found.setdefault(version.partition("_")[0], []).append((version, symbol, path, library))
    for needs in found.values():
        version, symbol, path, library = max(needs, key=lambda need: _version_numbers(need[0]))
        culprit = f"{symbol or 'packed relocations'}@{version} of {library} in {path}"
        lacking = _bases_without(subject, version)
        claim = f"it is tagged {subject.policy.name}" if subject.policy else "it names no C library"
        others = len({need[2] for need in needs}) - 1
        more = f" (and {others} more file{'s' if others > 1 else ''})" if others else ""
        where = (
            f"; {', '.join(lacking)} lack{'s' if len(lacking) == 1 else ''} it" if lacking else ""
        )
        yield Finding(
            code="WF302",
            detail=f"{claim} but needs {culprit}{more}{where}",
            where=path,
            bases=tuple(lacking),
        )


def _libraries(subject: Subject) -> Iterator[Finding]:
    needed: dict[str, str] = {}
    for _, facts in subject.objects:
        for soname, needer in facts["outside"].items():
            needed.setdefault(soname, needer)
    python = [
        (needer, f"{needer} needs {soname}")
        for soname, needer in needed.items()
        if soname.startswith(_LIBPYTHON)
    ]
    yield from group_finding("WF322", python)
    for soname, needer in needed.items():
        if soname.startswith(_LIBPYTHON):
            continue
        missing = [
            base.name
            for base in subject.bases
            if _lacks_library(subject.interfaces.bases.get(base.name), soname)
        ]
        where = (
            f"; {', '.join(missing)} {'do' if len(missing) > 1 else 'does'} not have it installed"
            if missing
            else ""
        )
        if subject.policy is not None and soname not in subject.policy.libraries:
            detail = f"{needer} needs {soname}, which {subject.policy.name} does not promise{where}"
            yield Finding(code="WF315", detail=detail, where=needer, bases=tuple(missing))
        elif missing:
            yield Finding(
                code="WF316",
                detail=f"{needer} needs {soname}{where}",
                where=needer,
                bases=tuple(missing),
            )


def _lacks_library(base: Policy | None, soname: str) -> bool:
    return base is not None and soname not in base.libraries
