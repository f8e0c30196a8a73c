"""Find the Python code in a package's documents, docstrings and examples."""

import ast
import doctest
import re
from pathlib import Path

from .surface import Surface

_MOST_FILE_BYTES = 400_000
_MOST_EXAMPLE_BYTES = 20_000
_MOST_DOCUMENTS = 60

_DOCUMENTS = ("README*", "*.rst", "*.md", "docs/**/*.rst", "docs/**/*.md", "doc/**/*.rst")
_EXAMPLES = ("examples/*.py", "example*.py", "docs/examples/*.py", "demo/*.py")
_FENCED = re.compile(r"^```\s*(?:python|py|python3)\s*$\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_DIRECTIVE = re.compile(
    r"^(?:\.\. (?:code-block|code|sourcecode):: *python|.*::)\s*\n(?:[ \t]*:.*\n)*\n((?:[ \t]+.*\n|\s*\n)+)",
    re.MULTILINE,
)

Snippets = list[tuple[str, list[str]]]
"""Pieces of source by the name of what they are from."""


def find_snippets(folder: Path) -> Snippets:
    """Return the Python code in an sdist's documents and its examples, by file."""
    found: Snippets = []
    paths: dict[Path, None] = {}
    for pattern in _DOCUMENTS:
        paths.update(dict.fromkeys(sorted(folder.glob(pattern))))
    for path in list(paths)[:_MOST_DOCUMENTS]:
        if path.is_file() and path.stat().st_size <= _MOST_FILE_BYTES:
            text = path.read_text(encoding="utf-8", errors="replace")
            found.append((path.name, extract_snippets(text)))

    for pattern in _EXAMPLES:
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and path.stat().st_size <= _MOST_EXAMPLE_BYTES:
                found.append((path.name, [path.read_text(encoding="utf-8", errors="replace")]))

    return [(name, sources) for name, sources in found if sources]


def extract_snippets(text: str) -> list[str]:
    """Return the Python code in a document or a docstring: examples after `>>>`, and blocks of code without these."""
    try:
        examples = [example.source for example in doctest.DocTestParser().get_examples(text)]
    except ValueError:  # the prompts are not aligned
        examples = [f"{line}\n" for line in re.findall(r"^\s*>>> (.+)$", text, re.MULTILINE)]

    blocks = _FENCED.findall(text)
    blocks += [_dedent(block) for block in _DIRECTIVE.findall(text)]
    whole = [block for block in blocks if ">>>" not in block and _is_code(block)]
    return [*examples, *whole]


def _dedent(block: str) -> str:
    indents = [len(line) - len(line.lstrip()) for line in block.splitlines() if line.strip()]
    least = min(indents, default=0)
    return "\n".join(line[least:] for line in block.splitlines()) + "\n"


def _is_code(source: str) -> bool:
    """Return whether a text is Python source that does anything."""
    try:
        return bool(ast.parse(source).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def find_docstrings(surface: Surface) -> Snippets:
    """Return the examples in the docstrings of a package's public classes, their methods, and functions."""
    found: Snippets = []
    for name, value in surface.list_public():
        texts = [getattr(value, "__doc__", None)]
        if isinstance(value, type):
            texts += [getattr(part, "__doc__", None) for part in vars(value).values()]
        for text in texts:
            if isinstance(text, str) and ">>>" in text:
                found.append((name, extract_snippets(text)))

    return found
