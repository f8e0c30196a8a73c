"""proxpi, the index cache, made to ask for single projects only and to tell a silent index from one that lacks a name.

This one program runs in the proxy's own environment and is not of the standard library alone. proxpi 1.3 answers any
page that it does not get with the list of all projects, which is tens of megabytes; remembers a download that failed as
if it were under way; takes JSON only under its bare name; and asks for pages by an address that indexes redirect.
"""

from __future__ import annotations

import os
from typing import Any, cast

import requests
from proxpi import _cache
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .addresses import AddressRule, RefusedError

_RULE = AddressRule(
    [
        os.environ["PROXPI_INDEX_URL"],
        *filter(None, os.environ.get("PROXPI_EXTRA_INDEX_URLS", "").split(",")),
    ],
    trusted_hosts=filter(None, os.environ.get("WHEELFARM_TRUSTED_HOSTS", "").split(",")),
)
_CLIENT_CERTIFICATE = os.environ.get("WHEELFARM_CLIENT_CERTIFICATE") or None
_UNKNOWN_STATUSES = frozenset(
    int(status) for status in os.environ.get("WHEELFARM_UNKNOWN_STATUSES", "404").split(",")
)
"""By which an index says that it does not have a project."""
_FIRST_ERROR_STATUS = 400


class _Index(_cache._IndexCache):  # type: ignore[misc]  # noqa: SLF001 - where the library lets another class in
    """Knows no list of projects: a page that is not found is the answer."""

    def list_projects(self) -> tuple[str, ...]:
        return ()


class _Connection(HTTPConnection):
    """Connects to where the rule lets it."""

    def _new_conn(self) -> Any:  # noqa: ANN401 - as the library has it
        _RULE.check_host(self.host, self.port)
        connection = super()._new_conn()
        _RULE.check_connection(self.host, self.port, connection)
        return connection


class _TlsConnection(_Connection, HTTPSConnection):
    """The same with TLS, which begins after the check."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """Makes connections that are checked. Those to a proxy of the network, which was configured, are not."""

    def init_poolmanager(self, *values: Any, **options: Any) -> None:  # noqa: ANN401 - as the library has it
        super().init_poolmanager(*values, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class _Session(_cache.Session):  # type: ignore[misc]
    """Asks for pages with the slash at the end, and takes any answer but `not found` for a failure."""

    def __init__(self) -> None:
        super().__init__()
        self.cert = _CLIENT_CERTIFICATE
        self.hooks["response"].append(_normalize_response)
        self.mount("http://", _Adapter())
        self.mount("https://", _Adapter())

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401 - as above
        """Send a request to where the rule lets it; redirects come by here, too.

        Raises:
            requests.ConnectionError: the rule refuses its URL.
        """
        _check_url(str(request.url))
        return cast("requests.Response", super().send(request, **options))

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Check a redirect before it is followed, and take credentials along to the same host alone."""
        _check_url(str(prepared_request.url), str(response.url))
        super().rebuild_auth(prepared_request, response)

    def get(self, url: str, **options: Any) -> requests.Response:  # noqa: ANN401 - as the library has it
        """Ask for a page or a file of the index.

        A page is asked for with a slash at its end, as indexes redirect there otherwise.
        """
        is_page = "headers" in options  # pages are asked for with `Accept`, files without
        if is_page and not url.endswith("/"):
            url += "/"

        return cast("requests.Response", super().get(url, **options))


def _check_url(url: str, origin: str = "") -> None:
    """Go on if the rule lets a URL be asked for.

    Raises:
        requests.ConnectionError: it does not.
    """
    try:
        _RULE.check_url(url, origin)
    except RefusedError as error:
        raise requests.ConnectionError(str(error)) from None


def _normalize_response(response: requests.Response, *_: object, **__: object) -> None:
    """Raise an error for a failed answer, so that proxpi asks again; strip parameters from the content type.

    `application/json; charset=utf-8` -> `application/json`, because proxpi compares the whole header. "Not found" is an
    answer: the index lacks the project.
    """
    if response.status_code in _UNKNOWN_STATUSES:
        response.status_code = requests.codes.not_found

    is_error = response.status_code >= _FIRST_ERROR_STATUS
    if is_error and response.status_code != requests.codes.not_found:
        response.raise_for_status()

    content_type = response.headers.get("Content-Type")
    if content_type:
        response.headers["Content-Type"] = content_type.partition(";")[0].strip()


class _File(_cache.FileFromJSON):  # type: ignore[misc]
    """Passes on when a file was uploaded (PEP 700), which proxpi leaves out."""

    __slots__ = ("uploaded",)

    @classmethod
    def from_json_response(cls, data: dict[str, Any], request_url: str) -> Any:  # noqa: ANN401 - as the library has it
        file = super().from_json_response(data, request_url)
        file.uploaded = data.get("upload-time")
        return file

    def to_json_response(self) -> dict[str, Any]:
        return {**super().to_json_response(), "upload-time": self.uploaded}


_cache.FileFromJSON = _File
_cache.Cache._index_cache_cls = _Index  # noqa: SLF001 - as above
_cache.Session = _Session

from proxpi.server import app  # noqa: E402 - it makes its cache when it is imported

__all__ = ["app"]
