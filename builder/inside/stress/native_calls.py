"""Watch which native callables a call reaches, itself or by way of Python code."""

import sys
from collections.abc import Callable
from typing import Any

from .surface import Surface, is_native_function

_TOOL = 4
"""A tool number that PEP 669 reserves for nobody: what is called may use those of debuggers and profilers."""


def find_native_calls(
    call: Callable[[], object], surface: Surface, *, counts_types: bool
) -> set[str]:
    """Make a call and return the native callables that were called meanwhile, by their names in `surface.callables`.

    Args:
        call: what to call, without arguments.
        surface: the native callables.
        counts_types: whether to name native types of which objects were made, too.
    """
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined] # the farm's own interpreter may be older
    found: set[str] = set()

    def note_call(_code: object, _offset: int, function: object, first_argument: object) -> None:
        name = None
        if is_native_function(function):
            name = surface.find_native_name(function, first_argument)
        if not name and counts_types and isinstance(function, type):
            name = surface.types.get(id(function))
        if name:
            found.add(name)

    monitoring.use_tool_id(_TOOL, "wheelfarm")
    try:
        monitoring.register_callback(_TOOL, monitoring.events.CALL, note_call)
        monitoring.set_events(_TOOL, monitoring.events.CALL)
        call()
    finally:
        monitoring.set_events(_TOOL, 0)
        monitoring.free_tool_id(_TOOL)

    return found
