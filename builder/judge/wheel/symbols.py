"""What does it need of the interpreter: will its symbols be found, are they public, are they stable (PEP 384)?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder.judge.findings import Finding
from builder.judge.wheel.subject import group_finding
from builder.judge.wheel.tags import is_other_build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
_COMPILER = {
    "libstdc++.so.6": ("_Z", "__cxa_", "__gxx_", "__dynamic_cast", "__once_proxy", "__emutls"),
    "libgcc_s.so.1": ("_Unwind_", "__"),
    "libatomic.so.1": ("__atomic_",),
    "libgfortran.so.5": ("_gfortran",),
}
_MAX_LISTED = 6


def findings(subject: Subject) -> Iterator[Finding]:
    """Judge undefined symbols and init functions of the extension modules."""
    yield from group_finding("WF318", list(_find_unresolved(subject)))
    yield from group_finding("WF320", list(_find_unstable(subject)))
    yield from group_finding("WF332", list(_find_missing_init(subject)))
    yield from _check_private(subject)


def _find_unresolved(subject: Subject) -> Iterator[tuple[str, str]]:
    """Predict what the dynamic linker will not find. CPython loads with RTLD_NOW: each such symbol fails the import."""
    for abi in subject.abis:
        wanted = "free-threaded" if abi.endswith("t") else "gil"
        exports = subject.interfaces.exports[abi]
        for _, facts in subject.extensions:
            if is_other_build(facts, wanted) or facts["unreached"]:
                continue  # that is why, and is said elsewhere
            for name, needer in facts["undefined"].items():
                if (
                    name not in exports
                    and name not in subject.interfaces.c_library
                    and not _may_be_outside(name, facts)
                ):
                    yield needer, _explain_missing(name, needer, abi, subject)


def _may_be_outside(name: str, facts: Mapping[str, Any]) -> bool:
    """Return whether a library that is not in the wheel may have a symbol. CPython's names come from CPython alone."""
    if name.startswith(_PYTHON):
        return any(soname.startswith("libpython") for soname in facts["outside"])
    for soname in facts["outside"]:
        if soname in _COMPILER:
            if name.startswith(_COMPILER[soname]):
                return True
        elif not soname.startswith(_C_LIBRARY):
            return True
    return False


def _explain_missing(name: str, needer: str, abi: str, subject: Subject) -> str:
    known = subject.interfaces.removed.get(name)
    if known is not None:
        return f"{needer} needs {name}, which CPython {known[0]} removed: use {known[1]}"
    other = next(
        (other for other, names in subject.interfaces.exports.items() if name in names), None
    )
    if other is not None:
        return f"{needer} needs {name}, which only the {other} interpreter has"
    if name.startswith(_PYTHON):
        return f"{needer} needs {name}, which the {abi} interpreter does not have"
    return f"{needer} needs {name}, which nothing that it loads has"


def _find_unstable(subject: Subject) -> Iterator[tuple[str, str]]:
    since = subject.stable_since
    if since is None:
        return
    for path, facts in subject.extensions:
        for name, needer in facts["undefined"].items():
            if not name.startswith(_PYTHON):
                continue
            added = subject.interfaces.stable.get(name)
            if added is None and name in subject.interfaces.exports["cp314"]:
                yield path, f"{needer} uses {name}, which is not in the stable ABI"
            elif added is not None and added > since:
                version = ".".join(map(str, added))
                yield (
                    path,
                    f"{needer} uses {name}, in the stable ABI since {version}; the tag promises {since[0]}.{since[1]}",
                )


def _find_missing_init(subject: Subject) -> Iterator[tuple[str, str]]:
    for path, facts in subject.extensions:
        if not facts["init"]["function"] and subject.facts["extensions"].get(path):
            module = path.rpartition("/")[2].partition(".")[0]
            yield path, f"{path} exports no PyInit_{module}, so it cannot be imported"


def _check_private(subject: Subject) -> Iterator[Finding]:
    used: dict[str, str] = {}
    public = {*subject.interfaces.stable, *subject.interfaces.documented}
    for abi in subject.abis:
        exports = subject.interfaces.exports[abi]
        for path, facts in subject.extensions:
            for name in facts["undefined"]:
                if name.startswith("_Py") and exports.get(name) is False and name not in public:
                    used.setdefault(name, path)
    if used:
        named = sorted(used)
        more = f" and {len(named) - _MAX_LISTED} more" if len(named) > _MAX_LISTED else ""
        detail = f"it uses {', '.join(named[:_MAX_LISTED])}{more}"
        yield Finding(code="WF319", detail=detail, where=used[named[0]])
