"""The commands about the index that a run published: `wheelfarm serve`, `rollback` and `publish`."""

from __future__ import annotations

import datetime
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import (
    WHEELHOUSE,
    ByOption,
    JsonOption,
    ReasonOption,
    WheelhouseOption,
)
from builder.cli.output import error_console, print_document, print_line
from builder.cli.signals import stop_on_signals
from builder.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.index.snapshots import Snapshot
    from builder.index.upload import UploadResult
    from builder.report.documents.commands import RollbackDocument

SERVE_EXAMPLES = "Example: [bold]wheelfarm serve --port 8080[/bold]"
ROLLBACK_EXAMPLES = (
    "Examples: [bold]wheelfarm rollback --list[/bold] · [bold]wheelfarm rollback 3f2a[/bold]"
)
PUBLISH_EXAMPLES = "Example: [bold]wheelfarm publish internal[/bold] (a repository of ~/.pypirc)"


class _UploadChannel(StrEnum):
    """A channel that can be uploaded."""

    SIMPLE = "simple"
    CANARY = "canary"


def serve(
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", help="Port to listen on; 0 for any free port.")
    ] = 8314,
) -> None:
    """Serve the index and the report over HTTP, read-only.

    Only this machine reaches it, unless --host says otherwise.
    """
    from builder.index import serve as server
    from builder.report.site.site import CONTENT_POLICY

    server.serve(wheelhouse.resolve(), host, port, CONTENT_POLICY)


def rollback(
    snapshot: Annotated[
        str,
        typer.Argument(
            metavar="SNAPSHOT",
            help="Id of a snapshot, or a unique prefix.",
            show_default="the one before the current",
        ),
    ] = "",
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    listing: Annotated[
        bool, typer.Option("--list", help="List the snapshots and change nothing.")
    ] = False,
    by: ByOption = "",
    reason: ReasonOption = "",
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough",
            help="Look at every page and file, not only at what differs: for an index that was damaged.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    r"""Return the index to an earlier snapshot.

    Verdicts and report stay as they are; the next run publishes the index again. What this takes out of `simple/`
    of a matrix with a rollout comes back by `wheelfarm promote --force` alone.
    """
    from builder import index
    from builder.host.actor import find_actor
    from builder.store.store import Store

    with Store(wheelhouse) as store:
        if listing:
            _print_snapshots(index.list_snapshots(store), as_json=as_json)
            return

        with store.lock():
            published = index.rollback(
                store, snapshot, by=by or find_actor(), reason=reason, thorough=thorough
            )
        if as_json:
            print_document(_make_rollback(index.list_snapshots(store), published.refused))
            return

    for filename, refusal in published.refused.items():
        print_line(f"not published: {filename}: {refusal}")
    print_line(f"the index holds snapshot {published.snapshot}")


def _print_snapshots(snapshots: Sequence[Snapshot], *, as_json: bool) -> None:
    """Print what snapshots there are."""
    if as_json:
        print_document(_make_rollback(snapshots, {}))
        return
    for snapshot in snapshots:
        print_line(_describe_snapshot(snapshot))


def _make_rollback(snapshots: Sequence[Snapshot], refused: Mapping[str, str]) -> RollbackDocument:
    """Return the snapshots as a document.

    Args:
        snapshots: all that there are.
        refused: files of the snapshot that could not be published, and why.
    """
    from builder.report.documents.commands import SCHEMA_VERSION, RollbackDocument, SnapshotPart

    parts: list[SnapshotPart] = []
    for snapshot in snapshots:
        published_at = datetime.datetime.fromtimestamp(snapshot.published_at, datetime.UTC)
        part = SnapshotPart(
            id=snapshot.id,
            published_at=published_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            projects=snapshot.projects,
            current=snapshot.is_current,
        )
        parts.append(part)
    return RollbackDocument(schema_version=SCHEMA_VERSION, snapshots=parts, refused=dict(refused))


def _describe_snapshot(snapshot: Snapshot) -> str:
    """Return a snapshot as one line; the current one is marked: `* 3f2a…  2026-01-31 12:00:00 UTC  17 projects`."""
    published_at = datetime.datetime.fromtimestamp(snapshot.published_at, datetime.UTC)
    mark = "*" if snapshot.is_current else " "
    time = published_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{mark} {snapshot.id}  {time}  {snapshot.projects} projects"


def publish(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="Upload URL, or a repository name from ~/.pypirc."),
    ],
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    channel: Annotated[
        _UploadChannel,
        typer.Option("--channel", help="Which wheels: those of `simple/`, or of `canary/`."),
    ] = _UploadChannel.SIMPLE,
    as_json: JsonOption = False,
) -> None:
    """Upload the wheels of `simple/` to another package index.

    Files that the index already has are not sent again. Exits with 1 if the index refused a file.
    Credentials are read where twine reads them: TWINE_USERNAME and TWINE_PASSWORD, ~/.pypirc, the keyring.
    """
    from builder.index import upload
    from builder.report.documents.commands import SCHEMA_VERSION, PublishDocument
    from builder.store.store import Store

    stop = stop_on_signals(error_console)
    upload_target = upload.find_target(target)
    with (
        Store(wheelhouse) as store,
        store.lock(),
        error_console.status("uploading") as status,
    ):
        uploads = upload.upload(store, upload_target, status.update, stop, channel.value)

    if as_json:
        files = [file.record() for file in uploads]
        record = {"schema_version": SCHEMA_VERSION, "target": upload_target.url, "files": files}
        print_document(PublishDocument.model_validate(record))
    else:
        _print_uploads(upload_target.url, uploads)

    has_refusal = any(file.outcome is upload.UploadOutcome.REFUSED for file in uploads)
    raise typer.Exit(ExitCode.FAULTS if has_refusal else ExitCode.ADMISSIBLE)


def _print_uploads(url: str, uploads: Sequence[UploadResult]) -> None:
    """Print a line for each file that was sent or refused, then the number of files with each outcome.

    Files that the target has already get no line of their own.
    """
    from builder.index.upload import UploadOutcome

    for file in uploads:
        if file.outcome is UploadOutcome.PRESENT:
            continue
        detail = f": {file.detail}" if file.detail else ""
        print_line(f"{file.outcome.value:7}  {file.filename}{detail}")

    counts = Counter(file.outcome for file in uploads)
    summary = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in UploadOutcome)
    print_line(f"{url}: {summary}")
