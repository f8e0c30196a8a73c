"""Expressions and argument lists as text: taken apart, changed in one place, and values shown as text."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from . import values
from .values import Parameter

_ADDRESS = re.compile(r"0x[0-9a-f]{4,}")
_PLAIN_TYPES = (str, bytes, int, float, bool, type(None), complex)
_SET_TYPES = (set, frozenset)
_CONTAINER_TYPES = (list, tuple, dict, set, frozenset)

# Results are compared as text, and go into the plan and into programs: what is larger than this is not compared.
_LARGEST_ITEMS = 300
_LARGEST_TEXT = 20_000

_LARGE = {"str": "''.join('xyz') * 700", "bytes": "bytes(range(256)) * 16", "list": "[1] * 2000"}
"""Expressions of 2,000 to 4,096 items by type: beyond the small buffers that native code often keeps on the stack."""

SLOTS: dict[str, tuple[str, int | None]] = {
    # Containers
    "__len__": ("len(s)", 0),
    "__iter__": ("list(itertools.islice(s, 200))", 0),
    "__next__": ("next(s, None)", 0),
    "__getitem__": ("operator.getitem(s, {})", 1),
    "__setitem__": ("operator.setitem(s, {})", 2),
    "__delitem__": ("operator.delitem(s, {})", 1),
    "__contains__": ("operator.contains(s, {})", 1),
    "__reversed__": ("list(reversed(s))", 0),
    "__length_hint__": ("operator.length_hint(s)", 0),
    # Conversions
    "__repr__": ("repr(s)", 0),
    "__str__": ("str(s)", 0),
    "__format__": ("format(s)", 0),
    "__hash__": ("hash(s)", 0),
    "__bool__": ("bool(s)", 0),
    "__int__": ("int(s)", 0),
    "__float__": ("float(s)", 0),
    "__complex__": ("complex(s)", 0),
    "__index__": ("operator.index(s)", 0),
    "__bytes__": ("bytes(s)", 0),
    "__buffer__": ("bytes(memoryview(s))", 0),
    "__round__": ("round(s)", 0),
    # Comparisons: one C function serves all of them, most often
    "__eq__": ("operator.eq(s, {})", 1),
    "__lt__": ("operator.lt(s, {})", 1),
    # Operators
    "__neg__": ("-s", 0),
    "__abs__": ("abs(s)", 0),
    "__invert__": ("~s", 0),
    "__add__": ("operator.add(s, {})", 1),
    "__sub__": ("operator.sub(s, {})", 1),
    "__mul__": ("operator.mul(s, {})", 1),
    "__truediv__": ("operator.truediv(s, {})", 1),
    "__floordiv__": ("operator.floordiv(s, {})", 1),
    "__mod__": ("operator.mod(s, {})", 1),
    "__divmod__": ("divmod(s, {})", 1),
    "__pow__": ("operator.pow(s, {})", 1),
    "__matmul__": ("operator.matmul(s, {})", 1),
    "__lshift__": ("operator.lshift(s, {})", 1),
    "__rshift__": ("operator.rshift(s, {})", 1),
    "__or__": ("operator.or_(s, {})", 1),
    "__and__": ("operator.and_(s, {})", 1),
    "__xor__": ("operator.xor(s, {})", 1),
    "__iadd__": ("operator.iadd(s, {})", 1),
    "__isub__": ("operator.isub(s, {})", 1),
    "__imul__": ("operator.imul(s, {})", 1),
    "__itruediv__": ("operator.itruediv(s, {})", 1),
    "__ior__": ("operator.ior(s, {})", 1),
    "__iand__": ("operator.iand(s, {})", 1),
    "__ixor__": ("operator.ixor(s, {})", 1),
    # Copies
    "__copy__": ("copy.copy(s)", 0),
    "__deepcopy__": ("copy.deepcopy(s)", 0),
    "__reduce__": ("pickle.dumps(s)", 0),
    "__getstate__": ("s.__getstate__()", 0),
    # Others
    "__call__": ("s({})", None),
    "__enter__": ("s.__enter__()", 0),
    "__exit__": ("s.__exit__(None, None, None)", 0),
    "__get__": ("s.__get__(1, int)", 0),
    "__getattr__": ("getattr(s, {}, None)", 1),
    "__sizeof__": ("s.__sizeof__()", 0),
}
"""Which expression exercises a slot, and how many arguments it leaves open; None for any number."""


def show_value(value: Any) -> str | None:
    """Return a value as text that can be compared; None where its text would not tell its content.

    `{2, 1}` -> `'[1, 2]'`: sets are sorted. Only plain values and small containers are shown, and none with an address
    (`<object at 0x7f...>`) or a very long text.
    """
    value_type = type(value)  # a proxy would answer isinstance() with code of its own
    is_plain = issubclass(value_type, _PLAIN_TYPES)
    is_small_container = issubclass(value_type, _CONTAINER_TYPES) and len(value) <= _LARGEST_ITEMS
    if not (is_plain or is_small_container):
        return None

    is_unordered = issubclass(value_type, _SET_TYPES)
    try:
        text = repr(sorted(value, key=repr)) if is_unordered else repr(value)
    except BaseException:  # the value's own `__repr__` may raise anything
        return None

    has_address = _ADDRESS.search(text) is not None
    if has_address or len(text) > _LARGEST_TEXT:
        return None

    return text


def parse_docstring(text: str, name: str) -> list[Parameter] | None:
    """Return the required parameters that a docstring's first line names; None where it shows no signature.

    `add(key: str, value=None) -> bool` -> `[("key", "str")]`. Skipped are `self`, parameters with a default, those in
    brackets (`get(key[, default])`), and what is not a name, such as `*args`.

    Args:
        text: the docstring.
        name: the callable's name.
    """
    signature = re.match(rf"\s*(?:[\w.]*\.)?{re.escape(name)}\(([^)]*)\)", text)
    if signature is None:
        return None

    parameters: list[Parameter] = []
    required = signature[1].split("[")[0]  # older docstrings put what is optional into brackets
    for parameter in required.split(","):
        has_default = "=" in parameter
        parameter_name, _, annotation = parameter.partition("=")[0].partition(":")
        is_name = re.fullmatch(r"\s*\w+\s*", parameter_name) is not None
        if is_name and not has_default and parameter_name.strip() != "self":
            parameters.append((parameter_name.strip(), annotation.strip()))

    return parameters


def split_arguments(argument_list: str) -> list[tuple[int, str]]:
    """Return the positional arguments of an argument list, each with its index; empty where the list is no Python.

    `"'ab', 8, size=2"` -> `[(0, "'ab'"), (1, "8")]`.
    """
    try:
        call = _parse_call(argument_list)
    except SyntaxError:
        return []

    return [(position, ast.unparse(node)) for position, node in enumerate(call.args)]


def replace_argument(argument_list: str, position: int, text: str) -> str:
    """Return an argument list in which the positional argument at an index is replaced.

    `("'ab', 8, size=2", 1, "a")` -> `"'ab', a, size=2"`.
    """
    call = _parse_call(argument_list)
    positional = [ast.unparse(node) for node in call.args]
    positional[position] = text
    keywords = [f"{keyword.arg}={ast.unparse(keyword.value)}" for keyword in call.keywords]

    return ", ".join([*positional, *keywords])


def _parse_call(argument_list: str) -> ast.Call:
    call = ast.parse(f"f({argument_list})", mode="eval").body
    assert isinstance(call, ast.Call)

    return call


def iter_alternatives(argument_list: str) -> Iterator[str]:
    """Give variants of an argument list, in which arguments have values that native code may treat differently.

    In each, one literal is larger or of another content, or is an object whose methods let other threads run (a value
    that "hands over"); a callback is replaced by one that collects garbage. Before them comes one list in which all
    texts, bytes and lists are large, if there are several.
    """
    yield from _iter_larger(argument_list)

    callback = values.CALLBACK[1:-1]  # `ast.unparse` leaves the parentheses out
    for position, text in split_arguments(argument_list):
        if callback in text:
            yield replace_argument(argument_list, position, "values.Collecting()")
            continue

        type_name = _name_type(text)
        for replacement in (
            *values.VARIANTS.get(type_name, ()),
            *values.HANDING_OVER.get(type_name, ()),
        ):
            yield replace_argument(argument_list, position, replacement)


def _iter_larger(argument_list: str) -> Iterator[str]:
    """Give one argument list in which all texts, bytes and lists are large; nothing where there are fewer than two.

    `"'ab', b'c'"` -> `"''.join('xyz') * 700, bytes(range(256)) * 16"`. A single one is skipped because
    `iter_alternatives` makes it large by itself.
    """
    type_names = [_name_type(text) for _, text in split_arguments(argument_list)]
    enlargeable = [position for position, type_name in enumerate(type_names) if type_name in _LARGE]
    if len(enlargeable) <= 1:
        return

    for position in enlargeable:
        argument_list = replace_argument(argument_list, position, _LARGE[type_names[position]])

    yield argument_list


def _name_type(text: str) -> str:
    """Return the name of a literal's type, such as `'ab'` -> `str`; empty where the text is no literal.

    `bytearray(...)` counts as one, although Python has no literal for it.
    """
    try:
        return type(ast.literal_eval(text)).__name__
    except (ValueError, SyntaxError):
        return "bytearray" if text.startswith("bytearray(") else ""
