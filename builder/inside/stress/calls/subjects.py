"""The objects that operations are made on, as they are found while a package is learnt."""

from dataclasses import dataclass, field

from . import values
from .learnt import Operation
from .surface import Surface, is_native_type

# How many subjects there may be. Not measured: each is asked for all it offers, twice.
_MOST_SUBJECTS = 40
_MOST_OF_A_TYPE = 6
_LONGEST_GIVEN = (
    1500  # characters of one that was given: it may repeat what a test did with an object
)
_LONGEST_MAKE = 300  # characters of the expression that makes one: each result is made of that of its own subject


@dataclass(kw_only=True, slots=True)
class FoundSubject:
    """An object that operations are made on.

    Attributes:
        make: an expression that makes it.
        type_name: the name of its type.
        type_id: the id of its type.
        is_native: whether its type, or one it derives from, is native and the package's own.
        operations: what can be done with it, by template.
        visits: how often its operations were looked for.
    """

    make: str
    type_name: str
    type_id: int
    is_native: bool
    operations: dict[str, list[Operation]] = field(default_factory=dict)
    visits: int = 0

    def list_operations(self) -> list[Operation]:
        """Return the operations of all templates as one list."""
        all_operations: list[Operation] = []
        for operations in self.operations.values():
            all_operations += operations

        return all_operations

    def reaches_native(self) -> bool:
        """Return whether any of its operations reaches native code."""
        return any(operation["native"] for operation in self.list_operations())


class Subjects:
    """All objects that were found.

    Attributes:
        by_make: them, by the expression that makes each.
        own: an expression for a value of each of the package's own types: an argument for others.
    """

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self.by_make: dict[str, FoundSubject] = {}
        self.own: list[str] = []

    def has_type(self, name: str) -> bool:
        """Return whether there is a subject whose type has that name."""
        return any(subject.type_name == name for subject in self.by_make.values())

    def note_value(
        self, make: str, value: object, type_name: str = "", *, is_given: bool = False
    ) -> None:
        """Keep a value of the package: as a subject in `by_make`, and as an argument for other calls in `own`.

        A subject is an object that operations are tried on. `make` is the expression that makes it anew, such as
        `pkg.Table(3)`. Kept are values whose class is the package's own: native (it, or a class it derives from, is
        defined by the package's extension modules) or written in Python. An opaque value, i.e. a capsule around a C
        pointer, has no operations: it is kept in `own` alone, to be handed to other calls.

        All other values are skipped, and so are None, a `make` that is a subject already or is too long, and whatever
        comes when there are enough subjects in all, or enough of the same class.

        Args:
            make: an expression that makes the value.
            value: the value.
            type_name: the name its class is called by, such as `pkg.Table`; empty where the caller knows none.
            is_given: whether the expression is one that the matrix or the package's own tests gave.
        """
        is_known = make in self.by_make
        is_too_long = len(make) > (_LONGEST_GIVEN if is_given else _LONGEST_MAKE)
        is_full = len(self.by_make) >= _MOST_SUBJECTS
        if value is None or is_known or is_full or is_too_long:
            return

        kind = type(value)
        # No module may have a name for the class, as for that of an iterator: then it is met here for the first time.
        self._surface.note_type(kind)
        is_native = any(id(base) in self._surface.types for base in kind.__mro__)
        is_python = kind.__module__ in self._surface.modules and not is_native_type(kind)
        is_opaque = kind.__name__ == "PyCapsule"
        is_owner = isinstance(value, values.Owner)  # of a descriptor of the package
        if not (is_native or is_python or is_opaque or is_owner):
            return

        same_type = [subject for subject in self.by_make.values() if subject.type_id == id(kind)]
        if len(same_type) >= _MOST_OF_A_TYPE:
            return

        # One argument of a class is enough. A capsule never becomes a subject, so each one is added.
        if not same_type:
            self.own.append(make)
        if is_opaque:
            return

        known_name = type_name or self._surface.types.get(id(kind))
        self.by_make[make] = FoundSubject(
            make=make,
            type_name=known_name or f"{kind.__module__}.{kind.__name__}",
            type_id=id(kind),
            is_native=is_native,
        )
