"""Connections to servers that are not trusted: to addresses that a rule allows, and no longer than a deadline.

requests and urllib3 bound the wait for the next bytes, and not the wait for all of them; they connect to whatever
address a name has.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from builder.sources.errors import RefusedAddressError
from builder.untrusted.reading import Deadline, TooSlowError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from urllib3 import PoolManager

    from builder.sources.addresses import AddressRule

_MAX_ADDRESSES = 4
"""Addresses of a name that are tried: each may let the farm wait for a whole connection timeout."""

_DEFAULT_CONNECT_S = 15.0
"""Longest wait for a connection where the request does not say."""

_local = threading.local()
"""`exchange` is what the calling thread is at, if it is at one: requests offers no way to hand it down."""


class Exchange:
    """A request with all its redirects, retries and its answer's body, under one rule and one deadline.

    When the deadline passes, the connection is cut, so that a thread that waits for its bytes goes on. It is for one
    thread.
    """

    def __init__(self, rule: AddressRule | None, deadline: Deadline, what: str) -> None:
        """Make an exchange, which begins with its block.

        Args:
            rule: where it may lead; None for any address.
            deadline: by when it has to be over.
            what: what is asked for, for messages.
        """
        self.rule = rule
        self.deadline = deadline
        self._what = what
        self._mutex = threading.Lock()
        self._handle: socket.socket | None = None
        self._timer = threading.Timer(deadline.remaining_s, self._cut)
        self._timer.daemon = True
        self._outer: Exchange | None = None

    def __enter__(self) -> Self:
        self._outer = getattr(_local, "exchange", None)
        _local.exchange = self
        self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()
        _local.exchange = self._outer
        self._replace_handle(None)

    def check(self) -> None:
        """Go on while there is time left.

        Raises:
            TooSlowError: there is none.
        """
        self.deadline.check(self._what)

    def watch(self, connected: socket.socket) -> None:
        """Have a connection cut when the deadline passes, in place of the one before.

        Raises:
            TooSlowError: it has passed already.
        """
        self.check()
        # A handle of its own: http.client gives its socket away, and TLS takes it over.
        self._replace_handle(socket.socket(fileno=os.dup(connected.fileno())))

    def _replace_handle(self, handle: socket.socket | None) -> None:
        with self._mutex:
            if self._handle is not None:
                self._handle.close()
            self._handle = handle

    def _cut(self) -> None:
        with self._mutex:
            if self._handle is not None:
                with contextlib.suppress(OSError):  # the server was faster
                    self._handle.shutdown(socket.SHUT_RDWR)


def _current_exchange() -> Exchange | None:
    exchange = getattr(_local, "exchange", None)
    assert exchange is None or isinstance(exchange, Exchange)
    return exchange


class _PlainConnection(HTTPConnection):
    """A connection in an exchange."""

    def _new_conn(self) -> socket.socket:
        exchange = _current_exchange()
        if exchange is None:
            return super()._new_conn()
        return _connect(self, exchange)

    def request(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - urllib3's
        _watch_again(self)
        super().request(*arguments, **options)


class _TlsConnection(HTTPSConnection):
    """The same with TLS."""

    def _new_conn(self) -> socket.socket:
        exchange = _current_exchange()
        if exchange is None:
            return super()._new_conn()
        return _connect(self, exchange)

    def request(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - urllib3's
        _watch_again(self)
        super().request(*arguments, **options)


def _watch_again(connection: HTTPConnection) -> None:
    """Let the exchange watch a connection that an earlier one has opened."""
    exchange = _current_exchange()
    if exchange is not None and connection.sock is not None:
        exchange.watch(connection.sock)


def _connect(connection: HTTPConnection, exchange: Exchange) -> socket.socket:
    """Return a new connection to an address of the host that the exchange's rule allows.

    Raises:
        RefusedAddressError: it allows none of them.
        TooSlowError: the deadline has passed.
        urllib3.exceptions.HTTPError: nobody answers there.
    """
    # A proxy is configured on this machine, wherever it is; what is behind it, it has to look up itself.
    rule = exchange.rule if connection.proxy is None else None
    host, port = connection.host.strip("[]"), connection.port

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(host, connection, error) from error
    except UnicodeError:
        raise NewConnectionError(connection, "the host's name is none") from None

    addresses = []
    for family, _, _, _, address in found[:_MAX_ADDRESSES]:
        if rule is not None:
            rule.check_address(host, port, str(address[0]))
        addresses.append((family, address))

    connected = _connect_to_first(connection, exchange, addresses)
    try:
        if rule is not None:
            own, peer = connected.getsockname()[0], connected.getpeername()[0]
            rule.check_connection(host, port, own, peer)
        exchange.watch(connected)
    except (RefusedAddressError, TooSlowError, OSError):
        connected.close()
        raise
    return connected


def _connect_to_first(
    connection: HTTPConnection,
    exchange: Exchange,
    addresses: Iterable[tuple[socket.AddressFamily, Any]],
) -> socket.socket:
    """Return a connection to the first of some addresses that answers.

    Raises:
        TooSlowError: the deadline has passed.
        urllib3.exceptions.HTTPError: none answers.
    """
    stated = connection.timeout
    timeout_s = float(stated) if isinstance(stated, int | float) else _DEFAULT_CONNECT_S
    last_error: OSError | None = None

    for family, address in addresses:
        exchange.check()
        connecting = socket.socket(family, socket.SOCK_STREAM)
        try:
            for option in connection.socket_options or ():
                connecting.setsockopt(*option)
            connecting.settimeout(min(timeout_s, exchange.deadline.remaining_s + 0.1))
            connecting.connect(address)
        except OSError as error:
            connecting.close()
            last_error = error
        else:
            return connecting

    if isinstance(last_error, TimeoutError):
        raise ConnectTimeoutError(connection, f"{connection.host} did not answer") from last_error
    raise NewConnectionError(connection, f"no connection: {last_error}") from last_error


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _PlainPool, "https": _TlsPool}


class CheckedAdapter(HTTPAdapter):
    """requests' transport by the connections above, with or without a proxy."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - requests'
        """Make the pools of connections."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> PoolManager:  # noqa: ANN401 - requests'
        """Return the pools of connections to a proxy."""
        manager: PoolManager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager
