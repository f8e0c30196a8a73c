"""How a package's own tests, examples and stubs call it: argument expressions by the called name, read, never run.

Only expressions that need nothing but literals and the package itself are taken.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from . import values

_MOST_FILES = 400
_MOST_BYTES = 600_000
_LARGEST = 200
_PER_NAME = 12
_SAFE_CALLS = {
    "range",
    "bytes",
    "bytearray",
    "list",
    "dict",
    "tuple",
    "set",
    "frozenset",
    "str",
    "int",
    "float",
    "object",
}


def calls(folder: Path, roots: set[str]) -> dict[str, list[str]]:
    """Return argument lists, as text, by the last part of the name that is called with them.

    Args:
        folder: an unpacked sdist.
        roots: import names of the package.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.py"))[:_MOST_FILES]:
        for name, arguments in _of_file(path, roots):
            known = found.setdefault(name, [])
            if arguments not in known and len(known) < _PER_NAME:
                known.append(arguments)
    for path in [
        *folder.glob("*.rst"),
        *folder.glob("*.md"),
        *folder.glob("docs/*.rst"),
        *folder.glob("docs/*.md"),
    ]:
        for source in re.findall(r"^\s*>>> (.+)$", _text(path), re.MULTILINE):
            for name, arguments in _of_source(source, {}, roots):
                known = found.setdefault(name, [])
                if arguments not in known and len(known) < _PER_NAME:
                    known.append(arguments)
    return found


def stubs(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Return parameters (name, annotation) by function or method name, from the stubs a wheel has."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(folder.rglob("*.pyi"))[:_MOST_FILES]:
        tree = _parsed(_text(path))
        for scope in ast.walk(tree):
            for node in (
                getattr(scope, "body", ()) if isinstance(scope, (ast.Module, ast.ClassDef)) else ()
            ):
                if isinstance(node, ast.FunctionDef):
                    name = (
                        scope.name
                        if isinstance(scope, ast.ClassDef) and node.name == "__init__"
                        else node.name
                    )
                    found.setdefault(name, _parameters(node))
    return found


def _parameters(node: ast.FunctionDef) -> list[tuple[str, str]]:
    required = len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults)
    given = [*node.args.posonlyargs, *node.args.args][: max(required, 1)]
    return [
        (one.arg, (_unparsed(one.annotation) or "") if one.annotation else "")
        for one in given
        if one.arg not in {"self", "cls"}
    ]


def _of_file(path: Path, roots: set[str]) -> Iterator[tuple[str, str]]:
    yield from _of_source(_text(path), {}, roots)


def _text(path: Path) -> str:
    """Return a file's text; nothing for what is too large, or no file: an sdist may hold anything."""
    try:
        if path.is_file() and path.stat().st_size <= _MOST_BYTES:
            return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        pass
    return ""


def _parsed(source: str) -> ast.Module:
    """Return a source's tree; an empty one for what the parser refuses or gives up on."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _unparsed(node: ast.expr) -> str | None:
    """Return an expression's text, or None where it is nested too deep to be written."""
    try:
        return ast.unparse(node)
    except (RecursionError, ValueError):
        return None


def _of_source(
    source: str, constants: dict[str, ast.expr], roots: set[str]
) -> Iterator[tuple[str, str]]:
    tree = _parsed(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and len(node.targets) == 1
            and isinstance(node.targets[0], ast.Name)
        ):
            constants.setdefault(node.targets[0].id, node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := _called(node.func)):
            arguments = _arguments(node, constants, roots)
            if arguments is not None:
                yield name, arguments


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _arguments(node: ast.Call, constants: dict[str, ast.expr], roots: set[str]) -> str | None:
    parts: list[str] = []
    for argument in node.args:
        value = _plain(argument, constants, roots)
        if value is None:
            return None
        parts.append(value)
    for keyword in node.keywords:
        value = _plain(keyword.value, constants, roots)
        if keyword.arg is None or value is None:
            return None
        parts.append(f"{keyword.arg}={value}")
    text = ", ".join(parts)
    return text if len(text) <= _LARGEST else None


def _plain(node: ast.expr, constants: dict[str, ast.expr], roots: set[str]) -> str | None:
    """Return an expression's text if literals are all it needs."""
    if (
        isinstance(node, ast.Name)
        and node.id in constants
        and not isinstance(constants[node.id], ast.Name)
    ):
        node = constants[node.id]
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id not in _SAFE_CALLS | roots | set(
            values.STANDARD
        ):
            return None
        if isinstance(
            inner,
            (
                ast.Await,
                ast.Yield,
                ast.YieldFrom,
                ast.NamedExpr,
                ast.Lambda,
                ast.comprehension,
                ast.Starred,
            ),
        ):
            return None
        if isinstance(inner, ast.Call) and not (isinstance(inner.func, (ast.Name, ast.Attribute))):
            return None
    return _unparsed(node)
