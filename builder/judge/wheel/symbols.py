"""What does it need of the interpreter: will its symbols be found, are they public, are they stable (PEP 384)?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.judge.findings import Finding
from builder.judge.wheel.subject import group_finding
from builder.judge.wheel.tags import is_other_build
from builder.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.evidence.audit import NativeObject
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
_MAX_LISTED = 6


def judge_symbols(subject: Subject) -> Iterator[Finding]:
    """Judge undefined symbols and init functions of the extension modules."""
    yield from group_finding("WF318", list(_find_unresolved(subject)))
    yield from group_finding("WF320", list(_find_unstable(subject)))
    yield from group_finding("WF332", list(_find_missing_init(subject)))
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


# --- stable, public, init ---------------------------------------------------------------------------------------------


def _find_unstable(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for each name an abi3 wheel uses outside the stable ABI of the release its tag names.

    Nothing is yielded for other wheels. Names that CPython does not have at all are left to `_find_unresolved`.
    """
    since = subject.stable_since
    if since is None:
        return

    for path, native in subject.extensions:
        for name, needer in native.undefined.items():
            if not name.startswith(_PYTHON):
                continue

            added = subject.interfaces.stable.get(name)
            if added is None and name in subject.interfaces.exports[_REFERENCE_ABI]:
                yield path, f"{needer} uses {name}, which is not in the stable ABI"
            elif added is not None and added > since:
                version = ".".join(map(str, added))
                promised = ".".join(map(str, since))
                uses = f"{needer} uses {name}, in the stable ABI since {version}"
                yield path, f"{uses}; the tag promises {promised}"


def _find_missing_init(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for each extension module without its `PyInit_NAME` function.

    A plain `.so` without a tag in its suffix is skipped.
    """
    for path, native in subject.extensions:
        is_tagged = bool(
            subject.facts.extensions.get(path)
        )  # a plain `.so` may be no module at all
        lacks_function = native.init is not None and not native.init.function
        if is_tagged and lacks_function:
            module = path.rpartition("/")[2].partition(".")[0]
            yield path, f"{path} exports no PyInit_{module}, so it cannot be imported"


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
