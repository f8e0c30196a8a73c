"""Take objects out of reference counting, so that it does not order threads that nothing else orders."""

import ctypes
import sys

# `struct _object` in Include/object.h of CPython 3.14 without the GIL: its size, which no other build has,
# and where the count of the thread that owns an object and the count of all others are in it.
WITHOUT_GIL = 32
LOCAL, SHARED = 12, 16


def make_immortal(value):
    """Make an object live for ever, and return it.

    Threads that count references of one object are ordered by that: what one did before it let go happens before what
    the next does after it took hold, and a race detector then sees races only where calls overlap. An immortal object
    (PEP 683) is not counted.

    Args:
        value: an object that no other thread uses yet; plain constants are immortal already.
    """
    if object.__basicsize__ == WITHOUT_GIL and value is not None:
        address = id(value)
        ctypes.c_size_t.from_address(address).value = 0  # owned by no thread
        ctypes.c_uint32.from_address(address + LOCAL).value = 0xFFFFFFFF  # immortal
        ctypes.c_ssize_t.from_address(address + SHARED).value = 0

    return value


def make_callables_immortal(names):
    """Make what modules offer live for ever: functions, types, and what is in the types.

    Args:
        names: of modules that were imported.
    """
    for name in names:
        module = sys.modules.get(name)
        if module is None:  # it failed to import
            continue
        for value in list(vars(module).values()):
            if callable(value):
                make_immortal(value)
            if isinstance(value, type):
                for part in list(vars(value).values()):
                    make_immortal(part)
