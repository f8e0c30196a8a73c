"""A name server that knows no name, and writes down which it was asked for (RFC 1035)."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Protocol

_HEADER_BYTES = 12
_TYPE_AND_CLASS_BYTES = 4
_LARGEST_PACKET_BYTES = 4096
_LONGEST_LABEL_BYTES = 63
_RESPONSE_BIT = 0x80  # of the third byte: it is an answer, not a question
_NO_SUCH_NAME = b"\x81\x83"  # flags: response, recursion desired and available, NXDOMAIN
_ONE_QUESTION = b"\0\1"
_NO_RECORDS = b"\0" * 6

_ADDRESS_TYPES = {
    1,
    28,
}  # A and AAAA; others are asked for reasons of their own, such as the name of an address


class NameLog(Protocol):
    """Is told who asked for what."""

    def note_name(self, address: str, name: str) -> None:
        """Take note that a client wanted to know the address of a host."""


@dataclass(frozen=True)
class Question:
    """What a packet asks.

    Attributes:
        name: of the host, in lower case.
        kind: the type of record that is wanted.
        end: where the question ends in the packet.
    """

    name: str
    kind: int
    end: int

    @property
    def is_for_address(self) -> bool:
        """Whether somebody wants to connect to the host."""
        return self.kind in _ADDRESS_TYPES


def parse_question(packet: bytes) -> Question | None:
    """Return the question of a DNS packet: a host's name and the type of record that is wanted.

    None where the packet is an answer, is cut short, or names no host: nobody has to be answered then.
    """
    if len(packet) < _HEADER_BYTES or packet[2] & _RESPONSE_BIT:
        return None

    labels = []
    label_at = _HEADER_BYTES
    while label_at < len(packet) and packet[label_at]:
        if packet[label_at] > _LONGEST_LABEL_BYTES:
            return None  # a pointer, which no question needs
        end = label_at + 1 + packet[label_at]
        labels.append(packet[label_at + 1 : end])
        label_at = end

    type_at = label_at + 1  # after the empty label that ends the name
    end = type_at + _TYPE_AND_CLASS_BYTES
    is_whole = end <= len(packet)
    if not is_whole or not labels:
        return None

    name = b".".join(labels).decode("ascii", "replace").lower()
    kind = int.from_bytes(packet[type_at : type_at + 2], "big")
    return Question(name, kind, end)


def build_refusal(packet: bytes, end: int) -> bytes:
    """Return the DNS packet that answers a question with NXDOMAIN: there is no such name.

    Args:
        packet: the packet with the question.
        end: where the question ends in it.
    """
    query_id = packet[:2]
    question = packet[_HEADER_BYTES:end]
    return query_id + _NO_SUCH_NAME + _ONE_QUESTION + _NO_RECORDS + question


def serve(address: tuple[str, int], log: NameLog) -> None:
    """Answer DNS questions until the process ends: every name is unknown.

    Args:
        address: host and port to listen at.
        log: told who asked for what.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(address)
        while True:
            answer_next(server, log)


def answer_next(server: socket.socket, log: NameLog) -> None:
    """Wait for a packet, and answer it where it is a question.

    Questions for an address are logged, because whoever asks one wants to connect to that host. Packets that are no
    question get no answer. Nothing that a client sends, from whatever port, ends the server.

    Args:
        server: the socket.
        log: told who asked for what.
    """
    try:
        packet, client = server.recvfrom(_LARGEST_PACKET_BYTES)
        question = parse_question(packet)
        if question is None:
            return

        if question.is_for_address:
            log.note_name(client[0], question.name)
        server.sendto(build_refusal(packet, question.end), client)
    except OSError as error:
        # Such as an answer to port 0, which no socket can send, or the refusal of an earlier answer by its client.
        print(f"a DNS packet was not answered: {error}", flush=True)
