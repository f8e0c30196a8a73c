"""How does native code look, unloaded, to one who knows what breaks without the GIL? Signs, never a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.judge.findings import Finding
    from builder.judge.wheel.subject import Subject

GIL_NOT_USED = 1
"""`Py_MOD_GIL_NOT_USED`, the value of `Py_mod_gil` by which a module says that it needs no GIL (PEP 703)."""


def findings(subject: Subject) -> Iterator[Finding]:
    """Name the signs in a free-threaded wheel."""
    if not subject.free_threaded:
        return
    known = {path: facts["threads"] for path, facts in subject.extensions if "threads" in facts}
    bare = [
        (
            path,
            f"{path} makes types, says that it needs no GIL, and calls nothing that takes a lock",
        )
        for path, facts in subject.extensions
        if path in known and _lacks_locks(facts)
    ]
    yield from group_finding("WF617", bare)
    yield from group_finding("WF618", _list_functions(known, "borrowed"))
    yield from group_finding("WF619", _list_functions(known, "libc"))


def _list_functions(known: Mapping[str, Any], what: str) -> list[tuple[str, str]]:
    """Return each module with the functions of one kind that it uses, of those that use any."""
    listed = []
    for path, facts in known.items():
        if facts[what]:
            listed.append((path, f"{path}: {', '.join(facts[what])}"))

    return listed


def thread_signs(wheels: Mapping[str, Any], filename: str | None) -> tuple[str, ...]:
    """Return what an audited wheel shows, for those who look for races to begin with what is likely.

    Args:
        wheels: facts of an audit job, by file name.
        filename: the wheel.

    Returns:
        Of `bare` (types and no lock), `borrowed`, `libc` and `writable`, those that any extension module shows.
    """
    objects = wheels.get(filename or "", {}).get("objects", {})
    extensions = [
        facts
        for facts in objects.values()
        if facts.get("kind") == "extension" and "threads" in facts
    ]
    found = {"bare": any(_lacks_locks(facts) for facts in extensions)}
    for what in ("borrowed", "libc", "writable"):
        found[what] = any(facts["threads"][what] for facts in extensions)
    return tuple(what for what, shown in found.items() if shown)


def describe_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Say in sentences what is different, for threads, between two releases' facts (see builder/inside/audit/)."""
    before, after = _collect_signs(old), _collect_signs(new)
    for what, words in (
        ("locks", "takes locks by"),
        ("borrowed", "borrows references by"),
        ("libc", "calls"),
    ):
        if gained := sorted(after[what] - before[what]):
            yield f"{words} {', '.join(gained)}"
        if lost := sorted(before[what] - after[what]):
            yield f"no longer {words} {', '.join(lost)}"
    if before["declared"] != after["declared"]:
        yield f"says that it needs no GIL of {', '.join(sorted(after['declared'])) or 'no module'}"


def _collect_signs(facts: Mapping[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {
        "locks": set(),
        "borrowed": set(),
        "libc": set(),
        "declared": set(),
    }
    for path, one in facts["objects"].items():
        if one.get("kind") == "extension" and "threads" in one:
            for what in ("locks", "borrowed", "libc"):
                found[what] |= set(one["threads"][what])
            if _declares_no_gil(one):
                found["declared"].add(path.partition(".")[0].replace("/", "."))
    return found


def _declares_no_gil(facts: Mapping[str, Any]) -> bool:
    return bool(facts["init"] and facts["init"]["slots"].get("gil") == GIL_NOT_USED)


def _lacks_locks(facts: Mapping[str, Any]) -> bool:
    return facts["threads"]["types"] and not facts["threads"]["locks"] and _declares_no_gil(facts)
