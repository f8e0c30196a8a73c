"""No interpreter that the farm starts on its own machine takes modules from the folder it is started in."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import ROOT
from builder.distributions.abi3audit import run_abi3audit
from builder.untrusted.interpreter import (
    SAFE_PATH,
    ProcessLimits,
    TimeLimitError,
    module_command,
    run_confined,
)

LIMITS = ProcessLimits(memory_bytes=1 << 30, cpu_s=5, file_bytes=1 << 20, wall_s=30)

SHADOWED = ("cibuildwheel", "bashlex", "packaging", "typing", "json", "runpy", "builder", "re")


@pytest.fixture
def sdist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder like an unpacked sdist that has modules of everything; it is the working directory."""
    folder = tmp_path / "sdist-1.0"
    code = f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__)\n"
    for name in SHADOWED:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(code)
        (folder / name / "__main__.py").write_text(code)
        (folder / f"{name}.py").write_text(code)
    monkeypatch.chdir(folder)
    return folder


def test_a_program_runs_nothing_of_its_working_directory(sdist: Path, tmp_path: Path):
    command = module_command("builder.jobs.build.launcher")
    ended = subprocess.run(command, cwd=sdist, capture_output=True, text=True, check=False)
    assert "IndexError" in ended.stderr  # it is ours, and misses its argument
    command = module_command("json.tool")
    ended = subprocess.run(
        command, cwd=sdist, input="[1]", capture_output=True, text=True, check=False
    )
    assert ended.stdout.split() == ["[", "1", "]"]
    assert not (tmp_path / "ran").exists()


def test_the_attack_works_without_the_door(sdist: Path, tmp_path: Path):
    subprocess.run([sys.executable, "-m", "cibuildwheel"], cwd=sdist, check=False)
    assert (tmp_path / "ran").exists()


def test_what_a_program_starts_runs_nothing_of_it_either(sdist: Path, tmp_path: Path):
    command = [sys.executable, "-c", "import bashlex"]
    subprocess.run(command, cwd=sdist, env=SAFE_PATH, check=False)
    assert not (tmp_path / "ran").exists()


def test_the_farms_own_modules_come_from_where_it_is(tmp_path: Path):
    program = tmp_path / "show.py"
    program.write_text("import builder; print(builder.__file__)")
    command = module_command("builder.verdicts.codes")
    assert str(ROOT.parent) in command[4]


# --- with limits --------------------------------------------------------------------------------------------------------


def run(tmp_path: Path, code: str, limits: ProcessLimits = LIMITS) -> tuple[int, str, str]:
    modules, folder = tmp_path / "modules", tmp_path / "work"
    modules.mkdir()
    folder.mkdir()
    (modules / "program.py").write_text(code)
    ended = run_confined("program", ["argument"], folder, limits, only=modules)
    return ended.exit_code, ended.output.decode(), ended.errors


def test_a_confined_program_has_nothing_of_the_farms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TWINE_PASSWORD", "secret")
    code = "import os, sys; print(sorted(os.environ), os.getcwd(), sys.argv[1:])\nimport pydantic"
    exit_code, output, errors = run(tmp_path, code)
    assert exit_code == 1
    assert "No module named 'pydantic'" in errors
    names, _, rest = output.partition("] ")
    assert "TWINE_PASSWORD" not in names
    assert rest.split() == [str(tmp_path / "work"), "['argument']"]


HOGS = {
    "memory": "bytes(2 << 30)",
    "time": "while True: pass",
    "a file": "open('big', 'wb').write(bytes(2 << 20))",
    "its output": "while True: print('x' * 10_000)",
}


@pytest.mark.parametrize("name", HOGS)
def test_a_confined_program_ends_at_its_limits(tmp_path: Path, name: str):
    limits = ProcessLimits(memory_bytes=1 << 30, cpu_s=1, file_bytes=1 << 20, wall_s=30)
    exit_code, output, _ = run(tmp_path, HOGS[name], limits)
    assert exit_code != 0
    assert len(output) <= 1 << 20
    assert sum(path.stat().st_size for path in (tmp_path / "work").iterdir()) <= 3 << 20


def test_a_confined_program_that_sleeps_is_killed(tmp_path: Path):
    limits = ProcessLimits(memory_bytes=1 << 30, cpu_s=1, file_bytes=1 << 20, wall_s=1)
    with pytest.raises(TimeLimitError, match="longer than 1 s"):
        run(tmp_path, "import time; time.sleep(60)", limits)


def test_abi3audit_runs_nothing_of_the_working_directory(sdist: Path, tmp_path: Path):
    wheel = tmp_path / "a-1.0-cp312-abi3-linux_x86_64.whl"
    wheel.write_bytes(b"no archive")
    assert run_abi3audit(wheel, wheel.name) == [
        ("WF303", wheel.name, "abi3audit gave no report on it")
    ]
    assert not (tmp_path / "ran").exists()


# --- nobody goes past the door ------------------------------------------------------------------------------------------

DOOR = "untrusted/interpreter.py"

STARTS = {"run", "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput"}

PROGRAMS = {
    "engine/disk.py": {"du"},
    "engine/provision.py": {"apt-cache", "systemctl", "dockerd"},
    "execute/guardian.py": {"module_command"},
    "farm/doctor.py": {"getconf"},
    "host/settings.py": {"apt-get"},
    "jobs/build/cibuildwheel.py": {"module_command"},
    "jobs/build/launcher.py": {"cp", "inspect"},  # of the container engine
    "jobs/images/bootstrap.py": {"mmdebstrap"},
}
"""What the farm starts on its own machine, by the module that starts it: a new one is looked at before it is listed."""


def iter_modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith("inside/"):  # in containers
            yield name, ast.parse(path.read_text())


def test_only_the_door_knows_the_interpreter():
    users = set()
    for name, tree in iter_modules():
        for node in ast.walk(tree):
            is_executable = isinstance(node, ast.Attribute) and node.attr in {
                "executable",
                "_base_executable",
            }
            is_program = isinstance(node, ast.Constant) and node.value in {
                "python",
                "python3",
                "pip",
                "uv",
                "twine",
            }
            if is_executable:
                users.add(name)
            # Names of programs are fine as long as they are not the first word of a command.
            if is_program and _begins_a_list(tree, node):
                users.add(name)
    assert users == {DOOR}


def _begins_a_list(tree: ast.Module, constant: ast.AST) -> bool:
    return any(
        isinstance(node, ast.List | ast.Tuple) and node.elts[:1] == [constant]
        for node in ast.walk(tree)
    )


def test_every_start_of_a_process_is_known():
    starters = set()
    for name, tree in iter_modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = node.func.value
            module = owner.id if isinstance(owner, ast.Name) else ""
            if module == "subprocess" and node.func.attr in STARTS:
                starters.add(name)
            assert (module, node.func.attr) != ("os", "system"), name
            assert not (module == "os" and node.func.attr.startswith(("exec", "spawn", "popen"))), (
                name
            )
            assert not any(
                keyword.arg == "shell" and not _is_false(keyword.value) for keyword in node.keywords
            ), name
    assert starters == {DOOR, *PROGRAMS}
    for name, programs in PROGRAMS.items():
        text = (ROOT / name).read_text()
        assert all(program in text for program in programs), name


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_nothing_else_starts_interpreters():
    """Pools of processes and the like start the interpreter with the path that this process has."""
    for name, tree in iter_modules():
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for imported in names:
                assert not imported.startswith(("multiprocessing", "runpy", "pty", "venv")), name
                assert "ProcessPool" not in imported, name


def test_a_module_may_have_so_much_memory_and_no_more():
    program = "import resource; print(resource.getrlimit(resource.RLIMIT_AS)[0])"
    command = module_command("timeit", "-n1", "-r1", program, memory_bytes=1 << 30)
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[0] == str(1 << 30)
