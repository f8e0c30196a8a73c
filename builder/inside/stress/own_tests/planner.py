"""Decide at which native calls of tests and examples the process is forked, so that threads make them."""

from collections import Counter
from collections.abc import Iterable

_MOST_FORKS = 4  # of one callable for itself: at later calls the object is in another state
_MOST_FORKS_OF_PAIRS = 8  # of one callable, because of pairs that were not tried
_MOST_PARTNERS = 8  # other calls beside one
_NEW_PARTNERS = 2  # that are worth one more fork
_FORKED_AT = frozenset({1, 3, 9, 27, 81, 243})
"""At which calls of one callable it is tried: objects in the middle of their work are met later."""

_RARE_SHARE = 0.5  # of the time: then only callables and pairs that were not tried at all
_RAREST_SHARE = 0.8  # of the time: then only callables that were not tried at all


class Planner:
    """Decides at which calls the process is forked, the rarest first.

    Attributes:
        seen: calls of each native callable.
        forks: trials of each.
        pairs: trials of each pair of callables on one object.
    """

    def __init__(self, awaited: Iterable[str] = (), banned: Iterable[str] = ()) -> None:
        """Begin to plan.

        Args:
            awaited: callables that will be called, as far as that is known.
            banned: callables that are not tried.
        """
        self._awaited = set(awaited)
        self.seen: Counter[str] = Counter()
        self.forks: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self._trials = 0
        self._banned = set(banned)

    def is_due(self, name: str, others: list[str], spent: float) -> bool:
        """Count a call, and return whether it is worth a trial.

        Args:
            name: the callable.
            others: callables that could be tried beside it.
            spent: share of the time that is gone.
        """
        self.seen[name] += 1
        forks = self.forks[name]
        new_pairs = sum(not self.pairs[name, other] for other in others)
        has_new_pairs = new_pairs >= _NEW_PARTNERS and forks < _MOST_FORKS_OF_PAIRS
        is_next_state = self.seen[name] in _FORKED_AT and forks < _MOST_FORKS

        if spent >= 1 or name in self._banned:
            return False
        if forks == 0:
            return True
        if spent > _RAREST_SHARE or self._is_short_of_time(spent):
            return False
        if spent > _RARE_SHARE:
            return has_new_pairs
        return has_new_pairs or is_next_state

    def _is_short_of_time(self, spent: float) -> bool:
        """Return whether callables that are yet to come need what is left, if each takes as long as a trial so far."""
        return len(self._awaited) * spent > (1 - spent) * self._trials

    def ban(self, name: str) -> None:
        """Try a callable no more: neither by itself nor beside others."""
        self._banned.add(name)

    def choose(self, name: str, others: list[str]) -> list[str]:
        """Return callables to try beside one, those that were tried least beside it first."""
        possible = [other for other in others if other not in self._banned]
        ranked = sorted(possible, key=lambda other: self.pairs[name, other])
        return ranked[:_MOST_PARTNERS]

    def note_trial(self, name: str, partners: list[str]) -> None:
        """Count a trial of a callable beside others."""
        self.forks[name] += 1
        self._trials += 1
        self._awaited.discard(name)
        for other in partners:
            self.pairs[name, other] += 1
            self.pairs[other, name] += 1
