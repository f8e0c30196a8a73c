"""How is its native code made, and what else does it bring along?"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.judge.findings import Finding
    from builder.judge.wheel.subject import Subject

_COMMON_NAMES = {
    "benchmark", "benchmarks", "bin", "build", "config", "conftest.py", "data", "dist", "doc", "docs", "example",
    "examples", "include", "lib", "main.py", "script", "scripts", "setup.py", "src", "test", "testing",
    "tests", "tool", "tools", "utils",
}  # fmt: skip


def findings(subject: Subject) -> Iterator[Finding]:
    """Judge native code and loose files."""
    objects = [(path, facts) for path, facts in subject.objects if facts["kind"] != "program"]
    isa = [
        (path, f"{path} needs a processor of x86-64-v{facts['isa']}")
        for path, facts in subject.objects
        if facts["isa"] > 1
    ]
    yield from group_finding("WF323", isa)
    stack = [
        (path, f"{path} wants an executable stack") for path, facts in objects if facts["stack"]
    ]
    yield from group_finding("WF324", stack)
    text = [
        (path, f"{path} has text relocations")
        for path, facts in objects
        if facts["text_relocations"]
    ]
    yield from group_finding("WF325", text)
    yield from group_finding("WF326", list(_search_paths(subject)))
    yield from group_finding(
        "WF327", [(path, f"{path} has no RELRO") for path, facts in objects if not facts["relro"]]
    )
    paths = [
        (path, f"{path} has {', '.join(facts['paths'][:2])}")
        for path, facts in subject.objects
        if facts["paths"]
    ]
    yield from group_finding("WF328", paths)
    yield from group_finding("WF330", list(_loose_files(subject)))
    yield from group_finding("WF331", [(path, path) for path in subject.facts["bytecode"]])


def _search_paths(subject: Subject) -> Iterator[tuple[str, str]]:
    for path, facts in subject.objects:
        for entry in (*facts["rpath"], *facts["runpath"]):
            place = entry.replace("${ORIGIN}", "$ORIGIN")
            inside = place.replace("$ORIGIN", posixpath.dirname(path) or ".")
            if not place.startswith("$ORIGIN"):
                yield path, f"{path} looks for libraries in {entry!r}"
            elif posixpath.normpath(inside).startswith(".."):
                yield (
                    path,
                    f"{path} looks for libraries in {entry!r}, which leads out of the folder it is installed to",
                )


def _loose_files(subject: Subject) -> Iterator[tuple[str, str]]:
    top = subject.facts["top_level"]
    for name, kind in top.items():
        if name.endswith(".pth"):
            yield name, f"{name} is run by every interpreter that starts in this environment"
        elif kind in {"file", "folder"}:
            yield name, f"{name} is installed beside other packages, and is not Python"
        elif name in _COMMON_NAMES and len(top) > 1:
            yield name, f"{name} is installed beside other packages under a name that many use"
