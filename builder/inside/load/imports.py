"""Imports a distribution's modules, in processes of their own: plainly by probe.py, then under stricter conditions."""

from __future__ import annotations

from typing import Any

from .distribution import top_of
from .importers import find_importers
from .probe_process import run_probe

_FEW = 2
"""So many modules are imported alone: two processes are as dear as the two that import all."""

_BAD_ENDINGS = {"fault", "hang", "signal"}
"""What `run_probe` has of a process that did not come to its end."""

_LEFT_OFF = (None, "off")
"""What the supervisor sees of a GIL that nothing turned on, or of one that cannot be seen."""

# Each stricter condition: the program, and the interpreter's options. `-X dev` includes PYTHONMALLOC=debug.
CONDITIONS = {
    "walk": ("walk", ()),
    "dev": ("walk", ("-X", "dev")),
    "strict": ("walk", ("-W", "error")),
    "threads": ("threads", ()),
    "again": ("again", ()),
    "subinterpreters": ("subinterpreter", ()),
}


def import_modules(python: str, request: dict[str, Any], tops: dict[str, bool]) -> dict[str, Any]:
    """Import a distribution's modules plainly, then everything under the stricter conditions.

    Plainly imported are the top-level modules, each in a process of its own, and those native modules that were not
    loaded with one of these. The stricter conditions get what could be imported; their facts are left out where
    nothing could.

    Args:
        python: the interpreter.
        request: the request of a probe, without the modules: `site`, `tops`, `natives`, perhaps `after`.
        tops: the distribution's top-level modules, each with whether it is native.
    """
    natives: list[str] = request["natives"]
    probes = [probe_module(python, request, name, native=native) for name, native in tops.items()]

    importable = []
    loaded_natives: set[str] = set()
    for probe in probes:
        loaded_natives.update(probe.get("natives", ()))
        has_failed = bool({"error", "hang", "signal"} & probe.keys())
        if not has_failed:
            importable.append(probe["module"])

    # Importing `a.b` begins with importing `a`: where that failed, or brought `a.b` along, there is nothing to add.
    reachable = [name for name in natives if top_of(name) in importable]
    unloaded = [name for name in reachable if name not in loaded_natives and name not in tops]
    probes += probe_natives(python, request, unloaded)

    facts: dict[str, Any] = {"modules": probes}
    if importable:
        strict = {**request, "tops": importable, "natives": reachable}
        facts |= import_strictly(python, strict)

    return facts


# --- plainly ---------------------------------------------------------------------------------------------------------


def probe_natives(python: str, request: dict[str, Any], names: list[str]) -> list[dict[str, Any]]:
    """Import native modules; return what each showed, in their order, as `probe_module` does.

    scikit-learn has some seventy, and each process imports numpy and scipy first. So one process imports them all, and
    a second one all in the reverse order: a module that needs another one to be imported before it fails in one of the
    two, unless a third one brings that along both times. Alone is imported what failed there, and what turned the GIL
    on, or came after that.

    Args:
        python: the interpreter.
        request: the request of a probe, without the modules.
        names: the modules.
    """
    cleared: dict[str, dict[str, Any]] = {}
    if len(names) > _FEW:
        forwards = find_cleared(python, request, names)
        backwards = find_cleared(python, request, names[::-1])
        for name in forwards.keys() & backwards.keys():
            cleared[name] = forwards[name]

    probes: list[dict[str, Any]] = []
    for name in names:
        probe = cleared.get(name)
        if probe is None:
            probe = probe_alone(python, request, name)
        probes.append(probe)

    return probes


def probe_alone(python: str, request: dict[str, Any], name: str) -> dict[str, Any]:
    """Import a native module alone; where that raises, once more after each of the modules that import it.

    The first of these with which it works is `after`. In scipy is a module that imports the one that imports it: it
    works if that one comes first, as for everybody who uses it.

    Args:
        python: the interpreter.
        request: the request of a probe, without the modules.
        name: the module's dotted name.
    """
    probe = probe_module(python, request, name, native=True)
    if "error" not in probe or "fault" in probe:
        return probe

    for importer in find_importers(request["site"], name):
        answer = run_probe(
            python, "inside.load.probe", {**request, "modules": [importer, name]}, ()
        )
        came_to_its_end = not _BAD_ENDINGS & answer.keys()
        if came_to_its_end and not any("error" in line for line in answer["lines"]):
            return {**probe, "after": importer}

    return probe


def find_cleared(
    python: str, request: dict[str, Any], names: list[str]
) -> dict[str, dict[str, Any]]:
    """Import native modules in one process; return what each showed that was imported and left the GIL off, by name.

    Empty where the process did not come to its end, or where the supervisor saw another state of the GIL than off.

    Args:
        python: the interpreter.
        request: the request of a probe, without the modules.
        names: the modules, in the order in which they are imported.
    """
    answer = run_probe(python, "inside.load.probe", {**request, "modules": names}, ())
    gil_seen = answer.get("gil_seen")
    came_to_its_end = not _BAD_ENDINGS & answer.keys()
    if not came_to_its_end or gil_seen not in _LEFT_OFF:
        return {}

    cleared: dict[str, dict[str, Any]] = {}
    for line in answer["lines"]:
        if "error" not in line and not line["gil"]["after"]:
            line["gil"]["seen"] = gil_seen
            cleared[line["module"]] = {**line, "native": True}

    return cleared


def probe_module(
    python: str, request: dict[str, Any], module: str, *, native: bool
) -> dict[str, Any]:
    """Import one module in a fresh process; return what that showed, the fields of Probe in builder/evidence/load.py.

    `during`, which names the module that was being imported, is left out: there is only this one.

    Args:
        python: the interpreter.
        request: the request of a probe, without the module.
        module: the module's dotted name.
        native: whether it is an extension module.
    """
    answer = run_probe(python, "inside.load.probe", {**request, "modules": [module]}, ())
    lines = answer.pop("lines")
    answer.pop("during", None)

    facts = lines[0] if lines else {}
    gil_seen = answer.pop("gil_seen", None)
    if "gil" in facts:
        facts["gil"]["seen"] = gil_seen
    # An import that ends the interpreter, or speaks in the place of the probe, is no import that worked.
    if "fault" in answer:
        answer["error"] = answer["fault"]

    return {**facts, "module": module, "native": native, **answer}


# --- under stricter conditions ---------------------------------------------------------------------------------------


def import_strictly(python: str, request: dict[str, Any]) -> dict[str, Any]:
    """Import everything once under each condition of `CONDITIONS`; return what came of it, by the condition's name.

    Conditions after `dev` are left out where that died of a signal.

    Args:
        python: the interpreter.
        request: the request of a probe: `site`, `tops`, `natives`.
    """
    facts: dict[str, Any] = {}
    for condition, (program, options) in CONDITIONS.items():
        if "signal" in facts.get("dev", {}):
            break  # memory is damaged: what follows would differ from run to run

        answer = run_probe(python, f"inside.load.{program}", request, options)
        facts[condition] = summarize(answer, is_walk=condition == "walk")

    return facts


def summarize(answer: dict[str, Any], *, is_walk: bool) -> dict[str, Any]:
    """Gather the warnings of an answer, and drop the lines that say no more than that a module was imported.

    Args:
        answer: what `run_probe` returned.
        is_walk: whether it is of the condition whose lines are all of interest.
    """
    lines = []
    warnings: list[object] = []
    for line in answer.pop("lines"):
        if "warnings" in line:
            warnings += line["warnings"]
        elif is_walk or "error" in line:
            lines.append(line)

    return {"lines": lines, "warnings": warnings, **answer}
