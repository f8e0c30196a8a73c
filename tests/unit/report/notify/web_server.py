"""A web server on the loopback interface that answers a list of answers, one after the other, and remembers."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        path: with the query.
    """

    method: str
    path: str
    headers: Message
    content: bytes


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int = 200
    content: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)


class Silence:
    """In place of an answer: none until the server stops."""


class End:
    """In place of an answer: the connection is closed."""


Answer = Reply | type[Silence] | type[End]


@dataclass
class WebServer:
    """What a server answers and was asked.

    Attributes:
        answer: gives the answer to a request.
        asked: all requests, in order.
    """

    answer: Callable[[Asked], Answer]
    port: int = 0
    scheme: str = "http"
    asked: list[Asked] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def _handle(self) -> None:
        web = self.server.web
        length = int(self.headers.get("Content-Length", 0))
        asked = Asked(self.command, self.path, self.headers, self.rfile.read(length))
        web.asked.append(asked)
        reply = web.answer(asked)
        self.close_connection = True
        if reply is Silence:
            web.stop.wait(30)
        if not isinstance(reply, Reply):
            return

        with contextlib.suppress(OSError):  # the client has seen enough
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PATCH(self) -> None:
        self._handle()

    def log_message(self, *_: object) -> None:
        return


class _Server(http.server.ThreadingHTTPServer):
    # Not daemons: the server's end waits for them, so that no connection is left open.
    daemon_threads = False
    web: WebServer
    context: ssl.SSLContext | None = None

    def get_request(self) -> tuple[socket.socket, object]:
        accepted, address = super().get_request()
        if self.context is not None:
            # The handshake comes with the first read, in the connection's own thread.
            accepted = self.context.wrap_socket(
                accepted, server_side=True, do_handshake_on_connect=False
            )
        return accepted, address

    def handle_error(self, *_: object) -> None:
        return


@contextmanager
def serve(answer: Callable[[Asked], Answer], context=None) -> Iterator[WebServer]:
    """Serve on a port of its own; with a context of TLS, by it."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.context = context
    server.web = WebServer(
        answer=answer, port=server.server_port, scheme="http" if context is None else "https"
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.web
    finally:
        server.web.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serve_list(*answers: Answer, context=None) -> Iterator[WebServer]:
    """Serve answers one after the other; the last one for all that come later."""
    remaining = list(answers)
    with serve(
        lambda _: remaining.pop(0) if len(remaining) > 1 else remaining[0], context
    ) as server:
        yield server
