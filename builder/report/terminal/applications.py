"""What `wheelfarm run` and `wheelfarm app` print of applications: a table, and for each what blocks and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from builder.report.styles import APPLICATION_STYLES
from builder.report.terminal.consoles import make_wide_console, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from builder.report.documents.applications import ApplicationPart, BlockerPart, RiskPart


def print_applications(console: Console, applications: Sequence[ApplicationPart]) -> None:
    """Print a table of applications, with a row for each ABI and base; nothing where there are none."""
    if not applications:
        return

    wide = make_wide_console(console)
    wide.print()
    print_table(wide, _make_table(applications))


def print_details(console: Console, applications: Sequence[ApplicationPart]) -> None:
    """Print, for each ABI and base, what blocks an application, its ways out, and what has to be known."""
    wide = make_wide_console(console)
    for application in applications:
        wide.print()
        wide.print(_make_heading(application))
        wide.print(Text(f"  {application.reason}"), soft_wrap=True)
        for blocker in application.blockers:
            _print_blocker(wide, blocker)
        for risk in application.risks:
            _print_risk(wide, risk)
        if application.threads:
            wide.print(Text(f"  threads     {application.threads}"), soft_wrap=True)
        if application.log:
            wide.print(Text(f"  log         {application.log}", style="dim"), soft_wrap=True)


def _make_table(applications: Sequence[ApplicationPart]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in ("application", "ABI", "base", "verdict"):
        table.add_column(heading, no_wrap=True)
    table.add_column("why, and the way out", overflow="fold")

    last_name = ""
    for application in applications:
        shown_name = "" if application.name == last_name else application.name
        table.add_row(
            shown_name,
            application.abi,
            application.base,
            _style_verdict(application),
            Text(application.explain()),
        )
        last_name = application.name

    return table


def _make_heading(application: ApplicationPart) -> Text:
    heading = Text(f"{application.name} on {application.abi}, {application.base}: ", style="bold")
    return heading + _style_verdict(application)


def _style_verdict(application: ApplicationPart) -> Text:
    return Text(application.verdict.value, style=APPLICATION_STYLES[application.verdict])


def _print_risk(console: Console, risk: RiskPart) -> None:
    """Print what has to be known, then what to do about it."""
    code = f"{risk.code} " if risk.code else ""
    console.print(Text(f"  to know     {_name(risk.package)}{code}{risk.what}"), soft_wrap=True)
    if risk.remedy:
        console.print(Text(f"     what to do  {risk.remedy}"), soft_wrap=True)


def _print_blocker(console: Console, blocker: BlockerPart) -> None:
    """Print what blocks, then its ways out, the shortest first."""
    console.print(Text(f"  blocked by  {_name(blocker.package)}{blocker.what}"), soft_wrap=True)
    for way_out in blocker.ways_out:
        console.print(Text(f"     way out  {way_out}"), soft_wrap=True)


def _name(package: str) -> str:
    return f"{package}: " if package else ""
