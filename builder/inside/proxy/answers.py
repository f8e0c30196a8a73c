"""Answers of servers that are not trusted: asked for where the rule lets it, and read within limits."""

from __future__ import annotations

import hashlib
import http.client
import socket
import time
import urllib.error
import urllib.request
from typing import IO, Any

from .addresses import AddressRule, RefusedError

_CHUNK_BYTES = 1 << 20
TRANSFER_ERRORS = (OSError, http.client.HTTPException)
"""How a transfer fails; `urllib`'s own errors are among them."""


class MissingError(Exception):
    """The index answered, and does not have it."""


class SilentError(Exception):
    """The index did not answer, or not with what it promised."""


class MismatchError(Exception):
    """What a server gave is not what it listed; the text says what was found."""


class _Connection(http.client.HTTPConnection):
    """Connects to where the rule lets it."""

    rule: AddressRule

    def connect(self) -> None:
        """Connect, with the check before and after: a name may mean another address the second time."""
        host, port = self.host, self.port
        self.rule.check_host(host, port)
        connect = socket.create_connection

        def connect_checked(*values: Any, **options: Any) -> socket.socket:  # noqa: ANN401 - as the library has it
            connection = connect(*values, **options)
            self.rule.check_connection(host, port, connection)
            return connection

        # The library's own seam: TLS and the words to an HTTP proxy come after it.
        self._create_connection = connect_checked
        super().connect()


class _TlsConnection(_Connection, http.client.HTTPSConnection):
    """The same with TLS."""


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections that are checked."""

    def __init__(self, rule: AddressRule) -> None:
        urllib.request.HTTPHandler.__init__(self)
        urllib.request.HTTPSHandler.__init__(self)
        self._plain: Any = type("_Checked", (_Connection,), {"rule": rule})
        self._tls: Any = type("_CheckedTls", (_TlsConnection,), {"rule": rule})

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._plain, req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._tls, req)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, such as to the files of an index, where the rule lets them lead."""

    def __init__(self, rule: AddressRule) -> None:
        self._rule = rule

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request. It has no credentials: `urllib` leaves out what `add_unredirected_header` adds."""
        try:
            self._rule.check_url(newurl, req.full_url)
        except RefusedError as error:
            fp.close()  # nobody else gets to see this answer
            raise urllib.error.URLError(error) from None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def make_opener(rule: AddressRule) -> urllib.request.OpenerDirector:
    """Return what opens URLs where a rule lets it; redirects as well."""
    return urllib.request.build_opener(_Handler(rule), _Redirects(rule))


def read_bounded(answer: http.client.HTTPResponse, most: int) -> bytes:
    """Return the body of an answer.

    Raises:
        SilentError: it is longer than `most` bytes.
    """
    body = answer.read(most + 1)
    if len(body) > most:
        raise SilentError("an answer that is too long")

    return body


def copy_bounded(
    answer: http.client.HTTPResponse, file: IO[bytes], most: int, timeout_s: float
) -> str:
    """Copy the body of an answer to a file, as it comes, and return its sha256.

    Raises:
        SilentError: it is longer than `most` bytes, or takes longer than `timeout_s`.
    """
    digest = hashlib.sha256()
    size = 0
    deadline = time.monotonic() + timeout_s

    while chunk := answer.read1(_CHUNK_BYTES):
        size += len(chunk)
        if size > most or time.monotonic() > deadline:
            raise SilentError("a file that is too long or too slow")
        digest.update(chunk)
        file.write(chunk)

    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    return digest.hexdigest()
