"""proxpi, the index cache, made to ask for single projects only and to tell a silent index from one that lacks a name.

This one program runs in the proxy's own environment and is not of the standard library alone. proxpi 1.3 answers any
page that it does not get with the list of all projects, which is tens of megabytes; remembers a download that failed as
if it were under way; takes JSON only under its bare name; and asks for pages by an address that indexes redirect.
"""

from __future__ import annotations

from typing import Any, cast

import requests
from proxpi import _cache

_FIRST_ERROR_STATUS = 400


class _Index(_cache._IndexCache):  # type: ignore[misc]  # noqa: SLF001 - where the library lets another class in
    """Knows no list of projects: a page that is not found is the answer."""

    def list_projects(self) -> tuple[str, ...]:
        return ()


class _Session(_cache.Session):  # type: ignore[misc]
    """Asks for pages with the slash at the end, and takes any answer but `not found` for a failure."""

    def __init__(self) -> None:
        super().__init__()
        self.hooks["response"].append(_normalize_response)

    def get(self, url: str, **options: Any) -> requests.Response:  # noqa: ANN401 - as the library has it
        """Ask for a page or a file of the index.

        A page is asked for with a slash at its end, as indexes redirect there otherwise.
        """
        is_page = "headers" in options  # pages are asked for with `Accept`, files without
        if is_page and not url.endswith("/"):
            url += "/"

        return cast("requests.Response", super().get(url, **options))


def _normalize_response(response: requests.Response, *_: object, **__: object) -> None:
    """Raise an error for a failed answer, so that proxpi asks again; strip parameters from the content type.

    `application/json; charset=utf-8` -> `application/json`, because proxpi compares the whole header. "Not found" is an
    answer: the index lacks the project.
    """
    is_error = response.status_code >= _FIRST_ERROR_STATUS
    if is_error and response.status_code != requests.codes.not_found:
        response.raise_for_status()

    content_type = response.headers.get("Content-Type")
    if content_type:
        response.headers["Content-Type"] = content_type.partition(";")[0].strip()


_cache.Cache._index_cache_cls = _Index  # noqa: SLF001 - as above
_cache.Session = _Session

from proxpi.server import app  # noqa: E402 - it makes its cache when it is imported

__all__ = ["app"]
