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
    """Predict what the dynamic linker will not find. CPython loads with RTLD_NOW: each such symbol fails the import."""
    c_library = subject.interfaces.c_library
    for abi in subject.abis:
        wanted_build = "free-threaded" if abi.endswith("t") else "gil"
        exports = subject.interfaces.exports[abi]

        for _, native in subject.extensions:
            if is_other_build(native, wanted_build) or native.unreached:
                continue  # that is why, and WF304 or WF317 says so
            for name, needer in native.undefined.items():
                is_known = name in exports or name in c_library
                if not is_known and not _may_be_outside(name, native):
                    yield needer, _explain_missing(name, needer, abi, subject)


def _may_be_outside(name: str, native: NativeObject) -> bool:
    """Return whether a library that is not in the wheel may have a symbol. CPython's names come from CPython alone."""
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
    needs = f"{needer} needs {name}"

    removed = subject.interfaces.removed.get(name)
    if removed is not None:
        since, replacement = removed
        return f"{needs}, which CPython {since} removed: use {replacement}"

    for other, exports in subject.interfaces.exports.items():
        if name in exports:
            return f"{needs}, which only the {other} interpreter has"

    if name.startswith(_PYTHON):
        return f"{needs}, which the {abi} interpreter does not have"
    return f"{needs}, which nothing that it loads has"


# --- stable, public, init ---------------------------------------------------------------------------------------------


def _find_unstable(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield what an abi3 wheel uses besides the stable ABI of the release that its tag names."""
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
    for path, native in subject.extensions:
        is_tagged = bool(
            subject.facts.extensions.get(path)
        )  # a plain `.so` may be no module at all
        if is_tagged and native.init is not None and not native.init.function:
            module = path.rpartition("/")[2].partition(".")[0]
            yield path, f"{path} exports no PyInit_{module}, so it cannot be imported"


def _judge_private(subject: Subject) -> Iterator[Finding]:
    """Name the private functions of CPython that it calls itself; macros of public headers use some for it."""
    public = {*subject.interfaces.stable, *subject.interfaces.documented}
    used: dict[str, str] = {}
    for abi in subject.abis:
        exports = subject.interfaces.exports[abi]
        for path, native in subject.extensions:
            for name in native.undefined:
                is_used_by_headers = exports.get(name) is not False
                if name.startswith("_Py") and not is_used_by_headers and name not in public:
                    used.setdefault(name, path)

    if used:
        names = sorted(used)
        detail = f"it uses {join_names(names, _MAX_LISTED)}"
        yield Finding(code="WF319", detail=detail, where=used[names[0]])
