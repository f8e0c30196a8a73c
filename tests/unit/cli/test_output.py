"""What commands print from elsewhere is shown, and does nothing."""

from __future__ import annotations

import io
import json
import sys

import pytest

from builder.cli import output


def guard_pipes(monkeypatch: pytest.MonkeyPatch) -> tuple[io.BytesIO, io.BytesIO]:
    """Put pipes in the place of stdout and stderr, whose encoding takes ASCII alone, guard them, and return them."""
    pipes = (io.BytesIO(), io.BytesIO())
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipes[0], "ascii"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(pipes[1], "ascii"))
    output.guard_streams()

    return pipes


def fail(text: str) -> None:
    raise RuntimeError(text)


def test_what_a_stream_cannot_encode_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout, _ = guard_pipes(monkeypatch)

    output.print_line("a \N{CHECK MARK} \udcff \x1b[2J")
    print("\udcff", flush=True)

    assert stdout.getvalue() == b"a \\u2713 \\udcff \\x1b[2J\n\\udcff\n"


def test_an_exception_with_half_a_surrogate_pair_is_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, stderr = guard_pipes(monkeypatch)

    try:
        fail("\udcff\n::error::x\x1b]0;title\x07")
    except RuntimeError as error:
        output.print_exception()
        output.print_error(str(error))

    printed = stderr.getvalue().decode()
    assert "RuntimeError: \\udcff\n\\::error::x\\x1b]0;title\\x07\n" in printed
    # rich leaves out a bell.
    assert "wheelfarm: \\udcff\n\\::error::x\\x1b]0;title\n" in printed


def test_json_stays_json_and_has_no_command_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout, _ = guard_pipes(monkeypatch)
    value = {"a": "##[add-mask]x\n::error::y", "b": "###", "c": "\udcff"}

    output.print_json_text(json.dumps(value))

    printed = stdout.getvalue().decode()
    assert json.loads(printed) == value
    assert "##" not in printed
