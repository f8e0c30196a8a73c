"""The issue that is kept current: what is in it, what it remembers of itself, and when it is done with. Pure.

What an issue has to remember is in its text, in a comment of HTML that nobody sees: a wheelhouse may be a cache that is
lost, and the issue is what people see and close.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from builder.report.formats.markdown import escape
from builder.report.notify.alert import describe_subject, explain, fit_blocks, shorten
from builder.store.hashing import digest
from builder.untrusted.text import clean_line
from builder.verdicts import ApplicationVerdict, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from builder.report.documents.alert import AlertDocument
    from builder.report.notify.alert import Night, Place, Standing

_MAX_ENTRIES = 200
"""Verdicts that an issue remembers, some 100 characters each; an issue has 65,536."""

_MAX_TABLE = (
    30_000  # characters of a table: with what is remembered, an issue stays well below that
)

_MAX_FILE_NAME = 100  # characters of the matrix's name in a title, which has 256

_TABLE_HEAD = "| | before | now | why |\n|---|---|---|---|"

_INTRODUCTION = (
    "Verdicts that got worse, and are not as good as before again. "
    "`wheelfarm nightly` keeps this list current, and closes the issue when nothing is left of it. "
    "Whoever closes it by hand accepts the verdicts."
)

_REST = "More got worse than an issue can hold: this one is closed by hand."

CLOSING = (
    "Nothing in this list is worse any more than it was before, or it is no longer in the matrix."
)

TEST_TITLE = "wheelfarm: test message"
TEST_BODY = "This issue shows that alerts reach this repository. It was closed at once."

_ESCAPED_IN_STATE = re.compile(r"[<>&@#-]")
"""What would end a comment of HTML, or might make a mention of a name in it."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Record):
    """A verdict that got worse, as it was before it did."""

    name: str
    abi: str
    base: str
    before: Verdict | ApplicationVerdict | None

    @property
    def place(self) -> Place:
        """What it is about."""
        return self.name, self.abi, self.base


class IssueState(_Record):
    """What an issue remembers.

    Attributes:
        last: id of the alert that it told last.
        is_cut: whether more got worse than it remembers.
        entries: what is not as good as before.
    """

    schema_version: Literal[1] = 1
    last: str = ""
    is_cut: bool = False
    entries: tuple[Entry, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to tell."""
        return not self.entries and not self.is_cut


_UNREADABLE = IssueState(is_cut=True)
"""For an issue whose own record somebody changed: what it told is not known, so that a person has to close it."""


def make_marker(target: str, matrix: str) -> str:
    """Return what an issue is found by: the same for each night of a matrix, wherever its file is.

    Args:
        target: name of the target's table.
        matrix: name of the matrix's file.
    """
    return f"wheelfarm-alert {digest(target, matrix)[:16]}"


def parse_state(body: str, marker: str) -> IssueState | None:
    """Return what an issue remembers; None where it is not one of this target."""
    match = re.search(rf"<!-- {re.escape(marker)} (.*?) -->", body, re.DOTALL)
    if match is None:
        return None
    try:
        return IssueState.model_validate_json(match[1])
    except ValidationError:
        return _UNREADABLE


def advance(state: IssueState, night: Night) -> IssueState:
    """Return what an issue remembers after a night.

    What got worse is added as it was before the first time, so that it has to get as good as that again. What has got
    so, or is in the matrix no longer, is left out.
    """
    entries = {entry.place: entry for entry in state.entries}
    for part in night.alert.regressions:
        entry = Entry(name=part.name, abi=part.abi, base=part.base, before=part.before)
        entries.setdefault(part.place, entry)

    still_worse = [entry for entry in entries.values() if _is_worse(entry, night.standings)]
    return IssueState(
        last=night.alert.id if night.alert.regressions else state.last,
        is_cut=state.is_cut or len(still_worse) > _MAX_ENTRIES,
        entries=tuple(still_worse[:_MAX_ENTRIES]),
    )


def _is_worse(entry: Entry, standings: Mapping[Place, Standing]) -> bool:
    """Return whether something is not as good as before it got worse."""
    standing = standings.get(entry.place)
    if standing is None:
        return False

    now = standing.verdict
    if now.value == Verdict.UNDETERMINED.value:
        return True
    if entry.before is None:
        return False  # it was undetermined when it was new

    kind = type(now)
    try:
        before = kind(entry.before.value)
    except ValueError:
        return False  # a verdict of the other kind: somebody changed the issue
    return now.rank > before.rank


def render_title(state: IssueState, matrix: str) -> str:
    """Return the title of an issue. No name of a package is in it."""
    count = len(state.entries)
    number = f"more than {count}" if state.is_cut else str(count)
    noun = "verdict is" if number == "1" else "verdicts are"
    return f"wheelfarm: {number} {noun} worse than before ({clean_line(matrix, _MAX_FILE_NAME)})"


def render_body(state: IssueState, night: Night, marker: str) -> str:
    """Return the text of an issue, with what it remembers."""
    rows: list[str] = []
    for entry in state.entries:
        standing = night.standings[entry.place]
        place = ", ".join(filter(None, (entry.abi, entry.base)))
        before = "new" if entry.before is None else entry.before.value
        cells = (
            f"{entry.name} on {place}",
            before,
            standing.verdict.value,
            shorten(standing.reason),
        )
        rows.append(_render_row(cells))

    parts = [_INTRODUCTION]
    if rows:
        parts.append(_render_table(rows))
    if state.is_cut:
        parts.append(_REST)
    parts += _render_link(night.alert)
    parts.append(f"<!-- {marker} {_encode_state(state)} -->")
    return "\n\n".join(parts)


def render_comment(alert: AlertDocument) -> str:
    """Return the comment that tells of a night."""
    rows: list[str] = []
    for part in alert.regressions:
        before = "new" if part.before is None else part.before.value
        rows.append(_render_row((describe_subject(part), before, part.after.value, explain(part))))

    return "\n\n".join([f"{escape(alert.summary)}.", _render_table(rows), *_render_link(alert)])


def _render_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(escape(cell) for cell in cells)} |"


def _render_table(rows: list[str]) -> str:
    return "\n".join([_TABLE_HEAD, *fit_blocks(rows, _MAX_TABLE)])


def _render_link(alert: AlertDocument) -> list[str]:
    """Return the link to the report; the address was checked where it was read."""
    return [f"[Report](<{alert.report_url}>)"] if alert.report_url else []


def _encode_state(state: IssueState) -> str:
    """Return what an issue remembers as JSON that nothing in it can end, and that mentions nobody."""
    # As ASCII; all that is replaced stands inside texts.
    text = json.dumps(state.model_dump(mode="json"), separators=(",", ":"))
    return _ESCAPED_IN_STATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
