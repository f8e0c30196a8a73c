"""verdicts.json and the history -> a static site under report/: offline, no assets but its own two files."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from builder import ROOT
from builder.report.history import count_verdicts
from builder.report.site import speeds
from builder.store.files import replace_text
from builder.store.hashing import digest_text
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from builder.report.document import Document, PackagePart
    from builder.report.history import History

_TEMPLATES = ROOT / "report" / "site" / "templates"
ASSETS = ("report.css", "report.js")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEntry:
    """One entry of the run ledger; times are seconds since the epoch."""

    id: str
    started_at: float
    ended_at: float | None
    outcome: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteData:
    """What the site is made from.

    Attributes:
        run: the run the document is of.
        logs: (job, log relative to the wheelhouse) by package.
    """

    document: Document
    history: History
    run: str
    runs: Mapping[str, RunEntry]
    logs: Mapping[str, Sequence[tuple[str, str]]]


def write_site(material: SiteData, folder: Path) -> None:
    """Write the site; pages that stay the same are not touched, and pages of what is gone are removed."""
    wanted = {folder / name for name in ASSETS}
    for name in ASSETS:
        replace_text(folder / name, (_TEMPLATES / name).read_text())
    for path, text in render_pages(material):
        replace_text(folder / path, text)
        wanted.add(folder / path)
    for kept in ("packages", "runs"):
        for page in (folder / kept).glob("*.html"):
            if page not in wanted:
                page.unlink()


def render_pages(material: SiteData) -> Iterator[tuple[str, str]]:
    """Give every page as (path in the site, text), the overview last: it links to the others."""
    package_page = _environment().get_template("package.html")
    for package in material.document.packages:
        context = _package_context(package, material)
        yield f"packages/{slug(package.name)}.html", package_page.render(root="../", **context)
    run_page = _environment().get_template("run.html")
    for run in material.history.runs:
        yield f"runs/{slug(run)}.html", run_page.render(root="../", **_run_context(run, material))
    yield (
        "index.html",
        _environment().get_template("overview.html").render(root="", **_overview_context(material)),
    )


def slug(name: str) -> str:
    """Return a file name for a page: the name itself where it is harmless."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}", name):
        return name
    return f"x-{digest_text(name)}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["slug"] = slug
    environment.filters["moment"] = _format_time
    environment.filters["trouble"] = _failing_bases
    environment.globals["speeds"] = speeds
    environment.filters["rank"] = lambda verdict: Verdict(verdict).rank
    return environment


def _failing_bases(on: Mapping[str, str]) -> str:
    """Return the bases on which a package does not import, apart by blanks."""
    return " ".join(base for base, said in on.items() if said != "imports")


def _format_time(at: float | None) -> str:
    return (
        ""
        if at is None
        else datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    )


def _overview_context(material: SiteData) -> dict[str, Any]:
    document = material.document
    abis = _abis(document)
    return {
        "document": document,
        "abis": abis,
        "totals": {
            abi: count_verdicts(
                Verdict(package.abis[abi].verdict)
                for package in document.packages
                if abi in package.abis
            )
            for abi in abis
        },
        "verdicts": [one.value for one in Verdict],
        "changes": material.history.changes_in(material.run),
        "first": material.history.previous_run(material.run) is None,
        "run": material.run,
        "runs": [
            material.runs[run]
            for run in reversed(list(material.history.runs))
            if run in material.runs
        ],
    }


def _abis(document: Document) -> list[str]:
    return list(dict.fromkeys(abi for package in document.packages for abi in package.abis))


def _package_context(package: PackagePart, material: SiteData) -> dict[str, Any]:
    return {
        "package": package,
        "generated_at": material.document.generated_at,
        "timelines": {abi: material.history.timeline(package.name, abi) for abi in package.abis},
        "runs": material.runs,
        "logs": material.logs.get(package.name, ()),
    }


def _run_context(run: str, material: SiteData) -> dict[str, Any]:
    said = material.history.runs[run]
    abis = list(dict.fromkeys(abi for _, abi in said))
    return {
        "run": material.runs.get(run, RunEntry(id=run, started_at=0.0, ended_at=None, outcome="")),
        "totals": {
            abi: count_verdicts(one.verdict for (_, of), one in said.items() if of == abi)
            for abi in abis
        },
        "changes": material.history.changes_in(run),
        "first": material.history.previous_run(run) is None,
        "known": {package.name for package in material.document.packages},
    }
