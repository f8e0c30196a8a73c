"""How often a target is tried, and what is said when it does not take an alert."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_PAUSES_S = (1.0, 5.0)
"""Pauses between tries: three tries in all. Nothing waits for them, the index is published already."""

MAX_PAUSE_S = 30.0
"""Longest pause that a server can ask for by `Retry-After`: some name the end of the hour."""


class DeliveryError(Exception):
    """A target did not take an alert. The text says what was observed and what to do, and has no secret in it."""


class TemporaryError(DeliveryError):
    """It may take it a moment later.

    Attributes:
        pause_s: the pause that the server asked for, in seconds; None where it did not.
    """

    def __init__(self, text: str, pause_s: float | None = None) -> None:
        super().__init__(text)
        self.pause_s = pause_s


def attempt(send: Callable[[], T], pause: Callable[[float], None]) -> T:
    """Return what an action returns, after up to three tries.

    Args:
        send: the action.
        pause: waits for so many seconds.

    Raises:
        DeliveryError: the action's own; after the last try the temporary one, with the number of tries.
    """
    for pause_s in _PAUSES_S:
        try:
            return send()
        except TemporaryError as error:
            wanted_s = pause_s if error.pause_s is None else error.pause_s
            pause(min(max(wanted_s, 0.0), MAX_PAUSE_S))

    try:
        return send()
    except TemporaryError as error:
        raise DeliveryError(f"{error} (after {len(_PAUSES_S) + 1} tries)") from None
