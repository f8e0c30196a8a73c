"""What native code sees of the container it runs in."""

import os
from pathlib import Path

import pytest

from builder.inside.stress.process.interpreter import Interpreter


def test_an_environment_is_what_native_code_needs_and_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("SECRET", "token")
    monkeypatch.setenv("HOME", str(tmp_path))
    environment = Interpreter("python", "/site").environment(PYTHONMALLOC="debug")
    assert "SECRET" not in environment
    assert environment["HOME"] == str(tmp_path)
    assert environment["PYTHONPATH"] == "/site"
    assert environment["PYTHONMALLOC"] == "debug"
    assert "TSAN_OPTIONS" not in environment

    sanitizer = Interpreter("python", "/site", race=True)
    options = sanitizer.environment()["TSAN_OPTIONS"]
    assert {"handle_segv=0", "exitcode=0"} < set(options.split())
    assert "log_path" not in options  # a file could be taken back
    own = sanitizer.program_environment("/home")
    assert (own["HOME"], own["USER"]) == ("/home", "farm")
    assert "/site" not in own["PYTHONPATH"].split(
        os.pathsep
    )  # it is added once the program has begun
