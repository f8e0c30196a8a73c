"""The command `wheelfarm promote`."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import (
    MATRIX,
    WHEELHOUSE,
    ByOption,
    JsonOption,
    MatrixOption,
    ReasonOption,
    WheelhouseOption,
)
from builder.cli.output import print_document, print_line
from builder.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.index.promotion import Candidate
    from builder.report.documents.promotion import CandidatePart, ChangePart, PromoteDocument
    from builder.store.publications import ChannelChange

EXAMPLES = (
    "Examples: [bold]wheelfarm promote --list[/bold] · [bold]wheelfarm promote lxml[/bold] · "
    '[bold]wheelfarm promote numpy==2.4.0 --force --reason "fixes CVE"[/bold]'
)


def promote(  # noqa: PLR0913, PLR0917 - one parameter per option
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Package, or NAME==VERSION for one release of it.",
            show_default="everything that is pending",
        ),
    ] = None,
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    by: ByOption = "",
    reason: ReasonOption = "",
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Promote though a gate refuses, and record that; needs --reason."
        ),
    ] = False,
    listing: Annotated[
        bool, typer.Option("--list", help="List what is pending and change nothing.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="List past promotions and rollbacks.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Move releases from `canary/` to `simple/`, with what they need.

    The gates, and how old a release has to be, are those of the matrix. Exits with 1 if a gate refuses a
    release that was asked for; the others are promoted all the same.
    """
    from builder.config import matrix as matrices
    from builder.host.actor import find_actor
    from builder.index import channels
    from builder.store.store import Store

    if force and not reason.strip():
        raise typer.BadParameter("--force needs --reason: say why the gates are passed over")

    loaded = matrices.load_settings(matrix)
    if history:
        with Store(wheelhouse) as store:
            _print_history(store.publications.channel_changes(), as_json=as_json)
        return
    if listing:
        with Store(wheelhouse) as store:
            _print_pending(channels.list_pending(store, loaded), as_json=as_json)
        return

    request = channels.PromotionRequest(
        names=names or (), by=by or find_actor(), reason=reason, forced=force
    )
    with Store(wheelhouse) as store, store.lock():
        promotion = channels.promote(store, loaded, request)

    if as_json:
        print_document(_make_document(promoted=promotion.promoted, refused=promotion.refused))
    else:
        for line in _describe_promotion(promotion.promoted, promotion.refused):
            print_line(line)
    raise typer.Exit(ExitCode.FAULTS if promotion.refused else ExitCode.ADMISSIBLE)


def _describe_promotion(
    promoted: Sequence[Candidate], refused: Sequence[Candidate]
) -> Iterator[str]:
    """Iterate over a line for each release that was promoted or refused."""
    for candidate in promoted:
        note = f"  (needed by {candidate.needed_by})" if candidate.needed_by else ""
        if candidate.is_forced:
            note = f"  (forced: {candidate.describe_refusals()})"
        yield f"promoted  {candidate.release.name}{note}"
    for candidate in refused:
        yield f"refused   {candidate.release.name}: {candidate.refusal}"
    if not promoted and not refused:
        yield "nothing to promote"


def _print_pending(candidates: Sequence[Candidate], *, as_json: bool) -> None:
    """Print what is pending: each file with its verdicts, then what each gate says of the release."""
    if as_json:
        print_document(_make_document(pending=candidates))
        return

    for candidate in candidates:
        release = candidate.release
        print_line(f"{release.name}  in canary since {release.since}")
        for file in release.files:
            change = f"{file.before or 'nothing'} → {file.entry.verdicts or 'no native code'}"
            print_line(f"  {file.entry.filename}: {change}")
        for result in candidate.gates:
            print_line(f"  {result.gate:12} {result.outcome.value:8} {result.reason}")
    if not candidates:
        print_line("nothing is pending")


def _print_history(changes: Sequence[ChannelChange], *, as_json: bool) -> None:
    """Print promotions and rollbacks, the newest first."""
    if as_json:
        print_document(_make_document(changes=changes))
        return

    for change in changes:
        why = f": {change.reason}" if change.reason else ""
        print_line(f"{_format_time(change.at)}  {change.kind} by {change.by or 'unknown'}{why}")
        for release in change.releases:
            forced = ", forced" if release["forced"] else ""
            gates = ", ".join(f"{part['gate']} {part['outcome']}" for part in release["gates"])
            gates = f"  ({gates}{forced})" if gates else ""
            print_line(f"  {release['moved']:3} {release['project']}=={release['version']}{gates}")
    if not changes:
        print_line("nothing was promoted or rolled back yet")


def _format_time(timestamp: float) -> str:
    moment = datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _make_document(
    *,
    pending: Sequence[Candidate] = (),
    promoted: Sequence[Candidate] = (),
    refused: Sequence[Candidate] = (),
    changes: Sequence[ChannelChange] = (),
) -> PromoteDocument:
    """Return what the command prints as JSON: lists of what was not asked for are empty."""
    from builder.report.documents.promotion import PromoteDocument

    return PromoteDocument(
        schema_version=1,
        pending=[_make_part(candidate) for candidate in pending],
        promoted=[_make_part(candidate) for candidate in promoted],
        refused=[_make_part(candidate) for candidate in refused],
        history=[_make_change(change) for change in changes],
    )


def _make_part(candidate: Candidate) -> CandidatePart:
    from builder.report.documents.promotion import CandidatePart

    record = candidate.record()
    del record["moved"]
    record |= {"since": candidate.release.since, "refusal": candidate.refusal}
    return CandidatePart.model_validate(record)


def _make_change(change: ChannelChange) -> ChangePart:
    from builder.report.documents.promotion import ChangePart

    record = {
        "kind": change.kind,
        "at": _format_time(change.at),
        "by": change.by,
        "reason": change.reason,
        "snapshot": change.snapshot,
        "releases": change.releases,
    }
    return ChangePart.model_validate(record)
