"""Load facts -> findings. Pure. What a plain import shows decides; what only stricter conditions show informs.

Why each of them forces the verdict it does, or none: docs/decisions/0007-load-conditions.md.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from builder.judge.findings import Finding
from builder.judge.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from builder.evidence.load import (
        AbiLoad,
        Condition,
        Declaration,
        EmittedWarning,
        Ending,
        ImportLine,
        Metadata,
        Probe,
    )
    from builder.verdicts.codes import FindingCode

_NO_VERSION = re.compile(
    r"satisfies the requirement (?P<needed>[\w.-]+[^ (]*) .*\(from versions: (?P<versions>\d[^)]*)\)"
)
"""What pip says of a requirement for which the index has other versions alone."""

_FRAMES_SHOWN = 3  # the innermost ones: below them is the interpreter
_NEEDS_ANOTHER_FIRST = re.compile(
    r"\b(?P<module>[A-Za-z_][\w.]{0,60})(?: (?:package|module|library))?"
    r" (?:should|must|has to|have to|needs to) be imported (?:before|first)"
    r"|\bimport (?P<other_module>[A-Za-z_][\w.]{0,60}) (?:before|first)\b"
)
"""How packages say that another one has to be imported before them: psycopg-c does in the first form."""
_IGNORED_MODULES = frozenset({"_tkinter", "tkinter"})
"""Parts of the standard library that the farm's interpreters, as Debian's, do without: no package lacks them."""


def judge_load(load: AbiLoad, name: str, extra_of: Sequence[str] = ()) -> Iterator[Finding]:
    """Yield findings from loading one wheel on one base: installing it and importing its modules.

    Nothing is yielded where the wheel does not claim to run on the base. Where a dependency has no wheel, only that is
    reported.

    Args:
        load: what the load job recorded of the wheel on that base.
        name: the package.
        extra_of: packages that name it in one of their extras.
    """
    if not load.claimed:
        return  # the wheel's tags do not promise to run on this base

    for missing in load.missing:
        detail = f"it needs {missing}, which has no wheel for this ABI"
        yield Finding(code="WF405", detail=detail, where=missing)
    if load.missing:
        return  # without its dependencies the wheel was not imported

    if load.install is not None:
        remedy = _suggest_version(load.install)
        yield Finding(code="WF401", detail=load.install, where=name, remedy=remedy)

    for finding in _judge_probes(load, canonicalize_name(name)):
        is_import_error = finding.code == "WF402"
        remedy = _suggest_companion(finding.detail, name, extra_of) if is_import_error else ""
        yield replace(finding, remedy=remedy or finding.remedy)
    for native, declaration in _native_modules(load.modules).items():
        yield from _judge_declaration(native, declaration)
    yield from _judge_gil_claims(load)

    if load.metadata is not None:
        yield from _judge_requires_python(load, load.metadata, name)

    if load.walk is not None:
        yield from _judge_crash(load.walk, "WF403", "importing every module in one process")
        yield from _judge_conditions(load, load.walk.errors)


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


def _native_modules(probes: Iterable[Probe]) -> dict[str, Declaration]:
    """Return what each native module, i.e. extension module (.so), declares about the GIL and subinterpreters, by name.

    All modules that any probe loaded are in it, also those that a probe loaded on the way.
    """
    declarations: dict[str, Declaration] = {}
    for probe in probes:
        declarations |= probe.natives

    return declarations


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
        detail = f"importing {name} dies of {probe.signal}{_describe_stack(probe)}"
        yield Finding(code="WF403", detail=detail, where=name)
    elif probe.hang is not None:
        detail = f"importing {name}: {probe.hang}{_describe_stack(probe)}"
        yield Finding(code="WF404", detail=detail, where=name)
    elif probe.error is not None:
        code = _choose_import_code(probe, top_level, walk_errors, is_part=is_part)
        if code is not None:
            after = "" if probe.after is None else f" (not after {probe.after}, which imports it)"
            yield Finding(code=code, detail=f"importing {name}: {probe.error}{after}", where=name)


def _suggest_companion(error: str, name: str, extra_of: Sequence[str]) -> str:
    """Return the remedy for a package that can be imported after another one only; empty where nothing says so.

    Args:
        error: the exception, which names the other one if it is an honest one.
        name: the package.
        extra_of: packages that name it in one of their extras.
    """
    match = _NEEDS_ANOTHER_FIRST.search(error)
    if match is not None:
        named = canonicalize_name(match["module"] or match["other_module"])
        if named != canonicalize_name(name):
            return f'try `import-after = ["{named}"]` in [packages.{name}], which imports {named} first'
    if extra_of:
        other = extra_of[0]
        return (
            f"read the exception; {other} has it as an extra: where it works after that alone,"
            f' `import-after = ["{other}"]` in [packages.{name}] imports {other} first'
        )

    return ""


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


def _suggest_version(error: str) -> str:
    """Return what to do where pip finds a needed package in the farm's index and no version that fits; else nothing."""
    found = _NO_VERSION.search(error)
    if found is None:
        return ""

    needed, versions = found["needed"], found["versions"]
    project = re.split(r"[^\w.-]", needed, maxsplit=1)[0]
    return (
        f"it needs {needed}, and the farm has {versions}: add one that fits to the matrix, "
        f'as [packages."{project}==VERSION"] beside the table that is there'
    )


def _describe_stack(ending: Ending) -> str:
    """Return where a process ended: its innermost native frames and the innermost Python frame; empty without a stack.

    `, in f < g, called from pkg.mod:12`.
    """
    if ending.stack is None:
        return ""

    parts: list[str] = []
    if ending.stack.native:
        parts.append("in " + " < ".join(ending.stack.native[:_FRAMES_SHOWN]))
    if ending.stack.python:
        parts.append(f"called from {ending.stack.python[0]}")

    return "".join(f", {part}" for part in parts)


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


# --- stricter conditions ----------------------------------------------------------------------------------------------


def _judge_conditions(load: AbiLoad, walk_errors: Mapping[str, str]) -> Iterator[Finding]:
    """Yield findings from imports under stricter conditions, beyond what a plain import has shown.

    The conditions are -X dev, warnings as errors, eight threads at once, a second import, and subinterpreters.
    `walk_errors` has by module the error of a plain import; such a module is not reported again.
    """
    if load.dev is None:
        return

    yield from _judge_crash(load.dev, "WF409", "importing under -X dev")
    if load.dev.signal is not None:
        return  # memory is damaged: the load job tried no other condition

    yield from _judge_exceptions(load.dev, "WF410", "under -X dev", walk_errors)
    yield from _judge_warnings(load.dev.warnings)

    if load.strict is not None:
        yield from _judge_crash(load.strict, "WF412", "importing with warnings as errors")
        yield from _judge_strict_exceptions(load, load.dev, load.strict, walk_errors)

    if load.threads is not None:
        yield from _judge_crash(load.threads, "WF413", "importing by eight threads at once")
        yield from _judge_exceptions(load.threads, "WF414", "by eight threads at once", walk_errors)

    if load.again is not None:
        again = "again after deletion from sys.modules"
        yield from _judge_crash(load.again, "WF415", f"importing {again}")
        yield from _judge_exceptions(load.again, "WF416", again, walk_errors)

    if load.subinterpreters is not None:
        doing = "importing in a subinterpreter with its own GIL"
        natives = _native_modules(load.modules)
        yield from _judge_crash(load.subinterpreters, "WF507", doing)
        yield from _judge_subinterpreters(load.subinterpreters.lines, natives, walk_errors)


def _judge_warnings(warnings: Iterable[EmittedWarning]) -> Iterator[Finding]:
    """Yield a finding for each warning at import, except that the GIL was enabled, which WF501 and WF502 report."""
    for warning in warnings:
        if "global interpreter lock (GIL) has been enabled" in warning.text:
            continue  # WF501 and WF502 say so

        yield Finding(
            code="WF411",
            detail=f"{warning.category}: {warning.text}",
            where=warning.where or "native code",
            locations=_locate_warning(warning),
        )


def _locate_warning(warning: EmittedWarning) -> tuple[Location, ...]:
    """Return the line that a warning came from: `pkg/mod.py:12` -> that location; empty where it names no line."""
    path, _, line = warning.where.rpartition(":")
    if not path or not line.isdecimal():
        return ()

    return (Location(path=path, line=int(line)),)


def _judge_strict_exceptions(
    load: AbiLoad, dev: Condition, strict: Condition, walk_errors: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield findings for imports that fail only where warnings are errors.

    Nothing is yielded where the package itself warns (WF411 reports that) or turns the GIL on (then the interpreter
    warns). Only extension modules are judged, and `pkg._core` only if `pkg` was imported.
    """
    turned_gil_on = any(probe.gil is not None and probe.gil.after for probe in load.modules)
    if dev.warnings or turned_gil_on:
        return

    # A package that fails as a whole may be failed by another one's warning.
    counted_modules: set[str] = set()
    for name in _native_modules(load.modules):
        is_top_level = "." not in name
        if is_top_level or name.partition(".")[0] not in strict.errors:
            counted_modules.add(name)

    yield from _judge_exceptions(
        strict, "WF412", "with warnings as errors", walk_errors, counted_modules
    )


def _judge_crash(condition: Condition, code: FindingCode, doing: str) -> Iterator[Finding]:
    """Yield a finding where a process under a condition died of a signal, hung, or did not come to its end by itself.

    The last is WF402, whatever the code of the others. `during` of the condition is what was being imported then.
    """
    last_module = condition.during or ""
    at_module = f", at {last_module}" if last_module else ""

    if condition.signal is not None:
        detail = f"{doing}{at_module}, dies of {condition.signal}{_describe_stack(condition)}"
        yield Finding(code=code, detail=detail, where=last_module)
    elif condition.hang is not None:
        detail = f"{doing}{at_module}: {condition.hang}{_describe_stack(condition)}"
        yield Finding(code=code, detail=detail, where=last_module)
    elif condition.fault is not None:
        # Whatever else the process said, it is not known who said it.
        detail = f"{doing}{at_module}: {condition.fault}"
        yield Finding(code="WF402", detail=detail, where=last_module)


def _judge_exceptions(
    condition: Condition,
    code: FindingCode,
    when: str,
    walk_errors: Mapping[str, str],
    counted_modules: set[str] | None = None,
) -> Iterator[Finding]:
    """Yield a finding for each different exception that a condition raises and a plain import of the module does not.

    Args:
        condition: facts of it.
        code: of the finding.
        when: the condition in words.
        walk_errors: by module the error of a plain import of all modules in one process.
        counted_modules: modules whose errors are reported; None for all.
    """
    # A fault of the whole package raises the same exception in each of its modules: that is one finding.
    modules_by_error: dict[str, list[str]] = {}
    for module, error in condition.errors.items():
        fails_plainly = module in walk_errors
        is_counted = counted_modules is None or module in counted_modules
        if is_counted and not fails_plainly:
            modules_by_error.setdefault(error, []).append(module)

    for error, modules in modules_by_error.items():
        first, *others = modules
        more_clause = f" ({len(others)} more of its modules alike)" if others else ""
        yield Finding(
            code=code, detail=f"importing {first} {when}: {error}{more_clause}", where=first
        )


def _judge_subinterpreters(
    lines: Iterable[ImportLine], natives: Mapping[str, Declaration], walk_errors: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield a finding for each module that fails to import in a subinterpreter with its own GIL.

    The finding names the extension module whose loading raised, or the imported module where that is not known. Skipped
    are failures that a plain import shows too, failures in modules of other packages, and failures of modules that
    declare no support for such subinterpreters.
    """
    seen: set[str] = set()
    for line in lines:
        where = line.failed or line.module
        # An extension module that no plain import recorded belongs to another package.
        is_foreign = line.failed is not None and line.failed not in natives
        fails_plainly = line.module in walk_errors  # a plain import has shown the error already
        is_known = fails_plainly or where in seen or _is_refusal(line, natives)
        if is_foreign or is_known:
            continue

        seen.add(where)
        ordinal = "a" if line.round == 1 else "the second"
        detail = (
            f"importing {line.module} in {ordinal} subinterpreter with its own GIL: {line.error}"
        )
        yield Finding(code="WF506", detail=detail, where=where)


def _is_refusal(line: ImportLine, natives: Mapping[str, Declaration]) -> bool:
    """Return whether an import failed because a native module declares no support for an own GIL (WF504, WF505).

    A package that imports such a module fails too, perhaps with a message of its own.
    """
    if "does not support loading in subinterpreters" in (line.error or ""):
        return True

    culprit = natives.get(line.failed or "")
    return culprit is not None and culprit.interpreters != "own-gil"
