"""All that differs between bases, what weighs most first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.judge.parity.model import Parity, Topic, merge_abis
from builder.judge.parity.system import (
    compare_build_packages,
    compare_libraries,
    compare_system_packages,
)
from builder.judge.parity.trials import (
    compare_findings,
    compare_imports,
    compare_interpreters,
    compare_trials,
)
from builder.judge.parity.wheels import compare_wheels
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.judge.parity.model import Row
    from builder.judge.parity.subject import Comparison

_MOST_NAMED = 5
"""Packages that a sentence names."""


def compare_bases(comparison: Comparison) -> Parity:
    """Return what differs between bases for an application, or for the whole matrix.

    Args:
        comparison: what is installed on each of two bases or more, and what was recorded of that.
    """
    rows = [
        *compare_trials(comparison),
        *compare_imports(comparison),
        *compare_findings(comparison),
        *compare_system_packages(comparison),
        *compare_wheels(comparison),
        *compare_libraries(comparison),
        *compare_interpreters(comparison),
        *compare_build_packages(comparison),
    ]
    topics = list(Topic)
    merged = merge_abis(rows)
    merged.sort(key=lambda row: (row.weight.rank, topics.index(row.topic)))

    return Parity(
        application=comparison.application,
        bases=tuple(base.name for base in comparison.bases),
        abis=tuple(abi.name for abi in comparison.abis),
        rows=tuple(merged),
        install={base: tuple(sorted(system.needed)) for base, system in comparison.system.items()},
        not_recorded=tuple(_list_gaps(comparison, merged)),
    )


def _list_gaps(comparison: Comparison, rows: list[Row]) -> Iterator[str]:
    """Yield a sentence for each thing that was not recorded and that a comparison would need."""
    without_list = [base for base, system in comparison.system.items() if system.installed is None]
    if without_list:
        yield (
            f"versions of system packages on {', '.join(without_list)}: the images there were made by a wheelfarm"
            " that recorded none; what the bases are known to ship stands in their place"
        )

    has_libraries = any(row.topic is Topic.LIBRARY for row in rows)
    if has_libraries:
        yield (
            "which system package has a shared library: it is the installed one that is called after its soname"
            " (Debian Policy 8.1), and none where no package is"
        )

    unread: dict[str, None] = {}
    for package in comparison.packages:
        for filename in package.wheels.values():
            is_native = bool(filename) and not filename.endswith("-any.whl")
            if is_native and filename not in package.audits:
                unread[package.name] = None
    if unread:
        yield f"what is in the wheels of {join_names(list(unread), _MOST_NAMED)}: no audit of them is recorded"
