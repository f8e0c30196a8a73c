"""A name server that knows no name, and writes down which it was asked for (RFC 1035)."""

import socket
from typing import Protocol

_HEADER = 12
_NO_SUCH_NAME = b"\x81\x83"
_ADDRESSES = {1, 28}
"""Types of question: A and AAAA. Others are asked for reasons of their own, such as the name of an address."""


class Asked(Protocol):
    """Is told who asked for what."""

    def asked_name(self, address: str, name: str) -> None:
        """Take note that a client wanted to know the address of a host."""


def question(packet: bytes) -> tuple[str, int, int] | None:
    """Return the name a question is about and the question's type and end, or None where it is no question."""
    labels, at = [], _HEADER
    while at < len(packet) and packet[at]:
        end = at + 1 + packet[at]
        labels.append(packet[at + 1 : end])
        at = end
    if at + 5 > len(packet) or not labels or packet[2] & 0x80:
        return None
    name = b".".join(labels).decode("ascii", "replace").lower()
    return name, int.from_bytes(packet[at + 1 : at + 3], "big"), at + 5


def answer(packet: bytes, end: int) -> bytes:
    """Return the answer that there is no such name."""
    return packet[:2] + _NO_SUCH_NAME + b"\0\1" + b"\0" * 6 + packet[_HEADER:end]


def serve(address: tuple[str, int], sessions: Asked) -> None:
    """Answer for ever.

    Args:
        address: host and port to listen at.
        sessions: told who asked for what.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(address)
        while True:
            packet, client = server.recvfrom(4096)
            asked = question(packet)
            if asked is None:
                continue
            name, kind, end = asked
            if kind in _ADDRESSES:
                sessions.asked_name(client[0], name)
            server.sendto(answer(packet, end), client)
