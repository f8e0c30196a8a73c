"""What imports show under stricter conditions than a plain one -> findings; how the end of an import is told. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.judge.findings import Finding
from builder.judge.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from builder.evidence.load import (
        AbiLoad,
        Condition,
        Declaration,
        EmittedWarning,
        Ending,
        ImportLine,
        Probe,
    )
    from builder.verdicts.codes import FindingCode

_FRAMES_SHOWN = 3  # the innermost ones: below them is the interpreter


def judge_conditions(load: AbiLoad, walk_errors: Mapping[str, str]) -> Iterator[Finding]:
    """Yield findings from imports under stricter conditions, beyond what a plain import has shown.

    The conditions are -X dev, warnings as errors, eight threads at once, a second import, and subinterpreters.
    `walk_errors` has by module the error of a plain import; such a module is not reported again.
    """
    if load.dev is None:
        return

    yield from judge_crash(load.dev, "WF409", "importing under -X dev")
    if load.dev.signal is not None:
        return  # memory is damaged: the load job tried no other condition

    yield from _judge_exceptions(load.dev, "WF410", "under -X dev", walk_errors)
    yield from _judge_warnings(load.dev.warnings)

    if load.strict is not None:
        yield from judge_crash(load.strict, "WF412", "importing with warnings as errors")
        yield from _judge_strict_exceptions(load, load.dev, load.strict, walk_errors)

    if load.threads is not None:
        yield from judge_crash(load.threads, "WF413", "importing by eight threads at once")
        yield from _judge_exceptions(load.threads, "WF414", "by eight threads at once", walk_errors)

    if load.again is not None:
        again = "again after deletion from sys.modules"
        yield from judge_crash(load.again, "WF415", f"importing {again}")
        yield from _judge_exceptions(load.again, "WF416", again, walk_errors)

    if load.subinterpreters is not None:
        doing = "importing in a subinterpreter with its own GIL"
        natives = list_natives(load.modules)
        yield from judge_crash(load.subinterpreters, "WF507", doing)
        yield from _judge_subinterpreters(load.subinterpreters.lines, natives, walk_errors)


def judge_crash(condition: Condition, code: FindingCode, doing: str) -> Iterator[Finding]:
    """Yield a finding where a process under a condition died of a signal, hung, or did not come to its end by itself.

    The last is WF402, whatever the code of the others. `during` of the condition is what was being imported then.
    """
    last_module = condition.during or ""
    at_module = f", at {last_module}" if last_module else ""

    if condition.signal is not None:
        detail = f"{doing}{at_module}, dies of {condition.signal}{describe_stack(condition)}"
        yield Finding(code=code, detail=detail, where=last_module)
    elif condition.hang is not None:
        detail = f"{doing}{at_module}: {condition.hang}{describe_stack(condition)}"
        yield Finding(code=code, detail=detail, where=last_module)
    elif condition.fault is not None:
        # Whatever else the process said, it is not known who said it.
        detail = f"{doing}{at_module}: {condition.fault}"
        yield Finding(code="WF402", detail=detail, where=last_module)


def describe_stack(ending: Ending) -> str:
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


def list_natives(probes: Iterable[Probe]) -> dict[str, Declaration]:
    """Return what each native module, i.e. extension module (.so), declares about the GIL and subinterpreters, by name.

    All modules that any probe loaded are in it, also those that a probe loaded on the way.
    """
    declarations: dict[str, Declaration] = {}
    for probe in probes:
        declarations |= probe.natives

    return declarations


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
    for name in list_natives(load.modules):
        is_top_level = "." not in name
        if is_top_level or name.partition(".")[0] not in strict.errors:
            counted_modules.add(name)

    yield from _judge_exceptions(
        strict, "WF412", "with warnings as errors", walk_errors, counted_modules
    )


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
