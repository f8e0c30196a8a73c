"""Can each interpreter that the tags promise use what it finds in an extension module (PEP 489, 703, 793, 803)?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.distributions.cpython import is_free_threaded, list_hooks, name_interpreters
from builder.judge.wheel.module_names import find_early_abi3t
from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.evidence.audit import NativeObject
    from builder.judge.findings import Finding
    from builder.judge.wheel.subject import LoadedFile, Subject
    from builder.verdicts.codes import FindingCode

_BUILD_NAMES = {
    "free-threaded": "CPython without the GIL",
    "gil": "CPython with the GIL",
}
_OWN_STATEMENT = "its Py_mod_abi slot"
"""What shows the build of code that only says so itself (builder/inside/audit/builds.py)."""


def judge_module_code(subject: Subject) -> Iterator[Finding]:
    """Yield findings on the functions that import calls, and on the build of CPython that code was compiled for.

    Nothing is yielded of a wheel that promises `abi3t` in vain to releases before 3.15: WF321 says all.
    """
    if any(find_early_abi3t(subject)):
        return

    yield from group_finding("WF332", list(_find_missing_hooks(subject)))

    codes: tuple[FindingCode, ...] = ("WF304", "WF341", "WF342")
    wrong_builds = list(_find_wrong_builds(subject))
    for code in codes:
        seen = [(path, sentence) for found, path, sentence in wrong_builds if found == code]
        yield from group_finding(code, seen)


# --- functions --------------------------------------------------------------------------------------------------------


def _find_missing_hooks(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for each extension module without the function that a promised interpreter calls.

    A plain `.so` without any is skipped: it may be no module at all. Which functions a module has is not known where an
    older farm read it: then only that it has one counts.
    """
    for file in subject.loaded_files:
        init = file.native.init
        if init is None:
            continue

        is_module = bool(file.tag) or init.function
        if is_module and not init.function:
            wanted = dict.fromkeys(hook for abi in file.loaders for hook in list_hooks(abi))
            names = " or ".join(f"{hook}_{file.name}" for hook in wanted)
            yield file.path, f"{file.path} exports no {names}, so it cannot be imported"
        elif init.hooks is not None:
            unserved = [abi for abi in file.loaders if set(list_hooks(abi)).isdisjoint(init.hooks)]
            if unserved:
                has = f"{file.path} exports PyModExport_{file.name} alone"
                yield file.path, f"{has}; {name_interpreters(unserved)} calls PyInit_{file.name}"
            elif _lacks_export_hook(subject, file):
                has = f"{file.path} is defined by a PyModuleDef alone, and abi3t has none"
                yield file.path, f"{has}; it needs PyModExport_{file.name} (PEP 793)"


def _lacks_export_hook(subject: Subject, file: LoadedFile) -> bool:
    """Return whether a module is defined by a PyModuleDef alone although it is to be loaded by `abi3t` (PEP 793).

    A PyModuleDef is a static object, whose layout differs between builds; `abi3t` has no such structure (PEP 803).
    `PyInit` itself is not wrong: those of cffi have another module, `_cffi_backend`, make the object.
    """
    init = file.native.init
    if init is None or init.hooks is None:
        return False

    has_definition = init.phases is not None and "PyModExport" not in init.hooks
    return has_definition and _is_loaded_by_abi3t(subject, file.loaders)


def _is_loaded_by_abi3t(subject: Subject, loaders: Sequence[str]) -> bool:
    """Return whether free-threaded builds load a file because the wheel is tagged `abi3t`."""
    return "abi3t" in subject.abi_tags and any(is_free_threaded(abi) for abi in loaders)


# --- builds -----------------------------------------------------------------------------------------------------------


def _find_wrong_builds(subject: Subject) -> Iterator[tuple[FindingCode, str, str]]:
    """Yield (code, path, sentence) for native code compiled for another build of CPython than one that loads it.

    Nothing is yielded where the tags name no ABI, and nothing of what WF321, WF332 or WF337 report already.
    """
    if "none" in subject.abi_tags:
        return

    for file in subject.loaded_files:
        is_deceptive = file.tag == "abi3" and any(map(is_free_threaded, file.loaders))
        if not is_deceptive and not _lacks_export_hook(subject, file):
            yield from _judge_build(subject, file.path, file.native, file.loaders)

    for path, native in subject.objects.items():
        if native.kind != "extension":
            yield from _judge_build(subject, path, native, subject.interpreters)


def _judge_build(
    subject: Subject, path: str, native: NativeObject, loaders: Sequence[str]
) -> Iterator[tuple[FindingCode, str, str]]:
    """Yield (code, path, sentence) where one file was compiled for one build of CPython, and others load it.

    Under `abi3t` the layout of objects is nobody's: code that knows one is wrong for any build (PEP 803, section
    “Opaque PyObject”). What a module says itself of its build, an interpreter of another build refuses to load.
    """
    if native.build is None:
        return

    loading_builds = {"free-threaded" if is_free_threaded(abi) else "gil" for abi in loaders}
    is_for_abi3t = _is_loaded_by_abi3t(subject, loaders)
    compiled = (
        f"{path} was compiled for {_BUILD_NAMES[native.build]} ({native.build_sign} shows it)"
    )

    if is_for_abi3t and native.build_sign != _OWN_STATEMENT:
        yield "WF341", path, f"{compiled}; to abi3t the layout of objects is unknown"
    elif other_builds := loading_builds - {native.build}:
        wanted = " and ".join(_BUILD_NAMES[build] for build in sorted(loading_builds))
        serves_one = is_for_abi3t and len(other_builds) < len(loading_builds)
        yield "WF342" if serves_one else "WF304", path, f"{compiled}; the wheel is for {wanted}"


def is_other_build(native: NativeObject, wanted: str) -> bool:
    """Return whether code was compiled for another build of CPython than the wanted one."""
    return native.build is not None and native.build != wanted
