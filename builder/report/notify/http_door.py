"""The door by which alerts leave as HTTP requests: bounded, tried again, without redirects or secrets in errors."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, HTTPError, InvalidHeader, NewConnectionError
from urllib3.util import Retry

from builder import __version__
from builder.report.notify.attempts import MAX_PAUSE_S, DeliveryError, TemporaryError, attempt
from builder.sources import http
from builder.sources.connections import Exchange
from builder.sources.errors import MalformedAnswerError
from builder.untrusted.reading import Deadline, TooLargeError, TooSlowError, read_bounded
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from builder.report.notify.secrets import Secrets

_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be another one a moment later (RFC 9110, 15.5.9 and 15.6; RFC 8470; RFC 6585)."""

_REFUSALS = frozenset({429})
"""Those of them by which a server surely did nothing."""

_NOT_CONNECTED = (NewConnectionError, ConnectTimeoutError)
"""Errors of urllib3 after which a server has nothing of a request."""

_QUOTE_BYTES = 1 << 16  # of an answer that refuses: its first line is in it
_QUOTE_CHARACTERS = 200  # of that line: enough for an error of an API


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long one try may take, of three.

    Attributes:
        connect_s: longest wait for a connection.
        read_s: longest wait for the next bytes of the answer.
        total_s: longest wait for the whole answer.
        pause: waits for so many seconds between tries.
    """

    connect_s: float = 10.0
    read_s: float = 15.0
    total_s: float = 20.0
    pause: Callable[[float], None] = time.sleep


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is sent.

    Attributes:
        url: the address; it may be a secret.
        content: of JSON; None for none.
        token: sent as a bearer token; None for none.
        headers: further ones.
        repeat: "always" where a server that gets it twice is no harm, or less than one that never gets it; "refused"
            where it is sent again only if the server surely did nothing.
        limit_bytes: how much of the answer is read; 0 for nothing.
    """

    method: Literal["GET", "POST", "PATCH"]
    url: str
    content: bytes | None = None
    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeat: Literal["always", "refused"] = "always"
    limit_bytes: int = 0


class _Bearer(AuthBase):
    """A bearer token (RFC 6750). As requests' own `auth`, so that no entry of netrc takes its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class HttpDoor:
    """Sends requests to one target."""

    def __init__(self, secrets: Secrets, patience: Patience) -> None:
        """Make the door; nothing is opened.

        Args:
            secrets: of the target; none is in any error.
            patience: how long a try may take.
        """
        self._secrets = secrets
        self._patience = patience

    def send(self, request: Request) -> bytes:
        """Send a request, and return the body of an answer that is a success.

        Raises:
            DeliveryError: there is no such answer.
        """
        # urllib3's own retries would log the address.
        with http.open_session(retries=False) as session:
            return attempt(lambda: self._send_once(session, request), self._patience.pause)

    def _send_once(self, session: http.Session, request: Request) -> bytes:
        headers = {
            "User-Agent": f"wheelfarm/{__version__}",
            "Accept-Encoding": "identity",
            **request.headers,
        }
        if request.content is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"

        deadline = Deadline(self._patience.total_s)
        try:
            with (
                Exchange(None, deadline, "the answer") as exchange,
                _exchange_errors(exchange),
                session.request(
                    request.method,
                    request.url,
                    data=request.content,
                    headers=headers,
                    auth=None if request.token is None else _Bearer(request.token),
                    stream=True,
                    allow_redirects=False,
                    timeout=(self._patience.connect_s, self._patience.read_s),
                ) as response,
            ):
                exchange.check()  # headers that were cut off look like headers
                self._check_status(response, request)
                return _read_body(response, request.limit_bytes)
        except TooSlowError:
            raise self._no_answer(f"no answer within {deadline.seconds:g} s", request) from None
        except (TooLargeError, MalformedAnswerError) as error:
            raise DeliveryError(self._hide(str(error))) from None
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise self._describe_silence(error, request) from None

    def _check_status(self, response: requests.Response, request: Request) -> None:
        """Go on if an answer is a success.

        Raises:
            DeliveryError: it is none.
        """
        status = response.status_code
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return

        observed = f"status {status}{self._quote_answer(response)}"
        if status < HTTPStatus.BAD_REQUEST:
            target = _show_host(response.headers.get("Location", ""))
            raise DeliveryError(
                f"{observed}, a redirect{target}, which is not followed: name the address that it leads to"
            )

        pause_s = _parse_pause(response.headers.get("Retry-After"))
        # GitHub refuses so whoever asks too often; without the header it refuses the token.
        is_throttled = status == HTTPStatus.FORBIDDEN and pause_s is not None
        may_repeat = request.repeat == "always" or is_throttled or status in _REFUSALS
        if (status in _TEMPORARY or is_throttled) and may_repeat:
            raise TemporaryError(f"{observed}; try again later", pause_s)
        raise DeliveryError(f"{observed}; {_find_remedy(status)}")

    def _quote_answer(self, response: requests.Response) -> str:
        """Return the first line of an answer that refuses, in quotes and without secrets; empty where it has none."""
        try:
            content = http.open_body(response).read(_QUOTE_BYTES)
        except (requests.RequestException, HTTPError, MalformedAnswerError):
            return ""

        lines = self._hide(content.decode("utf-8", "replace")).split("\n")
        first = next((line.strip() for line in lines if line.strip()), "")
        return f" ({clean_line(first, _QUOTE_CHARACTERS)!r})" if first else ""

    def _describe_silence(self, error: Exception, request: Request) -> DeliveryError:
        """Return the error for a request that got no answer, without the address that requests puts into its own."""
        causes = list(_iter_causes(error))
        for cause in causes:
            if isinstance(cause, ssl.SSLError):
                return DeliveryError(describe_tls_error(cause))

        # An address or a header that is none; both libraries derive such errors from it.
        if isinstance(error, ValueError):
            return DeliveryError(
                "the address or the token cannot be sent; check the variables that hold them"
            )

        reasons = [_describe_cause(cause) for cause in causes if isinstance(cause, OSError)]
        reason = next(filter(None, reversed(reasons)), type(error).__name__)
        was_sent = not any(isinstance(cause, _NOT_CONNECTED) for cause in causes)
        if was_sent:
            return self._no_answer(f"no answer ({reason})", request)
        return TemporaryError(
            f"no answer ({reason}); check the address, and the proxy of this machine"
        )

    def _no_answer(self, observed: str, request: Request) -> DeliveryError:
        """Return the error for a server that may have taken a request, and did not say so."""
        if request.repeat == "always":
            return TemporaryError(f"{observed}; check whether the server is well")
        return DeliveryError(f"{observed}; it may have been taken all the same: look there")

    def _hide(self, text: str) -> str:
        return self._secrets.hide(text)


def describe_tls_error(error: ssl.SSLError) -> str:
    """Return why there is no encrypted connection, and what to do."""
    reason = getattr(error, "verify_message", "") or error.reason or "no reason given"
    return (
        f"TLS failed ({clean_line(str(reason))}); if the server is one of your own, put its authority into the CA "
        "bundle that SSL_CERT_FILE names"
    )


@contextlib.contextmanager
def _exchange_errors(exchange: Exchange) -> Iterator[None]:
    """Let what was broken off because of the deadline be an error about the deadline."""
    try:
        yield
    except (requests.RequestException, HTTPError):
        exchange.check()
        raise


def _read_body(response: requests.Response, limit_bytes: int) -> bytes:
    if not limit_bytes:
        return b""
    return read_bounded(http.open_body(response), limit_bytes, "the answer")


def _parse_pause(text: str | None) -> float | None:
    """Return the pause that `Retry-After` asks for, in seconds and bounded; None without one that can be read."""
    if text is None:
        return None
    try:
        return min(Retry(0).parse_retry_after(text), MAX_PAUSE_S)
    except (InvalidHeader, OverflowError):
        return None


def _show_host(location: str) -> str:
    """Return where a redirect leads, by its host alone: ` to https://b.invalid`. The rest may have a token in it."""
    try:
        parts = urlsplit(location)
        host = parts.hostname
    except ValueError:
        return ""
    return f" to {clean_line(f'{parts.scheme}://{host}')}" if host else ""


def _find_remedy(status: int) -> str:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return "check the token or the address that the variable holds, and what it may do"
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return "check the address, and whether the token may see what is there"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "the server failed: look into its log, and whether it took the message all the same"
    return "the server does not take this message: check the address, and the `kind` of the target"


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    """Iterate over an error and those inside it, in whichever of Python's and urllib3's ways they are there."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one

        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [part for part in inner if isinstance(part, BaseException)]


def _describe_cause(error: OSError) -> str:
    """Return an operating system's error in words, without the address: `Connection refused`."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionResetError):
        return "the server closed the connection"
    return clean_line(error.strerror or "") if isinstance(error.strerror, str) else ""
