"""Watch which native callables a call reaches, itself or by way of Python code."""

import sys
from collections.abc import Callable
from typing import Any

from .live_calls import TOOL_ID as _TOOL_ID
from .surface import Surface


def find_native_calls(
    call: Callable[[], object], surface: Surface, *, counts_types: bool
) -> set[str]:
    """Make a call, and return the names (in `surface.callables`) of the native callables that ran meanwhile.

    Python's monitoring events tell of each call, also of calls that the package's Python code makes. Empty where no
    native callable of the package ran.

    Args:
        call: what to call, without arguments.
        surface: the package's native callables.
        counts_types: whether to return the names of native types as well of which objects were made.
    """
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined] # the farm's own interpreter may be older
    reached: set[str] = set()

    def note_call(_code: object, _offset: int, function: object, first_argument: object) -> None:
        """Note a call's name if it is native and the package's own; monitoring calls this for every call."""
        if isinstance(function, type) and not counts_types:
            return
        surface.note_owner(function)
        name = surface.find_native_name(function, first_argument)
        if name:
            reached.add(name)

    monitoring.use_tool_id(_TOOL_ID, "wheelfarm")
    try:
        monitoring.register_callback(_TOOL_ID, monitoring.events.CALL, note_call)
        monitoring.set_events(_TOOL_ID, monitoring.events.CALL)
        call()
    finally:
        monitoring.set_events(_TOOL_ID, 0)
        monitoring.free_tool_id(_TOOL_ID)

    return reached
