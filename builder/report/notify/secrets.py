"""The secrets of a target: taken from the environment, and never part of a message."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from builder.report.notify.attempts import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.config.notify import Target

_MASK = "***"

_MIN_PART = 8
"""Characters of a part of an address that is hidden by itself: a token has more, words such as `hooks` have fewer."""


class Secrets:
    """The values of the variables that a target names, and what hides them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """Take the secrets.

        Args:
            values: by the key that names the variable, `url-env`.
        """
        self._values = dict(values)
        forms = {form for value in values.values() for form in _iter_forms(value)}
        # The longest first: an address is hidden before the token in it.
        self._forms = sorted(forms, key=len, reverse=True)

    @classmethod
    def from_environment(cls, target: Target, environment: Mapping[str, str]) -> Secrets:
        """Return the secrets of a target.

        Args:
            target: whose.
            environment: the variables of this process.

        Raises:
            DeliveryError: one of its variables is not set.
        """
        values: dict[str, str] = {}
        for key, variable in target.variables().items():
            value = environment.get(variable, "").strip()
            if not value:
                raise DeliveryError(
                    f"the variable {variable} is not set, which `{key}` names; set it"
                )
            values[key] = value

        return cls(values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._values)})"

    def get(self, key: str) -> str | None:
        """Return the secret of a key such as `token-env`; None where the target names no variable there."""
        return self._values.get(key)

    def hide(self, text: str) -> str:
        """Return a text in which every secret, and every way it may have been written, is `***`."""
        for form in self._forms:
            text = text.replace(form, _MASK)
        return text


def _iter_forms(value: str) -> Iterator[str]:
    """Iterate over what somebody who has a secret may write of it: itself, its parts, and each as addresses have it."""
    parts = {value}
    if "://" in value:
        parts |= set(_iter_address_parts(value))

    for part in parts:
        yield part
        yield quote(part, safe="")
        yield unquote(part)
        yield base64.b64encode(part.encode()).decode()


def _iter_address_parts(url: str) -> Iterator[str]:
    """Iterate over the parts of an address that may be secrets: user and password, the path, its longer parts."""
    try:
        address = urlsplit(url)
    except ValueError:
        return

    credentials = address.netloc.rpartition("@")[0]
    pieces = [credentials, unquote(credentials), *credentials.split(":")]
    pieces += [f"{address.path}?{address.query}", address.path, address.query]
    for piece in pieces:
        if len(piece) > 1:
            yield piece
    for piece in (*address.path.split("/"), *address.query.replace("=", "&").split("&")):
        if len(piece) >= _MIN_PART:
            yield piece
