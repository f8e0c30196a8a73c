"""A machine of our own making for the farm without an engine: what its names mean, and what its clock says.

Nothing that an attack leads to is really asked, but services of the loopback interface, which the test made.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_NAMES = ".invalid"
"""How the names end that attacks may use (RFC 2606): nobody else has one of them."""


def pretend(
    *, connections: str, names: Mapping[str, Sequence[str]] | None = None, clock_s: float = 0.0
) -> None:
    """Let this process see another machine.

    Args:
        connections: a file that is told each address that it would have connected to, a line each; it gets no connection
            to any of them. Addresses of the loopback interface are not in it: they are the test's own.
        names: the addresses of names, in the order in which they are asked for; the last one is given again and again.
        clock_s: how far the clock is ahead; negative where it is behind.
    """
    _keep_connections_inside(Path(connections))
    _give_addresses({name: list(addresses) for name, addresses in (names or {}).items()})
    if clock_s:
        right_time = time.time
        time.time = lambda: right_time() + clock_s


def _keep_connections_inside(record: Path) -> None:
    """Refuse connections to other machines, and note them."""
    connect = socket.socket.connect
    record.write_text("")

    def connect_inside(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            host = ipaddress.ip_address(str(address[0]).partition("%")[0])
            mapped = getattr(host, "ipv4_mapped", None) or host
            if not (mapped.is_loopback or mapped.is_unspecified):
                with record.open("a") as file:
                    file.write(f"{host}\n")
                raise ConnectionRefusedError(f"{host} is no address of this test")
        connect(self, address)

    socket.socket.connect = connect_inside  # type: ignore[assignment,method-assign]


def _give_addresses(names: Mapping[str, list[str]]) -> None:
    """Answer for names of attacks; ask nobody about them."""
    look_up = socket.getaddrinfo

    def find_addresses(host: Any, *arguments: Any, **options: Any) -> Any:
        name = str(host).rstrip(".").lower()
        if not name.endswith(_NAMES):
            return look_up(host, *arguments, **options)

        addresses = names.get(name, [])
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, f"nobody knows {name}")
        address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        return look_up(address, *arguments, **options)

    socket.getaddrinfo = find_addresses
