"""Which of many pegs are in their holes. A Pegboard may be shared by threads: it has a lock."""

import threading

from . import _holes


class Pegboard:
    """Holes for pegs, by number."""

    def __init__(self, pegs=()):
        self._lock = threading.Lock()
        self._holes = _holes.drill()
        for peg in pegs:
            self.put(peg)

    def put(self, peg):
        """Put a peg in, unless it is there; return how many there are."""
        with self._lock:
            return self._holes.put(peg)

    def pull(self, peg):
        """Pull a peg out; return whether it was there."""
        with self._lock:
            return self._holes.pull(peg)

    def count(self):
        """Return how many pegs there are."""
        with self._lock:
            return self._holes.count()
