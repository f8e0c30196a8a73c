"""What does it need of the interpreter: will its symbols be found, are they public, are they stable (PEP 384)?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.judge.findings import Finding
from builder.judge.interfaces import parse_version
from builder.judge.wheel.module_code import is_other_build
from builder.judge.wheel.subject import group_finding
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.evidence.audit import AbiInfo, NativeObject
    from builder.judge.interfaces import Version
    from builder.judge.wheel.subject import Subject

_PYTHON = ("Py", "_Py", "PY_")
_C_LIBRARY = (
    "libc.",
    "libm.",
    "libpthread.",
    "libdl.",
    "librt.",
    "libutil.",
    "ld-linux",
    "libpython",
)
"""Beginnings of sonames whose symbols are in the tables: what these lack is nowhere."""
_COMPILER = {
    "libstdc++.so.6": ("_Z", "__cxa_", "__gxx_", "__dynamic_cast", "__once_proxy", "__emutls"),
    "libgcc_s.so.1": ("_Unwind_", "__"),
    "libatomic.so.1": ("__atomic_",),
    "libgfortran.so.5": ("_gfortran",),
}
"""Libraries of the compiler, and how the names that they have begin. Other names are not theirs."""
_REFERENCE_ABI = "cp314"  # knows all names of the C API, those outside the stable ABI too
_FIRST_STATEMENT = (3, 15)  # the release in which import asks a module what it was compiled for
_MAX_LISTED = 6


def judge_symbols(subject: Subject) -> Iterator[Finding]:
    """Judge undefined symbols of the extension modules, and what these say of the ABI that they need."""
    yield from group_finding("WF318", list(_find_unresolved(subject)))
    yield from group_finding("WF320", list(_find_unstable(subject)))
    yield from _judge_private(subject)


# --- undefined symbols ------------------------------------------------------------------------------------------------


def _find_unresolved(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for each symbol that the dynamic linker will not find when an extension module is loaded.

    CPython loads with RTLD_NOW, so each such symbol fails the import. Looked at are all interpreters that would take
    the wheel.
    """
    c_library = subject.interfaces.c_library
    for abi in subject.abis:
        wanted_build = "free-threaded" if abi.endswith("t") else "gil"
        exports = subject.interfaces.exports[abi]

        for _, native in subject.extensions:
            if is_other_build(native, wanted_build) or native.unreached:
                continue  # WF304 or WF317 reports the cause already
            for name, needer in native.undefined.items():
                is_known = name in exports or name in c_library
                if not is_known and not _may_be_outside(name, native):
                    yield needer, _explain_missing(name, needer, abi, subject)


def _may_be_outside(name: str, native: NativeObject) -> bool:
    """Return whether a symbol may come from a library outside the wheel that the module needs.

    CPython's own names come only from CPython. Of the compiler's libraries the beginnings of their names are known, the
    C library's names are in the tables; any other library may have any symbol.
    """
    if name.startswith(_PYTHON):
        return any(soname.startswith("libpython") for soname in native.outside)

    for soname in native.outside:
        if soname in _COMPILER:
            if name.startswith(_COMPILER[soname]):
                return True
        elif not soname.startswith(_C_LIBRARY):
            return True  # nobody knows what is in it

    return False


def _explain_missing(name: str, needer: str, abi: str, subject: Subject) -> str:
    """Return a sentence on a symbol that is not found: removed from CPython, of another interpreter, or nowhere."""
    needs = f"{needer} needs {name}"

    removed = subject.interfaces.removed.get(name)
    if removed is not None:
        since, replacement = removed
        return f"{needs}, which CPython {since} removed: use {replacement}"

    for other_abi, exports in subject.interfaces.exports.items():
        if name in exports:
            return f"{needs}, which only the {other_abi} interpreter has"

    if name.startswith(_PYTHON):
        return f"{needs}, which the {abi} interpreter does not have"
    return f"{needs}, which nothing that it loads has"


# --- stable, public ---------------------------------------------------------------------------------------------------


def _find_unstable(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for what a wheel of a stable ABI uses outside that of the release its tag names.

    Nothing is yielded for other wheels, and for those that nobody takes (WF339). `abi3t` has the functions of `abi3`:
    what it lacks are structures (PEP 803). Names that the farm's interpreters would have to have are left to
    `_find_unresolved`.
    """
    since = subject.stable_since
    if since is None or not subject.interpreters:
        return

    promised = ".".join(map(str, since))
    for path, native in subject.extensions:
        for name, needer in native.undefined.items():
            if not name.startswith(_PYTHON):
                continue

            added = subject.interfaces.stable.get(name)
            is_known = name in subject.interfaces.exports[_REFERENCE_ABI] or not subject.abis
            if added is None and is_known:
                yield path, f"{needer} uses {name}, which is not in the stable ABI"
            elif added is not None and added > since:
                version = ".".join(map(str, added))
                uses = f"{needer} uses {name}, in the stable ABI since {version}"
                yield path, f"{uses}; the tag promises {promised}"

        statement = None if native.init is None else native.init.abi
        if statement is not None:
            yield from _judge_statement(path, statement, since)


def _judge_statement(path: str, statement: AbiInfo, since: Version) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) where a module says itself that it needs more than the stable ABI of a release.

    An interpreter that is older, or another than the one it was compiled for, refuses it (`PyABIInfo_Check`). Releases
    before 3.15 do not ask.

    Args:
        path: of the module.
        statement: what it says.
        since: the release that the tag promises.
    """
    says = f"the slot Py_mod_abi of {path} says that it is"
    version = parse_version(statement.version)
    if not statement.stable:
        yield path, f"{says} for no stable ABI"
    elif version is not None and version > max(since, _FIRST_STATEMENT):
        promised = ".".join(map(str, since))
        yield path, f"{says} for that of {statement.version}; the tag promises {promised}"


def _judge_private(subject: Subject) -> Iterator[Finding]:
    """Yield one finding that names the private functions of CPython (`_Py…`) that the wheel calls itself.

    Skipped are those that macros of public headers call on its behalf, documented ones, and those of the stable ABI.
    """
    public = {*subject.interfaces.stable, *subject.interfaces.documented}
    used: dict[str, str] = {}
    for abi in subject.abis:
        exports = subject.interfaces.exports[abi]
        for path, native in subject.extensions:
            for name in native.undefined:
                is_used_by_headers = exports.get(name) is not False
                is_private = name.startswith("_Py") and name not in public
                if is_private and not is_used_by_headers:
                    used.setdefault(name, path)

    if used:
        names = sorted(used)
        detail = f"it uses {join_names(names, _MAX_LISTED)}"
        yield Finding(code="WF319", detail=detail, where=used[names[0]])
