"""Connections of many clients at once, each within limits on their number and on time."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_MAX_CONNECTIONS = 64  # of one client: uv opens up to 50
_MAX_ALL_CONNECTIONS = 768  # each has a thread, and the container's limit is 1024
HEAD_TIMEOUT_S = 120.0
"""For a request's head, from the end of the answer before; uv keeps an idle connection for 90 s."""


class Server(ThreadingHTTPServer):
    """Holds many clients at once, each within limits; one that goes away in the middle of an answer is no error."""

    daemon_threads = True
    request_queue_size = 128  # builds begin together, and each opens several connections

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        """Listen at an address; connections are handled by `serve_forever`."""
        super().__init__(address, handler)
        self._connections: Counter[str] = Counter()
        self._deadlines: dict[socket.socket, float] = {}
        self._mutex = threading.Lock()

    def set_deadline(self, connection: socket.socket, timeout_s: float) -> None:
        """Have a connection cut off after a time, unless another deadline is set or it is closed before."""
        with self._mutex:
            self._deadlines[connection] = time.monotonic() + timeout_s

    def service_actions(self) -> None:
        """Cut off the connections whose time is up; the library calls this about twice a second."""
        now = time.monotonic()
        with self._mutex:
            overdue = [
                connection for connection, deadline in self._deadlines.items() if deadline < now
            ]
            for connection in overdue:
                del self._deadlines[connection]
                with contextlib.suppress(OSError):  # it is closed already
                    connection.shutdown(socket.SHUT_RDWR)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401 - as the library has it
        """Return whether a client may have another connection; one that may not is closed at once."""
        address = client_address[0]
        with self._mutex:
            is_client_full = self._connections[address] >= _MAX_CONNECTIONS
            is_full = self._connections.total() >= _MAX_ALL_CONNECTIONS
            if is_client_full or is_full:
                return False

            self._connections[address] += 1
            self._deadlines[request] = time.monotonic() + HEAD_TIMEOUT_S
        return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Answer a connection's requests, then forget it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            address = client_address[0]
            with self._mutex:
                self._deadlines.pop(request, None)
                self._connections[address] -= 1
                if not self._connections[address]:
                    del self._connections[address]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the library has it
        """Print what went wrong, unless the client just hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
