"""The door to the network: sessions with this machine's CA bundle that ask again, and downloads to files.

Whoever asks a server by HTTP goes through here, so that all are equally patient: what fails for a moment is asked again
after a pause, what a server refuses (403) or has not (404) is not.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from builder import host

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = (15, 120)
"""Longest wait for a connection, and for the next bytes of an answer."""

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

_CHUNK_BYTES = 1 << 20


class _Patience(Retry):
    """urllib3's retries, with a bound on what a server may ask for (its own, six hours, is new in urllib3 2.6)."""

    def parse_retry_after(self, retry_after: str) -> float:
        return min(super().parse_retry_after(retry_after), _MAX_RETRY_AFTER_S)


def open_session(*, retries: bool = True) -> requests.Session:
    """Return a new session that trusts this machine's CA bundle.

    It is for one thread, because requests does not share sessions safely.

    Args:
        retries: whether what fails for a moment is asked again; not for who wants to know how a server answers now.
    """
    session = requests.Session()
    session.verify = str(host.ca_bundle())

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
        session.mount("https://", HTTPAdapter(max_retries=retry_policy))
        session.mount("http://", HTTPAdapter(max_retries=retry_policy))
    return session


def download(session: requests.Session, url: str, target: Path) -> None:
    """Write the file at an address to `target`, a chunk at a time.

    The download starts again where the connection breaks off in the middle, at most `_MAX_BODY_TRIES` times in all.

    Raises:
        requests.RequestException: the server does not answer, or not with the file.
    """
    for tries_left in reversed(range(_MAX_BODY_TRIES)):
        try:
            _download_once(session, url, target)
        except requests.exceptions.ChunkedEncodingError:
            if not tries_left:
                raise
        else:
            return


def _download_once(session: requests.Session, url: str, target: Path) -> None:
    """Write the file at an address to `target`, in one request."""
    # Some servers declare the compression of a .tar.gz as one of the transfer, and requests would undo it.
    headers = {"Accept-Encoding": "identity"}
    with session.get(url, stream=True, headers=headers, timeout=TIMEOUT_S) as response:
        response.raise_for_status()
        with target.open("wb") as file:
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)


def describe_error(error: Exception) -> str:
    """Name a network error without its address, which may carry credentials."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"status {response.status_code}"
    return type(error).__name__
