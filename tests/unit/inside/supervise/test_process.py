"""What a process printed is kept within bounds, and a process that cannot be started leaves nothing open."""

import os
import sys
from pathlib import Path

import pytest

from builder.inside.supervise.accounts import OWN
from builder.inside.supervise.output import Output
from builder.inside.supervise.process import PackageProcess, run_to_end

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_beginning_and_the_end_are_kept():
    output = Output(head_bytes=4, tail_bytes=6)
    output.feed(b"ab")
    output.feed(b"cdef" + b"-" * 100)
    output.feed(b"uvwxyz")
    assert output.size == 112
    assert output.read() == b"abcd\n[102 bytes are left out here]\nuvwxyz"


def test_what_is_short_is_kept_as_it_is():
    output = Output(head_bytes=4, tail_bytes=6)
    output.feed(b"abcdefgh")
    assert output.read() == b"abcdefgh"


def test_the_end_alone_takes_no_more_memory_however_much_is_printed():
    output = Output(head_bytes=0, tail_bytes=10)
    for _ in range(100):
        output.feed(b"x" * 65_536)
    assert len(output._tail) < 1 << 18
    assert output.read_text().endswith("x" * 10)


def test_a_process_that_cannot_be_started_leaves_no_pipe_open(tmp_path: Path):
    before = count_descriptors()
    with pytest.raises(FileNotFoundError):
        PackageProcess(
            [str(tmp_path / "missing")],
            account=OWN,
            environment=ENVIRONMENT,
            folder=str(tmp_path),
            output=Output(0, 100),
            errors=Output(0, 100),
            request={},
            has_dialogue=True,
        )
    assert count_descriptors() == before


def test_a_process_that_ended_leaves_no_pipe_open(tmp_path: Path):
    before = count_descriptors()
    exit_code, printed = run_to_end(
        [sys.executable, "-c", "print('said'); raise SystemExit(3)"],
        account=OWN,
        seconds=60,
        folder=str(tmp_path),
        environment=ENVIRONMENT,
    )
    assert (exit_code, printed) == (3, "said\n")
    assert count_descriptors() == before
