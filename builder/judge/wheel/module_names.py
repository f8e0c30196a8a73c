"""Does each interpreter that the tags promise look for the file names of the extension modules (PEP 3149, 384, 803)?

Every release of CPython is asked, whether the farm has it or not: builder/distributions/cpython.py knows what each
looks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.distributions.cpython import (
    has_abi3t,
    is_free_threaded,
    list_hooks,
    list_suffix_tags,
    minor_of,
    name_interpreters,
)
from builder.judge.findings import Finding
from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.judge.wheel.subject import Subject
    from builder.verdicts.codes import FindingCode


def judge_module_names(subject: Subject) -> Iterator[Finding]:
    """Yield findings on file names of extension modules that an interpreter does not look for, or should not.

    Of a module that no free-threaded build before 3.15 can import, by a tag that promises `abi3t` to it, that alone is
    said.
    """
    early = list(find_early_abi3t(subject))
    yield from group_finding("WF321", early)

    if not early:
        for module in subject.modules:
            yield from _judge_names(subject, module)

    strays = [(path, f"{path} is beside the one that is loaded") for path in sorted(subject.strays)]
    yield from group_finding("WF337", strays)


def find_early_abi3t(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for each module that a free-threaded build before 3.15 is promised by `abi3t` in vain.

    Such a build looks for no `.abi3t.so` and calls no `PyModExport`. PEP 803 reserves these tags, and installers take
    them: a plain `.so` whose `PyInit` knows the layout of either build keeps the promise.
    """
    if not subject.promises_early_abi3t:
        return

    for module, paths in subject.modules.items():
        where = min(paths)
        for abi in subject.interpreters:
            is_early = is_free_threaded(abi) and not has_abi3t(abi)
            if is_early and not _can_import(subject, module, abi):
                needs = "the stable ABI of free-threaded builds begins with 3.15 (PEP 803)"
                yield where, f"the tag promises {where} to {name_interpreters([abi])}, and {needs}"
                break


def _can_import(subject: Subject, module: str, abi: str) -> bool:
    """Return whether an interpreter finds a module, and in it a function that it calls."""
    path = subject.find_loaded(module, abi)
    if path is None:
        return False

    native = subject.objects.get(path)
    if native is None or native.init is None or native.init.hooks is None:
        return True  # nothing is known of its functions
    return not set(list_hooks(abi)).isdisjoint(native.init.hooks)


def _judge_names(subject: Subject, module: str) -> Iterator[Finding]:
    """Yield a finding where promised interpreters do not look for any file of a module, or load one they should not.

    Args:
        subject: the wheel.
        module: path of the module, without suffix.
    """
    where = min(subject.modules[module])
    found: list[str] = []
    missing: list[str] = []
    for abi in subject.interpreters:
        if subject.find_loaded(module, abi) is None:
            missing.append(abi)
        else:
            found.append(abi)

    deceived = [abi for abi in found if _loads_foreign(subject, module, abi)]
    if deceived:
        detail = (
            f"{where} is named as of the stable ABI, which needs the GIL; "
            f"{name_interpreters(deceived)} loads the file all the same"
        )
        yield Finding(code="WF321", detail=detail, where=where)
    elif missing:
        right_name = _name_sought(subject, module, missing[-1])
        detail = (
            f"{name_interpreters(missing)} does not look for {where}: "
            f"{right_name} would be the name"
        )
        yield Finding(code=_choose_code(found, missing), detail=detail, where=where)


def _loads_foreign(subject: Subject, module: str, abi: str) -> bool:
    """Return whether a free-threaded build loads a file of the stable ABI that needs the GIL: those before 3.15 do."""
    path = subject.find_loaded(module, abi)
    is_named_abi3 = path is not None and subject.facts.extensions[path] == "abi3"
    return is_named_abi3 and is_free_threaded(abi)


def _name_sought(subject: Subject, module: str, abi: str) -> str:
    """Return the file name of a module that an interpreter looks for, and that fits the ABI tags of the wheel."""
    tags = list_suffix_tags(abi, subject.triplets)
    if subject.abi_tags <= {"abi3", "abi3t"}:
        stable = "abi3t" if "abi3t" in tags and "abi3t" in subject.abi_tags else "abi3"
        return f"{module}.{stable}.so"

    return f"{module}.{tags[0]}.so"


def _choose_code(found: Sequence[str], missing: Sequence[str]) -> FindingCode:
    """Return the code for a module that some promised interpreters find and others do not.

    Args:
        found: interpreters that find it.
        missing: those that do not; at least one.
    """
    builds_found = {is_free_threaded(abi) for abi in found}
    builds_missing = {is_free_threaded(abi) for abi in missing}
    if found and builds_found.isdisjoint(builds_missing):
        return "WF342"

    is_too_new = max(map(minor_of, missing)) < max(map(minor_of, found), default=0)
    return "WF340" if is_too_new else "WF301"
