"""docs/cli.md: the reference of all commands, generated from the command line itself.

Usage: python -m builder.generate.cli_reference docs/cli.md
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperGroup, TyperOption

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEAD = """# Command line

After this page you know every command of `wheelfarm` and every option it takes.
It is generated from the code by `make docs`; `wheelfarm COMMAND --help` says the same.

`make venv` installs the command as `.venv/bin/wheelfarm`.
What a command ends with is listed in [exit codes](exit-codes.md).
Every command that prints data prints it as JSON with `--json`.
The schema is `COMMAND.schema.json` beside this page, and `verdicts.schema.json` for `run`.
"""

_MARKUP = re.compile(r"(?<!\\)\[/?[a-z][a-z ]*\]")
"""Rich's markup, such as `[bold]`; a bracket that is meant as one is written with a backslash before it."""

_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z`])")


def reference() -> str:
    """Return docs/cli.md as Markdown: a table of all commands, then a section for each; hidden ones are left out."""
    import typer

    from builder.cli.main import app

    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    context: Any = group.make_context("wheelfarm", [], resilient_parsing=True)
    commands: dict[str, Any] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            commands[name] = command

    lines = [_HEAD, *_summary(commands)]
    for name, command in commands.items():
        lines += _section(name, command, context)

    return "\n".join(lines).rstrip() + "\n"


def _summary(commands: dict[str, Any]) -> Iterator[str]:
    """Iterate over the lines of the table of all commands, each with the first sentence of its help text."""
    yield "| command | purpose |"
    yield "|---|---|"
    for name, command in commands.items():
        first_paragraph = _without_markup(command.help or "").split("\n\n")[0]
        purpose = _sentences(first_paragraph)[0]
        yield f"| [`{name}`](#wheelfarm-{name}) | {_as_cell(purpose)} |"
    yield ""


def _section(name: str, command: Any, context: Any) -> Iterator[str]:  # noqa: ANN401 - typer has no public types for them
    """Iterate over the Markdown of one command: usage, help text, and tables of its arguments and options."""
    arguments: list[tuple[str, Any]] = []
    options: list[tuple[str, Any]] = []
    usage = ["wheelfarm", name]
    for parameter in command.params:
        if parameter.hidden:
            continue
        if isinstance(parameter, TyperArgument):
            arguments.append((_argument_name(parameter), parameter))
        elif isinstance(parameter, TyperOption):
            options.append((_option_signature(parameter, context), parameter))
    if options:
        usage.append("[OPTIONS]")
    usage += [_argument_usage(argument) for _, argument in arguments]

    yield f"## wheelfarm {name}\n"
    yield from _paragraphs(command.help or "")
    yield f"```\n{' '.join(usage)}\n```\n"
    yield from _table("argument", arguments)
    yield from _table("option", options)


def _paragraphs(text: str) -> Iterator[str]:
    """Iterate over a help text as Markdown: one sentence a line, a blank line after each paragraph."""
    for paragraph in _without_markup(text).split("\n\n"):
        one_line = " ".join(paragraph.split())
        yield "\n".join(_sentences(one_line)) + "\n"


def _table(kind: str, rows: Sequence[tuple[str, TyperArgument | TyperOption]]) -> Iterator[str]:
    """Iterate over the lines of a table of arguments or options; there are none if it would be empty.

    Args:
        kind: title of the first column.
        rows: (how it is written, parameter) of each.
    """
    if not rows:
        return

    yield f"| {kind} | meaning | default |"
    yield "|---|---|---|"
    for signature, parameter in rows:
        meaning = _without_markup(parameter.help or "")
        yield f"| `{_as_cell(signature)}` | {_as_cell(meaning)} | {_default(parameter)} |"
    yield ""


def _argument_name(argument: TyperArgument) -> str:
    name = argument.metavar or str(argument.name).upper()
    return name.rstrip(".")


def _argument_usage(argument: TyperArgument) -> str:
    """Return an argument as a usage line shows it: `FILE`, `[SNAPSHOT]`, `WHEELS...`."""
    name = _argument_name(argument)
    if argument.nargs == -1:
        name += "..."
    return name if argument.required else f"[{name}]"


def _option_signature(option: TyperOption, context: Any) -> str:  # noqa: ANN401 - as above
    """Return how an option is written: `--shard K/N`, `--load / --static`."""
    signature = ", ".join(option.opts)
    if option.secondary_opts:
        signature += " / " + ", ".join(option.secondary_opts)
    if option.is_bool_flag:
        return signature

    return f"{signature} {_value_name(option, context)}"


def _value_name(option: TyperOption, context: Any) -> str:  # noqa: ANN401 - as above
    """Return the placeholder of an option's value: its own, its choices as `{quick,deep}`, or one for its type."""
    if option.metavar:
        return str(option.metavar)

    kind = str(option.display_type(context)).strip("<>")
    if "|" in kind:
        return "{" + kind.replace("|", ",") + "}"

    for word, placeholder in (("path", "PATH"), ("int", "N"), ("float", "NUMBER")):
        if word in kind:
            return placeholder

    return "TEXT"


def _default(parameter: TyperArgument | TyperOption) -> str:
    """Return a parameter's default value and the environment variable that overrides it, as a table cell.

    The cell is empty if there is neither, or if the default means "nothing", such as False.
    """
    if parameter.required:
        return "required"

    parts: list[str] = []
    # Of an enum's member, `value` is the word that a user types; other defaults are shown as they are.
    value = getattr(parameter.default, "value", parameter.default)
    means_nothing = value in {None, False, "", ()}
    if not means_nothing:
        parts.append(f"`{value}`")
    if parameter.envvar:
        parts.append(f"from `{parameter.envvar}` where that is set")

    return "; ".join(parts)


def _without_markup(text: str) -> str:
    """Return a help text without Rich's markup and indentation: `[bold]run[/bold]` -> `run`."""
    return _MARKUP.sub("", inspect.cleandoc(text)).replace("\\[", "[")


def _sentences(text: str) -> list[str]:
    return _SENTENCE_END.split(text)


def _as_cell(text: str) -> str:
    """Return text as the content of one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write the reference into the file that is named."""
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
