"""A server that always sends something, and never ends, holds nobody longer than the deadline."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from builder.report.notify.deliver import Outcome, deliver
from builder.report.notify.http_door import Patience
from tests.unit.report.notify.nights import Pauses, night, regression, target

HOOK = 'kind = "webhook"\nurl = "http://127.0.0.1:{port}/"'
MAIL = """
kind = "email"
host = "127.0.0.1"
port = {port}
security = "none"
from = "a@b.invalid"
to = ["c@d.invalid"]
"""


class _Dripping(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the client is gone
            self.request.sendall(self.server.beginning)
            while not self.server.stop.wait(0.02):
                self.request.sendall(b"x")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = False
    beginning = b""
    stop: threading.Event


@contextmanager
def dripping(beginning: bytes) -> Iterator[int]:
    """Serve a beginning, and then one byte after the other; yield the port."""
    server = _Server(("127.0.0.1", 0), _Dripping)
    server.beginning = beginning
    server.stop = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("beginning", "text", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", HOOK, "no answer within 0.4 s"),
        (
            b"HTTP/1.1 400 Bad\r\n\r\n",
            HOOK,
            "status 400",
        ),
        (
            b"220 ",
            MAIL,
            "no answer within 0.4 s",
        ),
    ],
    ids=["header", "body", "mail"],
)
def test_the_deadline_is_for_all_of_the_answer(beginning: bytes, text: str, expected: str):
    patience = Patience(connect_s=20, read_s=20, total_s=0.4, pause=Pauses())
    with dripping(beginning) as port:
        one = target(text.replace("{port}", str(port)))
        (delivery,) = deliver({"t": one}, night(regression()), {}, patience)
    assert delivery.outcome is Outcome.FAILED
    assert expected in delivery.detail
