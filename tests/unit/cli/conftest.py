import signal
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from builder.cli.main import main


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def wheelfarm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ended]]:
    """The command's own `main`, in this process: test_exit_codes.py has processes of their own."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["wheelfarm", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, printed.out, printed.err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
