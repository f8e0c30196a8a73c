"""A TCP proxy that cuts connections: in the middle of what a client sends, or before it hears the answer."""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType
from typing import Literal, Self

_CHUNK = 16 << 10
Cut = Literal["early", "late", "answer"]
_LIMITS = {"early": 48 << 10, "late": 400 << 10}
"""Bytes of requests after which a connection is cut; a late one has a file behind it."""


class CuttingProxy:
    """Stands between a client and a server on this machine.

    Attributes:
        cuts: what happens to the coming connections, one after the other; those after the last go through whole.
        connections: how many there were.
    """

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts: list[Cut] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        workers = []
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                break
            self.connections += 1
            cut = self.cuts.pop(0) if self.cuts else None
            workers.append(threading.Thread(target=self._relay, args=(client, cut)))
            workers[-1].start()
        for worker in workers:
            worker.join()

    def _relay(self, client: socket.socket, cut: Cut | None) -> None:
        with client, socket.create_connection(self._server) as server:
            back = threading.Thread(
                target=_pump, args=(server, client, 0 if cut == "answer" else None)
            )
            back.start()
            _pump(client, server, _LIMITS.get(cut or ""))
            back.join()


def _pump(source: socket.socket, target: socket.socket, limit: int | None) -> None:
    """Pass bytes on; when the limit is reached, reset both connections."""
    passed = 0
    try:
        while data := source.recv(_CHUNK):
            passed += len(data)
            if limit is not None and passed > limit:
                for end in (source, target):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)
                return
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            _close(end)


def _close(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already
