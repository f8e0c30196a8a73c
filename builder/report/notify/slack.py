"""`kind = "slack"`: the form of Slack's incoming webhooks, which Mattermost, Rocket.Chat and others take as well."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from builder.report.notify.alert import describe_subject, explain, fit_blocks
from builder.report.notify.http_door import HttpDoor, Patience, Request
from builder.report.notify.webhook import find_url

if TYPE_CHECKING:
    from builder.config.notify import Slack
    from builder.report.documents.alert import AlertDocument, RegressionPart
    from builder.report.notify.alert import Night
    from builder.report.notify.secrets import Secrets

MAX_TEXT = 4000
"""Characters of a message. Slack splits a longer one, and some servers that take the form refuse it."""

_MAX_LINK = 1000  # characters of the address of a report; a longer one would leave no room for what it is about

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""The three characters that begin or end a link, a mention or an entity there."""


class SlackChannel:
    """Sends a text with Slack's marks.

    Attributes:
        keeps_record: whether a night in which nothing got worse matters to it.
    """

    keeps_record = False

    def __init__(self, target: Slack, secrets: Secrets, patience: Patience) -> None:
        self._url = find_url(target, secrets)
        self._door = HttpDoor(secrets, patience)

    @staticmethod
    def render(alert: AlertDocument) -> str:
        """Return what is sent, as text."""
        return json.dumps({"text": render_text(alert)}, ensure_ascii=False, indent=1)

    def send(self, night: Night) -> str:
        """Send the alert, and return what was done.

        Raises:
            DeliveryError: the server did not take it.
        """
        content = self.render(night.alert).encode()
        self._door.send(Request(method="POST", url=self._url, content=content))
        return "sent"


def render_text(alert: AlertDocument) -> str:
    """Return an alert as a text of at most `MAX_TEXT` characters: a headline, a block for each regression, the link."""
    head = f"*wheelfarm* {quote_code(alert.matrix)}: {_render_summary(alert)}"
    link = escape(alert.report_url)
    if len(link) > _MAX_LINK:
        link = ""

    blocks = fit_blocks(map(_render_block, alert.regressions), MAX_TEXT - len(head) - len(link) - 2)
    return "\n".join(filter(None, [head, *blocks, link]))


def _render_summary(alert: AlertDocument) -> str:
    """Return the headline. That of one regression alone would only repeat its block."""
    if len(alert.regressions) == 1:
        return "1 verdict got worse"
    return escape(alert.summary)


def _render_block(part: RegressionPart) -> str:
    """Return a regression as two lines: what it is about with both verdicts, and why."""
    before = str(part.before) if part.before is not None else "new"
    return f"• {quote_code(describe_subject(part))}: {before} → *{part.after}*\n{quote_code(explain(part))}"


def quote_code(text: str) -> str:
    """Return text from outside as code: there no mention, link or emphasis is made of it."""
    plain = text.replace("`", "'").strip()
    return f"`{escape(plain)}`" if plain else ""


def escape(text: str) -> str:
    """Return text with Slack's three special characters as entities."""
    return text.translate(_ESCAPES)
