"""Where the proxy connects to: the indexes that are configured, and hosts of the public Internet that they lead to.

The farm's own process has a rule like this one (builder/sources/addresses.py); programs in containers import nothing
of it.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network

_PORTS = {"http": 80, "https": 443}
_INSIDE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
        # Nobody's networks, which gateways give to the hosts that they answer for (RFC 2544, 5737).
        "192.0.2.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
    )
)
"""Networks of organisations: an index in one of them may lead to others in them."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ROUTES = Path("/proc/net/route")


class RefusedError(OSError):
    """An index leads to an address to which the proxy does not connect; nothing was sent there."""


def _find_addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host; none where it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]


class AddressRule:
    """Decides about URLs and connections. Safe to use from several threads."""

    def __init__(
        self,
        indexes: Iterable[str],
        *,
        trusted_hosts: Iterable[str] = (),
        services: Iterable[str] = (),
        own_networks: Iterable[_Network] | None = None,
        resolve: Callable[[str, int], list[str]] = _find_addresses,
    ) -> None:
        """Make the rule.

        Args:
            indexes: URLs of the configured indexes.
            trusted_hosts: `HOST` or `HOST:PORT`, as in pip's `trusted-host`.
            services: URLs of what this process uses itself: its cache, the HTTP proxies of the network.
            own_networks: that this container is on; None reads them from the system. Builds are on them.
            resolve: returns the addresses of (host, port).
        """
        urls = list(indexes)
        self._indexes = [find_endpoint(url) for url in urls]
        self._endpoints = {*self._indexes, *(find_endpoint(url) for url in services)}
        self._trusted = {_normalize(host) for host in trusted_hosts}
        self._needs_tls = all(urlsplit(url).scheme == "https" for url in urls)
        self._own_networks = own_networks
        self._resolve = resolve
        self._has_inside_index = False

    def check_url(self, url: str, origin: str = "") -> None:
        """Go on if a URL may be asked for, as far as its text tells.

        Args:
            url: from a link or a redirect.
            origin: the URL that redirected to it; empty for a link.

        Raises:
            RefusedError: it is no HTTP, leads from HTTPS to HTTP, or has an address that is refused.
        """
        try:
            parts = urlsplit(url)
            host, port = find_endpoint(url)
        except ValueError:
            raise RefusedError("the index leads to what is no address") from None
        if parts.scheme not in _PORTS or not host:
            raise RefusedError("the index leads to an address with neither http nor https")

        comes_from_tls = self._needs_tls or urlsplit(origin).scheme == "https"
        if parts.scheme == "http" and comes_from_tls and not self._is_configured(host, port):
            raise RefusedError(f"the index leads from https to http at {host!a}")

        # Behind an HTTP proxy names are not resolved here; a number is an address already.
        if _parse_address(host) is not None:
            self.check_address(host, port, host)

    def check_host(self, host: str, port: int) -> None:
        """Go on if every address of a host is one to connect to.

        Raises:
            RefusedError: one is not.
        """
        if self._is_configured(host, port):
            return
        for address in self._resolve(host, port):
            self.check_address(host, port, address)

    def check_connection(self, host: str, port: int, connection: socket.socket) -> None:
        """Go on if a connection leads to where it may, whatever the name meant when it was looked at before.

        Raises:
            RefusedError: it does not, or leads to this container itself. The connection is closed.
        """
        if self._is_configured(host, port):
            return
        try:
            own, peer = connection.getsockname()[0], connection.getpeername()[0]
            if own == peer:
                raise RefusedError(f"the index leads to this container at {host!a}, port {port}")
            self.check_address(host, port, peer)
        except OSError:
            connection.close()
            raise

    def check_address(self, host: str, port: int, text: str) -> None:
        """Go on if an address is one to connect to for a host.

        Raises:
            RefusedError: it is not.
        """
        if self._is_configured(host, port):
            return

        address = _parse_address(text)
        if address is not None and not self._is_on_own_network(address):
            is_public = address.is_global and not address.is_multicast and not _is_inside(address)
            if is_public or (_is_inside(address) and self._is_index_inside()):
                return

        raise RefusedError(
            f"the index leads to {host!a}, port {port}, whose address is neither public nor the index's own; "
            "if its files are there, name HOST:PORT in pip's `trusted-host`"
        )

    def _is_configured(self, host: str, port: int) -> bool:
        name = _normalize(host)
        is_trusted = name in self._trusted or f"{name}:{port}" in self._trusted
        return is_trusted or (name, port) in self._endpoints

    def _is_index_inside(self) -> bool:
        """Return whether an index is in a network of an organisation; asked again until one is."""
        if not self._has_inside_index:
            for host, port in self._indexes:
                addresses = [_parse_address(text) for text in self._resolve(host, port)]
                if any(address is not None and _is_inside(address) for address in addresses):
                    self._has_inside_index = True
        return self._has_inside_index

    def _is_on_own_network(self, address: _Address) -> bool:
        """Return whether an address is a neighbour's: of a build, or of the machine that runs the container."""
        networks = read_own_networks() if self._own_networks is None else self._own_networks
        return any(address in network for network in networks if network.version == address.version)


def find_endpoint(url: str) -> tuple[str, int]:
    """Return (host, port) of a URL.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    return _normalize(parts.hostname or ""), parts.port or _PORTS.get(parts.scheme, 0)


def read_own_networks(routes: Path = _ROUTES) -> list[_Network]:
    """Return the networks that this container is on, without a gateway between, and the gateways themselves."""
    try:
        lines = routes.read_text().splitlines()[1:]
    except OSError:
        return []

    networks = []
    for line in lines:
        destination, gateway, mask = (_read_hex(line.split()[column]) for column in (1, 2, 7))
        if gateway:
            networks.append(ipaddress.IPv4Network(gateway))
        elif mask:
            networks.append(ipaddress.IPv4Network((destination, mask.bit_count())))
    return networks


def _read_hex(text: str) -> int:
    """Return an address as the kernel prints it: the bytes as they are in memory."""
    return int.from_bytes(struct.pack("=I", int(text, 16)), "big")


def _normalize(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _parse_address(text: str) -> _Address | None:
    """Return an IP address, or None; of IPv6 that stands for IPv4 it is the IPv4 address."""
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None

    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_inside(address: _Address) -> bool:
    return any(address.version == network.version and address in network for network in _INSIDE)
