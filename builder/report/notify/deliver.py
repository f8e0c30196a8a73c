"""Alerts go out: each target is told on its own, and what fails there stops nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from builder.config.notify import Email, GithubIssue, Slack, Webhook
from builder.report.notify.alert import Night, select_regressions
from builder.report.notify.attempts import DeliveryError
from builder.report.notify.github_issue import GithubIssueChannel
from builder.report.notify.http_door import Patience
from builder.report.notify.mail import MailChannel
from builder.report.notify.secrets import Secrets
from builder.report.notify.slack import SlackChannel
from builder.report.notify.webhook import WebhookChannel
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from builder.config.notify import Target
    from builder.report.documents.alert import AlertDocument

_MAX_DETAIL = 700  # characters of what is said about a target: an error with what was answered


class Outcome(StrEnum):
    """What came of telling a target."""

    SENT = "sent"
    NOTHING = "nothing"
    """There was nothing to tell it."""
    FAILED = "failed"
    SHOWN = "shown"
    """Nothing was sent: what would be is shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What came of telling one target.

    Attributes:
        name: of its table.
        kind: of the target.
        detail: what was done, or what was observed and what to do.
        content: what would be sent, where it is shown.
    """

    name: str
    kind: str
    outcome: Outcome
    detail: str = ""
    content: str = ""


class Channel(Protocol):
    """The way to one target."""

    @property
    def keeps_record(self) -> bool:
        """Whether a night in which nothing got worse matters to it."""
        ...

    def render(self, alert: AlertDocument) -> str:
        """Return what is sent, as text."""
        ...

    def send(self, night: Night) -> str:
        """Send the alert, and return what was done; empty where nothing had to be."""
        ...


_DEFAULT_PATIENCE = Patience()


def deliver(
    targets: Mapping[str, Target],
    night: Night,
    environment: Mapping[str, str],
    patience: Patience = _DEFAULT_PATIENCE,
) -> list[Delivery]:
    """Tell each target of a night, and return what came of it. No exception leaves this function but of a stop.

    Args:
        targets: by name of their tables.
        night: what they are told of.
        environment: the variables of this process, which hold the secrets.
        patience: how long a try may take.
    """
    deliveries: list[Delivery] = []
    for name, target in targets.items():
        try:
            outcome, detail = _deliver_one(name, target, night, environment, patience)
        except DeliveryError as error:
            outcome, detail = Outcome.FAILED, str(error)
        except Exception as error:  # the night is over: no bug here may take its exit code
            # Its own text may quote an address.
            outcome, detail = (
                Outcome.FAILED,
                f"{type(error).__name__}: this is a bug in wheelfarm; please report it",
            )

        delivery = Delivery(
            name=name,
            kind=target.kind,
            outcome=outcome,
            detail=clean_line(detail, _MAX_DETAIL),
        )
        deliveries.append(delivery)

    return deliveries


def show(targets: Mapping[str, Target], night: Night) -> list[Delivery]:
    """Return what each target would be sent. Nothing is sent, and no secret is needed."""
    deliveries: list[Delivery] = []
    for name, target in targets.items():
        alert = _select(target, night).alert
        has_news = _has_news(alert)
        content = _make_channel(name, target, Secrets({}), _DEFAULT_PATIENCE).render(alert)
        delivery = Delivery(
            name=name,
            kind=target.kind,
            outcome=Outcome.SHOWN if has_news else Outcome.NOTHING,
            content=content if has_news else "",
        )
        deliveries.append(delivery)

    return deliveries


def _deliver_one(
    name: str, target: Target, night: Night, environment: Mapping[str, str], patience: Patience
) -> tuple[Outcome, str]:
    """Tell one target, and return what came of it.

    Raises:
        DeliveryError: it did not take it.
    """
    secrets = Secrets.from_environment(target, environment)
    channel = _make_channel(name, target, secrets, patience)
    selected = _select(target, night)
    if not channel.keeps_record and not _has_news(selected.alert):
        return Outcome.NOTHING, ""

    action = channel.send(selected)
    return (Outcome.SENT if action else Outcome.NOTHING), action


def _select(target: Target, night: Night) -> Night:
    """Return a night as a target wants to be told of it: what it asks for, with its own link to the report."""
    alert = select_regressions(night.alert, target.on)
    if not alert.report_url and target.report_url:
        alert = alert.model_copy(update={"report_url": target.report_url})
    return Night(alert=alert, standings=night.standings)


def _has_news(alert: AlertDocument) -> bool:
    return alert.kind == "test" or bool(alert.regressions)


def _make_channel(name: str, target: Target, secrets: Secrets, patience: Patience) -> Channel:
    match target:
        case Webhook():
            return WebhookChannel(target, secrets, patience)
        case Slack():
            return SlackChannel(target, secrets, patience)
        case GithubIssue():
            return GithubIssueChannel(target, name, secrets, patience)
        case Email():
            return MailChannel(target, secrets, patience)
