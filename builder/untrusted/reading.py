"""Bounded reading of what comes from outside: so many bytes, so many seconds, so long a line, and no more.

The size that a file, a header or an archive states about itself is no bound: what is counted here is what arrives.
"""

from __future__ import annotations

import json
import time
import tomllib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES = 1 << 16
"""What is asked of a stream at a time; small beside any limit, so that at most so much arrives above it."""

_MAX_DOTS = 200
"""Dots on a line of TOML. The time of tomllib grows with the third power of the parts of a key: 64,000 take minutes."""

_MAX_KEY_STEPS = 10_000_000
"""How many parts of keys tomllib may look at, with all keys of a document: some 15 million in a second (measured on
CPython 3.11). A document of 1 MiB with nothing but usual lines has 300,000."""

_KIB = 1 << 10
_MIB = 1 << 20


class TooLargeError(ValueError):
    """Something from outside is larger than its limit."""


class TooSlowError(Exception):
    """Something from outside took longer than its deadline. It is no OSError, which is taken for a reason to retry."""


class Readable(Protocol):
    """Anything that bytes are read from, a number at a time; no bytes mean the end."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes."""
        ...


class Deadline:
    """A point in time by which something from outside has to be done, whatever it does in between."""

    def __init__(self, seconds: float) -> None:
        """Start to count.

        Args:
            seconds: how long it may take in all.
        """
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds that are left; 0 afterwards."""
        return max(0.0, self._end - time.monotonic())

    @property
    def has_passed(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self._end

    def check(self, what: str) -> None:
        """Go on while there is time left.

        Args:
            what: what is read, for the message: `the page of numpy`.

        Raises:
            TooSlowError: there is none.
        """
        if self.has_passed:
            raise TooSlowError(f"{what} took more than {self.seconds:g} s in all")


def format_limit(limit_bytes: int) -> str:
    """Return a limit as text for an error: `8 MiB`."""
    if limit_bytes >= _MIB:
        return f"{limit_bytes / _MIB:g} MiB"
    if limit_bytes >= _KIB:
        return f"{limit_bytes / _KIB:g} KiB"
    return f"{limit_bytes} bytes"


def iter_bounded(
    stream: Readable, limit_bytes: int, what: str, deadline: Deadline | None = None
) -> Iterator[bytes]:
    """Yield what a stream has, in pieces, up to a limit.

    Args:
        stream: where the bytes come from.
        limit_bytes: most bytes that are taken.
        what: what is read, for the message: `the page of numpy`.
        deadline: by when it has to be at its end; None where it cannot stall, as a file on disk.

    Raises:
        TooLargeError: there is more.
        TooSlowError: the deadline has passed.
    """
    count = 0
    while True:
        piece = stream.read(min(_CHUNK_BYTES, limit_bytes + 1 - count))
        if deadline is not None:
            deadline.check(what)
        if not piece:
            return

        count += len(piece)
        if count > limit_bytes:
            raise TooLargeError(f"{what} has more than {format_limit(limit_bytes)}")
        yield piece


def read_bounded(
    stream: Readable, limit_bytes: int, what: str, deadline: Deadline | None = None
) -> bytes:
    """Return everything that a stream has, at most `limit_bytes`.

    Args:
        stream: as for `iter_bounded`.
        limit_bytes: as for `iter_bounded`.
        what: as for `iter_bounded`.
        deadline: as for `iter_bounded`.

    Raises:
        TooLargeError: there is more.
        TooSlowError: the deadline has passed.
    """
    return b"".join(iter_bounded(stream, limit_bytes, what, deadline))


def parse_json(content: bytes | str, what: str) -> Any:  # noqa: ANN401 - JSON
    """Return JSON data from outside.

    Args:
        content: the document, which was read with a bound.
        what: as for `iter_bounded`.

    Raises:
        ValueError: it is no JSON, or nested too deeply, or has a number of too many digits.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError(f"{what} is JSON that is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{what} is no JSON: {error}") from None


def parse_toml(content: bytes | str, what: str) -> dict[str, Any]:
    """Return a TOML document from outside.

    Args:
        content: the document, which was read with a bound.
        what: as for `iter_bounded`.

    Raises:
        ValueError: it is no TOML in UTF-8, or nested too deeply, or has a number of too many digits.
    """
    try:
        text = content.decode() if isinstance(content, bytes) else content
        _check_keys(text)
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"{what} is TOML that is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{what} is no TOML: {error}") from None


def _check_keys(text: str) -> None:
    """Go on if tomllib can be done with the keys of a document in about a second.

    A key cannot go on on the next line. For each part of a key, tomllib looks at all parts before it, those of the
    table's name among them; a table's name is at the beginning of a line.

    Raises:
        ValueError: it cannot.
    """
    lines = text.splitlines()
    dots = [line.count(".") for line in lines]
    table_dots = 0
    for line, count in zip(lines, dots, strict=True):
        if line.lstrip().startswith("["):
            table_dots = max(table_dots, count)

    if max(dots, default=0) > _MAX_DOTS:
        raise ValueError(f"a line has more than {_MAX_DOTS} dots")
    if sum(count * (count + table_dots) for count in dots) > _MAX_KEY_STEPS:
        raise ValueError("its keys have too many parts")
