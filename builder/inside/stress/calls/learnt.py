"""What learn.py finds out, as it stands in its answer: the operations of functions and of subjects."""

from typing import NotRequired, TypedDict


class Operation(TypedDict):
    """One way to call native code; in its text `s` is the subject, and `a` an argument that threads share.

    Attributes:
        text: an expression.
        native: the native callables it reaches, sorted.
        direct: whether it calls one of them itself, with no Python code between.
        result: what it gives alone, as text; None where that differs from call to call or cannot be shown.
        changes: whether it may change its subject.
        us: how long it takes, in microseconds.
        argument: an expression of the argument `a`, if it has one.
        mutations: the type of that argument, by which values.py knows what may change it.
    """

    text: str
    native: list[str]
    direct: bool
    result: str | None
    changes: bool
    us: float
    argument: NotRequired[str]
    mutations: NotRequired[str]


class Function(TypedDict):
    """A function of a module.

    Attributes:
        name: its dotted name.
        operations: ways to call it.
    """

    name: str
    operations: list[Operation]


class Subject(TypedDict):
    """An object that operations are made on.

    Attributes:
        make: an expression that makes it.
        type: the name of its type.
        operations: what can be done with it.
        observe: expressions that tell its state: they change neither it nor one another's results.
        spoils: operations after which others end the process, in one thread; they are not among `operations`.
    """

    make: str
    type: str
    operations: list[Operation]
    observe: list[str]
    spoils: NotRequired[list[Operation]]
