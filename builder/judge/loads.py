"""Load facts -> findings. Pure. What a plain import shows decides; what only stricter conditions show informs.

Why each of them forces the verdict it does, or none: docs/decisions/0007-load-conditions.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from packaging.specifiers import SpecifierSet

from builder.finding_codes import FindingCode
from builder.judge.findings import Finding

Facts = Mapping[str, Any]

_FRAMES_SHOWN = 3
_IGNORED_MODULES = frozenset({"_tkinter", "tkinter"})
"""Parts of the standard library that the farm's interpreters, as Debian's, do without: no package lacks them."""


def findings(facts: Facts, name: str) -> Iterator[Finding]:
    """Judge what loading one wheel on one base showed.

    Args:
        facts: an entry of the load job's `loads`.
        name: the package.
    """
    if not facts["claimed"]:
        return
    for missing in facts["missing"]:
        yield Finding(
            code="WF405",
            detail=f"it needs {missing}, which has no wheel for this ABI",
            where=missing,
        )
    if facts["missing"]:
        return
    if facts["install"] is not None:
        yield Finding(code="WF401", detail=facts["install"], where=name)
    modules = facts["modules"]
    known = {module["module"].partition(".")[0] for module in modules}
    walked = _errors_by_module(facts["walk"]) if "walk" in facts else None
    for module in modules:
        yield from _judge_import(module, known, walked)
        yield from _judge_gil(module, facts.get("metadata", {}), top="." not in module["module"])
    for native, declared in _native_modules(modules).items():
        yield from _judge_declaration(native, declared)
    yield from _judge_requires_python(facts, name)
    if walked is not None:
        yield from _judge_crash(facts["walk"], "WF403", "importing every module in one process")
        yield from _judge_conditions(facts, walked)


def _native_modules(modules: Iterable[Facts]) -> dict[str, Facts]:
    """Return what each extension module declares, of all that any probe loaded."""
    return {
        name: declared for module in modules for name, declared in module.get("natives", {}).items()
    }


def _errors_by_module(condition: Facts) -> dict[str, str]:
    """Return the exception by module."""
    return {line["module"]: line["error"] for line in condition.get("lines", ()) if "error" in line}


# --- a plain import --------------------------------------------------------------------------------------------------


def _judge_import(
    module: Facts, known: set[str], walked: Mapping[str, str] | None
) -> Iterator[Finding]:
    name = module["module"]
    if "signal" in module:
        detail = f"importing {name} dies of {module['signal']}{_crash_location(module)}"
        yield Finding(code="WF403", detail=detail, where=name)
    elif "hang" in module:
        yield Finding(
            code="WF404",
            detail=f"importing {name}: {module['hang']}{_crash_location(module)}",
            where=name,
        )
    elif "error" in module:
        missing = (module.get("missing") or "").partition(".")[0]
        if missing in _IGNORED_MODULES and "." in name:
            return
        code: FindingCode = "WF402"
        if missing and missing not in known and "." in name:
            code = "WF406"
        elif walked is not None and name not in walked and "." in name:
            code = "WF407"
        yield Finding(code=code, detail=f"importing {name}: {module['error']}", where=name)


def _crash_location(ended: Facts) -> str:
    """Say where a process ended: the innermost native frames, and the innermost Python one."""
    stack = ended.get("stack", {})
    native, python = stack.get("native", ())[:_FRAMES_SHOWN], stack.get("python", ())[:1]
    parts = [" < ".join(native)] * bool(native) + [f"called from {frame}" for frame in python]
    return f", in {', '.join(parts)}" if native else "".join(f", {part}" for part in parts)


def _judge_requires_python(facts: Facts, name: str) -> Iterator[Finding]:
    metadata = facts.get("metadata", {})
    stated = metadata.get("requires_python", "")
    python = facts.get("python_version", "")
    works = not any({"error", "signal", "hang"} & module.keys() for module in facts["modules"])
    if metadata.get("requires_python_ignored") and works and not _allows_python(stated, python):
        detail = f"requires-python is {stated!r}, which leaves {python} out, though everything imports there"
        yield Finding(code="WF408", detail=detail, where=name)
    elif metadata.get("requires_python_ignored"):
        yield Finding(
            code="WF401", detail=f"requires-python {stated!r} leaves {python} out", where=name
        )


def _allows_python(specifier: str, python: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(python, prereleases=True)
    except ValueError:
        return True


# --- the GIL and interpreters ----------------------------------------------------------------------------------------


def _judge_gil(module: Facts, metadata: Facts, *, top: bool) -> Iterator[Finding]:
    gil = module.get("gil", {})
    if gil.get("before") is not False or gil.get("after") is not True:
        return
    name = module["module"]
    culprit = gil["enabled_by"] or name
    through = "" if culprit == name else f", by loading {culprit}"
    why = _explain_declaration(module.get("natives", {}).get(culprit))
    swallowed = "" if gil.get("warned", True) else "; the interpreter's warning of it is swallowed"
    detail = f"importing {name} turns the GIL back on{through}{why}{swallowed}"
    yield Finding(code="WF501" if top else "WF502", detail=detail, where=name)
    if claim := metadata.get("free_threading"):
        detail = f"its metadata claims free threading ({claim}), but importing {name} turns the GIL back on{through}"
        yield Finding(code="WF503", detail=detail, where=name)


def _explain_declaration(declared: Facts | None) -> str:
    if declared is None:
        return ""
    if declared["gil"] == "used":
        return " (its slot Py_mod_gil says that it uses the GIL)"
    if declared["init"] == "single-phase":
        return " (single-phase initialisation, and no call of PyUnstable_Module_SetGIL)"
    return " (it has no slot Py_mod_gil)" if declared["init"] == "multi-phase" else ""


def _judge_declaration(native: str, declared: Facts) -> Iterator[Finding]:
    if declared["init"] == "single-phase":
        yield Finding(
            code="WF504", detail=f"{native} has single-phase initialisation", where=native
        )
    elif declared["init"] == "multi-phase" and declared["interpreters"] != "own-gil":
        stated = {
            None: "has no slot Py_mod_multiple_interpreters",
            "no": "says that it supports one interpreter only",
        }
        detail = f"{native} {stated.get(declared['interpreters'], 'supports only interpreters that share the GIL')}"
        yield Finding(code="WF505", detail=detail, where=native)


# --- stricter conditions ---------------------------------------------------------------------------------------------


def _judge_conditions(facts: Facts, walked: Mapping[str, str]) -> Iterator[Finding]:
    dev = facts["dev"]
    gil_on = any(module.get("gil", {}).get("after") for module in facts["modules"])
    yield from _judge_crash(dev, "WF409", "importing under -X dev")
    if "signal" in dev:
        return  # the load job tried no other condition
    strict, threads, again = (facts[name] for name in ("strict", "threads", "again"))
    yield from _judge_exceptions(dev, "WF410", "under -X dev", walked)
    for warning in dev["warnings"]:
        if "global interpreter lock (GIL) has been enabled" not in warning["text"]:
            detail = f"{warning['category']}: {warning['text']}"
            yield Finding(code="WF411", detail=detail, where=warning["where"] or "native code")
    yield from _judge_crash(strict, "WF412", "importing with warnings as errors")
    if not dev["warnings"] and not gil_on:
        # What warns is told of by WF411. A package that fails as a whole may be failed by another one's warning.
        stopped = _errors_by_module(strict).keys()
        own = {
            name
            for name in _native_modules(facts["modules"])
            if "." not in name or name.partition(".")[0] not in stopped
        }
        yield from _judge_exceptions(strict, "WF412", "with warnings as errors", walked, own)
    yield from _judge_crash(threads, "WF413", "importing by eight threads at once")
    yield from _judge_exceptions(threads, "WF414", "by eight threads at once", walked)
    yield from _judge_crash(again, "WF415", "importing again after deletion from sys.modules")
    yield from _judge_exceptions(again, "WF416", "again after deletion from sys.modules", walked)
    yield from _judge_subinterpreters(facts, walked)


def _judge_crash(condition: Facts, code: FindingCode, doing: str) -> Iterator[Finding]:
    """Judge a process that did not come to its end."""
    during = condition.get("during", "")
    at = f", at {during}" if during else ""
    if "signal" in condition:
        yield Finding(
            code=code,
            detail=f"{doing}{at}, dies of {condition['signal']}{_crash_location(condition)}",
            where=during,
        )
    elif "hang" in condition:
        yield Finding(
            code=code,
            detail=f"{doing}{at}: {condition['hang']}{_crash_location(condition)}",
            where=during,
        )


def _judge_exceptions(
    condition: Facts,
    code: FindingCode,
    when: str,
    walked: Mapping[str, str],
    own: set[str] | None = None,
) -> Iterator[Finding]:
    """Judge exceptions that a plain import of the same module does not raise."""
    alike: dict[str, list[str]] = {}  # what fails the package fails each of its modules
    for module, error in _errors_by_module(condition).items():
        if module not in walked and (own is None or module in own):
            alike.setdefault(error, []).append(module)
    for error, modules in alike.items():
        more = f" ({len(modules) - 1} more of its modules alike)" if len(modules) > 1 else ""
        yield Finding(
            code=code, detail=f"importing {modules[0]} {when}: {error}{more}", where=modules[0]
        )


def _judge_subinterpreters(facts: Facts, walked: Mapping[str, str]) -> Iterator[Finding]:
    natives = _native_modules(facts["modules"])
    condition = facts["subinterpreters"]
    yield from _judge_crash(condition, "WF507", "importing in a subinterpreter with its own GIL")
    seen: set[str] = set()
    for line in condition["lines"]:
        culprit, module = line.get("failed"), line["module"]
        refused = "does not support loading in subinterpreters" in line["error"]
        # A refusal follows from what the module declares: WF504 and WF505 have said so. Whatever imports it fails too,
        # and may put it in words of its own.
        where = culprit or module
        refused = refused or (culprit in natives and natives[culprit]["interpreters"] != "own-gil")
        if (
            module in walked
            or refused
            or (culprit is not None and culprit not in natives)
            or where in seen
        ):
            continue
        seen.add(where)
        which = "a" if line["round"] == 1 else "the second"
        detail = f"importing {module} in {which} subinterpreter with its own GIL: {line['error']}"
        yield Finding(code="WF506", detail=detail, where=where)
