"""`kind = "email"`: a mail in plain text, by SMTP (RFC 5321), encrypted unless the matrix says otherwise."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

from builder.host import settings as host
from builder.report.notify.alert import describe, explain, fit_blocks
from builder.report.notify.attempts import DeliveryError, TemporaryError, attempt
from builder.report.notify.http_door import describe_tls_error
from builder.sources.connections import Exchange
from builder.untrusted.reading import Deadline, TooSlowError
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from builder.config.notify import Email
    from builder.report.documents.alert import AlertDocument
    from builder.report.notify.alert import Night
    from builder.report.notify.http_door import Patience
    from builder.report.notify.secrets import Secrets

_MAX_SUBJECT = 150
"""Characters of a subject; what lists of mails show of it is shorter."""

_MAX_BODY = 60_000
"""Characters of the list in a mail: some hundred regressions with their reasons."""

_MAX_ANSWER = 200  # characters of what a mail server answered

_TEMPORARY = range(400, 500)
"""Codes by which a mail server asks to be tried again later (RFC 5321, 4.2.1)."""


class MailChannel:
    """Sends a mail to everybody in `to`.

    Attributes:
        keeps_record: whether a night in which nothing got worse matters to it.
    """

    keeps_record = False

    def __init__(self, target: Email, secrets: Secrets, patience: Patience) -> None:
        self._target = target
        self._secrets = secrets
        self._patience = patience

    def render(self, alert: AlertDocument) -> str:
        """Return what is sent, as text."""
        message = make_message(alert, self._target)
        headers = [f"{name}: {value}" for name, value in message.items()]
        return "\n".join([*headers, "", message.get_content()])

    def send(self, night: Night) -> str:
        """Send the mail, and return what was done.

        Raises:
            DeliveryError: the server did not take it, or not for everybody.
        """
        message = make_message(night.alert, self._target)
        attempt(lambda: self._send_once(message), self._patience.pause)
        return "sent"

    def _send_once(self, message: EmailMessage) -> None:
        deadline = Deadline(self._patience.total_s)
        try:
            with Exchange(None, deadline, "the mail server") as exchange:
                self._converse(message, exchange)
        except smtplib.SMTPRecipientsRefused as error:
            raise self._refuse_recipients(error.recipients) from None
        except smtplib.SMTPResponseException as error:
            raise self._describe_answer(error.smtp_code, error.smtp_error) from None
        except ssl.SSLError as error:
            if deadline.has_passed:
                raise self._describe_silence(error, deadline) from None
            raise DeliveryError(
                f"{describe_tls_error(error)}; check `security` and `port`"
            ) from None
        except smtplib.SMTPNotSupportedError as error:
            raise DeliveryError(
                f"{self._hide(str(error))} check `security` and `port`, and whether the server wants a password"
            ) from None
        except (OSError, smtplib.SMTPException, TooSlowError) as error:
            raise self._describe_silence(error, deadline) from None

    def _converse(self, message: EmailMessage, exchange: Exchange) -> None:
        """Give the mail to the server, from the connection to the end."""
        target = self._target
        context = ssl.create_default_context(cafile=str(host.ca_bundle()))
        connection = _WatchedSmtp(
            target.host,
            target.server_port,
            self._patience.read_s,
            exchange,
            context if target.security == "tls" else None,
        )
        try:
            if target.security == "starttls":
                connection.starttls(context=context)
            password = self._secrets.get("password-env")
            if target.user is not None and password is not None:
                connection.login(target.user, password)

            refused = connection.send_message(message, target.sender, target.to)
            # It has the mail: what it says at the end changes nothing.
            with contextlib.suppress(OSError, smtplib.SMTPException, TooSlowError):
                connection.quit()
        finally:
            connection.close()

        if refused:
            raise self._refuse_recipients(refused)

    def _refuse_recipients(self, refused: dict[str, tuple[int, bytes]]) -> DeliveryError:
        """Return the error for recipients that the server refuses; the others have got the mail."""
        address, (code, answer) = next(iter(refused.items()))
        return DeliveryError(
            f"{len(refused)} of {len(self._target.to)} recipients are refused, such as {address}: "
            f"{self._quote(code, answer)}; check `to` and `from`"
        )

    def _describe_answer(self, code: int, answer: bytes | str) -> DeliveryError:
        """Return the error for a code by which the server refuses."""
        quoted = self._quote(code, answer)
        if code in _TEMPORARY:
            return TemporaryError(f"{quoted}; try again later")
        if code in {530, 534, 535, 538}:  # RFC 4954, section 6
            return DeliveryError(
                f"{quoted}; check `user`, the variable with the password, and `security`"
            )
        return DeliveryError(
            f"{quoted}; check `from` and `to`, and what the server takes from this machine"
        )

    def _describe_silence(self, error: Exception, deadline: Deadline) -> DeliveryError:
        """Return the error for a server that does not answer, or stops to."""
        if deadline.has_passed or isinstance(error, TooSlowError):
            observed = f"no answer within {deadline.seconds:g} s"
        elif isinstance(error, TimeoutError):
            observed = "no answer (timeout)"
        elif isinstance(error, smtplib.SMTPServerDisconnected):
            observed = "the server closed the connection"
        else:
            strerror = getattr(error, "strerror", None)
            observed = f"no answer ({clean_line(strerror or type(error).__name__)})"
        return TemporaryError(f"{observed}; check `host`, `port` and `security`")

    def _quote(self, code: int, answer: bytes | str) -> str:
        """Return what a server answered: its code, and the first line in quotes, without secrets."""
        text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
        line = self._hide(text).strip().partition("\n")[0]
        return f"status {code} ({clean_line(line, _MAX_ANSWER)!r})"

    def _hide(self, text: str) -> str:
        return self._secrets.hide(text)


class _WatchedSmtp(smtplib.SMTP):
    """A connection to a mail server that is cut when the deadline of its exchange passes.

    smtplib bounds the wait for the next bytes alone, and a server may send one at a time.
    """

    def __init__(
        self,
        server: str,
        port: int,
        timeout_s: float,
        exchange: Exchange,
        context: ssl.SSLContext | None,
    ) -> None:
        """Connect, and read the server's greeting.

        Args:
            server: the host.
            port: its port.
            timeout_s: longest wait for the next bytes.
            exchange: has the deadline.
            context: for TLS from the first byte on; None for none.
        """
        self._exchange = exchange
        self._tls = context
        super().__init__(server, port, local_hostname=_own_name(), timeout=timeout_s)

    def _get_socket(self, server: str, port: int, timeout_s: float) -> socket.socket:
        """Connect: smtplib's own way to let the transport be another one, which its SMTP_SSL takes as well."""
        connected = socket.create_connection((server, port), timeout_s)
        try:
            self._exchange.watch(connected)
            if self._tls is None:
                return connected
            return self._tls.wrap_socket(connected, server_hostname=server)
        except BaseException:
            connected.close()
            raise


def _own_name() -> str:
    """Return what the mail server is told this machine is called. smtplib would ask the DNS, which has no deadline."""
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"


def make_message(alert: AlertDocument, target: Email) -> EmailMessage:
    """Return the mail of an alert.

    Args:
        alert: what it says; no character of it can end a header.
        target: who it is from, and who gets it.
    """
    message = EmailMessage(policy=policy.SMTP)
    message["Subject"] = clean_line(f"wheelfarm: {alert.summary} ({alert.matrix})", _MAX_SUBJECT)
    message["From"] = target.sender
    message["To"] = ", ".join(target.to)
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(alert.id, domain=target.sender.rpartition("@")[2])
    # So that no absent recipient answers (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(render_text(alert))
    return message


def render_text(alert: AlertDocument) -> str:
    """Return the text of the mail."""
    blocks = [f"{describe(part)}\n    {explain(part)}\n" for part in alert.regressions]
    lines = [f"{alert.matrix}, {alert.generated_at}: {alert.summary}", ""]
    lines += fit_blocks(blocks, _MAX_BODY)
    if alert.report_url:
        lines += [f"Report: {alert.report_url}"]
    return "\n".join(lines) + "\n"
