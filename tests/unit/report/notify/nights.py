"""Nights and targets for the tests of alerts."""

from __future__ import annotations

import tomllib
from pathlib import Path

from builder.config import matrix
from builder.config.notify import Target
from builder.report.documents.alert import RegressionPart
from builder.report.notify.alert import Night, list_standings, make_alert
from builder.report.notify.deliver import Delivery, Outcome, deliver
from builder.report.notify.http_door import Patience
from builder.verdicts import Verdict
from tests.unit.documents import abi, document

NASTY = (
    "boom</code> <!channel> <https://evil.invalid|here> @everyone [a](http://evil.invalid) "
    "`x` --> <script>alert(1)</script>\r\nBcc: victim@mail.invalid\r\n\r\n&amp; \x1b[2J #1 \u202e"
)
"""A reason that tries to be markup, a mention, a link, a header, a control sequence."""

TODAY = "2026-11-21T02:00:00Z"


def target(text: str) -> Target:
    """Return the one target of a table's text."""
    data = tomllib.loads(f"[packages.x]\n[notify.t]\n{text}")
    return matrix.parse(data, Path("matrix.toml")).notify["t"]


def regression(name: str = "foo", reason: str = "it crashes", **changes: object) -> RegressionPart:
    part = RegressionPart(
        kind="worse", name=name, version="1.0", abi="cp314t", base="", before=Verdict.COMPATIBLE,
        after=Verdict.RACY, reason=reason, way_out="",
    )  # fmt: skip
    return part.model_copy(update=changes)


def night(*parts: RegressionPart, verdicts: dict[str, str] | None = None) -> Night:
    """Return a night in which parts got worse; `verdicts` are those of packages on cp314t now, by name."""
    packages = [part for part in parts if part.kind != "application"]
    now = {part.name: str(part.after) for part in packages} if verdicts is None else verdicts
    after = document({name: {"cp314t": abi(verdict, "why")} for name, verdict in now.items()})
    alert = make_alert(parts, "matrix.toml", TODAY, "https://farm.invalid/report/")
    return Night(alert=alert, standings=list_standings(after))


class Pauses:
    """In place of waiting: remembers for how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def tell(one: Target, told: Night, pauses: Pauses | None = None, **environment: str) -> Delivery:
    """Tell a target, with little patience."""
    patience = Patience(connect_s=5, read_s=0.3, total_s=5, pause=pauses or Pauses())
    (delivery,) = deliver({"t": one}, told, environment, patience)
    return delivery


def tell_well(one: Target, told: Night, **environment: str) -> str:
    """Tell a target that has to take it, and return what was done."""
    patience = Patience(pause=Pauses())
    (delivery,) = deliver({"t": one}, told, environment, patience)
    assert delivery.outcome is not Outcome.FAILED, delivery.detail
    return delivery.detail
