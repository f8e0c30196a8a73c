"""Measure how long the phases of a search take."""

import contextlib
import time
from collections.abc import Iterator


class Phases:
    """Seconds that a search spent, by the name of what it did."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time until the end of the block to a phase, and print it; also where the block raises."""
        began = time.monotonic()
        try:
            yield
        finally:
            elapsed = time.monotonic() - began
            self._seconds[name] = self._seconds.get(name, 0.0) + elapsed
            print(f"{name}: {elapsed:.1f} s", flush=True)

    def describe(self) -> dict[str, float]:
        """Return the seconds by phase, in the order in which the phases began."""
        return {name: round(seconds, 1) for name, seconds in self._seconds.items()}
