"""What does it need of a system, and which symbol is to blame (PEP 600)?"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from builder.judge.findings import Finding
from builder.judge.interfaces import parse_version
from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.judge.interfaces import Policy
    from builder.judge.wheel.subject import Subject

    Need = tuple[str, str, str]
    """A version, a symbol that needs it, and the path of the object."""

_LIBPYTHON = "libpython"
_SYSTEM = {
    "libatomic.so.1", "libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libmvec.so.1",
    "libpthread.so.0", "librt.so.1", "libstdc++.so.6", "libutil.so.1", "libz.so.1",
}  # fmt: skip
"""Libraries whose symbol versions PEP 600 counts: those of glibc, of GCC's runtime, and zlib."""


class _VersionNeed(NamedTuple):
    """A symbol version that an object needs of a library; the symbol is empty for packed relocations."""

    path: str
    library: str
    version: str
    symbol: str

    @property
    def family(self) -> str:
        return self.version.partition("_")[0]


def judge_floors(subject: Subject) -> Iterator[Finding]:
    """Judge symbol versions and libraries against the platform tag and every base it claims."""
    yield from _judge_versions(subject)
    yield from _judge_libraries(subject)
    yield from group_finding("WF317", list(_find_unreached(subject)))


def newest_needed(subject: Subject) -> dict[str, Need]:
    """Return by family (such as `GLIBC`) the newest symbol version needed, as (version, symbol, path of the object).

    Only libraries whose versions PEP 600 counts are looked at; versions that are no numbers are skipped.
    """
    newest: dict[str, Need] = {}
    for need in _iter_needs(subject):
        number = _version_numbers(need.version)
        if need.library not in _SYSTEM or not number:
            continue  # a policy counts no such version, or there is no number to compare

        newest_so_far = newest.get(need.family)
        if newest_so_far is None or _version_numbers(newest_so_far[0]) < number:
            newest[need.family] = (need.version, need.symbol, need.path)

    return newest


def _iter_needs(subject: Subject) -> Iterator[_VersionNeed]:
    """Yield every symbol version that an object of the wheel needs, object by object."""
    for path, native in subject.objects.items():
        for library, versions in native.versions.items():
            for version, symbol in versions.items():
                yield _VersionNeed(path, library, version, symbol)


def _version_numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of `GLIBC_2.17`; nothing where it is a name, such as `GLIBC_PRIVATE`."""
    return parse_version(version.partition("_")[2]) or ()


# --- symbol versions --------------------------------------------------------------------------------------------------


def _judge_versions(subject: Subject) -> Iterator[Finding]:
    """Yield one finding for each family of which the wheel needs versions that are not promised to it."""
    excessive: dict[str, list[_VersionNeed]] = {}
    for need in _iter_needs(subject):
        if _is_excessive(need, subject):
            excessive.setdefault(need.family, []).append(need)

    for needs in excessive.values():
        yield _version_finding(subject, needs)


def _is_excessive(need: _VersionNeed, subject: Subject) -> bool:
    """Return whether a wheel needs a symbol version that is not promised to it.

    With a platform tag the tag's policy decides. A library outside the policy is reported by itself, whatever its
    versions. Without a tag every base that the wheel claims must have the version.
    """
    if subject.policy is None:
        return bool(_bases_without(subject, need.version))

    is_promised_library = need.library in subject.policy.libraries
    return is_promised_library and not subject.policy.has_version(need.version)


def _version_finding(subject: Subject, needs: list[_VersionNeed]) -> Finding:
    """Return the finding for one family of symbol versions that are not promised to the wheel.

    It names the newest of them, an object and a symbol that need it, and the claimed bases that lack it.
    """
    newest = max(needs, key=lambda need: _version_numbers(need.version))
    lacking = _bases_without(subject, newest.version)

    claim = "it names no C library"
    if subject.policy is not None:
        claim = f"it is tagged {subject.policy.name}"
    symbol = newest.symbol or "packed relocations"
    detail = f"{claim} but needs {symbol}@{newest.version} of {newest.library} in {newest.path}"

    other_count = len({need.path for need in needs}) - 1
    if other_count:
        detail += f" (and {other_count} more file{'s' if other_count > 1 else ''})"
    if lacking:
        detail += f"; {', '.join(lacking)} lack{'s' if len(lacking) == 1 else ''} it"

    return Finding(code="WF302", detail=detail, where=newest.path, bases=tuple(lacking))


def _bases_without(subject: Subject, version: str) -> list[str]:
    """Return the claimed bases that lack a symbol version; a base that nobody has examined is taken to have it."""
    lacking = []
    for base in subject.bases:
        shipped = subject.interfaces.bases.get(base.name)
        if shipped is not None and not shipped.has_version(version):
            lacking.append(base.name)

    return lacking


# --- libraries --------------------------------------------------------------------------------------------------------


def _judge_libraries(subject: Subject) -> Iterator[Finding]:
    """Yield findings about the shared libraries that the wheel needs and does not contain.

    All needs of libpython become one finding (WF322): an extension module is not to link it. Every other library is
    judged once, and the first object found to need it stands for all.
    """
    needers: dict[str, str] = {}  # by soname, the path of the object that needs the library
    for native in subject.objects.values():
        for soname, needer in native.outside.items():
            needers.setdefault(soname, needer)

    libpython_needs = []
    for soname, needer in needers.items():
        if soname.startswith(_LIBPYTHON):
            libpython_needs.append((needer, f"{needer} needs {soname}"))
    yield from group_finding("WF322", libpython_needs)

    for soname, needer in needers.items():
        if not soname.startswith(_LIBPYTHON):
            yield from _judge_library(subject, soname, needer)


def _judge_library(subject: Subject, soname: str, needer: str) -> Iterator[Finding]:
    """Yield at most one finding about a shared library that a wheel needs and does not contain.

    The library must come from the system the wheel is installed on. Two sources say whether it does: the policy of the
    wheel's platform tag (PEP 600: `manylinux_2_28` promises a fixed list of libraries), and what is installed on each
    base (a Debian or Ubuntu release) that the wheel claims to run on.

    WF315: the tag does not promise the library. The finding also names the bases that lack it.
    WF316: the tag promises it, or the wheel has no such tag, but a base lacks it.
    WF336: the matrix says that the system has it.

    Args:
        subject: the wheel, with its policy and claimed bases.
        soname: the name of the library: `libssl.so.3`.
        needer: path, in the wheel, of an object that needs the library.
    """
    bases_without_it = []
    for base in subject.bases:
        installed = subject.interfaces.bases.get(base.name)
        if _lacks_library(installed, soname):
            bases_without_it.append(base.name)

    base_clause = ""
    if bases_without_it:
        verb = "do" if len(bases_without_it) > 1 else "does"
        base_clause = f"; {', '.join(bases_without_it)} {verb} not have it installed"

    policy = subject.policy
    if subject.is_excluded(soname):
        detail = f"{needer} needs {soname}, which `exclude` leaves out{base_clause}"
        yield Finding(code="WF336", detail=detail, where=needer, bases=tuple(bases_without_it))
    elif policy is not None and soname not in policy.libraries:
        detail = f"{needer} needs {soname}, which {policy.name} does not promise{base_clause}"
        yield Finding(code="WF315", detail=detail, where=needer, bases=tuple(bases_without_it))
    elif bases_without_it:
        detail = f"{needer} needs {soname}{base_clause}"
        yield Finding(code="WF316", detail=detail, where=needer, bases=tuple(bases_without_it))


def _lacks_library(installed: Policy | None, soname: str) -> bool:
    """Return whether a base lacks a library.

    `installed` lists what the base ships. It is None for a base that nobody has examined, which is taken to have it.
    """
    return installed is not None and soname not in installed.libraries


def _find_unreached(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield (path of the extension module, sentence) for each needed library that cannot be found inside the wheel.

    Such a library is in the wheel, but in a folder that the dynamic linker does not search for the object needing it.
    """
    for path, native in subject.extensions:
        for soname, needer in native.unreached.items():
            detail = f"{soname}, which {needer} needs, is in the wheel, where the dynamic linker does not look"
            yield path, detail
