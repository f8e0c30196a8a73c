"""Load facts -> findings. Pure. What a plain import shows decides; what only stricter conditions show informs.

Why each of them forces the verdict it does, or none: docs/decisions/0007-load-conditions.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from builder.judge.findings import Finding
from builder.judge.import_remedies import Neighbours, suggest_companion, suggest_version
from builder.judge.load_conditions import (
    describe_stack,
    judge_conditions,
    judge_crash,
    list_natives,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from builder.evidence.load import AbiLoad, Declaration, Metadata, Probe
    from builder.verdicts.codes import FindingCode

_IGNORED_MODULES = frozenset({"_tkinter", "tkinter"})
"""Parts of the standard library that the farm's interpreters, as Debian's, do without: no package lacks them."""


def judge_load(load: AbiLoad, name: str, neighbours: Neighbours | None = None) -> Iterator[Finding]:
    """Yield findings from loading one wheel on one base: installing it and importing its modules.

    Nothing is yielded where the wheel does not claim to run on the base. Where a dependency has no wheel, only that is
    reported.

    Args:
        load: what the load job recorded of the wheel on that base.
        name: the package.
        neighbours: the other packages of the run; None where it is alone.
    """
    if not load.claimed:
        return  # the wheel's tags do not promise to run on this base

    for missing in load.missing:
        detail = f"it needs {missing}, which has no wheel for this ABI"
        yield Finding(code="WF405", detail=detail, where=missing)
    if load.missing:
        return  # without its dependencies the wheel was not imported

    if load.install is not None:
        remedy = suggest_version(load.install)
        yield Finding(code="WF401", detail=load.install, where=name, remedy=remedy)

    missing_modules = _find_missing(load.modules)
    for finding in _judge_probes(load, canonicalize_name(name)):
        remedy = ""
        if finding.code == "WF402":
            missing_module = missing_modules.get(finding.where, "")
            remedy = suggest_companion(
                finding.detail, name, missing_module, neighbours or Neighbours()
            )
        yield replace(finding, remedy=remedy or finding.remedy)
    for native, declaration in list_natives(load.modules).items():
        yield from _judge_declaration(native, declaration)
    yield from _judge_gil_claims(load)

    if load.metadata is not None:
        yield from _judge_requires_python(load, load.metadata, name)

    if load.walk is not None:
        yield from judge_crash(load.walk, "WF403", "importing every module in one process")
        yield from judge_conditions(load, load.walk.errors)


def _judge_probes(load: AbiLoad, name: str) -> Iterator[Finding]:
    """Yield findings for every module that was imported in a process of its own (a probe)."""
    top_level = {probe.module.partition(".")[0] for probe in load.modules}
    walk_errors = None if load.walk is None else load.walk.errors
    has_main_module = any(
        not probe.failed and canonicalize_name(probe.module) == name for probe in load.modules
    )

    for probe in load.modules:
        is_part = "." in probe.module or has_main_module
        yield from _judge_import(probe, top_level, walk_errors, is_part=is_part)
        yield from _judge_gil(probe, load.metadata)


def _find_missing(probes: Iterable[Probe]) -> dict[str, str]:
    """Return by module the first part of the name of another package's module that could not be found for it."""
    own = {probe.module.partition(".")[0] for probe in probes}
    missing: dict[str, str] = {}
    for probe in probes:
        top = (probe.missing or "").partition(".")[0]
        if top not in {"", *own, *_IGNORED_MODULES}:
            missing[probe.module] = top

    return missing


# --- a plain import ---------------------------------------------------------------------------------------------------


def _judge_import(
    probe: Probe,
    top_level: set[str],
    walk_errors: Mapping[str, str] | None,
    *,
    is_part: bool,
) -> Iterator[Finding]:
    """Yield a finding where importing one module crashed, did not end, or raised an exception that matters.

    Args:
        probe: facts of it.
        top_level: the package's own names.
        walk_errors: by module the error it raised when all were imported in one process; None where that was not tried.
        is_part: whether the package can be used without it: it is a submodule, or the module that has the package's
            name is imported.
    """
    name = probe.module

    if probe.signal is not None:
        detail = f"importing {name} dies of {probe.signal}{describe_stack(probe)}"
        yield Finding(code="WF403", detail=detail, where=name)
    elif probe.hang is not None:
        detail = f"importing {name}: {probe.hang}{describe_stack(probe)}"
        yield Finding(code="WF404", detail=detail, where=name)
    elif probe.error is not None:
        code = _choose_import_code(probe, top_level, walk_errors, is_part=is_part)
        if code is not None:
            after = "" if probe.after is None else f" (not after {probe.after}, which imports it)"
            yield Finding(code=code, detail=f"importing {name}: {probe.error}{after}", where=name)


def _choose_import_code(
    probe: Probe,
    top_level: set[str],
    walk_errors: Mapping[str, str] | None,
    *,
    is_part: bool,
) -> FindingCode | None:
    """Return the code for an exception at import, or None where it is harmless.

    A top-level module must import. What is a part is judged more mildly: it may need a package of another project
    (WF406), as black's server does, or a submodule needs other modules to be imported before it (WF407: it failed
    alone, but not when all were imported in one process, or not after the module that imports it).
    """
    is_submodule = "." in probe.module
    # The top-level module that could not be found; empty where the exception is another one.
    missing = (probe.missing or "").partition(".")[0]
    needs_other_package = missing != "" and missing not in top_level
    was_walked = walk_errors is not None and probe.module not in walk_errors
    fails_only_alone = was_walked or probe.after is not None

    if is_submodule and missing in _IGNORED_MODULES:
        return None
    if is_part and needs_other_package:
        return "WF406"
    if is_submodule and fails_only_alone:
        return "WF407"

    return "WF402"


def _judge_requires_python(load: AbiLoad, metadata: Metadata, name: str) -> Iterator[Finding]:
    """Yield a finding where the wheel was installed only because pip was told to ignore its requires-python.

    If all modules import nevertheless, requires-python is too strict (WF408); else the wheel counts as one that does
    not install (WF401).
    """
    if not metadata.requires_python_ignored:
        return

    stated = metadata.requires_python
    python = load.python_version
    imports = not any(probe.failed for probe in load.modules)

    if imports and not _allows_python(stated, python):
        detail = f"requires-python is {stated!r}, which leaves {python} out, though everything imports there"
        yield Finding(code="WF408", detail=detail, where=name)
    else:
        detail = f"requires-python {stated!r} leaves {python} out"
        yield Finding(code="WF401", detail=detail, where=name)


def _allows_python(specifier: str, python: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(python, prereleases=True)
    except ValueError:  # no specifier, or no version: pip took it, so nothing speaks against it
        return True


# --- the GIL and interpreters -----------------------------------------------------------------------------------------


def _judge_gil(probe: Probe, metadata: Metadata | None) -> Iterator[Finding]:
    """Yield findings where importing a module turned the GIL on, naming the module that did (the culprit).

    Nothing is yielded unless the GIL was known to be off before the import and on after it. WF503 is added where the
    package's metadata claims support for free threading.
    """
    gil = probe.gil
    if gil is None:
        return  # the process ended before its import did

    was_turned_on = gil.before is False and (gil.after is True or gil.seen == "on")
    if not was_turned_on:
        return

    name = probe.module
    culprit = gil.enabled_by or name
    by_clause = "" if culprit == name else f", by loading {culprit}"
    cause = _explain_declaration(probe.natives.get(culprit))
    swallowed = "" if gil.warned else "; the interpreter's warning of it is swallowed"

    yield Finding(
        code="WF502" if "." in name else "WF501",
        detail=f"importing {name} turns the GIL back on{by_clause}{cause}{swallowed}",
        where=name,
    )

    if metadata is not None and metadata.free_threading:
        claim = f"its metadata claims free threading ({metadata.free_threading})"
        detail = f"{claim}, but importing {name} turns the GIL back on{by_clause}"
        yield Finding(code="WF503", detail=detail, where=name)


def _judge_gil_claims(load: AbiLoad) -> Iterator[Finding]:
    """Yield a finding for each extension module that must have turned the GIL on, although the GIL is said to be off.

    The interpreter turns the GIL on for a module that does not say that it does without: by its slot, or by the
    function that modules of single-phase initialisation call. Who says that it stayed off then is the package itself.
    """
    if load.sets_gil is None:
        return  # it was not installed, or is older evidence

    for probe in load.modules:
        if probe.gil is None or probe.gil.after is not False:
            continue

        if probe.gil.seen == "hidden":
            detail = f"importing {probe.module} hides the memory of the process, and with it the state of the GIL"
            yield Finding(code="WF508", detail=detail, where=probe.module)
        elif probe.gil.seen == "on":
            detail = f"importing {probe.module} is said to leave the GIL off, but turned it on"
            yield Finding(code="WF508", detail=detail, where=probe.module)

        for native, declaration in probe.natives.items():
            says_so = declaration.gil == "not-used" or native in load.sets_gil
            # What is no module object, or is defined in another way, has no slots to read.
            is_readable = declaration.init is not None
            if is_readable and not says_so:
                detail = (
                    f"importing {probe.module} is said to leave the GIL off, but {native}"
                    " does not declare that it needs none"
                )
                yield Finding(code="WF508", detail=detail, where=native)


def _explain_declaration(declaration: Declaration | None) -> str:
    """Return why a native module turns the GIL on, in parentheses; empty where its definition does not tell."""
    if declaration is None:
        return ""
    if declaration.gil == "used":
        return " (its slot Py_mod_gil says that it uses the GIL)"
    if declaration.init == "single-phase":
        return " (single-phase initialisation, and no call of PyUnstable_Module_SetGIL)"
    if declaration.init == "multi-phase":
        return " (it has no slot Py_mod_gil)"
    return ""


def _judge_declaration(native: str, declaration: Declaration) -> Iterator[Finding]:
    """Yield a finding where a native module declares that it cannot be loaded in a subinterpreter with its own GIL."""
    if declaration.init == "single-phase":
        detail = f"{native} has single-phase initialisation"
        yield Finding(code="WF504", detail=detail, where=native)
    elif declaration.init == "multi-phase" and declaration.interpreters != "own-gil":
        detail = f"{native} {_describe_interpreters(declaration)}"
        yield Finding(code="WF505", detail=detail, where=native)


def _describe_interpreters(declaration: Declaration) -> str:
    if declaration.interpreters is None:
        return "has no slot Py_mod_multiple_interpreters"
    if declaration.interpreters == "no":
        return "says that it supports one interpreter only"
    return "supports only interpreters that share the GIL"
