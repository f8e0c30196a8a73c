"""What a run writes beside the index: the site, and the verdicts in formats of other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.index import CANARY_CHANNEL, current_manifests
from builder.report.formats import badge, junit, markdown, sarif
from builder.report.history import make_history
from builder.report.site import site
from builder.store.files import replace_text

if TYPE_CHECKING:
    from builder.report.documents.measurements import MeasureDocument
    from builder.report.documents.migration import MigrateDocument
    from builder.report.documents.parity import ParityDocument
    from builder.report.documents.verdicts_json import Document
    from builder.store.publications import ChannelChange
    from builder.store.store import Store

_MAX_CHANNEL_CHANGES = 20
"""On the overview: about a month of them; `wheelfarm promote --history` has all."""


def write_report(
    document: Document,
    store: Store,
    run: str,
    parity: ParityDocument | None = None,
    measurements: MeasureDocument | None = None,
    migration: MigrateDocument | None = None,
) -> None:
    """Record the verdicts of a run in the ledger, and write `report/`: the site, badges, JUnit XML, SARIF and Markdown.

    Args:
        document: the verdicts, i.e. the content of verdicts.json.
        store: the store of the wheelhouse; the caller holds its lock.
        run: id of the run that gave these verdicts.
        parity: what differs between bases; None where there was nothing to compare.
        measurements: what was measured of applications; None where nothing was.
        migration: how far the moves of applications are; None where there are none.
    """
    rows: list[tuple[str, str, str, str, str]] = []
    for package, abi, part in document.iter_verdicts():
        rows.append((package.name, package.version, abi, part.verdict.value, part.reason))
    store.publications.add_verdicts(run, rows)

    history = make_history(store.publications.verdicts())
    data = site.SiteData(
        document=document,
        history=history,
        run=run,
        runs=_run_entries(store),
        logs=_logs_by_package(store),
        channel_changes=_newest_channel_changes(store),
        parity=parity,
        measurements=measurements,
        migration=migration,
    )

    folder = store.wheelhouse / "report"
    badge.write(document, folder / "badges")
    replace_text(folder / "junit.xml", junit.render(document))
    replace_text(folder / "findings.sarif", sarif.render(document))
    replace_text(folder / "summary.md", markdown.render(document, history.changes_in(run)))
    site.write_site(data, folder)


def _newest_channel_changes(store: Store) -> list[ChannelChange] | None:
    """Return the newest promotions and rollbacks for the overview; None where the index has no canary channel."""
    if CANARY_CHANNEL not in current_manifests(store):
        return None

    return store.publications.channel_changes()[:_MAX_CHANNEL_CHANGES]


def _run_entries(store: Store) -> dict[str, site.RunEntry]:
    """Return the site's entry of every run in the ledger, by id. A run that did not end has an empty outcome."""
    entries: dict[str, site.RunEntry] = {}
    for run, started_at, ended_at, outcome in store.publications.runs():
        entries[run] = site.RunEntry(
            id=run,
            started_at=started_at,
            ended_at=ended_at,
            outcome=outcome or "",
        )

    return entries


def _logs_by_package(store: Store) -> dict[str, list[tuple[str, str]]]:
    """Return (id of the job, path of its newest log) for each job of each package, by package."""
    logs: dict[str, list[tuple[str, str]]] = {}
    for job, log in sorted(store.newest_logs().items()):
        logs.setdefault(job.name, []).append((str(job), log))

    return logs
