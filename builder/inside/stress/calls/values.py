"""Values to call native code with, as Python expressions, and classes of values that hand over to other threads.

Expressions are evaluated with this module's classes under the name `values`; a replay script carries their source.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterator

PATIENCE = 300
"""How long to wait for a callback, in milliseconds: code that never calls back must not hold up a scenario."""

Parameter = tuple[str, str]
"""Name and annotation of a parameter; the annotation is empty where there is none."""

CALLBACK = "(lambda *given, **named: int('1001'))"
"""A callable that takes any arguments; scenarios.py puts other callables in its place.

It gives a number that is made anew each time, as those above 256 are: who keeps it without a reference shows that.
"""

COMPACT = (
    "'ab'", "8", "b'abcdefgh'", "1.5", "[1, 2, 3]", "{'a': 1, 'b': 2}", CALLBACK, "None", "'a'", "1", "(1, 2)",
    "['ab', 'cd']", "bytearray(b'abcdefgh')", "{1, 2}", "[('a', 1), ('b', 2)]", "True", "[b'ab', b'cd']",
)  # fmt: skip
"""One of each kind, the likeliest first."""

STANDARD = ("array", "collections", "datetime", "decimal", "fractions", "io", "math", "uuid")
"""Modules that expressions may name beside the package's own."""

WIDER = (
    "0", "2", "3", "16", "64", "100", "1000", "-1", "'r'", "'utf-8'", "''", "b''", "[]", "{}", "[1.0, 2.0, 3.0]",
    "'1 2 3'", "'{\"a\": [1, 2]}'", "b'{\"a\": 1}'", "int", "str", "object()", "io.BytesIO(b'abcdefgh')",
    "io.StringIO('abcdefgh')", "[[1, 2], [3, 4]]", "(0.0, 1.0)", "range(3)",
    "datetime.datetime(2026, 1, 2)", "slice(0, 2)", "array.array('d', [1.0, 2.0])",
)  # fmt: skip
"""Further values, for arguments whose kind was right and whose value was not."""

KINDS = {
    "str": ("'ab'", "'a'", "'r'", "'utf-8'", "'{\"a\": [1, 2]}'"),
    "bytes": ("b'abcdefgh'", "b''", "bytearray(b'abcdefgh')"),
    "int": ("8", "1", "2", "0", "64", "100"),
    "float": ("1.5", "0.0", "0.25"),
    "bool": ("True", "False"),
    "list": ("[1, 2, 3]", "['ab', 'cd']", "[1.0, 2.0, 3.0]", "[('a', 1), ('b', 2)]"),
    "tuple": ("(1, 2)", "(0.0, 1.0)"),
    "dict": ("{'a': 1, 'b': 2}",),
    "callable": (CALLBACK,),
    "file": ("io.BytesIO(b'abcdefgh')", "io.StringIO('abcdefgh')"),
}
"""Likely values by kind of argument, the likeliest first."""

_ANNOTATIONS = (
    ("callable", "callable"), ("Callable", "callable"), ("bytes", "bytes"), ("float", "float"), ("bool", "bool"),
    ("int", "int"), ("dict", "dict"), ("Mapping", "dict"), ("list", "list"), ("Sequence", "list"), ("str", "str"),
    ("tuple", "tuple"), ("Iterable", "list"),
)  # fmt: skip
"""Words in annotations, and the kind each stands for; the first that an annotation has counts."""

_NAMES = {
    "str": {"s", "text", "string", "name", "word", "path", "title", "label", "pattern", "encoding", "mode", "prefix",
            "line", "sep", "token"},
    "bytes": {"data", "buf", "buffer", "b", "raw", "payload", "chunk", "packed", "blob", "source", "bytes_", "content"},
    "int": {"n", "i", "size", "count", "index", "capacity", "maxsize", "length", "limit", "width", "height", "seed",
            "start", "stop", "end", "step", "pos", "position", "offset", "bits", "level", "number", "num", "row",
            "rows", "col", "cols", "slot", "id", "depth"},
    "float": {"x", "y", "z", "ratio", "rate", "timeout", "weight", "scale", "alpha", "amount", "tolerance", "factor",
              "now"},
    "callable": {"func", "fn", "f", "callback", "cb", "handler", "factory", "hook", "visitor", "predicate",
                 "default_factory", "on_evict"},
    "list": {"items", "values", "seq", "sequence", "iterable", "args", "lst", "elements", "points", "samples", "words",
             "pairs"},
    "dict": {"mapping", "d", "kwargs", "options", "config", "table", "obj", "mp"},
    "file": {"file", "fp", "stream", "fileobj", "reader"},
    "bool": {"flag", "strict", "reverse", "copy", "sort", "sort_keys", "verbose"},
}  # fmt: skip
"""Names that parameters often have, by the kind of argument: all there is to go by without an annotation."""

VARIANTS = {
    "str": (
        "''.join('ab')",
        "''.join('\\u00e9\\u4e2d\\U0001f600') * 9",
        "''.join('xyz') * 700",
        "'a,b;c d:e\\tf ' * 5",
    ),
    "bytes": ("bytes(bytearray(8))", "bytes(range(256)) * 16"),
    "bytearray": ("bytearray(4096)",),
    "list": ("[1] * 2000", "['k%d' % i for i in range(50)]"),
    "dict": ("{'k%d' % i: i for i in range(300)}",),
    "int": ("257", "3"),
}
"""Other values of the type of an argument that worked: made anew each time, for constants live for ever and are never
freed under another thread; not ASCII, and large, for which native code often has paths of their own."""

FRESH = ("''.join(", "bytes(bytearray(", "object()", "[", "{")
"""What an expression of a new object has in it."""

HANDING_OVER = {
    "str": ("values.Slow('k')", "values.SlowEnd()"), "int": ("values.SlowIndex(1)",),
    "bytes": ("values.SlowBuffer()",), "bytearray": ("values.SlowBuffer()",),
}  # fmt: skip
"""Values whose methods let other threads run, by the type of the argument they may stand for."""

MUTATIONS = {
    "list": (
        "{a}.append(1)", "{a}.clear()", "{a}.extend((1, 2, 3, 4, 5, 6, 7, 8))", "{a}.pop() if {a} else None",
        "{a}.reverse()",
    ),
    "dict": (
        "{a}.__setitem__('a', 1)", "{a}.clear()", "{a}.update({{'a': 1, 'b': 2, 'c': 3}})", "{a}.pop('a', None)",
        "{a}.update({{'k%d' % i: i for i in range(40)}})",
    ),
    "set": ("{a}.add(7)", "{a}.clear()", "{a}.update(range(40))"),
    "bytearray": ("{a}.extend(b'abcd')", "{a}.clear()", "{a}.extend(bytes(9000))"),
}  # fmt: skip
"""What other threads may do to an argument while native code reads it, by its type; `{a}` is the argument. Writing the
bytes that a buffer shows is not among it: who reads them cannot know, and who shares them has to agree who writes."""

SHAREABLE = {
    "list": "[1, 2, 3]",
    "dict": "{'a': 1, 'b': 2}",
    "bytearray": "bytearray(b'abcdefgh')",
    "set": "{1, 2}",
}
"""A value of each type that threads may share and change: tried as an argument wherever one may be given."""

PAUSING_ITEMS = "[values.Pausing(), values.Pausing(), values.Pausing()]"
"""A list whose items let other threads change it while native code is at them."""

NEVER = frozenset({
    "kill", "abort", "exit", "_exit", "fork", "terminate", "reboot", "shutdown", "suspend", "send_signal", "sleep",
    "settrace", "setprofile", "breakpoint", "set_trace", "input", "serve_forever", "run_forever", "mainloop",
    "_debugmallocstats",
})  # fmt: skip
"""Names of callables that end or stop a process by design."""

OF_NEW_OBJECTS = frozenset({
    "__init__", "__new__", "__post_init__", "__setstate__", "__init_subclass__", "__set_name__",
})  # fmt: skip
"""Names of what makes an object, or a class with one in it: nobody else has that yet, and nobody calls it later."""


class Slow:
    """A key that hands over to other threads whenever it is hashed or compared."""

    def __init__(self, key: object) -> None:
        self.key = key

    def __hash__(self) -> int:
        time.sleep(0)
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        time.sleep(0.0001)  # long enough for another thread to begin, short enough to be done often
        return self.key == (other.key if isinstance(other, Slow) else other)

    def __repr__(self) -> str:
        return f"Slow({self.key!r})"


class SlowIndex:
    """An integer that hands over to other threads whenever it is asked for."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        time.sleep(0.0001)
        return self.number

    __int__ = __index__


class SlowEnd:
    """An object that hands over to other threads when it is given back."""

    def __del__(self) -> None:
        time.sleep(0.0001)

    def __repr__(self) -> str:
        return "SlowEnd()"


class SlowBuffer:
    """Bytes that hand over to other threads when nobody reads them any more (PEP 688)."""

    def __init__(self) -> None:
        self.content = bytearray(b"abcdefgh")

    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(self.content)

    def __release_buffer__(self, view: memoryview) -> None:
        time.sleep(0.0001)


class Reentrant:
    """A key, number or callback that changes an object when it is asked for anything, and when it is given back.

    What asks is often in the middle of its work on that very object.
    """

    MOST = 8  # changes: what goes through all items of a container has to come to their end

    def __init__(self, key: object, subject: object, step: Callable[[object], object]) -> None:
        self.key = key
        self.subject = subject
        self.step = step
        self.busy = False
        self.changes = 0

    def enter(self) -> None:
        """Change the object, unless that is being done, or was done often."""
        if self.busy or self.changes >= self.MOST:
            return
        self.busy = True
        self.changes += 1
        try:
            self.step(self.subject)
        except Exception:
            pass
        finally:
            self.busy = False

    def __hash__(self) -> int:
        self.enter()
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        self.enter()
        return bool(self.key == getattr(other, "key", other))

    def __lt__(self, other: object) -> bool:
        self.enter()
        return False

    def __index__(self) -> int:
        self.enter()
        return self.key if isinstance(self.key, int) else 1

    def __float__(self) -> float:
        self.enter()
        return 1.0

    def __call__(self, *given: object, **named: object) -> int:
        """Change the object, and return a number."""
        self.enter()
        return 1

    def __del__(self) -> None:
        self.enter()

    def __repr__(self) -> str:
        self.enter()
        return "Reentrant()"


class ReentrantItems:
    """Items that change an object whenever one of them is asked for, and bytes that do when they are let go."""

    def __init__(self, subject: object, step: Callable[[object], object]) -> None:
        self.reentrant = Reentrant(1, subject, step)

    def __iter__(self) -> Iterator[object]:
        for item in (1, "ab", ("a", 1)):
            self.reentrant.enter()
            yield item

    def __len__(self) -> int:
        self.reentrant.enter()
        return 3

    def __getitem__(self, place: int) -> object:
        self.reentrant.enter()
        return (1, "ab", ("a", 1))[place]

    def __buffer__(self, flags: int) -> memoryview:
        self.reentrant.enter()
        return memoryview(bytearray(b"abcdefgh"))

    def __release_buffer__(self, view: memoryview) -> None:
        self.reentrant.enter()


class Anything:
    """Stands for an object of a test, such as a listener: it has all attributes, takes all calls, and keeps nothing."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *given: object, **named: object) -> object:
        """Return itself: what is asked of the answer is answered, too."""
        return self

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __index__(self) -> int:
        return 1

    def __float__(self) -> float:
        return 1.0

    def __repr__(self) -> str:
        return "Anything()"


class Pausing:
    """An item that lets other threads run whenever it is asked for anything: they may change what it is in meanwhile.

    A lock that CPython takes round a container is not held while an item pauses (its C API, "Critical sections").
    """

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        time.sleep(0.0001)
        return dict  # it can be called, and gives something to go on with

    def __hash__(self) -> int:
        time.sleep(0.0001)
        return 1

    def __eq__(self, other: object) -> bool:
        time.sleep(0.0001)
        return self is other

    def __lt__(self, other: object) -> bool:
        time.sleep(0.0001)
        return False

    def __index__(self) -> int:
        time.sleep(0.0001)
        return 1

    def __float__(self) -> float:
        time.sleep(0.0001)
        return 1.0

    def __iter__(self) -> Iterator[object]:
        time.sleep(0.0001)
        return iter(())

    def __len__(self) -> int:
        time.sleep(0.0001)
        return 0

    def __call__(self, *given: object, **named: object) -> int:
        """Return a number."""
        time.sleep(0.0001)
        return int("1001")

    def __repr__(self) -> str:
        time.sleep(0.0001)
        return "Pausing()"


class Owner:
    """A class that has a descriptor: see `own`."""

    def __init__(self) -> None:
        self._cache: dict[str, object] = {}

    def forget(self) -> None:
        """Forget what the descriptor may have kept."""
        self._cache.clear()
        for name in list(vars(self)):
            if name != "_cache":
                vars(self).pop(name, None)


def own(descriptor: object) -> object:
    """Return an object of a new class that has a descriptor, as its attribute `x`."""
    return type("Owned", (Owner,), {"x": descriptor})()


class Meeting:
    """A callback that waits until another thread has done something meanwhile.

    Code that holds a lock while it calls back keeps that thread out, and neither goes on.
    """

    def __init__(self) -> None:
        self.inside = False
        self.done = False

    def __call__(self, *given: object, **named: object) -> int:
        """Wait for the other thread."""
        if not self.done:
            self.inside = True
            while not self.done:
                time.sleep(0.001)
        return 1


def join(meeting: Meeting, *calls: Callable[[], object]) -> None:
    """Wait until a callback is called, make other calls meanwhile, and then let the callback return.

    Where it is never called, the calls are made all the same, after some time.
    """
    for _ in range(PATIENCE):
        if meeting.inside:
            break
        time.sleep(0.001)
    try:
        for call in calls:
            call()
    finally:
        meeting.done = True


def after(subject: object, *steps: Callable[[object], object]) -> object:
    """Return an object after calls were made on it; what these raise is no matter."""
    for step in steps:
        try:
            step(subject)
        except Exception:
            continue
    return subject


class Collecting:
    """A callback that collects garbage, for which all threads have to stop."""

    def __call__(self, *given: object, **named: object) -> int:
        """Collect."""
        gc.collect()
        return int("1001")  # as CALLBACK does


def locked(call: Callable[[], object], lock: threading.Lock = threading.Lock()) -> object:  # noqa: B008 - one lock
    """Make a call while no other thread makes one that is made in this way."""
    with lock:
        return call()


def suggest_values(name: str, annotation: str = "") -> tuple[str, ...]:
    """Return likely values of a parameter, as expressions, by its annotation or, without one, by its name.

    `suggest_values("data", "bytes")` -> `("b'abcdefgh'", "b''", ...)`. Empty where neither tells anything.
    """
    for word, kind in _ANNOTATIONS:
        if word in annotation:
            return KINDS[kind]

    plain_name = name.lower().strip("_")
    for kind, names in _NAMES.items():
        if plain_name in names:
            return KINDS[kind]

    return ()
