"""How does native code look, unloaded, to one who knows what breaks without the GIL? Signs, never a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.evidence.audit import NativeObject, WheelFacts
    from builder.evidence.race import Sign
    from builder.judge.findings import Finding
    from builder.judge.wheel.subject import Subject

GIL_NOT_USED = 1
"""`Py_MOD_GIL_NOT_USED`, the value of `Py_mod_gil` by which a module says that it needs no GIL (PEP 703)."""


def judge_thread_signs(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each sign of trouble under threads in a free-threaded wheel; nothing for other wheels.

    The signs: types but no locks (WF617), calls that return borrowed references (WF618), and functions of the C library
    that are not safe among threads (WF619).
    """
    if not subject.is_free_threaded:
        return

    lockless: list[tuple[str, str]] = []
    borrowed: list[tuple[str, str]] = []
    libc: list[tuple[str, str]] = []
    for path, native in subject.extensions:
        if native.threads is None:
            continue  # an older farm audited it, and did not look for signs
        if _lacks_locks(native):
            lack = "makes types, says that it needs no GIL, and calls nothing that takes a lock"
            lockless.append((path, f"{path} {lack}"))
        if native.threads.borrowed:
            borrowed.append((path, f"{path}: {', '.join(native.threads.borrowed)}"))
        if native.threads.libc:
            libc.append((path, f"{path}: {', '.join(native.threads.libc)}"))

    yield from group_finding("WF617", lockless)
    yield from group_finding("WF618", borrowed)
    yield from group_finding("WF619", libc)


def list_signs(wheel: WheelFacts | None) -> tuple[Sign, ...]:
    """Return the signs of trouble under threads in an audited wheel, so that likely races are looked for first.

    Args:
        wheel: facts of it; None where it was not audited.

    Returns:
        Of `bare` (types and no lock), `borrowed`, `libc` and `writable`, those that any extension module shows.
    """
    extensions = [] if wheel is None else _extensions(wheel)
    signs = [native.threads for _, native in extensions if native.threads is not None]

    shown: list[Sign] = []
    if any(_lacks_locks(native) for _, native in extensions):
        shown.append("bare")
    if any(sign.borrowed for sign in signs):
        shown.append("borrowed")
    if any(sign.libc for sign in signs):
        shown.append("libc")
    if any(sign.writable for sign in signs):
        shown.append("writable")

    return tuple(shown)


def _extensions(wheel: WheelFacts) -> list[tuple[str, NativeObject]]:
    extensions = []
    for path, native in wheel.native_objects.items():
        if native.kind == "extension":
            extensions.append((path, native))

    return extensions


def _lacks_locks(native: NativeObject) -> bool:
    """Return whether a module makes types and takes no lock, though it says that it needs no GIL."""
    if native.threads is None:
        return False

    return native.threads.types and not native.threads.locks and _declares_no_gil(native)


def _declares_no_gil(native: NativeObject) -> bool:
    return native.init is not None and native.init.slots.get("gil") == GIL_NOT_USED


# --- two releases -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _WheelSigns:
    """What all extension modules of a wheel show together.

    Attributes:
        declared: dotted names of the modules that say that they need no GIL.
    """

    locks: set[str] = field(default_factory=set)
    borrowed: set[str] = field(default_factory=set)
    libc: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)


def describe_changes(old: WheelFacts, new: WheelFacts) -> Iterator[str]:
    """Yield a sentence for each difference between two releases of a package that matters under threads.

    Compared are all extension modules of a wheel together: locks, borrowed references, unsafe calls of the C library,
    and which modules say that they need no GIL.
    """
    before = _collect_signs(_extensions(old))
    after = _collect_signs(_extensions(new))

    yield from _compare("takes locks by", before.locks, after.locks)
    yield from _compare("borrows references by", before.borrowed, after.borrowed)
    yield from _compare("calls", before.libc, after.libc)

    if before.declared != after.declared:
        modules = ", ".join(sorted(after.declared)) or "no module"
        yield f"says that it needs no GIL of {modules}"


def _collect_signs(extensions: Sequence[tuple[str, NativeObject]]) -> _WheelSigns:
    """Return the signs of all extension modules of a wheel together; modules without facts on threads are skipped."""
    signs = _WheelSigns()
    for path, native in extensions:
        if native.threads is None:
            continue

        signs.locks.update(native.threads.locks)
        signs.borrowed.update(native.threads.borrowed)
        signs.libc.update(native.threads.libc)
        if _declares_no_gil(native):
            signs.declared.add(path.partition(".")[0].replace("/", "."))

    return signs


def _compare(words: str, before: set[str], after: set[str]) -> Iterator[str]:
    """Yield what is in only one of two sets, as `calls strtok` or `no longer calls strtok` for the words `calls`."""
    gained = sorted(after - before)
    if gained:
        yield f"{words} {', '.join(gained)}"

    lost = sorted(before - after)
    if lost:
        yield f"no longer {words} {', '.join(lost)}"
