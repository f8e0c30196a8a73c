"""A server on the loopback interface that answers as it likes, for tests of clients."""

import contextlib
import gzip
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Request(http.server.BaseHTTPRequestHandler):
    """One request, which the test's own function answers."""

    server: "_Server"

    def do_GET(self) -> None:
        self.server.hostile.asked.append((self.path, dict(self.headers)))
        answer = self.server.hostile.answers.get(self.path.partition("?")[0])
        with contextlib.suppress(OSError):  # the client has seen enough
            if answer is None:
                self.send(404)
            else:
                answer(self)

    def send(
        self, status: int = 200, content: bytes = b"", *, length: int | None = None, **headers: str
    ) -> None:
        """Send an answer; `content_type="text/html"` becomes the header `Content-Type`."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def send_forever(self, piece: bytes, pause_s: float = 0, **headers: str) -> None:
        """Send a body without an end, until the client goes or the server stops."""
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        while not self.server.hostile.stop.is_set():
            self.wfile.write(piece)
            self.wfile.flush()
            self.server.hostile.sent += len(piece)
            if pause_s:
                time.sleep(pause_s)

    def log_message(self, *_) -> None:
        return


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    hostile: "Hostile"

    def handle_error(self, *_) -> None:
        return


@dataclass
class Hostile:
    """What a server answers and was asked.

    Attributes:
        answers: by path, the function that answers.
        asked: paths, and headers of the requests.
        sent: bytes of endless bodies that went out.
    """

    port: int = 0
    answers: dict[str, Callable[[Request], None]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sent: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The address of the index."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [path for path, _ in self.asked]

    def page(self, project: str, content: str, content_type: str = "text/html") -> None:
        """Have a project's page answered."""
        self.answers[f"/{project}/"] = lambda request: request.send(
            content=content.encode(), content_type=content_type
        )

    def redirect(self, path: str, location: str) -> None:
        """Have a path redirected."""
        self.answers[path] = lambda request: request.send(302, location=location)

    def file(self, path: str, content: bytes) -> None:
        """Have a file answered."""
        self.answers[path] = lambda request: request.send(content=content)


def zeros_in_gzip(mib: int) -> bytes:
    """Return gzip data that unpacks to so many MiB, a thousandth of their size."""
    piece = gzip.compress(bytes(1 << 20), 9)
    return piece * mib


@contextmanager
def hostile_server() -> Iterator[Hostile]:
    """Serve on a port of its own."""
    server = _Server(("127.0.0.1", 0), Request)
    server.hostile = Hostile(port=server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.hostile
    finally:
        server.hostile.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()
