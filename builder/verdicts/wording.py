"""Phrases that reports, findings and messages share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def join_names(names: Sequence[str], most: int) -> str:
    """Return names for a sentence: all of them, or the first few with the count of the others.

    Args:
        names: the names, the most important first.
        most: how many to list.
    """
    listed = ", ".join(names[:most])
    hidden = len(names) - most
    if hidden <= 0:
        return listed

    return f"{listed} and {hidden} more"


def name_callable(dotted_name: str) -> str:
    """Return what a person calls a callable: `pkg._core.Box.put` -> `Box.put()`, `pkg._core.Box` -> `Box`.

    A part that begins with a capital letter is taken for a type, and so is what has a special method, which keeps its
    name.
    """
    *owners, leaf = dotted_name.split(".")
    owner = owners[-1] if owners else ""
    if _is_type(owner) or (owner and _is_special(leaf)):
        return f"{owner}.{leaf}()"
    return leaf if _is_type(leaf) else f"{leaf}()"


def name_types(dotted_names: Iterable[str]) -> list[str]:
    """Return the types that callables are methods of, by their dotted names and each once; of no method its own name.

    `pkg.Box.put`, `pkg.Box.get` -> `pkg.Box`; `pkg.box.__len__`, `pkg.box.get` -> `pkg.box`.
    """
    parts = [(name, *name.rpartition(".")[::2]) for name in dotted_names]
    special_owners = {owner for _, owner, leaf in parts if owner and _is_special(leaf)}

    types: dict[str, None] = {}
    for name, owner, _ in parts:
        is_method = owner in special_owners or _is_type(owner.rpartition(".")[2])
        types[owner if is_method else name] = None

    return list(types)


def _is_special(name: str) -> bool:
    """Return whether a name is one that the language gives methods, such as `__len__`."""
    return name.startswith("__") and name.endswith("__")


def _is_type(name: str) -> bool:
    return name.lstrip("_")[:1].isupper()
