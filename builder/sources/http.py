"""The door to the network: sessions with this machine's CA bundle that ask again, answers and downloads with bounds.

Whoever asks a server by HTTP goes through here, so that all are equally patient: what fails for a moment is asked again
after a pause, what a server refuses (403) or has not (404) is not. And all are equally careful: whatever a server
sends, it is so many bytes and so many seconds at most, and redirects lead where the session's rule allows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

import requests
import urllib3
from requests.utils import get_auth_from_url
from urllib3.exceptions import HTTPError, InsecureRequestWarning, SSLError
from urllib3.util import Retry

from builder.host import settings as host
from builder.sources.addresses import AddressRule
from builder.sources.connections import CheckedAdapter, Exchange
from builder.sources.errors import MalformedAnswerError, RefusedAddressError
from builder.untrusted.reading import (
    Deadline,
    Readable,
    TooLargeError,
    TooSlowError,
    iter_bounded,
    read_bounded,
)
from builder.untrusted.text import show

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from urllib3.connectionpool import ConnectionPool
    from urllib3.response import BaseHTTPResponse

    from builder.host.settings import IndexSettings

# Whoever configures pip to trust a host was told by pip.
urllib3.disable_warnings(InsecureRequestWarning)

TIMEOUT_S = (15, 120)
"""Longest wait for a connection, and for the next bytes of an answer."""

ANSWER_S = 300
"""Longest wait for an answer to its end, redirects and retries among it. Pages of ten thousand files take seconds."""

DOWNLOAD_S = 3600
"""The same for a file: half a GiB in that time is a very slow line."""

MAX_PARALLEL = 8
"""Questions to the index at a time. It is the index that answers, so not the number of processors; not measured."""

_TEMPORARY = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
"""Answers that may be another one a moment later."""

_MAX_STATUS_RETRIES = 4
_MAX_CONNECTION_RETRIES = 2  # fewer: a machine without a network is to learn it soon
_MAX_READ_RETRIES = 1  # it is for connections that were closed meanwhile; a silent server has been waited for already

_BACKOFF_S = 0.5
"""urllib3 waits 0, 1, 2, 4 … seconds with this factor: seven in all, longer than a load balancer needs to notice."""

_MAX_RETRY_AFTER_S = 30
"""Longest pause that a server can ask for by `Retry-After`: some name the end of the hour."""

_MAX_BODY_TRIES = 3
"""Times a file is fetched whose connection breaks off in the middle, which no retry of the request sees."""

_MAX_REDIRECTS = 10
"""Redirects of one request; indexes need one or two. pip follows thirty."""

_CHUNK_BYTES = 1 << 16


class _Patience(Retry):
    """urllib3's retries, with a bound on what a server may ask for (its own, six hours, is new in urllib3 2.6)."""

    def parse_retry_after(self, retry_after: str) -> float:
        return min(super().parse_retry_after(retry_after), _MAX_RETRY_AFTER_S)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Return the retries that are left after a failure; a certificate that is not trusted stays so."""
        if isinstance(error, SSLError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


class Session(requests.Session):
    """A session whose requests go through `ask`.

    Attributes:
        rule: where links and redirects may lead; None for anywhere, as for what this machine is configured for.
    """

    rule: AddressRule | None = None

    def checks_certificate(self, url: str) -> bool:
        """Return whether the certificate of a server counts: not that of a host that pip is configured to trust."""
        return self.rule is None or not self.rule.is_trusted(url)

    def resolve_redirects(self, *_arguments: Any, **_options: Any) -> Iterator[Any]:  # noqa: ANN401 - requests'
        """Follow no redirect: `ask` does, and requests would read its whole body first, even if it is not to follow."""
        return iter(())


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer with its whole content.

    Attributes:
        url: the address that gave it, after redirects. It may carry credentials.
        headers: by name, in any case.
        encoding: of text, as the server states it; None where it does not.
        content: without the compression that it was sent with.
    """

    status: int
    url: str
    headers: Mapping[str, str]
    encoding: str | None
    content: bytes

    def raise_for_status(self) -> None:
        """Go on if the server gave what it was asked for.

        Raises:
            requests.HTTPError: it did not.
        """
        if self.status >= HTTPStatus.BAD_REQUEST:
            response = requests.Response()
            response.status_code = self.status
            raise requests.HTTPError(f"status {self.status}", response=response)


def open_session(
    *, retries: bool = True, settings: IndexSettings | None = None, rule: AddressRule | None = None
) -> Session:
    """Return a new session that trusts this machine's CA bundle.

    It is for one thread, because requests does not share sessions safely.

    Args:
        retries: whether what fails for a moment is asked again; not for who wants to know how a server answers now.
        settings: how pip reaches its indexes; None for servers that are none.
        rule: where links and redirects may lead; None for anywhere.
    """
    session = Session()
    session.verify = str(host.ca_bundle())
    session.rule = rule
    if settings is not None:
        session.cert = settings.client_certificate or None
    if settings is not None and settings.http_proxy:
        session.proxies = {"http": settings.http_proxy, "https": settings.http_proxy}

    retry_policy: Retry | int = 0
    if retries:
        retry_policy = _Patience(
            total=_MAX_STATUS_RETRIES,
            connect=_MAX_CONNECTION_RETRIES,
            read=_MAX_READ_RETRIES,
            status=_MAX_STATUS_RETRIES,
            status_forcelist=_TEMPORARY,
            allowed_methods={"GET", "HEAD"},
            backoff_factor=_BACKOFF_S,
            raise_on_status=False,  # the last answer says more than that there were many
        )
    session.mount("https://", CheckedAdapter(max_retries=retry_policy))
    session.mount("http://", CheckedAdapter(max_retries=retry_policy))
    return session


@contextmanager
def ask(
    session: Session,
    url: str,
    what: str,
    *,
    headers: Mapping[str, str] | None = None,
    deadline_s: float | None = None,
) -> Iterator[requests.Response]:
    """Give the answer to a GET request, its body still to be read: from `open_body`, which bounds it.

    Redirects are followed one by one, each if the session's rule allows it. A user name and password in the address
    are sent to its own host alone.

    Args:
        session: the calling thread's.
        url: the address.
        what: what is asked for, for messages: `the page of numpy`.
        headers: further headers.
        deadline_s: longest wait for the whole answer, i.e. to the end of the block; None for `ANSWER_S`.

    Raises:
        requests.RequestException: the server does not answer.
        RefusedAddressError: the address, or one that a redirect leads to, is not to be asked.
        MalformedAnswerError: there are too many redirects.
        TooSlowError: the deadline has passed.
    """
    deadline = Deadline(ANSWER_S if deadline_s is None else deadline_s)
    with Exchange(session.rule, deadline, what) as exchange:
        try:
            with _follow(session, url, headers) as response:
                yield response
        except (requests.RequestException, HTTPError):
            exchange.check()  # the connection was cut because of the deadline: that is what happened
            raise
        exchange.check()


def _follow(session: Session, url: str, headers: Mapping[str, str] | None) -> requests.Response:
    """Return the first answer that is no redirect, with its body unread."""
    auth = get_auth_from_url(url)
    has_auth = any(auth)
    origin = ""

    for _ in range(_MAX_REDIRECTS + 1):
        if session.rule is not None:
            session.rule.check_url(url, origin)
        response = session.get(
            url,
            headers=headers,
            auth=auth if has_auth else None,
            stream=True,
            allow_redirects=False,
            proxies=session.proxies
            or None,  # the environment's would count more than the session's
            verify=None if session.checks_certificate(url) else False,
            timeout=TIMEOUT_S,
        )
        target = session.get_redirect_target(response)
        if target is None:
            return response

        # The body of a redirect is not read: nobody needs it, and it may have no end.
        response.close()
        origin = response.url
        try:
            url = urljoin(origin, target)
        except ValueError:
            raise RefusedAddressError(f"a redirect leads to {show(target)}") from None
        is_elsewhere = session.should_strip_auth(origin, url)  # type: ignore[no-untyped-call]
        has_auth = has_auth and not is_elsewhere

    raise MalformedAnswerError(f"the index answers with more than {_MAX_REDIRECTS} redirects")


def open_body(response: requests.Response) -> Readable:
    """Return what the body of an answer is read from, without the compression that it was sent with.

    Raises:
        MalformedAnswerError: it is compressed in a way that was not asked for.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    raw = _RawBody(response)
    if encoding in {"", "identity"}:
        return raw
    if encoding in {"gzip", "x-gzip"}:
        return _GzipBody(raw)
    raise MalformedAnswerError(f"the answer is compressed by {show(encoding)}, not by gzip")


class _RawBody:
    """The body as it was sent; errors are those of requests."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response

    def read(self, size: int, /) -> bytes:
        try:
            content: bytes = self._response.raw.read(size, decode_content=False)
        except HTTPError as error:
            raise requests.exceptions.ChunkedEncodingError(type(error).__name__) from error
        return content


class _GzipBody:
    """The body with gzip undone, a piece at a time: a piece never becomes more than is asked for."""

    def __init__(self, raw: _RawBody) -> None:
        self._raw = raw
        self._decoder = zlib.decompressobj(wbits=31)  # gzip's header and check sum

    def read(self, size: int, /) -> bytes:
        while not self._decoder.eof:
            sent = self._decoder.unconsumed_tail or self._raw.read(_CHUNK_BYTES)
            if not sent:
                raise MalformedAnswerError("the gzip data of the answer ends in the middle")
            try:
                content = self._decoder.decompress(sent, size)
            except zlib.error as error:
                raise MalformedAnswerError(f"the answer is no gzip data: {error}") from None
            if content:
                return content

        if self._decoder.unused_data or self._raw.read(1):
            raise MalformedAnswerError("the answer goes on after its gzip data")
        return b""


def fetch(
    session: Session,
    url: str,
    what: str,
    *,
    limit_bytes: int,
    headers: Mapping[str, str] | None = None,
    deadline_s: float | None = None,
) -> Answer:
    """Return the answer to a GET request with its content.

    Args:
        session: as for `ask`.
        url: as for `ask`.
        what: as for `ask`.
        limit_bytes: largest content, after its compression is undone.
        headers: as for `ask`.
        deadline_s: as for `ask`.

    Raises:
        requests.RequestException: the server does not answer.
        RefusedAddressError: the address, or one that a redirect leads to, is not to be asked.
        MalformedAnswerError: the content is too large or damaged, or takes too long.
    """
    stated_headers = {"Accept-Encoding": "gzip", **(headers or {})}
    try:
        with ask(session, url, what, headers=stated_headers, deadline_s=deadline_s) as response:
            content = read_bounded(open_body(response), limit_bytes, what)
            return Answer(
                status=response.status_code,
                url=response.url,
                headers=response.headers,
                encoding=response.encoding,
                content=content,
            )
    except (TooLargeError, TooSlowError) as error:
        raise MalformedAnswerError(str(error)) from None


def download(
    session: Session,
    url: str,
    target: Path,
    *,
    what: str = "the file",
    limit_bytes: int | None = None,
    deadline_s: float | None = None,
) -> None:
    """Write the file at an address to `target`, a chunk at a time.

    The download starts again where the connection breaks off in the middle, at most `_MAX_BODY_TRIES` times in all.

    Args:
        session: as for `ask`.
        url: as for `ask`.
        target: where the file is written; what it holds after an error is of no use.
        what: as for `ask`.
        limit_bytes: largest file; None for what this machine allows (`host.max_file_bytes`).
        deadline_s: longest wait for each try; None for `DOWNLOAD_S`.

    Raises:
        requests.RequestException: the server does not answer, or not with the file.
        RefusedAddressError: the address, or one that a redirect leads to, is not to be asked.
        MalformedAnswerError: the file is too large, or takes too long.
    """
    if limit_bytes is None:
        limit_bytes = host.max_file_bytes()
    if deadline_s is None:
        deadline_s = DOWNLOAD_S

    for tries_left in reversed(range(_MAX_BODY_TRIES)):
        try:
            _download_once(session, url, target, what, limit_bytes, deadline_s)
        except requests.exceptions.ChunkedEncodingError:
            if not tries_left:
                raise
        except (TooLargeError, TooSlowError) as error:
            raise MalformedAnswerError(str(error)) from None
        else:
            return


def _download_once(
    session: Session, url: str, target: Path, what: str, limit_bytes: int, deadline_s: float
) -> None:
    """Write the file at an address to `target`, in one request."""
    # Some servers declare the compression of a .tar.gz as one of the transfer: the bytes are taken as they are sent.
    headers = {"Accept-Encoding": "identity"}
    with ask(session, url, what, headers=headers, deadline_s=deadline_s) as response:
        response.raise_for_status()
        with target.open("wb") as file:
            for chunk in iter_bounded(_RawBody(response), limit_bytes, what):
                file.write(chunk)


def describe_error(error: Exception) -> str:
    """Name a network error without its address, which may carry credentials."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"status {response.status_code}"
    return type(error).__name__
