"""How a package's own tests, examples and stubs call it: argument expressions by the called name, read, never run.

Only expressions that need nothing but literals and the package itself are taken.
"""

import ast
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..calls import values
from ..calls.values import Parameter

# An sdist may hold anything: reading it must end soon. Round figures, above what real packages have; not measured.
_MOST_FILES = 400
_MOST_BYTES = 600_000  # of one file

_LONGEST_LIST = 200
"""Characters of an argument list: longer ones are mostly data of a test, and slow to try."""
_MOST_PER_NAME = 12  # argument lists of one name, such as `get`, which many classes may have

_EXAMPLE = re.compile(r"^\s*>>> (.+)$", re.MULTILINE)

_SAFE_CALLS = frozenset({
    "range", "bytes", "bytearray", "list", "dict", "tuple", "set", "frozenset", "str", "int", "float", "object",
})  # fmt: skip
"""Builtins that an expression may name: none of them reaches anything outside the process."""

_CONTEXT_DEPENDENT = (
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
    ast.NamedExpr,
    ast.Lambda,
    ast.comprehension,
    ast.Starred,
)
"""What makes an expression depend on where it stands, or on how often it is evaluated."""


def mine_calls(folder: Path, roots: set[str], seconds: float) -> dict[str, list[str]]:
    """Return the argument lists that the Python code of an sdist calls functions with, by the function's last name.

    `table.get('ab', 8)` in a test -> `{"get": ["'ab', 8"]}`. Calls that need more than literals and the package itself
    are skipped.

    Args:
        folder: an unpacked sdist.
        roots: import names of the package.
        seconds: most time: what is left then stays unread.
    """
    deadline = time.monotonic() + seconds
    mined: dict[str, list[str]] = {}
    for source in _iter_sources(folder):
        if time.monotonic() > deadline:
            break
        for name, argument_list in _iter_calls(source, roots):
            kept = mined.setdefault(name, [])
            is_new = argument_list not in kept
            if is_new and len(kept) < _MOST_PER_NAME:
                kept.append(argument_list)

    return mined


def read_stubs(folder: Path) -> dict[str, list[Parameter]]:
    """Return the required parameters of functions and methods, by name, from the type stubs (.pyi) in a folder.

    A class has those of its `__init__`. Where several have the same name, the first counts.
    """
    required_by_name: dict[str, list[Parameter]] = {}
    for path in sorted(folder.rglob("*.pyi"))[:_MOST_FILES]:
        tree = _parse(_read_text(path))
        for scope in ast.walk(tree):
            if not isinstance(scope, (ast.Module, ast.ClassDef)):
                continue

            for node in scope.body:
                # What is defined in another function cannot be called from outside.
                if isinstance(node, ast.FunctionDef):
                    name = _name_callable(scope, node)
                    required_by_name.setdefault(name, _read_parameters(node))

    return required_by_name


def _name_callable(scope: ast.Module | ast.ClassDef, function: ast.FunctionDef) -> str:
    """Return the name that a function of a stub is called by: for `__init__`, the name of its class."""
    if isinstance(scope, ast.ClassDef) and function.name == "__init__":
        return scope.name

    return function.name


def _read_parameters(function: ast.FunctionDef) -> list[Parameter]:
    """Return the positional parameters that have no default, without `self`; the first one even if it has a default."""
    positional = [*function.args.posonlyargs, *function.args.args]
    required = len(positional) - len(function.args.defaults)

    parameters: list[Parameter] = []
    for parameter in positional[: max(required, 1)]:
        if parameter.arg in {"self", "cls"}:
            continue
        annotation = _unparse(parameter.annotation) if parameter.annotation else None
        parameters.append((parameter.arg, annotation or ""))

    return parameters


def _iter_sources(folder: Path) -> Iterator[str]:
    """Give the Python code of an sdist: each example (`>>> ...`) in its documents, then the text of each module.

    Tests and examples come before what the package itself is written in, and short ones before long ones.
    """
    for pattern in ("*.rst", "*.md", "docs/*.rst", "docs/*.md"):
        for path in sorted(folder.glob(pattern)):
            yield from _EXAMPLE.findall(_read_text(path))

    for path in sorted(folder.rglob("*.py"), key=_rank_source)[:_MOST_FILES]:
        yield _read_text(path)


def _rank_source(path: Path) -> tuple[bool, int, str]:
    """Rank a Python file: tests and examples first, then by size."""
    shows_use = any(word in str(path).lower() for word in ("test", "example", "demo"))
    size = path.stat().st_size if path.is_file() else 0
    return not shows_use, size, str(path)


def _read_text(path: Path) -> str:
    """Return a file's text; empty where it is too large, no regular file, or cannot be read."""
    try:
        if path.is_file() and path.stat().st_size <= _MOST_BYTES:
            return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # a file that cannot be read is one source of examples less
        pass

    return ""


def _parse(source: str) -> ast.Module:
    """Return the syntax tree of Python source; an empty tree where the parser refuses the source or gives up."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _unparse(node: ast.expr) -> str | None:
    """Return an expression's text, or None where it is nested too deep to be written."""
    try:
        return ast.unparse(node)
    except (RecursionError, ValueError):
        return None


def _iter_calls(source: str, roots: set[str]) -> Iterator[tuple[str, str]]:
    """Give the called name and the argument list, as text, of each call in Python source that can be made elsewhere.

    `table.get('ab', 8)` -> `("get", "'ab', 8")`. A call whose arguments use other variables is skipped.

    Args:
        source: Python source.
        roots: import names of the package, which arguments may use.
    """
    nodes = list(ast.walk(_parse(source)))
    constants = _collect_constants(nodes)
    allowed_names = _SAFE_CALLS | roots | set(values.STANDARD)

    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        name = _name_called(node.func)
        if not name:  # `table[0]()`: nothing to find the arguments by later
            continue
        argument_list = _write_arguments(node, constants, allowed_names)
        if argument_list is not None:
            yield name, argument_list


def _collect_constants(nodes: Iterable[ast.AST]) -> dict[str, ast.expr]:
    """Return the expression that each name is first assigned, at any depth of the source.

    A test may have `SIZE = 8` beside `Table(SIZE)`. Assignments to several targets or to attributes are skipped.

    Args:
        nodes: all of the source.
    """
    constants: dict[str, ast.expr] = {}
    for node in nodes:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        target = node.targets[0]
        if isinstance(target, ast.Name):
            constants.setdefault(target.id, node.value)

    return constants


def _name_called(function: ast.expr) -> str:
    """Return the last part of the name that is called: `table.get` -> `get`; empty where there is no name."""
    if isinstance(function, ast.Attribute):
        return function.attr
    if isinstance(function, ast.Name):
        return function.id

    return ""


def _write_arguments(
    call: ast.Call, constants: Mapping[str, ast.expr], allowed_names: frozenset[str]
) -> str | None:
    """Return a call's arguments as text, such as `'ab', size=8`.

    None where an argument needs more than literals and allowed names, is `**options`, or the text would be too long.

    Args:
        call: the call.
        constants: expressions that stand for names, as `_collect_constants` returned them.
        allowed_names: names that an argument may use.
    """
    parts: list[str] = []
    for argument in call.args:
        text = _write_argument(argument, constants, allowed_names)
        if text is None:
            return None
        parts.append(text)

    for keyword in call.keywords:
        text = _write_argument(keyword.value, constants, allowed_names)
        if keyword.arg is None or text is None:
            return None
        parts.append(f"{keyword.arg}={text}")

    argument_list = ", ".join(parts)
    return argument_list if len(argument_list) <= _LONGEST_LIST else None


def _write_argument(
    argument: ast.expr, constants: Mapping[str, ast.expr], allowed_names: frozenset[str]
) -> str | None:
    """Return an argument's expression as text that means the same anywhere else, or None where there is none.

    With `SIZE = 8` among the constants: `SIZE` -> `8`, `[1, 'ab']` -> `[1, 'ab']`, `bytes(8)` -> `bytes(8)`. None for
    `self.size` (a variable of the code around it), `lambda: 1` or `await ready()`, and `table[0]()`.

    Args:
        argument: the expression.
        constants: expressions that stand for names, as `_collect_constants` returned them.
        allowed_names: names that the text may use: safe builtins, the package and some of the standard library.
    """
    expression = argument
    if isinstance(argument, ast.Name):
        constant = constants.get(argument.id)
        # One step only: `a = b; b = a` would go round without end.
        if constant is not None and not isinstance(constant, ast.Name):
            expression = constant

    for part in ast.walk(expression):
        is_unknown_name = isinstance(part, ast.Name) and part.id not in allowed_names
        # Such as `await` or `yield`: it works, or has the same value, only where it stands.
        is_context_dependent = isinstance(part, _CONTEXT_DEPENDENT)
        # Such as `table[0]()`: what is called has no name by which to tell whether it is safe.
        is_nameless_call = isinstance(part, ast.Call) and not _name_called(part.func)
        if is_unknown_name or is_context_dependent or is_nameless_call:
            return None

    return _unparse(expression)
