"""Expressions and argument lists as text: taken apart, changed in one place, and values shown as text."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from . import values

_ADDRESS = re.compile(r"0x[0-9a-f]{4,}")
_PLAIN = (str, bytes, int, float, bool, type(None), complex)
_LARGEST_ITEMS = 300
_LARGEST_TEXT = 20_000

SLOTS: dict[str, tuple[str, int | None]] = {
    "__len__": ("len(s)", 0), "__iter__": ("list(itertools.islice(s, 200))", 0), "__next__": ("next(s, None)", 0),
    "__getitem__": ("operator.getitem(s, {})", 1), "__setitem__": ("operator.setitem(s, {})", 2),
    "__delitem__": ("operator.delitem(s, {})", 1), "__contains__": ("operator.contains(s, {})", 1),
    "__repr__": ("repr(s)", 0), "__str__": ("str(s)", 0), "__hash__": ("hash(s)", 0), "__bool__": ("bool(s)", 0),
    "__int__": ("int(s)", 0), "__float__": ("float(s)", 0), "__index__": ("operator.index(s)", 0), "__neg__": ("-s", 0),
    "__abs__": ("abs(s)", 0), "__invert__": ("~s", 0), "__reversed__": ("list(reversed(s))", 0),
    "__enter__": ("s.__enter__()", 0), "__exit__": ("s.__exit__(None, None, None)", 0), "__call__": ("s({})", None),
    "__eq__": ("operator.eq(s, {})", 1), "__floordiv__": ("operator.floordiv(s, {})", 1), "__divmod__": ("divmod(s, {})", 1),
    "__lshift__": ("operator.lshift(s, {})", 1), "__rshift__": ("operator.rshift(s, {})", 1), "__lt__": ("operator.lt(s, {})", 1), "__add__": ("operator.add(s, {})", 1),
    "__sub__": ("operator.sub(s, {})", 1), "__mul__": ("operator.mul(s, {})", 1), "__truediv__": ("operator.truediv(s, {})", 1),
    "__or__": ("operator.or_(s, {})", 1), "__and__": ("operator.and_(s, {})", 1), "__xor__": ("operator.xor(s, {})", 1),
    "__mod__": ("operator.mod(s, {})", 1), "__matmul__": ("operator.matmul(s, {})", 1),
    "__iadd__": ("operator.iadd(s, {})", 1), "__isub__": ("operator.isub(s, {})", 1), "__imul__": ("operator.imul(s, {})", 1),
    "__ior__": ("operator.ior(s, {})", 1), "__iand__": ("operator.iand(s, {})", 1), "__ixor__": ("operator.ixor(s, {})", 1),
    "__itruediv__": ("operator.itruediv(s, {})", 1), "__buffer__": ("bytes(memoryview(s))", 0),
    "__copy__": ("copy.copy(s)", 0), "__deepcopy__": ("copy.deepcopy(s)", 0), "__reduce__": ("pickle.dumps(s)", 0),
    "__getstate__": ("s.__getstate__()", 0), "__sizeof__": ("s.__sizeof__()", 0), "__format__": ("format(s)", 0),
    "__get__": ("s.__get__(1, int)", 0), "__length_hint__": ("operator.length_hint(s)", 0), "__pow__": ("operator.pow(s, {})", 1),
    "__complex__": ("complex(s)", 0), "__bytes__": ("bytes(s)", 0), "__round__": ("round(s)", 0),
    "__getattr__": ("getattr(s, {}, None)", 1),
}  # fmt: skip
"""Which expression exercises a slot, and how many arguments it leaves open."""


def shown(value: Any) -> str | None:
    """Return a plain value as text without addresses, or None where its text would not tell its content."""
    kind = type(value)  # a proxy would answer isinstance() with code of its own
    if issubclass(kind, _PLAIN) or (
        issubclass(kind, (list, tuple, dict, set, frozenset)) and len(value) <= _LARGEST_ITEMS
    ):
        try:
            text = (
                repr(sorted(value, key=repr))
                if isinstance(value, (set, frozenset))
                else repr(value)
            )
        except BaseException:
            return None
        return None if _ADDRESS.search(text) or len(text) > _LARGEST_TEXT else text
    return None


def documented(text: str, name: str) -> list[tuple[str, str]] | None:
    """Read parameters from a docstring's first line, such as `add(key, value=None) -> bool`."""
    match = re.match(rf"\s*(?:[\w.]*\.)?{re.escape(name)}\(([^)]*)\)", text)
    if match is None:
        return None
    required = match[1].split("[")[0]
    parameters: list[tuple[str, str]] = []
    for part in required.split(","):
        word, _, annotation = part.partition("=")[0].partition(":")
        if (
            "=" not in part
            and re.fullmatch(r"\s*\w+\s*", word)
            and word.strip() not in {"self", ""}
        ):
            parameters.append((word.strip(), annotation.strip()))
    return parameters


def arguments(given: str) -> list[tuple[int, str]]:
    """Split an argument list into positional expressions."""
    try:
        call = ast.parse(f"f({given})", mode="eval").body
    except SyntaxError:
        return []
    return (
        [(place, ast.unparse(node)) for place, node in enumerate(call.args)]
        if isinstance(call, ast.Call)
        else []
    )


def replaced(given: str, place: int, text: str) -> str:
    """Return an argument list with one positional expression replaced."""
    call = ast.parse(f"f({given})", mode="eval").body
    assert isinstance(call, ast.Call)
    parts = [ast.unparse(node) for node in call.args]
    parts[place] = text
    return ", ".join([*parts, *(f"{one.arg}={ast.unparse(one.value)}" for one in call.keywords)])


def alternatives(given: str) -> Iterator[str]:
    """Give argument lists that differ in one literal: another shape of the same type, or a value that hands over."""
    yield from _larger(given)
    for place, text in arguments(given):
        if values.CALLBACK.strip("()") in text:
            yield replaced(given, place, "values.Collecting()")
            continue
        kind = _kind(text)
        for other in values.VARIANTS.get(kind, ()):
            yield replaced(given, place, other)
        for other in values.HANDING_OVER.get(kind, ()):
            yield replaced(given, place, other)


def _larger(given: str) -> Iterator[str]:
    """Give an argument list whose texts and bytes are all large: some code has another path for them."""
    parts = arguments(given)
    large = {"str": "''.join('xyz') * 700", "bytes": "bytes(range(256)) * 16", "list": "[1] * 2000"}
    kinds = [_kind(text) for _, text in parts]
    if sum(kind in large for kind in kinds) > 1:
        for place, kind in enumerate(kinds):
            if kind in large:
                given = replaced(given, place, large[kind])
        yield given


def _kind(text: str) -> str:
    try:
        return type(ast.literal_eval(text)).__name__
    except (ValueError, SyntaxError):
        return "bytearray" if text.startswith("bytearray(") else ""
