"""The packages and releases that are measured, with what is known of them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

SETS = ("corpus", "releases")

SAFE = "compatible"
"""What is expected of a package without a fault."""

GIL = "gil-required"

_TABLES = Path(__file__).parents[1]

_MOST_IN_BATCH = 8
"""Packages: some ten minutes at `standard`, on two cores."""

_SHARED = {
    "object": "threads share an object",
    "argument": "threads share an argument",
    "nothing": "threads share nothing",
}
"""Kinds of faults of releases, by what the table says that threads have to share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """What is known of one package, or of one release of it.

    Attributes:
        package: its name.
        version: the release; empty where there is one.
        expected: the verdict on cp314t.
        fault: its kind, such as `static-counter`, or of a release what threads have to share to meet it; empty for a
            package without one.
        functions: native functions, or Python names, of which a finding has to name one; empty where none is known.
        apt: system packages that its build needs; `cffi:libffi-dev` is one that the build of a requirement needs.
    """

    package: str
    version: str
    expected: str
    fault: str
    functions: tuple[str, ...]
    apt: tuple[str, ...] = ()

    @property
    def is_faulty(self) -> bool:
        return self.expected != SAFE

    @property
    def own_apt(self) -> list[str]:
        """System packages that its own build needs."""
        return [name for name in self.apt if ":" not in name]

    @property
    def required(self) -> dict[str, list[str]]:
        """Packages that it requires and whose builds need system packages, with these."""
        required: dict[str, list[str]] = {}
        for entry in self.apt:
            package, colon, name = entry.partition(":")
            if colon:
                required.setdefault(package, []).append(name)

        return required

    @property
    def kind(self) -> str:
        """What the fault is counted under."""
        return self.fault or self.expected


def read_labels(name: str, only: list[str]) -> list[Label]:
    """Return the labels of a set.

    Args:
        name: of the set, which is the table's.
        only: packages to keep; empty for all.
    """
    labels: list[Label] = []
    with (_TABLES / f"{name}.tsv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if only and row["package"] not in only:
                continue

            label = Label(
                package=row["package"],
                version=row.get("version") or "",
                expected=row["expect_cp314t"],
                fault=row.get("fault") or _SHARED.get(row.get("shares") or "", ""),
                functions=_split_cell(row.get("function")),
                apt=_split_cell(row.get("apt")),
            )
            labels.append(label)

    return labels


def read_sets(names: list[str], only: list[str]) -> dict[str, list[Label]]:
    """Return the labels of some sets; a set that has none of the packages to keep is left out.

    Args:
        names: of the sets.
        only: packages to keep; empty for all.

    Raises:
        SystemExit: a package to keep is in none of the sets.
    """
    sets: dict[str, list[Label]] = {}
    known: set[str] = set()
    for name in names:
        labels = read_labels(name, only)
        known.update(label.package for label in labels)
        if labels:
            sets[name] = labels

    unknown = sorted(set(only) - known)
    if unknown:
        tables = " or ".join(f"benchmarks/{name}.tsv" for name in names) or "a set with labels"
        raise SystemExit(f"not in {tables}: {', '.join(unknown)}")

    return sets


def _split_cell(cell: str | None) -> tuple[str, ...]:
    """Return the names in a cell, which commas part; none where the table lacks the column."""
    names = (cell or "").split(",")
    return tuple(name.strip() for name in names if name.strip())


def split_into_batches(labels: list[Label]) -> list[list[Label]]:
    """Return the labels in lists that have each package once, and few of them: a matrix for each.

    A farm builds all packages before it looks for what breaks under threads; what a batch came to is safe when it ends.
    """
    batches: list[list[Label]] = []
    for label in labels:
        for batch in batches:
            has_room = len(batch) < _MOST_IN_BATCH
            if has_room and all(label.package != other.package for other in batch):
                batch.append(label)
                break
        else:
            batches.append([label])

    return batches
