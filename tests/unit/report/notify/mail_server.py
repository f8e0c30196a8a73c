"""A mail server on the loopback interface: enough of SMTP for a client, with TLS and a password."""

from __future__ import annotations

import base64
import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

USER = "farm"
PASSWORD = "hush-hush-password"


@dataclass
class MailServer:
    """What a server does and got.

    Attributes:
        context: for TLS; None for a server without.
        is_tls: whether TLS begins with the first byte, not with STARTTLS.
        wants_password: whether it takes no mail without one.
        replies: answers in place of the right ones, by command; each once. "" closes the connection, and no answer is
            given in place of "silence".
        mails: (sender, recipients, content) of what was taken.
        commands: all that were given, in order.
    """

    context: ssl.SSLContext | None = None
    is_tls: bool = False
    wants_password: bool = False
    port: int = 0
    replies: dict[str, list[str]] = field(default_factory=dict)
    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self._sender = ""
        self._recipients: list[str] = []
        self._is_known = False
        self._is_encrypted = False
        # The client may have seen enough, or does not trust the certificate.
        with contextlib.suppress(OSError):
            if self.server.mail.is_tls:
                self._begin_tls()
            for line in self._iter_lines():
                self.server.mail.commands.append(line)
                if not self._answer(line):
                    break
        self.rfile.close()
        self.request.close()

    def _begin_tls(self) -> None:
        assert self.server.mail.context is not None
        self.rfile.close()
        self.request = self.server.mail.context.wrap_socket(self.request, server_side=True)
        self.rfile = self.request.makefile("rb")
        self._is_encrypted = True

    def _say(self, text: str) -> None:
        self.request.sendall(text.replace("\n", "\r\n").encode() + b"\r\n")

    def _answer(self, line: str) -> bool:
        """Answer a command, and return whether the conversation goes on."""
        mail = self.server.mail
        verb = (
            line.split(" ", maxsplit=1)[0].split(":", maxsplit=1)[0].upper() if line else "GREETING"
        )
        if mail.replies.get(verb):
            reply = mail.replies[verb].pop(0)
            if reply == "silence":
                mail.stop.wait(30)
            if reply in {"", "silence"}:
                return False
            self._say(reply)
            return True

        answers = {
            "GREETING": self._greet,
            "EHLO": self._offer,
            "STARTTLS": self._start_tls,
            "AUTH": self._check_password,
            "MAIL": self._take_sender,
            "RCPT": self._take_recipient,
            "DATA": self._take_mail,
        }
        if verb in answers:
            answers[verb](line)
        else:
            self._say("221 bye" if verb == "QUIT" else "250 ok")
        return verb != "QUIT"

    def _greet(self, _: str) -> None:
        self._say("220 mail.invalid ready")

    def _offer(self, _: str) -> None:
        lines = ["250-mail.invalid"]
        if self.server.mail.context is not None and not self._is_encrypted:
            lines.append("250-STARTTLS")
        if self._is_encrypted:
            lines.append("250-AUTH PLAIN")
        self._say("\n".join([*lines, "250 HELP"]))

    def _start_tls(self, _: str) -> None:
        self._say("220 go on")
        self._begin_tls()

    def _check_password(self, line: str) -> None:
        given = base64.b64decode(line.split(" ")[2]).decode().split("\0")
        self._is_known = given[1:] == [USER, PASSWORD]
        self._say("235 ok" if self._is_known else "535 5.7.8 no")

    def _take_sender(self, line: str) -> None:
        is_refused = self.server.mail.wants_password and not self._is_known
        self._say("530 5.7.0 authentication required" if is_refused else "250 ok")
        self._sender = line.split("<")[1].split(">", maxsplit=1)[0]

    def _take_recipient(self, line: str) -> None:
        self._recipients.append(line.split("<")[1].split(">", maxsplit=1)[0])
        self._say("250 ok")

    def _take_mail(self, _: str) -> None:
        self._say("354 go on")
        self.server.mail.mails.append((self._sender, self._recipients, self._read_mail()))
        self._say("250 taken")

    def _iter_lines(self) -> Iterator[str]:
        yield ""  # the greeting answers to nothing
        while line := self.rfile.readline():
            yield line.decode().rstrip("\r\n")

    def _read_mail(self) -> bytes:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)


class _Server(socketserver.ThreadingTCPServer):
    # Not daemons: the server's end waits for them, so that no connection is left open.
    daemon_threads = False
    allow_reuse_address = True
    mail: MailServer

    def handle_error(self, *_: object) -> None:
        return


@contextmanager
def serve_mail(mail: MailServer | None = None) -> Iterator[MailServer]:
    """Serve on a port of its own."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.mail = mail or MailServer()
    server.mail.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.mail
    finally:
        server.mail.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()
