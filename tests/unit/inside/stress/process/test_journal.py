"""What another process reads of the call that was in progress when one ended."""

import subprocess
import sys
from pathlib import Path

from builder.inside.stress.process.journal import Journal, read_entry, read_last_call

DIE = """
import os, signal, sys
from builder.inside.stress.process.journal import Journal
journal = Journal(sys.argv[1])
journal.write("p.first()")
journal.write("p.last('\\u00e9')")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_last_call_outlives_the_process(tmp_path: Path):
    path = tmp_path / "journal"
    ended = subprocess.run([sys.executable, "-c", DIE, str(path)], check=False)
    assert ended.returncode < 0
    assert read_last_call(path) == "p.last('é')"


def test_the_same_call_once_more_is_another_entry(tmp_path: Path):
    path = tmp_path / "journal"
    journal = Journal(str(path))
    journal.write("p.f()")
    before = read_entry(path)
    journal.write("p.f()")
    assert read_entry(path) != before
    assert read_last_call(path) == "p.f()"


def test_nothing_is_known_before_the_first_call_or_of_one_that_is_too_long(tmp_path: Path):
    path = tmp_path / "journal"
    assert (read_entry(path), read_last_call(path)) == (b"", None)
    journal = Journal(str(path))
    assert read_last_call(path) is None
    journal.write("x" * 5000)
    assert read_last_call(path) is None
    assert path.stat().st_size == 4096
