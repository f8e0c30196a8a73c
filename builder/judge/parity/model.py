"""What a comparison of bases says: rows with a value for each base, and how much a difference weighs. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOT_RECORDED = "not recorded"
"""The value of a base of which nobody recorded it."""

NOTHING = "\N{EN DASH}"
"""The value of a base that has or needs nothing of the kind."""

_MOST_NAMED = 12
"""Names in one sentence: a base image with an interpreter needs about as many system packages."""


class Topic(StrEnum):
    """What a row compares; the order is that of reports."""

    TRIAL = "trial"
    """What trying the application showed."""
    IMPORT = "import"
    """Whether a package's native modules can be imported."""
    FINDING = "finding"
    """A finding that some bases have and others have not, with its remedy."""
    SYSTEM_PACKAGE = "system-package"
    """A system package that has to be installed at run time."""
    WHEEL = "wheel"
    """The file that an installer takes."""
    FLOOR = "floor"
    """The newest symbol versions that a wheel needs, beside what the base has."""
    LIBRARY = "library"
    """A shared library of the system that wheels are linked to."""
    GRAFTED = "grafted"
    """Shared libraries that a wheel brings along: there, the base's own do not matter."""
    INTERPRETER = "interpreter"
    """The interpreter that wheels were loaded with."""
    BUILD_PACKAGE = "build-package"
    """A system package that builds need; who installs wheels does not."""


class Weight(StrEnum):
    """How much a row weighs, the most first."""

    BREAKS = "breaks"
    """Something runs on one base and not on another."""
    UNDETERMINED = "undetermined"
    """The farm could not tell on some base what came of it."""
    INSTALL = "install"
    """Other system packages have to be installed."""
    DIFFERS = "differs"
    NOT_RECORDED = "not-recorded"
    """Of some base it was not recorded; what was is the same."""
    SAME = "same"

    @property
    def rank(self) -> int:
        """Position in the table: a smaller one comes first."""
        return list(Weight).index(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One thing that was compared.

    Attributes:
        name: what it is: a package, a soname, a command.
        values: by base, in the order of the comparison; a base that the row is not about is left out.
        abis: the ABIs that it holds for; empty where it does not depend on them.
        detail: who needs it, or another remark; empty for none.
    """

    topic: Topic
    name: str
    values: Mapping[str, str]
    weight: Weight
    abis: tuple[str, ...] = ()
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The row in one sentence: `lxml on cp314t: imports on debian-12; fails on ubuntu-24.04`."""
        bases: dict[str, list[str]] = {}
        for base, value in self.values.items():
            bases.setdefault(value, []).append(base)

        sides: list[str] = []
        for value, names in bases.items():
            listed = ", ".join(names)
            if self.topic is not Topic.FINDING:
                sides.append(f"{value} on {listed}")
            elif value != NOTHING:
                sides.append(f"on {listed} alone; what to do: {value}")

        place = f" on {', '.join(self.abis)}" if self.abis else ""
        return f"{self.name}{place}: {'; '.join(sides)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """What differs between bases for one application, or for the whole matrix.

    Attributes:
        application: its name; empty for the whole matrix.
        bases: names of the bases, in the order of the matrix.
        abis: names of the ABIs.
        rows: what weighs most comes first.
        install: by base the system packages to install where it is run, sorted.
        not_recorded: what could not be compared, each as a sentence.
    """

    application: str
    bases: tuple[str, ...]
    abis: tuple[str, ...]
    rows: tuple[Row, ...]
    install: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    not_recorded: tuple[str, ...] = ()

    def rows_of(self, weight: Weight) -> list[Row]:
        """Return the rows of one weight."""
        return [row for row in self.rows if row.weight is weight]

    @property
    def differences(self) -> tuple[str, ...]:
        """What has to be known before anything else, as sentences; empty where no difference matters."""
        sentences = [row.sentence for row in self.rows_of(Weight.BREAKS)]
        for row in self.rows_of(Weight.UNDETERMINED):
            sentences.append(f"undetermined: {row.sentence}")
        if self.rows_of(Weight.INSTALL):
            sentences.append(describe_installation(self.install))

        other_wheels = [
            row.name for row in self.rows_of(Weight.DIFFERS) if row.topic is Topic.WHEEL
        ]
        if other_wheels:
            names = join_names(list(dict.fromkeys(other_wheels)), _MOST_NAMED)
            sentences.append(f"another file is installed on some bases of {names}")

        return tuple(sentences)


def describe_installation(install: Mapping[str, tuple[str, ...]]) -> str:
    """Return which system packages to install: those that differ, then those of every base.

    `on debian-12 install libssl3, on ubuntu-24.04 libssl3t64; on each of them libffi8 as well`

    Args:
        install: by base the system packages, for two bases or more.
    """
    common = set.intersection(*(set(names) for names in install.values()))
    shared = [name for name in next(iter(install.values())) if name in common]

    sides: list[str] = []
    for base, names in install.items():
        own = [name for name in names if name not in common]
        verb = "" if sides else "install "
        sides.append(f"on {base} {verb}{join_names(own, _MOST_NAMED) or 'nothing else'}")

    also = f"; on each of them {join_names(shared, _MOST_NAMED)} as well" if shared else ""
    return ", ".join(sides) + also


def merge_abis(rows: Iterable[Row]) -> list[Row]:
    """Return rows in which those that differ in their ABI alone are one."""
    rows_by_rest: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        rest = (row.topic, row.name, tuple(row.values.items()), row.weight, row.detail)
        rows_by_rest.setdefault(rest, []).append(row)

    merged: list[Row] = []
    for alike in rows_by_rest.values():
        abis: dict[str, None] = {}
        for row in alike:
            abis.update(dict.fromkeys(row.abis))
        merged.append(replace(alike[0], abis=tuple(abis)))

    return merged


def weigh(values: Mapping[str, str], different: Weight = Weight.DIFFERS) -> Weight:
    """Return the weight of a row by its values alone.

    Args:
        values: by base.
        different: what a difference weighs.
    """
    recorded = {value for value in values.values() if value != NOT_RECORDED}
    if len(recorded) > 1:
        return different
    return Weight.NOT_RECORDED if NOT_RECORDED in values.values() else Weight.SAME
