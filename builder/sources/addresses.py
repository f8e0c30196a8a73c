"""Where the farm connects to for a package index: to the indexes that are configured, and to the public Internet.

What an index says, in links and redirects, leads neither to this machine nor into the networks around it.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from builder.sources.errors import RefusedAddressError
from builder.untrusted.text import show

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.host.settings import IndexSettings

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"http": 80, "https": 443}
"""The schemes that links may have, and their ports."""

_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""Networks of organisations, where their indexes are (RFC 1918, 4193, 6598)."""

_ANSWERED_FOR = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15")
)
"""Networks that are nobody's (RFC 2544, 5737). Gateways that answer for the hosts of the Internet give them such
addresses; where the index has one, the hosts that its files are on have them as well."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 addresses that end in the IPv4 address they lead to (RFC 6052)."""

_REMEDY = "if the index keeps its files there, name HOST:PORT in pip's `trusted-host`"


class AddressRule:
    """The addresses that an index may lead to. One rule is for all sessions with the indexes of one configuration.

    A configured index, and what pip is configured to trust, may be anywhere. Everything else has to have a public
    address. Where an index itself is in a private network, its links may lead into private networks, too; to this
    machine and to link-local addresses, where clouds have their metadata services, they never do.
    """

    def __init__(self, urls: Iterable[str], trusted_hosts: Iterable[str] = ()) -> None:
        """Make the rule.

        Args:
            urls: the configured indexes.
            trusted_hosts: further hosts, `HOST` or `HOST:PORT`, as in pip's `trusted-host`.
        """
        self._endpoints: set[tuple[str, int]] = set()
        schemes = set()
        for url in urls:
            parts = urlsplit(url)
            schemes.add(parts.scheme)
            self._endpoints.add((_normalize(parts.hostname or ""), _find_port(url)))

        self._hosts = {_normalize(host) for host in trusted_hosts}
        self._needs_tls = schemes == {"https"}
        self._has_private_index = False

    @classmethod
    def for_settings(cls, settings: IndexSettings) -> AddressRule:
        """Return the rule for the indexes that pip on this machine is configured for."""
        return cls(settings.urls, settings.trusted_hosts)

    def check_url(self, url: str, origin: str = "") -> None:
        """Go on if an address that an index gave is one that may be asked for, as far as its text tells.

        Args:
            url: from a link or a redirect.
            origin: the address that redirected to it; empty for a link.

        Raises:
            RefusedAddressError: it is neither HTTP nor HTTPS, or has no host, or leads from HTTPS to HTTP.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", _find_port(url)
        except ValueError:
            raise RefusedAddressError(f"{show(url)} is no address") from None

        if parts.scheme not in _PORTS or not host:
            raise RefusedAddressError(
                f"the index leads to {show(parts.scheme)} instead of an address with http or https"
            )

        is_plain = parts.scheme == "http"
        is_downgrade = urlsplit(origin).scheme == "https" or self._needs_tls
        if is_plain and is_downgrade and not self.is_configured(host, port):
            raise RefusedAddressError(
                f"the index leads from https to http at {show(host)}: what is sent there can be changed on its way"
            )

        # Behind a proxy nobody here learns which address a name has, but a number is an address already.
        address = _parse_address(host)
        if address is not None:
            self.check_address(host, port, str(address))

    def check_address(self, host: str, port: int, address: str) -> None:
        """Go on if the farm may connect to an address.

        Args:
            host: the host that was asked for.
            port: the port.
            address: the host's address.

        Raises:
            RefusedAddressError: it is not to connect there.
        """
        parsed = _parse_address(address)
        if parsed is None:
            raise RefusedAddressError(f"{show(host)} has the address {show(address)}")

        is_private = _is_private(parsed)
        if self.is_configured(host, port):
            self._has_private_index = self._has_private_index or is_private
            return

        if _is_public(parsed) or (is_private and self._has_private_index):
            return
        raise RefusedAddressError(
            f"the index leads to {show(host)}, port {port}, which is {_describe(parsed)} and none of the indexes that "
            f"pip is configured for: it was not asked; {_REMEDY}"
        )

    def look_up_index(self, url: str) -> None:
        """Find out where a configured index is, as a connection to it would; nothing is sent there.

        Its links may lead into private networks only where it is in one itself, also when what it said is remembered
        and it need not be asked. An index whose host has no address now changes nothing.
        """
        host, port = urlsplit(url).hostname or "", _find_port(url)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        for *_, address in found:
            self.check_address(host, port, str(address[0]))

    def check_connection(self, host: str, port: int, own: str, peer: str) -> None:
        """Go on if a connection is not one to this machine itself, whichever of its addresses was used.

        Args:
            host: the host that was asked for.
            port: the port.
            own: address of this end.
            peer: address of the other.

        Raises:
            RefusedAddressError: both ends are here, and the host is not configured.
        """
        if own == peer and not self.is_configured(host, port):
            raise RefusedAddressError(
                f"the index leads to {show(host)}, port {port}, which is this machine: it was not asked; {_REMEDY}"
            )

    def is_configured(self, host: str, port: int) -> bool:
        """Return whether a host is a configured index's, or one that pip is configured to trust."""
        return (_normalize(host), port) in self._endpoints or self._trusts(host, port)

    def is_trusted(self, url: str) -> bool:
        """Return whether pip is configured to trust the host of a URL, whatever its certificate says."""
        return self._trusts(urlsplit(url).hostname or "", _find_port(url))

    def _trusts(self, host: str, port: int) -> bool:
        name = _normalize(host)
        return not self._hosts.isdisjoint({name, f"{name}:{port}"})


def _normalize(host: str) -> str:
    """Return a host as it is compared: `[::1]` and `Example.invalid.` -> `::1` and `example.invalid`."""
    return host.strip("[]").rstrip(".").lower()


def _find_port(url: str) -> int:
    """Return the port of a URL, which is its scheme's where it names none; 0 for an unknown scheme.

    Raises:
        ValueError: it is no port.
    """
    parts = urlsplit(url)
    return parts.port or _PORTS.get(parts.scheme, 0)


def _parse_address(text: str) -> _Address | None:
    """Return an IP address, or None where a text is none. Of IPv6 that stands for IPv4 it is the IPv4 address."""
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None

    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_private(address: _Address) -> bool:
    return any(
        address.version == network.version and address in network
        for network in (*_PRIVATE_NETWORKS, *_ANSWERED_FOR)
    )


def _is_public(address: _Address) -> bool:
    return address.is_global and not address.is_multicast and not _is_private(address)


def _describe(address: _Address) -> str:
    """Return what kind of address it is, for a person."""
    if address.is_loopback or address.is_unspecified:
        return "this machine"
    if address.is_link_local:
        return "a link-local address"
    if _is_private(address):
        return "in a private network"
    return "no public address"
