"""Mistakes in matrix.toml, as pydantic found them, in words for a person who has not read the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder.config.notify import TARGETS, HostName, Label, RepositoryName
from builder.config.scenarios import FunctionName, UrlPath
from builder.config.values import (
    NO_KEYS,
    ApplicationName,
    BuildTag,
    DebianPackage,
    EnvName,
    Sha256,
    SharedLibrary,
    hint_closest,
    join_names,
)
from builder.untrusted.package_names import table_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

_PATTERN_KINDS = (
    DebianPackage,
    EnvName,
    Sha256,
    BuildTag,
    SharedLibrary,
    ApplicationName,
    HostName,
    RepositoryName,
    Label,
    FunctionName,
    UrlPath,
)
"""Types with a pattern, each with a description of it."""


def describe_mistake(details: Mapping[str, Any], table: type[BaseModel]) -> tuple[str, str]:
    """Return where a value is wrong, as a dotted path, and what it should have been.

    Args:
        details: one error of pydantic.
        table: the model of the table that the value stands in.
    """
    location = details["loc"]
    if details["type"] in {"union_tag_not_found", "union_tag_invalid"}:
        location = (*location, "kind")

    return _dotted_path(_drop_tag(location)), _describe_expected(details, table)


def _describe_expected(details: Mapping[str, Any], table: type[BaseModel]) -> str:
    """Return what a value should have been, for a person who has not read the source: `expected a list, not 3`."""
    context = details.get("ctx", {})
    given = details["input"]
    match details["type"]:
        case "extra_forbidden":
            return _describe_unknown_key(str(details["loc"][-1]), table)
        case "value_error":
            return str(context["error"])
        case "string_pattern_mismatch":
            return f"expected {_describe_pattern(context['pattern'])}, not {given!r}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"expected a table, not {given!r}"
        case "tuple_type":
            return f"expected a list, not {given!r}"
        case "string_type":
            return f"expected text, not {given!r}"
        case "int_parsing" | "int_type" | "int_from_float":
            return f"expected a whole number, not {given!r}"
        case _:
            return _describe_rare_mistake(details)


def _describe_rare_mistake(details: Mapping[str, Any]) -> str:
    """Return what a value should have been: of a key that is not there, of the kind of a table, of all the rest."""
    given = details["input"]
    match details["type"]:
        case "missing":
            return "expected this key, which is not there"
        case "union_tag_not_found":
            return f"expected one of {join_names(TARGETS)}; the key is not there"
        case "union_tag_invalid":
            return f"expected one of {join_names(TARGETS)}, not {details['ctx']['tag']!r}"
        case _:
            message = details["msg"].removeprefix("Input should be ")
            return f"expected {message}, not {given!r}"


def _describe_pattern(pattern: str) -> str:
    """Return in words what a pattern asks for, taken from the description of the type that has the pattern."""
    for kind in _PATTERN_KINDS:
        field = kind.__metadata__[-1]  # type: ignore[attr-defined]
        if any(getattr(part, "pattern", None) == pattern for part in field.metadata):
            return str(field.description)
    return f"text that matches {pattern}"


def _describe_unknown_key(key: str, table: type[BaseModel]) -> str:
    """Return that a key is unknown in its table, the closest key, and all keys that the table may have."""
    keys = [
        field.alias or name for name, field in table.model_fields.items() if name not in NO_KEYS
    ]

    hint = hint_closest(key, keys)
    return f"unknown key{hint}; expected one of {join_names(keys)}"


def _drop_tag(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return a location without the kind of target, which pydantic puts behind the name: `notify.a.email.to`."""
    match location:
        case ("notify", name, str(kind), *rest) if kind in TARGETS:
            return ("notify", name, *rest)
        case _:
            return location


def _dotted_path(location: tuple[str | int, ...]) -> str:
    """Return a location as TOML writes it: `packages."a.b".apt[0]`. pydantic's own steps in it are left out."""
    dotted = ""
    for part in location:
        if isinstance(part, int):
            dotted += f"[{part}]"
        elif _is_key(part):
            dotted += f".{table_key(part)}" if dotted else table_key(part)

    return dotted


def _is_key(part: str) -> bool:
    """Return whether a part of a location is a key of the file, and not pydantic's name for a step of its own."""
    is_step = part == "[key]" or part.startswith(("constrained-", "tuple[", "function-"))
    return bool(part) and not is_step
