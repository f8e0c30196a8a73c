"""How safe native code is under threads, in CPython's own terms, and what a fault under threads needs and does."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """A level of thread safety (CPython, Doc/library/threadsafety), the safest first; of several the last one counts.

    CPython's safest level, `atomic`, is a promise that no measurement can make.
    """

    SHARED = "shared"
    DISTINCT = "distinct"
    UNKNOWN = "unknown"
    COMPATIBLE = "compatible"
    INCOMPATIBLE = "incompatible"

    @property
    def rank(self) -> int:
        """Position in the table: a larger one counts."""
        return list(Level).index(self)


class Need(StrEnum):
    """What threads have to share for a fault to show, the least first."""

    NOTHING = "nothing"
    READING = "shared object that is only read"
    COMPONENT = "shared component"
    ARGUMENT = "shared argument"
    OBJECT = "shared object"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """Position in the table: a smaller one is worse, for fewer users can avoid it."""
        return list(Need).index(self)


class Consequence(StrEnum):
    """What a fault under threads does, the least first."""

    RACE = "race"
    HANG = "hang"
    WRONG = "wrong"
    FREED = "freed"
    CRASH = "crash"

    @property
    def rank(self) -> int:
        """Position in the table: a larger one is worse."""
        return list(Consequence).index(self)

    @property
    def is_harm(self) -> bool:
        """Whether more was seen than two accesses that nothing orders."""
        return self is not Consequence.RACE
