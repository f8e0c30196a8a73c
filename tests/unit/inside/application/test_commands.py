"""How a command of an application ended."""

from __future__ import annotations

from pathlib import Path

from builder.inside.application.commands import run_command


def test_a_command_whose_time_is_up_has_no_exit_code_and_what_it_printed(tmp_path: Path):
    request = {"project": str(tmp_path), "variables": {}}
    run = run_command("echo begun; sleep 30", request, tmp_path, 0.5)
    assert run["exit_code"] is None
    assert run["output"] == "begun\n"
    assert run["seconds"] < 20


def test_a_command_starts_in_the_project_with_an_empty_home(tmp_path: Path):
    (tmp_path / "main.py").write_text("")
    request = {"project": str(tmp_path), "variables": {"SHOP": "open"}}
    run = run_command(
        'ls; ls -A "$HOME"; echo $SHOP; echo 1 > "$HOME/kept"', request, tmp_path, 20.0
    )
    assert (run["exit_code"], run["output"]) == (0, "main.py\nopen\n")
    assert run_command('ls -A "$HOME"', request, tmp_path, 20.0)["output"] == ""
