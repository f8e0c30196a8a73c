"""The harness's side of the pipe: what a program that imports a package says through it, and how.

Nothing here may depend on what the package can replace once it is imported: whatever is needed then is bound before.
Native code in the same process, and Python code that searches frames, can still reach it; SECURITY.md says so.
"""

import json
import os
import sys
import types
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any

_READ_BYTES = 1 << 16

Encoder = Callable[[Any], str]


class RequestError(ValueError):
    """The supervisor did not ask anything."""


def make_encoder() -> Encoder:
    """Return a function that encodes JSON and uses nothing that can be replaced in modules or types.

    It knows dictionaries with keys of text, lists, tuples, texts, numbers, booleans and None.
    """
    kind_of, quote = type, encode_basestring_ascii
    number_kinds, text_kind, pair_kind = (int, float), str, dict
    sequence_kinds = (list, tuple)
    show_number = {int: int.__repr__, float: float.__repr__}
    constants = {None: "null", True: "true", False: "false"}
    constant_kinds = (bool, kind_of(None))
    wrong_kind = TypeError

    def encode(value: Any) -> str:  # noqa: ANN401 - each kind is asked for
        kind = kind_of(value)
        if kind in constant_kinds:
            return constants[value]
        if kind is text_kind:
            return quote(value)
        if kind in number_kinds:
            return show_number[kind](value)
        if kind is pair_kind:
            pairs = [f"{quote(key)}:{encode(part)}" for key, part in value.items()]
            return "{" + ",".join(pairs) + "}"
        if kind in sequence_kinds:
            return "[" + ",".join([encode(part) for part in value]) + "]"
        raise wrong_kind(kind)

    return encode


class Witness:
    """Writes records. Made, and its methods taken as values, before a package is imported.

    Attributes:
        write: writes one record, a dictionary.
        close: says that the harness came to its end, which must be its last record.
        skip: counts records that another interpreter of this process writes with the same token.
    """

    __slots__ = ("close", "skip", "write")

    def __init__(self, token: str, descriptor: int, first_number: int = 0) -> None:
        """Prepare to write.

        Args:
            token: the secret that the supervisor gave.
            descriptor: of the pipe.
            first_number: how many records with this token there are already.
        """
        encode, write_bytes, get_pid = make_encoder(), os.write, os.getpid
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

        def skip(count: int) -> None:
            nonlocal number
            number += count

        self.write: Callable[[dict[str, Any]], None] = lambda record: send({"record": record})
        self.close: Callable[[], None] = lambda: send({"closing": True})
        self.skip: Callable[[int], None] = skip


def read_request() -> dict[str, Any]:
    """Return what the supervisor asks: the line of JSON on standard input, which is empty from then on.

    It has `token`, `descriptor` and `request`. These come neither by the command line nor by the environment, which
    any code of this process could read later.

    Raises:
        RequestError: there is no such line.
    """
    received = b""
    while not received.endswith(b"\n"):
        piece = os.read(0, _READ_BYTES)
        if not piece:
            raise RequestError("there is no request on standard input")
        received += piece

    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    request: dict[str, Any] = json.loads(received)

    return request


def hide_programs() -> None:
    """Take the farm's programs out of `sys.modules`, so that a package cannot change them there.

    What runs keeps what it has. `__main__` becomes an empty module, as under `python -c`.
    """
    package = __name__.partition(".supervise")[0]
    for name in list(sys.modules):
        if name == package or name.startswith(f"{package}."):
            del sys.modules[name]
    sys.modules["__main__"] = types.ModuleType("__main__")
