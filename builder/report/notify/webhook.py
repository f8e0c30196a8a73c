"""`kind = "webhook"`: the whole alert as JSON, to any server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.report.notify.http_door import HttpDoor, Patience, Request

if TYPE_CHECKING:
    from builder.config.notify import Slack, Webhook
    from builder.report.documents.alert import AlertDocument
    from builder.report.notify.alert import Night
    from builder.report.notify.secrets import Secrets


class WebhookChannel:
    """Sends the document of docs/alert.schema.json.

    Attributes:
        keeps_record: whether a night in which nothing got worse matters to it.
    """

    keeps_record = False

    def __init__(self, target: Webhook, secrets: Secrets, patience: Patience) -> None:
        self._url = find_url(target, secrets)
        self._token = secrets.get("token-env")
        self._door = HttpDoor(secrets, patience)

    @staticmethod
    def render(alert: AlertDocument) -> str:
        """Return what is sent, as text."""
        return alert.model_dump_json(indent=1)

    def send(self, night: Night) -> str:
        """Send the alert, and return what was done.

        Raises:
            DeliveryError: the server did not take it.
        """
        content = self.render(night.alert).encode()
        self._door.send(Request(method="POST", url=self._url, content=content, token=self._token))
        return "sent"


def find_url(target: Webhook | Slack, secrets: Secrets) -> str:
    """Return the address of a target, which is in the matrix or in the environment."""
    return target.url or secrets.get("url-env") or ""
