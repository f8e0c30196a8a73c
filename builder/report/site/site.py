"""verdicts.json and the history -> a static site under report/: offline, no assets but its own two files."""

from __future__ import annotations

import base64
import datetime
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from builder import ROOT
from builder.judge.bases import BaseOutcome
from builder.report.amounts import show_amount, show_change
from builder.report.documents.migration import STEP_WORDS
from builder.report.documents.parity import TOPIC_WORDS, WEIGHT_WORDS
from builder.report.history import count_verdicts
from builder.report.site import plots, safety, speeds
from builder.report.site.obstacles import find_obstacles
from builder.store.files import replace_text
from builder.store.hashing import digest_text
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from builder.report.documents.measurements import MeasureDocument
    from builder.report.documents.migration import MigrateDocument
    from builder.report.documents.packages import PackagePart
    from builder.report.documents.parity import ParityDocument
    from builder.report.documents.verdicts_json import Document
    from builder.report.history import History
    from builder.store.publications import ChannelChange

_TEMPLATES = ROOT / "report" / "site" / "templates"
ASSETS = ("report.css",)
MEASUREMENTS = "measurements.html"

_SCRIPT = (_TEMPLATES / "report.js").read_text()
"""The script of the overview. It is in the page itself: so the page can name it by its hash, as all that may run."""


def _hash_script(script: str) -> str:
    """Return a script's hash as a Content-Security-Policy has it: `'sha256-…'`."""
    script_hash = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(script_hash).decode()}'"


CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; "
    f"script-src {_hash_script(_SCRIPT)}; base-uri 'none'; form-action 'none'"
)
"""What a page may load and run: its style sheet, an empty icon, and the script. Where text from a package were not
escaped, it would still run no script."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEntry:
    """A run in the ledger.

    Attributes:
        id: id of the run.
        started_at: in seconds since the epoch; 0 if it is not known.
        ended_at: in seconds since the epoch; None if the run did not end, or that is not known.
        outcome: how it ended; empty if it did not.
    """

    id: str
    started_at: float
    ended_at: float | None
    outcome: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteData:
    """Everything that the pages of the site are rendered from.

    Attributes:
        document: verdicts of the last whole run.
        history: the verdicts of all recorded runs.
        run: id of the run that gave the document's verdicts.
        runs: the ledger's entry of every run, by id.
        logs: (id of a job, path of its log relative to the wheelhouse) of each job of a package, by package.
        channel_changes: promotions and rollbacks, the newest first; None where the index has no canary channel.
        parity: what differs between bases; None where there was nothing to compare.
        measurements: what was measured of applications; None where nothing was.
        migration: how far the moves of applications are; None where there are none.
    """

    document: Document
    history: History
    run: str
    runs: Mapping[str, RunEntry]
    logs: Mapping[str, Sequence[tuple[str, str]]]
    channel_changes: Sequence[ChannelChange] | None = None
    parity: ParityDocument | None = None
    measurements: MeasureDocument | None = None
    migration: MigrateDocument | None = None


def write_site(data: SiteData, folder: Path) -> None:
    """Write all pages of the site, and remove the pages of packages and runs that are no longer there.

    A page whose content stays the same is not written again.
    """
    current_files: set[Path] = set()
    for name in ASSETS:
        replace_text(folder / name, (_TEMPLATES / name).read_text())
        current_files.add(folder / name)
    for name, text in render_pages(data):
        replace_text(folder / name, text)
        current_files.add(folder / name)

    for subfolder in ("packages", "runs"):
        for page in (folder / subfolder).glob("*.html"):
            if page not in current_files:
                page.unlink()

    for name in ("applications.html", "parity.html", MEASUREMENTS, "migration.html"):
        if folder / name not in current_files:
            (folder / name).unlink(missing_ok=True)


def render_pages(data: SiteData) -> Iterator[tuple[str, str]]:
    """Iterate over every page as (path in the site, HTML): those of packages and runs, then those about all of them."""
    environment = _environment()
    package_page = environment.get_template("package.html")
    for package in data.document.packages:
        context = _package_context(package, data)
        yield f"packages/{slug(package.name)}.html", package_page.render(root="../", **context)

    run_page = environment.get_template("run.html")
    for run in data.history.runs:
        yield f"runs/{slug(run)}.html", run_page.render(root="../", **_run_context(run, data))

    if data.document.applications:
        yield (
            "applications.html",
            environment.get_template("applications.html").render(
                root="",
                document=data.document,
                obstacles=find_obstacles(data.document.applications),
                has_parity=data.parity is not None,
                has_measurements=data.measurements is not None,
                has_migration=data.migration is not None,
            ),
        )

    if data.parity is not None:
        parity_page = environment.get_template("parity.html")
        context = {"document": data.document, "parity": data.parity}
        yield "parity.html", parity_page.render(root="", **context)

    if data.measurements is not None:
        yield MEASUREMENTS, render_measurements(data.measurements)
    if data.migration is not None:
        migration_page = environment.get_template("migration.html")
        context = {"document": data.document, "migration": data.migration}
        yield "migration.html", migration_page.render(root="", **context)

    overview = environment.get_template("overview.html")
    yield "index.html", overview.render(root="", **_overview_context(data))


def write_measurements(document: MeasureDocument, folder: Path) -> None:
    """Write the page of measurements alone, beside those of the last run."""
    for name in ASSETS:
        replace_text(folder / name, (_TEMPLATES / name).read_text())
    replace_text(folder / MEASUREMENTS, render_measurements(document))


def render_measurements(document: MeasureDocument) -> str:
    """Return the page of measurements as HTML."""
    page = _environment().get_template(MEASUREMENTS)
    return page.render(root="", document=document)


def slug(name: str) -> str:
    """Return a name that is safe in paths: the name itself, or `x-HASH` if it is long or has other characters."""
    # The limit keeps name, ABI and suffix below the 255 bytes that file systems take.
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,120}", name):
        return name
    return f"x-{digest_text(name)}"


@cache
def _environment() -> jinja2.Environment:
    """Return the environment of the templates, with the filters and functions that they use. It is made once."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["slug"] = slug
    environment.filters["anchor"] = lambda part: slug(f"{part.name}-{part.abi}-{part.base}")
    environment.filters["moment"] = _format_time
    environment.filters["trouble"] = _failing_bases
    environment.globals["speeds"] = speeds
    environment.globals["safety"] = safety
    environment.globals["plots"] = plots
    environment.globals["show_amount"] = show_amount
    environment.globals["show_change"] = show_change
    environment.globals["topics"] = TOPIC_WORDS
    environment.globals["weights"] = WEIGHT_WORDS
    environment.globals["step_words"] = STEP_WORDS
    environment.globals["policy"] = CONTENT_POLICY
    environment.globals["script"] = _SCRIPT
    environment.filters["rank"] = lambda verdict: verdict.rank
    return environment


def _failing_bases(outcomes: Mapping[str, BaseOutcome]) -> str:
    """Return the bases on which a package does not import, separated by blanks."""
    bases = [base for base, outcome in outcomes.items() if outcome is not BaseOutcome.IMPORTS]
    return " ".join(bases)


def _format_time(timestamp: float | None) -> str:
    if timestamp is None:
        return ""

    moment = datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _overview_context(data: SiteData) -> dict[str, Any]:
    """Return the variables of the overview's template: totals by ABI, changes since the last run, all runs."""
    document = data.document
    abis = document.list_abis()
    totals = {abi: count_verdicts(document.list_verdicts(abi)) for abi in abis}
    newest_first = reversed(list(data.history.runs))
    runs = [data.runs[run] for run in newest_first if run in data.runs]

    return {
        "document": document,
        "abis": abis,
        "totals": totals,
        "verdicts": [verdict.value for verdict in Verdict],
        "changes": data.history.changes_in(data.run),
        "first": data.history.previous_run(data.run) is None,
        "run": data.run,
        "runs": runs,
        "channel_changes": data.channel_changes,
        "has_parity": data.parity is not None,
        "has_measurements": data.measurements is not None,
        "has_migration": data.migration is not None,
    }


def _package_context(package: PackagePart, data: SiteData) -> dict[str, Any]:
    """Return the variables of a package page's template: its verdicts, how they changed over time, and its logs."""
    timelines = {abi: data.history.timeline(package.name, abi) for abi in package.abis}

    return {
        "package": package,
        "generated_at": data.document.generated_at,
        "timelines": timelines,
        "runs": data.runs,
        "logs": data.logs.get(package.name, ()),
    }


def _run_context(run: str, data: SiteData) -> dict[str, Any]:
    """Return the variables of a run page's template: totals by ABI, and changes since the run before.

    A run that has verdicts but is missing in the ledger is shown without times.
    """
    verdicts_by_abi: dict[str, list[Verdict]] = {}
    for (_, abi), record in data.history.runs[run].items():
        verdicts_by_abi.setdefault(abi, []).append(record.verdict)
    totals = {abi: count_verdicts(verdicts) for abi, verdicts in verdicts_by_abi.items()}
    unknown_run = RunEntry(id=run, started_at=0.0, ended_at=None, outcome="")

    return {
        "run": data.runs.get(run, unknown_run),
        "totals": totals,
        "changes": data.history.changes_in(run),
        "first": data.history.previous_run(run) is None,
        "known": {package.name for package in data.document.packages},
    }
