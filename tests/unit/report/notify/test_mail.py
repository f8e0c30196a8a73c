"""Mail against a real server: with and without TLS, what it refuses, and headers that no package can write."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.config.notify import Email
from builder.host import settings as host
from builder.report.notify.deliver import Outcome
from builder.report.notify.mail import make_message
from tests.unit.certificates import make_certificate, server_context
from tests.unit.report.notify.mail_server import PASSWORD, USER, MailServer, serve_mail
from tests.unit.report.notify.nights import NASTY, Pauses, night, regression, target, tell

HEADERS = {
    "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted",
    "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
}  # fmt: skip


def mail_target(server: MailServer, more: str = 'security = "none"') -> Email:
    one = target(
        f'kind = "email"\nhost = "127.0.0.1"\nport = {server.port}\nfrom = "farm@mail.invalid"\n'
        f'to = ["a@mail.invalid", "b@mail.invalid"]\n{more}'
    )
    assert isinstance(one, Email)
    return one


def parsed(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def trust(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    host.ca_bundle.cache_clear()


def test_a_mail_arrives():
    with serve_mail() as server:
        delivery = tell(mail_target(server), night(regression()))
    assert (delivery.outcome, delivery.detail) == (Outcome.SENT, "sent")
    ((sender, recipients, content),) = server.mails
    assert (sender, recipients) == ("farm@mail.invalid", ["a@mail.invalid", "b@mail.invalid"])
    message = parsed(content)
    assert message["Subject"] == "wheelfarm: foo 1.0 on cp314t: racy, was compatible (matrix.toml)"
    assert message["Message-ID"].endswith("@mail.invalid>")
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content().replace("\r\n", "\n")
    assert "foo 1.0 on cp314t: racy, was compatible\n    it crashes\n" in text
    assert text.endswith("Report: https://farm.invalid/report/\n")


def test_no_text_of_a_package_is_a_header():
    name = "foo\r\nBcc: victim@mail.invalid"
    with serve_mail() as server:
        tell(mail_target(server), night(regression(name, reason=NASTY)))
    ((_, recipients, content),) = server.mails
    message = parsed(content)
    assert set(message.keys()) <= HEADERS
    assert "victim@mail.invalid" not in recipients
    assert "\\r\\nBcc" in message["Subject"]
    assert "\\x1b[2J" in message.get_content()


@given(st.text(max_size=300), st.text(max_size=2000))
def test_whatever_a_name_and_a_reason_have_in_them(name: str, reason: str):
    one = target('kind = "email"\nhost = "h"\nfrom = "farm@mail.invalid"\nto = ["a@mail.invalid"]')
    assert isinstance(one, Email)
    content = make_message(night(regression(name, reason)).alert, one).as_bytes()
    assert set(parsed(content).keys()) <= HEADERS
    assert max(map(len, content.split(b"\r\n"))) < 998, "RFC 5322, 2.1.1"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_tls_and_a_password(security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    certificate = make_certificate(tmp_path)
    mail = MailServer(
        context=server_context(certificate), is_tls=security == "tls", wants_password=True
    )
    more = f'security = "{security}"\nuser = "{USER}"\npassword-env = "P"'
    with serve_mail(mail) as server:
        refused = tell(mail_target(server, more), night(regression()), P=PASSWORD)
        trust(certificate, monkeypatch)
        wrong = tell(mail_target(server, more), night(regression()), P="wrong-password")
        taken = tell(mail_target(server, more), night(regression()), P=PASSWORD)
    assert "TLS failed" in refused.detail
    assert "SSL_CERT_FILE" in refused.detail
    assert "status 535" in wrong.detail
    assert "check `user`" in wrong.detail
    assert "wrong-password" not in wrong.detail
    assert taken.outcome is Outcome.SENT
    assert len(mail.mails) == 1


def test_a_server_without_starttls_gets_no_mail():
    with serve_mail() as server:
        delivery = tell(mail_target(server, 'security = "starttls"'), night(regression()))
    assert "STARTTLS" in delivery.detail
    assert "check `security`" in delivery.detail
    assert server.mails == []


def test_a_password_that_the_server_echoes_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    certificate = make_certificate(tmp_path)
    trust(certificate, monkeypatch)
    mail = MailServer(context=server_context(certificate), is_tls=True)
    mail.replies["AUTH"] = [f"535 5.7.8 no: {PASSWORD}"]
    more = f'security = "tls"\nuser = "{USER}"\npassword-env = "P"'
    with serve_mail(mail) as server:
        delivery = tell(mail_target(server, more), night(regression()), P=PASSWORD)
    assert "no: ***" in delivery.detail
    assert PASSWORD not in delivery.detail


@pytest.mark.parametrize(
    ("verb", "replies", "outcome", "expected", "pauses"),
    [
        ("MAIL", ["451 busy"], Outcome.SENT, "sent", [1.0]),
        ("GREETING", [""], Outcome.SENT, "sent", [1.0]),
        ("GREETING", ["silence"], Outcome.SENT, "sent", [1.0]),
        ("MAIL", ["550 who are you"], Outcome.FAILED, "status 550 ('who are you')", []),
        ("RCPT", ["550 no such user"] * 2, Outcome.FAILED, "2 of 2 recipients are refused", []),
        ("RCPT", ["550 no such user"], Outcome.FAILED, "1 of 2 recipients are refused", []),
        ("GREETING", ["421 later"] * 3, Outcome.FAILED, "(after 3 tries)", [1.0, 5.0]),
        ("DATA", [""] * 3, Outcome.FAILED, "closed the connection", [1.0, 5.0]),
        ("QUIT", ["500 what"], Outcome.SENT, "sent", []),
    ],
)  # fmt: skip
def test_what_a_server_refuses(
    verb: str, replies: list[str], outcome: Outcome, expected: str, pauses: list[float]
):
    waited = Pauses()
    with serve_mail(MailServer(replies={verb: list(replies)})) as server:
        delivery = tell(mail_target(server), night(regression()), waited)
    assert delivery.outcome is outcome
    assert expected in delivery.detail
    assert waited.seconds == pauses
