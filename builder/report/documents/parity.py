"""What differs between bases, as `wheelfarm parity --json` prints it and the page of the report shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from builder.judge.parity.model import Topic, Weight
from builder.report.documents.part import CleanLine, CleanText, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from builder.judge.parity.model import Parity, Row


TOPIC_WORDS = {
    Topic.TRIAL: "trial",
    Topic.IMPORT: "import",
    Topic.FINDING: "finding",
    Topic.SYSTEM_PACKAGE: "to install",
    Topic.WHEEL: "wheel",
    Topic.FLOOR: "needs",
    Topic.LIBRARY: "links to",
    Topic.GRAFTED: "brings along",
    Topic.INTERPRETER: "interpreter",
    Topic.BUILD_PACKAGE: "to build",
}
"""How people are shown what a row compares."""

WEIGHT_WORDS = {
    Weight.BREAKS: "runs on some bases only",
    Weight.UNDETERMINED: "not determined",
    Weight.INSTALL: "on some bases only",
}
"""What a row means for who moves; rows of other weights need no word."""


class ParityRowPart(Part):
    """One thing that was compared."""

    topic: Topic
    weight: Weight

    name: CleanLine
    """A package, a soname, a command."""

    abis: list[str]
    """Those that it holds for; empty where it does not depend on them."""

    values: dict[str, CleanText]
    """By base; one that the row is not about is left out."""

    detail: CleanText
    """Who needs it, or another remark; empty for none."""


class ParityPart(Part):
    """What differs for one application, or for the whole matrix."""

    application: CleanLine
    """Empty for the whole matrix."""

    bases: list[str]
    abis: list[str]

    differences: list[CleanText]
    """The differences that matter, as sentences; empty where there is none."""

    install: dict[str, list[CleanLine]]
    """By base the system packages to install where it is run."""

    dockerfile: dict[str, CleanLine]
    """By base the line of a Dockerfile that installs them; empty where there is nothing to install."""

    rows: list[ParityRowPart]
    """What weighs most comes first."""

    not_recorded: list[CleanText]
    """What could not be compared."""

    @property
    def title(self) -> str:
        """What it is about, for a heading."""
        return self.application or "the whole matrix"

    def rows_that_differ(self) -> list[ParityRowPart]:
        """Return the rows that are not the same on every base."""
        return [row for row in self.rows if row.weight not in {Weight.SAME, Weight.NOT_RECORDED}]

    def rows_alike(self) -> list[ParityRowPart]:
        """Return the other rows: nothing that was recorded differs."""
        return [row for row in self.rows if row.weight in {Weight.SAME, Weight.NOT_RECORDED}]


class ParityDocument(Part):
    """What `wheelfarm parity --json` prints."""

    schema_version: Literal[1]

    generated_at: str
    """When the verdicts were written that this is made from, UTC."""

    comparisons: list[ParityPart]


def make_parity_document(parities: Iterable[Parity], generated_at: str) -> ParityDocument:
    """Return the document of some comparisons.

    Args:
        parities: the comparisons.
        generated_at: of the verdicts that they are made from.
    """
    return ParityDocument(
        schema_version=1,
        generated_at=generated_at,
        comparisons=[_make_part(parity) for parity in parities],
    )


def _make_part(parity: Parity) -> ParityPart:
    return ParityPart(
        application=parity.application,
        bases=list(parity.bases),
        abis=list(parity.abis),
        differences=list(parity.differences),
        install={base: list(names) for base, names in parity.install.items()},
        dockerfile={base: render_install(names) for base, names in parity.install.items()},
        rows=[_make_row(row) for row in parity.rows],
        not_recorded=list(parity.not_recorded),
    )


def _make_row(row: Row) -> ParityRowPart:
    return ParityRowPart(
        topic=row.topic,
        weight=row.weight,
        name=row.name,
        abis=list(row.abis),
        values=dict(row.values),
        detail=row.detail,
    )


def render_install(packages: Sequence[str]) -> str:
    """Return the line of a Dockerfile that installs system packages and leaves no package lists behind."""
    if not packages:
        return ""

    install = f"apt-get install --yes --no-install-recommends {' '.join(packages)}"
    return f"RUN apt-get update && {install} && rm -rf /var/lib/apt/lists/*"
