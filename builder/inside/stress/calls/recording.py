"""Write live calls as expressions: how objects came to be what they are, and what their methods were given."""

import io
import math
import types
from collections import deque
from collections.abc import Container, Mapping

from . import values
from .live_calls import LiveCall

_LONGEST_VALUE = 700  # characters of one argument
_LONGEST_MAKE = 1400  # of the expression that makes an object and brings it to a state
_LONGEST_SHOWN = 60  # of what no expression can make, which only people read
_MOST_ITEMS = 60  # of a container
_DEEPEST = 4  # containers in containers
_MOST_STEPS = 12  # calls that bring an object to its state
_MOST_LISTS = 6  # argument lists of one callable: all of them are tried while learning
_MOST_MAKES = 3  # expressions for objects of one type
_MOST_PENDING = 8  # objects of one type that were made and not met since
_MOST_OBJECTS = 5000  # objects whose calls are remembered

_STAND_IN = "values.Anything()"

_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, type(...))
_BRACKETS = {list: "[{}]", set: "{{{}}}", frozenset: "frozenset([{}])"}


class Recorder:
    """Keeps how a package's native code is called.

    Attributes:
        arguments: argument lists by the last name of what they were given to.
        makes: expressions for objects, by the name of their type: the longest history last.
    """

    def __init__(self, known: Mapping[int, str], own_types: Container[int] = ()) -> None:
        """Begin to record.

        Args:
            known: expressions for classes and functions, by id.
            own_types: ids of the package's native types: no object of these has a stand-in.
        """
        self._known = known
        self._own_types = own_types
        self._pending: dict[type, deque[str | None]] = {}
        self._last_call: str | None = None
        self._inner_call: str | None = None
        self._origins: dict[int, str] = {}
        self._steps: dict[int, list[str]] = {}
        self.arguments: dict[str, list[str]] = {}
        self.makes: dict[str, list[str]] = {}

    def note(self, call: LiveCall, *, by_package: bool = False) -> None:
        """Keep a call that is about to be made, as far as expressions can say it.

        Args:
            call: the call.
            by_package: whether the package's own code makes it, within what was called last.
        """
        is_step_of_package = by_package and not call.name
        if is_step_of_package:
            return
        written = self.write_arguments(call)
        if call.makes is not None:
            waiting = self._pending.setdefault(call.makes, deque(maxlen=_MOST_PENDING))
            waiting.append(None if written is None else call.text.format(written))
        if written is not None:
            self._keep_arguments(call, written)
        if call.receiver is None:
            is_function = written is not None and call.makes is None
            result = call.text.format(written) if is_function else None
            self._note_result(result, by_package=by_package)
            return

        self._claim(call.receiver)
        self._note_result(self._write_result(call, written), by_package=by_package)
        steps = self._steps.get(id(call.receiver))
        if steps is None:
            return
        if written is None or len(steps) >= _MOST_STEPS:
            # Not known any more how it came to be what it is from now on.
            self._origins.pop(id(call.receiver), None)
            del self._steps[id(call.receiver)]
            return

        text = _write_call(call, written)
        if text not in steps[-1:]:
            steps.append(text)
        self._keep_make(type(call.receiver), id(call.receiver))

    def forget_waiting(self) -> None:
        """Forget what was made and not met since: another test begins."""
        self._pending.clear()
        self._note_result(None, by_package=False)

    def _note_result(self, result: str | None, *, by_package: bool) -> None:
        """Note an expression for what a call gives; None where it gives no new object, or none is known."""
        if by_package:
            self._inner_call = result
        else:
            self._last_call = result
            self._inner_call = None

    def _write_result(self, call: LiveCall, written: str | None) -> str | None:
        """Return an expression for what a call on an object gives; None where there is none."""
        make = self.make_text(call.receiver)
        if written is None or make is None:
            return None

        text = f"(lambda s: {_write_call(call, written)})({make})"
        return text if len(text) <= _LONGEST_MAKE else None

    def make_text(self, value: object) -> str | None:
        """Return an expression that makes an object as it is now; None where none is known."""
        origin = self._origins.get(id(value))
        if origin is None:
            self._claim(value)
            origin = self._origins.get(id(value))
        if origin is None:
            return None

        steps = self._steps.get(id(value), [])
        if not steps:
            return origin
        calls = ", ".join(f"lambda s: {step}" for step in steps)
        text = f"values.after({origin}, {calls})"
        return text if len(text) <= _LONGEST_MAKE else None

    def write_arguments(self, call: LiveCall) -> str | None:
        """Return the arguments of a call as text; None where there is one that no expression can make."""
        parts = [self.write(argument) for argument in call.arguments]
        parts += [
            None if (text := self.write(value)) is None else f"{name}={text}"
            for name, value in call.keywords.items()
        ]
        if any(part is None for part in parts):
            return None

        return ", ".join(part for part in parts if part is not None)

    def show_arguments(self, call: LiveCall) -> str:
        """Return the arguments of a call for people to read."""
        shown = [self.write(argument) or _show(argument) for argument in call.arguments]
        for name, value in call.keywords.items():
            shown.append(f"{name}={self.write(value) or _show(value)}")

        return ", ".join(shown)

    def write(self, value: object, depth: int = 0) -> str | None:
        """Return an expression for a value; None where there is none, or it would be too long."""
        text = self._write_any(value, depth)
        return text if text is not None and len(text) <= _LONGEST_VALUE else None

    def _write_any(self, value: object, depth: int) -> str | None:  # noqa: PLR0911 - one for each kind
        """Return an expression for a value, of any length."""
        kind = type(value)
        if id(value) in self._known:
            return self._known[id(value)]
        if kind is float and not math.isfinite(value):  # type: ignore[arg-type]
            return f"float({str(value)!r})"
        if kind in _PLAIN:
            is_short = not isinstance(value, (str, bytes)) or len(value) <= _LONGEST_VALUE
            return repr(value) if is_short else None
        if kind is bytearray or kind is memoryview:
            content = bytes(value) if kind is bytearray or value.contiguous else b""  # type: ignore[attr-defined, call-overload]
            return f"{kind.__name__}({content!r})" if len(content) <= _LONGEST_VALUE else None
        if kind in {list, tuple, set, frozenset, dict}:
            return self._write_container(value, depth)
        if kind in {io.BytesIO, io.StringIO}:
            return self._write_file(value)
        if isinstance(value, type) and value.__module__ == "builtins":
            return value.__name__
        if isinstance(value, (types.FunctionType, types.LambdaType, types.MethodType)):
            return values.CALLBACK

        made = self.make_text(value)
        is_own = any(id(base) in self._own_types for base in kind.__mro__)
        if made is None and not is_own and kind.__module__ != "builtins":
            return _STAND_IN  # what a test made of Python's own code; a program cannot have it

        return made

    def _write_container(self, value: object, depth: int) -> str | None:
        """Return an expression for a builtin container; None where that of a part is missing, or there are too many."""
        if depth >= _DEEPEST or len(value) > _MOST_ITEMS:  # type: ignore[arg-type]
            return None

        if isinstance(value, dict):
            pairs = []
            for key, part in value.items():
                key_text, part_text = self.write(key, depth + 1), self.write(part, depth + 1)
                if key_text is None or part_text is None:
                    return None
                pairs.append(f"{key_text}: {part_text}")
            return "{" + ", ".join(pairs) + "}"

        parts = []
        for part in value:  # type: ignore[attr-defined]
            text = self.write(part, depth + 1)
            if text is None:
                return None
            parts.append(text)

        if isinstance(value, tuple):
            return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
        if not parts:
            return f"{type(value).__name__}()"
        brackets: str = _BRACKETS[type(value)]  # type: ignore[index] # what it may be was looked at
        return brackets.format(", ".join(parts))

    def _write_file(self, value: object) -> str | None:
        """Return an expression for a file in memory that nobody has closed."""
        if value.closed:  # type: ignore[attr-defined]
            return None

        content = value.getvalue()  # type: ignore[attr-defined]
        return f"io.{type(value).__name__}({content!r})" if len(content) <= _LONGEST_VALUE else None

    def _claim(self, value: object) -> None:
        """Note how an object was made that is met for the first time.

        That is by the first call of its type of which no object was met yet: `left, right = Account(100), Account()`
        are used in this order, if both are used. Else what was called last may have given it: a public function, or
        the native one by which that got its result.
        """
        is_known = id(value) in self._origins or id(value) in self._steps
        if is_known:
            return
        waiting = self._pending.get(type(value))
        origin = waiting.popleft() if waiting else None
        if origin is None and id(type(value)) in self._own_types:
            origin = self._inner_call or self._last_call
        elif origin is None and id(type(value)) in self._known:
            origin = self._last_call
        if origin is None:
            return

        if len(self._steps) > _MOST_OBJECTS:
            self._origins.clear()
            self._steps.clear()
        self._origins[id(value)] = origin
        self._steps[id(value)] = []

    def _keep_arguments(self, call: LiveCall, written: str) -> None:
        """Keep the argument list of a call, among a few others of the same callable."""
        callee = call.text.partition("(")[0].rpartition(".")[2]
        kept = self.arguments.setdefault(callee, [])
        if written not in kept and len(kept) < _MOST_LISTS:
            kept.append(written)

    def _keep_make(self, kind: type, key: int) -> None:
        """Keep how an object was made and brought to a state: of the same object, only the newest state."""
        origin = self._origins[key]
        steps = self._steps[key]
        calls = ", ".join(f"lambda s: {step}" for step in steps)
        text = f"values.after({origin}, {calls})"
        if len(text) > _LONGEST_MAKE:
            return

        kept = self.makes.setdefault(f"{kind.__module__}.{kind.__qualname__}", [])
        earlier = text.rpartition(", lambda s: ")[0]
        for place, other in enumerate(kept):
            if other.removesuffix(")") == earlier:
                kept[place] = text
                return
        if text in kept:
            return
        if len(kept) < _MOST_MAKES:
            kept.append(text)
        else:  # a longer history is worth more
            shortest = min(range(len(kept)), key=lambda place: kept[place].count("lambda s: "))
            if len(steps) > kept[shortest].count("lambda s: "):
                kept[shortest] = text


def _write_call(call: LiveCall, written: str) -> str:
    """Return a call on an object as an expression."""
    takes_more = "(s{" in call.text
    return call.text.format(f", {written}" if written and takes_more else written)


def _show(value: object) -> str:
    """Return a text for a value that no expression can make."""
    return f"<{type(value).__module__}.{type(value).__qualname__}>"[:_LONGEST_SHOWN]
