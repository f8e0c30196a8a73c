"""A server that cargo or rustup would ask, asked in their place: where the rule lets it, and not while it is silent."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from .addresses import AddressRule, RefusedError
from .answers import TRANSFER_ERRORS, MissingError, SilentError, make_opener, read_bounded

if TYPE_CHECKING:
    import http.client

_SILENT_FOR_S = 5.0
"""A build asks for many files: not each of them waits for a server that just failed."""
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS})
"""By which a registry says that it does not have a crate (The Cargo Book, "Sparse Protocol")."""


class Remote:
    """A server. Safe to use from several threads.

    Attributes:
        url: its address, with a slash at the end; empty where there is none.
    """

    def __init__(self, name: str, url: str, authorization: str, rule: AddressRule) -> None:
        """Prepare; nothing is asked yet.

        Args:
            name: what errors call it: `the registry`.
            url: its address, with a slash at the end; empty for none.
            authorization: what it wants in `Authorization`; empty for nothing.
            rule: decides where it may lead; it is itself one of the rule's indexes.
        """
        self.url = url
        self._name = name
        self._authorization = authorization
        self._rule = rule
        self._opener = make_opener(rule)
        self._silent_until = 0.0

    def check_link(self, url: str, shown: str) -> None:
        """Check that the server may lead to an address.

        Raises:
            SilentError: it may not.
        """
        try:
            self._rule.check_url(url, self.url)
        except RefusedError as error:
            raise SilentError(f"{shown} ({error})") from None

    def open(
        self, url: str, timeout_s: float, shown: str, *, is_known: bool = True
    ) -> http.client.HTTPResponse:
        """Ask for a URL and return the open answer.

        After a server that does not answer, nothing is asked for `_SILENT_FOR_S`: all of it is silent at once.

        Args:
            url: of a page or a file.
            timeout_s: how long the server may say nothing.
            shown: what is asked for, as errors name it.
            is_known: whether `Authorization` is sent along; not on redirects in any case.

        Raises:
            MissingError: the server does not have it, or there is none.
            SilentError: it did not answer, or with an error.
        """
        if not self.url:
            raise MissingError
        if time.monotonic() < self._silent_until:
            raise SilentError(f"{shown} ({self._name} did not answer a moment ago)")

        request = urllib.request.Request(url, headers={"User-Agent": "wheelfarm"})
        if self._authorization and is_known:
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            answer = self._opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _GONE:
                raise MissingError(str(error.code)) from None
            raise SilentError(f"{shown} ({self._name} answered {error.code})") from None
        except TRANSFER_ERRORS as error:
            reason = getattr(error, "reason", error)
            if not isinstance(reason, RefusedError):
                self._silent_until = time.monotonic() + _SILENT_FOR_S
            raise SilentError(f"{shown} ({reason})") from None

        return cast("http.client.HTTPResponse", answer)

    def read(self, url: str, timeout_s: float, shown: str, most: int) -> bytes:
        """Ask for a URL and return the body of the answer.

        Raises:
            MissingError: the server does not have it, or there is none.
            SilentError: it did not answer, with an error, or with more than `most` bytes.
        """
        with self.open(url, timeout_s, shown) as answer:
            try:
                return read_bounded(answer, most)
            except (SilentError, *TRANSFER_ERRORS):
                raise SilentError(f"{shown} (the answer was cut short, or is too long)") from None
