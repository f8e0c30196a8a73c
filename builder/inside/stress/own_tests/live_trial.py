"""What a forked child does with a live object: threads make calls on it at the same moment (harness.py)."""

import builtins
import collections
import contextlib
import copy
import faulthandler
import gc
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..calls.live_calls import TOOL_ID, LiveCall
from ..calls.recording import Recorder
from ..play import harness
from ..process.immortal import make_immortal

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

_ITERATIONS = 200  # of each thread; the time of a child ends it earlier
_ITERATIONS_WATCHED = 40  # under a sanitizer, which takes ten times as long
_ALONE_TIMES = 3  # that a function is called alone, so that its answers can be compared
_SWITCH_S = 0.0005  # as in forkserver.py
_MOST_READ = 6  # attributes of an object that are read beside a call
_MOST_BYTES = 1 << 20  # of a file that a child gets a copy of
_MOST_LISTED = 1000  # items that are taken from an iterator
_DEEPEST, _MOST_ITEMS = (
    4,
    200,
)  # containers in containers, and what is in each, of arguments that are kept
_STANDARD_ERROR = 2
_LONGEST_CALL = 700  # characters

_COPIED = (list, dict, set, bytearray, collections.deque)
_SCALARS = (type(None), bool, int, float, complex, str, bytes, type)


class Partner(NamedTuple):
    """A call that was made before, and can be made again.

    Attributes:
        name: the native callable.
        text: the call, as an expression.
        call: makes it, on an object of the same type.
    """

    name: str
    text: str
    call: Callable[[Any], Any]


@dataclass(kw_only=True, slots=True)
class Trial:
    """Calls that threads make at the same time.

    Attributes:
        kind: `method`, `function` or `type`.
        receiver: the object that they share; None where there is none.
        make: an expression that makes it; None where there is none, or it cannot be said.
        rows: calls by kind of thread.
        names: native callables of the calls, by their text.
        is_expressible: whether its calls are expressions that mean the same anywhere else.
        threads: how many threads there are.
        iterators: arguments that are iterators: their items are taken in the child.
        own_arguments: the arguments of what is called without an object, copied for each thread in the child.
    """

    kind: str
    receiver: object
    make: str | None
    rows: list[list[Partner]]
    names: dict[str, str]
    is_expressible: bool
    threads: int
    iterators: list["_Items"]
    own_arguments: "_OwnArguments | None" = None

    @property
    def own_name(self) -> str:
        """The native callable that was about to be called."""
        return self.rows[0][0].name

    def describe(self) -> dict[str, Any]:
        """Return what of it is said to the supervisor."""
        return {
            "kind": self.kind,
            "make": self.make,
            "rows": [[partner.text[:_LONGEST_CALL] for partner in row] for row in self.rows],
            "names": self.names,
            "expressible": self.is_expressible,
            "threads": self.threads,
            "iterations": _ITERATIONS,
        }


def keep_partner(call: LiveCall, shown: str) -> Partner | None:
    """Return a call so that it can be made again on another object; None where its arguments must not be kept.

    Kept are copies of plain values: anything else would live longer than the test knows.

    Args:
        call: the call.
        shown: its arguments for people to read.
    """
    if call.makes is not None:
        return None
    arguments, keywords = _copy_plain(call.arguments), _copy_plain(call.keywords)
    if arguments is _NOT_PLAIN or keywords is _NOT_PLAIN:
        return None

    function = call.function
    if call.is_bound:
        method = call.name.rpartition(".")[2]
        return Partner(
            call.name,
            _write_text(call, shown),
            lambda s: getattr(s, method)(*_copy(arguments), **_copy(keywords)),
        )

    return Partner(
        call.name, _write_text(call, shown), _make_caller(function, arguments, keywords, call)
    )


def plan_trial(call: LiveCall, partners: list[Partner], recorder: Recorder, threads: int) -> Trial:
    """Return what threads do with a call that is about to be made.

    Args:
        call: the call.
        partners: other calls, on objects of the same type.
        recorder: knows expressions.
        threads: how many threads there are.
    """
    shown = recorder.show_arguments(call)
    is_written = recorder.write_arguments(call) is not None
    text = _write_text(call, shown)
    arguments = tuple(_list_items(argument) for argument in call.arguments)
    own_arguments = None
    own = Partner(call.name, text, _make_caller(call.function, arguments, call.keywords, call))
    if call.receiver is None:
        own_arguments = _OwnArguments(arguments, call.keywords)
        own = Partner(call.name, text, _make_separate_caller(call.function, own_arguments))

    kind = "type" if call.makes is not None else "function"
    make: str | None = None
    beside = list(partners)
    if call.makes is not None and partners:
        # Each thread has objects of its own, and does with them what the tests do: shared is what they are made of.
        own = _use_new_object(own, partners)
        beside = []
    if call.receiver is not None:
        kind = "method"
        make = recorder.make_text(call.receiver)
        is_written = is_written and make is not None
        beside += _list_reads(call.receiver)
    rows = [[own], [own, *beside]] if beside else [[own]]

    return Trial(
        kind=kind,
        receiver=call.receiver,
        make=make,
        rows=rows,
        names={partner.text: partner.name for partner in (own, *partners)},
        is_expressible=is_written,
        threads=threads,
        iterators=[argument for argument in arguments if isinstance(argument, _Items)],
        own_arguments=own_arguments,
    )


def run(
    trial: Trial, *, threads: int, longest_s: float, is_race: bool, kept: int
) -> dict[str, Any]:
    """Run a trial in this process, which was forked for it; return what came of it.

    Args:
        trial: the trial.
        threads: how many threads make its calls.
        longest_s: after how many seconds calls that come to an end are cut short.
        is_race: whether a race detector watches.
        kept: the descriptor of the pipe to the parent.

    Returns:
        `errors` (how often each exception was met), `wrong` (sentences), `returned` (calls that returned in several
        threads), `iterations` and `shares` (whether threads have an object or an argument in common).
    """
    _isolate(kept, keeps_pipes=is_race)
    for items in trial.iterators:
        items.take()
    shares = trial.receiver is not None
    if trial.own_arguments is not None:
        shares = not trial.own_arguments.copy_for(threads)
    if is_race:
        _make_immortal(trial)
    iterations = _ITERATIONS_WATCHED if is_race else _ITERATIONS

    rows = []
    for row in trial.rows:
        calls = []
        for partner in row:
            result = None
            if trial.receiver is None and not is_race:
                result = _find_result(partner)
            calls.append((partner.text, _take_subject(partner.call), result))
        rows.append(calls)
    if threads == 1:
        # As many calls as all threads would make.
        iterations = iterations * trial.threads // len(rows)
        rows = [[call for row in rows for call in row]]

    returned: dict[str, int] = {}
    errors, wrong = harness.run_rounds(
        lambda: trial.receiver,
        lambda: None,
        rows,
        [],
        threads=threads,
        iterations=iterations,
        rounds=1,
        sharing="shared",
        longest_s=longest_s,
        returned=returned,
    )
    if wrong and any(_differs_alone(partner) for row in trial.rows for partner in row):
        wrong = []  # a clock, a counter or a cache: alone it gives something else each time, too

    in_several = [text for text, count in returned.items() if count > 1]
    return {
        "errors": errors,
        "wrong": wrong,
        "returned": in_several,
        "iterations": iterations,
        "shares": shares,
    }


def _take_subject(call: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a call as harness.py makes it: with the subject and the shared argument."""
    return lambda s, _: call(s)


def _use_new_object(making: Partner, partners: list[Partner]) -> Partner:
    """Return a call that makes an object and makes calls on it; what these raise is not its own."""

    def use(_: object) -> None:
        subject = making.call(None)
        for partner in partners:
            with contextlib.suppress(Exception):
                partner.call(subject)

    steps = ", ".join(f"lambda s: {partner.text}" for partner in partners)
    return Partner(making.name, f"values.after({making.text}, {steps})", use)


def _find_result(partner: Partner) -> str | None:
    """Return what a function gives alone, as text; None where it differs, raises or cannot be shown."""
    results = {_show_result(partner) for _ in range(_ALONE_TIMES)}
    return results.pop() if len(results) == 1 else None


def _show_result(partner: Partner) -> str | None:
    try:
        shown: str | None = harness.show(partner.call(None))
    except Exception:
        return None

    return shown


def _differs_alone(partner: Partner) -> bool:
    """Return whether a function gives different results alone, by now."""
    return len({_show_result(partner) for _ in range(_ALONE_TIMES)}) > 1


def _write_text(call: LiveCall, shown: str) -> str:
    """Return a call as text."""
    takes_more = "(s{}" in call.text
    return call.text.format(f", {shown}" if shown and takes_more else shown)


def _make_caller(
    function: Callable[..., Any],
    arguments: Any,  # noqa: ANN401 - a tuple, or a copy of one
    keywords: Any,  # noqa: ANN401
    call: LiveCall,
) -> Callable[[Any], Any]:
    """Return what makes a call on an object, each time with containers of its own.

    Args:
        function: what is called.
        arguments: its arguments.
        keywords: further ones, by name.
        call: says whether there is an object.
    """
    takes_receiver = call.receiver is not None and not call.is_bound
    is_copied = any(type(value) in _COPIED for value in (*arguments, *keywords.values()))
    is_iterator = any(isinstance(value, _Items) for value in arguments)
    if not is_copied and not is_iterator:
        if takes_receiver:
            return lambda s: function(s, *arguments, **keywords)
        return lambda _: function(*arguments, **keywords)

    if takes_receiver:
        return lambda s: function(s, *_copy(arguments), **_copy(keywords))
    return lambda _: function(*_copy(arguments), **_copy(keywords))


class _OwnArguments:
    """Arguments of which each thread gets copies of its own, as deep as they go."""

    def __init__(self, arguments: tuple[object, ...], keywords: dict[str, object]) -> None:
        self._given = (arguments, keywords)
        self._copies: list[Any] = []
        self._local = threading.local()

    def copy_for(self, count: int) -> bool:
        """Make a copy for each of some threads; return False where they cannot be copied, and are shared."""
        try:
            for _ in range(count):
                self._copies.append(copy.deepcopy(self._given))
        except Exception:
            self._copies.clear()
            return False
        return True

    def take(self) -> Any:  # noqa: ANN401 - a tuple and a dictionary
        """Return this thread's arguments, the positional ones and those by name."""
        if not hasattr(self._local, "arguments"):
            self._local.arguments = self._copies.pop() if self._copies else self._given
        return self._local.arguments


def _make_separate_caller(function: Callable[..., Any], own: _OwnArguments) -> Callable[[Any], Any]:
    """Return what calls a function with arguments of each thread's own, and containers of each call's own."""

    def call(_: object) -> object:
        arguments, keywords = own.take()
        return function(*_copy(arguments), **_copy(keywords))

    return call


class _Items:
    """What an iterator gives, again and again: its items are taken once, in the child."""

    def __init__(self, iterator: Any) -> None:  # noqa: ANN401 - any iterator
        self.items: list[object] = []
        self._iterator = iterator

    def take(self) -> None:
        """Take the items."""
        with contextlib.suppress(Exception):
            for _ in range(_MOST_LISTED):
                self.items.append(next(self._iterator))


def _list_items(value: object) -> object:
    """Return the items of a builtin iterator, so that each call has an iterator of its own; anything else as it is."""
    is_iterator = type(value).__module__ == "builtins" and hasattr(value, "__next__")
    return _Items(value) if is_iterator else value


def _copy(values: Any) -> Any:  # noqa: ANN401 - a tuple or a dictionary
    """Return arguments with copies of their containers."""
    if isinstance(values, dict):
        return {name: _copy_value(value) for name, value in values.items()}
    return tuple([_copy_value(value) for value in values])


def _copy_value(value: Any) -> Any:  # noqa: ANN401
    """Return a copy of a builtin container, an iterator over an iterator's items, or the value itself."""
    if type(value) in _COPIED:
        return value.copy()
    if isinstance(value, _Items):
        return iter(value.items)
    return value


_NOT_PLAIN = object()


def _copy_plain(value: Any, depth: int = 0) -> Any:  # noqa: ANN401
    """Return a copy of a value that is plain all through; `_NOT_PLAIN` for any other."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is bytearray:
        return bytearray(value)
    if (
        kind not in {list, tuple, dict, set, frozenset}
        or depth > _DEEPEST
        or len(value) > _MOST_ITEMS
    ):
        return _NOT_PLAIN

    if kind is dict:
        copied = {key: _copy_plain(part, depth + 1) for key, part in value.items()}
        is_plain = all(type(key) in _SCALARS for key in copied)
        is_plain = is_plain and all(part is not _NOT_PLAIN for part in copied.values())
        return copied if is_plain else _NOT_PLAIN

    parts = [_copy_plain(part, depth + 1) for part in value]
    if any(part is _NOT_PLAIN for part in parts):
        return _NOT_PLAIN
    return kind(parts)


def _list_reads(receiver: object) -> list[Partner]:
    """Return calls that read an object: its attributes that native code computes, and what garbage collection asks."""
    reads: list[Partner] = []
    kind = type(receiver)
    for base in kind.__mro__:
        if base.__module__ == "builtins":
            continue
        for name, value in list(vars(base).items()):
            is_attribute = type(value).__name__ == "getset_descriptor"
            if is_attribute and not name.startswith("_") and len(reads) < _MOST_READ:
                reads.append(Partner("", f"s.{name}", _make_read(name)))
    if hasattr(kind, "__len__"):
        reads.append(Partner("", "len(s)", len))

    reads.append(Partner("", "repr(s)", repr))
    return reads


def _make_read(name: str) -> Callable[[Any], Any]:
    return lambda s: getattr(s, name)


def _make_immortal(trial: Trial) -> None:
    """Take all that threads will share out of reference counting (immortal.py)."""
    make_immortal(trial.receiver)
    for row in trial.rows:
        for partner in row:
            make_immortal(partner.call)
            for cell in getattr(partner.call, "__closure__", None) or ():
                make_immortal(cell)
                content = cell.cell_contents
                make_immortal(content)
                for part in content if isinstance(content, tuple) else ():
                    make_immortal(part)


def _isolate(kept: int, *, keeps_pipes: bool) -> None:
    """Leave what this process shares with its parent: output, open files and sockets, and monitoring.

    Args:
        kept: a descriptor that stays as it is.
        keeps_pipes: whether all pipes stay: a sanitizer asks through some for the lines of its reports.
    """
    os.setpgid(0, 0)  # so that what a call starts can be ended with it
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined] # the farm's own interpreter may be older
    monitoring.set_events(TOOL_ID, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    gc.disable()  # the heap is that of all tests
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers
        with contextlib.suppress(OSError, ValueError):
            if int(name) > _STANDARD_ERROR and int(name) != kept:
                _replace_descriptor(int(name), keeps_pipes=keeps_pipes)

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - what is called may print
    faulthandler.enable(2)
    faulthandler.register(signal.SIGUSR1, 2, all_threads=True)
    sys.setswitchinterval(_SWITCH_S)


def _replace_descriptor(number: int, *, keeps_pipes: bool) -> None:
    """Put a copy in the place of an open file, and nothing in that of a socket: the parent goes on with its own.

    As sockets, so pipes (unless all stay) and what has no kind, as that by which an event loop waits (epoll).
    """
    mode = os.fstat(number).st_mode
    nowhere = os.open(os.devnull, os.O_RDWR)
    is_pipe = stat.S_ISFIFO(mode) or not stat.S_IFMT(mode)
    if stat.S_ISSOCK(mode) or (is_pipe and not keeps_pipes):
        os.dup2(nowhere, number)
    elif stat.S_ISREG(mode):
        place = os.lseek(number, 0, os.SEEK_CUR)
        content = os.pread(number, _MOST_BYTES, 0)
        copied = os.memfd_create("copy")
        os.write(copied, content)
        os.lseek(copied, place, os.SEEK_SET)
        os.dup2(copied, number)
        os.close(copied)
    os.close(nowhere)
