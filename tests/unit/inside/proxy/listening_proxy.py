"""The proxy of builds, listening on this machine, with a server of the test's behind it."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.inside.proxy.handler import Handler
from builder.inside.proxy.listening import Server
from builder.inside.proxy.sessions import Sessions


@dataclass(kw_only=True)
class ListeningProxy:
    """The proxy, and what it wrote.

    Attributes:
        host: what clients ask it for, such as `http://crates.wheelfarm.invalid`.
        root: the folder of its sessions, records and files.
        port: where it listens.
    """

    host: str
    root: Path
    port: int

    def open(self, token: str = "one", **more: Any) -> None:
        description = {"locked": None, "network": "127.0.0.0/8", **more}
        (self.root / "sessions" / f"{token}.json").write_text(json.dumps(description))

    def end(self, token: str = "one") -> None:
        (self.root / "sessions" / f"{token}.ended").touch()

    def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """Ask as cargo does: the proxy is its HTTP proxy."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            connection.request(method, self.host + path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def events(self, kind: str = "", token: str = "one") -> list[dict[str, Any]]:
        record = self.root / "records" / f"{token}.jsonl"
        if not record.exists():
            return []
        events = [json.loads(line) for line in record.read_text().splitlines()]
        return [event for event in events if not kind or event["kind"] == kind]


@contextlib.contextmanager
def listening(root: Path, **bound: Any) -> Iterator[int]:
    """Have the proxy listen; give the port.

    Args:
        root: the folder of its sessions and records.
        bound: what the handler has beside its sessions, by attribute.
    """
    sessions = Sessions(root / "sessions", root / "records")
    handler = type("Bound", (Handler,), {**bound, "sessions": sessions})
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
