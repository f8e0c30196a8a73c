"""The harness's side of the pipe: what a program that imports a package says through it, and how.

Nothing here may depend on what the package can replace once it is imported: whatever is needed then is bound before.
Native code in the same process, and Python code that searches frames, can still reach it; SECURITY.md says so.
"""

import builtins
import ctypes
import json
import os
import sys
import types
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any, BinaryIO

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

Encoder = Callable[[Any], str]
GilReader = Callable[[], bool | None]


_LAYOUTS = frozenset({(3, 14)})
"""Versions of CPython whose `_Py_DebugOffsets` (PEP 768) has the two offsets below where they are said to be."""

_COOKIE = b"xdebugpy"
_GIL_POINTER = 120  # in _Py_DebugOffsets: where an interpreter's state points to its GIL
_GIL_ENABLED = 136
"""In _Py_DebugOffsets: where in a GIL it says how often it was enabled; 0 where it is off."""


class RequestError(ValueError):
    """The supervisor did not ask anything."""


def make_encoder() -> Encoder:
    """Return a function that encodes JSON and uses nothing that can be replaced in modules or types.

    It knows dictionaries with keys of text, lists, tuples, texts, numbers, booleans and None.
    """
    quote = encode_basestring_ascii
    show_text, show_integer, show_float = str.__str__, int.__repr__, float.__repr__
    list_pairs = dict.items

    def encode(value: Any) -> str:  # noqa: ANN401 - each kind is asked for
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return quote(show_text(value))
        if isinstance(value, int):
            return show_integer(value)
        if isinstance(value, float):
            return show_float(value)
        if isinstance(value, dict):
            pairs = [f"{encode(key)}:{encode(part)}" for key, part in list_pairs(value)]
            return "{" + ",".join(pairs) + "}"
        if isinstance(value, (list, tuple)):
            return "[" + ",".join([encode(part) for part in value]) + "]"
        raise TypeError(type(value))

    return encode


def make_gil_reader() -> GilReader:
    """Return a function that tells whether the GIL is on; None on an interpreter that cannot be without it.

    It asks the interpreter itself, whatever becomes of `sys._is_gil_enabled`.
    """
    ask = getattr(sys, "_is_gil_enabled", None)
    if ask is None or "t" not in sys.abiflags:
        return lambda: None

    return lambda: ask() is True


def find_gil() -> int | None:
    """Return the address at which this process has the state of its GIL: a number that is 0 while the GIL is off.

    The supervisor looks there from outside, whatever a package does to what Python says. None on an interpreter that
    cannot be without a GIL, or whose layout is not known.
    """
    is_known = "t" in sys.abiflags and sys.version_info[:2] in _LAYOUTS
    if not is_known:
        return None

    runtime = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
    if ctypes.string_at(runtime, len(_COOKIE)) != _COOKIE:
        return None

    get_interpreter = ctypes.pythonapi.PyInterpreterState_Get
    get_interpreter.restype = ctypes.c_void_p
    pointer_offset = ctypes.c_uint64.from_address(runtime + _GIL_POINTER).value
    enabled_offset = ctypes.c_uint64.from_address(runtime + _GIL_ENABLED).value
    gil = ctypes.c_void_p.from_address(get_interpreter() + pointer_offset).value
    return None if gil is None else gil + enabled_offset


class Witness:
    """Writes records. Made, and its methods taken as values, before a package is imported.

    Attributes:
        write: writes one record, a dictionary.
        show: has the supervisor look at the state of the GIL, and goes on when it has.
        close: says that the harness came to its end, which must be its last record.
        skip: counts records that another interpreter of this process writes with the same token.
    """

    __slots__ = ("close", "show", "skip", "write")

    def __init__(
        self,
        token: str,
        descriptor: int,
        first_number: int = 0,
        *,
        write_bytes: Callable[[int, bytes], int] = os.write,
        get_pid: Callable[[], int] = os.getpid,
        read_bytes: Callable[[int, int], bytes] = os.read,
        looked: int | None = None,
    ) -> None:
        """Prepare to write.

        Args:
            token: the secret that the supervisor gave.
            descriptor: of the pipe.
            first_number: how many records with this token there are already.
            write_bytes: the system call write; the default is bound before a package can replace it.
            get_pid: the system call getpid, as well.
            read_bytes: the system call read, as well.
            looked: the pipe through which the supervisor says that it has looked; None where it is not to look.
        """
        encode = make_encoder()
        own_pid = get_pid()
        number = first_number

        def send(fields: dict[str, Any]) -> None:
            nonlocal number
            # The end of the process that was started is looked at, so that no other one may speak for it.
            if get_pid() != own_pid:
                return
            line = encode({"token": token, "number": number, **fields}) + "\n"
            number += 1
            unwritten = line.encode("ascii")
            while unwritten:
                unwritten = unwritten[write_bytes(descriptor, unwritten) :]

        def show() -> None:
            if looked is not None:
                send({"look": True})
                read_bytes(looked, 1)

        def skip(count: int) -> None:
            nonlocal number
            number += count

        self.write: Callable[[dict[str, Any]], None] = lambda record: send({"record": record})
        self.close: Callable[[], None] = lambda: send({"closing": True})
        self.show: Callable[[], None] = show
        self.skip: Callable[[int], None] = skip


def open_requests() -> BinaryIO:
    """Return what comes through standard input, which is empty from then on for all others."""
    private = os.dup(0)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)

    return os.fdopen(private, "rb")


def read_request(requests: BinaryIO | None = None) -> dict[str, Any]:
    """Return what the supervisor asks first: a line of JSON.

    It has `token`, `descriptor`, `request` and `looked` (see Witness), and `answers`, the pipe for answers, where there
    is a dialogue. These come neither by the command line nor by the environment, which any code of this process could
    read later.

    Args:
        requests: what `open_requests` returned, where more lines are to follow.

    Raises:
        RequestError: there is no such line.
    """
    if requests is None:
        with open_requests() as only_request:
            line = only_request.readline()
    else:
        line = requests.readline()
    if not line.endswith(b"\n"):
        raise RequestError("there is no request on standard input")

    request: dict[str, Any] = json.loads(line)
    return request


def add_site(site: str) -> None:
    """Let this process, and those it starts, import what is installed in a folder.

    It is not on the path when the process begins: a distribution can have a `sitecustomize.py`, or modules with names
    of the standard library, and these would run before the harness does.

    Args:
        site: the folder.
    """
    sys.path.insert(1, site)  # after the farm's own programs
    os.environ["PYTHONPATH"] = site


def hide_programs(*kept: str) -> None:
    """Take the farm's programs out of `sys.modules`, so that a package cannot change them there.

    What runs keeps what it has. `__main__` becomes an empty module, as under `python -c`.

    Args:
        kept: last names of modules that are needed there.
    """
    package = __name__.partition(".supervise")[0]
    for name in list(sys.modules):
        is_ours = name == package or name.startswith(f"{package}.")
        if is_ours and name.rpartition(".")[2] not in kept:
            del sys.modules[name]
    sys.modules["__main__"] = types.ModuleType("__main__")
