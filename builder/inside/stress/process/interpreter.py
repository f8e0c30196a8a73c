"""The interpreter that runs native code: its commands, its environment, and the sanitizer's options."""

import os
from dataclasses import dataclass
from pathlib import Path

from ...supervise.accounts import name_user
from ..sanitizer.frames import FRAME_FORMAT
from ..sanitizer.stores import VARIABLE, Stores

PACKAGE = ".".join(__name__.split(".")[:-2])
"""What the package of all these programs is imported as: `inside.stress` in containers."""

PROGRAMS = Path(__file__).parents[__name__.count(".")]
"""The folder it is imported from."""

_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LD_LIBRARY_PATH")
"""Variables of the container that what runs native code sees as well."""

SANITIZER_PATIENCE_S = 12.0
"""How long a scenario under the sanitizer, which is slow, may go on without a sign of life."""

_CUT_SHARE = 0.7
"""What of the patience a scenario has whose calls come to an end: only a call without one is taken for a hang."""

_TSAN_OPTIONS = (
    "suppressions=/opt/race/suppressions.txt",  # CPython's own
    "external_symbolizer_path=/usr/local/bin/llvm-symbolizer",
    "exitcode=0",  # a report is no failure of the program
    # A sanitizer that handles a crash itself may print without end: the kernel is to end the process.
    "handle_segv=0",
    "handle_sigbus=0",
    "handle_abort=0",
    "handle_sigill=0",
    "handle_sigfpe=0",
    "detect_deadlocks=1",
    "second_deadlock_stack=1",  # both places of locks that are taken in two orders
    "history_size=4",  # further back than the default: a report needs the stack of the earlier access too
    "atexit_sleep_ms=0",  # processes are many, and each would wait a second for races at its end
    f'stack_trace_format="{FRAME_FORMAT}"',
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What runs native code.

    Attributes:
        python: the program.
        site: the folder the distribution is installed in.
        race: whether it was compiled with ThreadSanitizer.
        patience_s: how long a scenario may go on without a sign of life.
        unwatched: file names of native code in `site` that the sanitizer does not watch.
        stores: where it is noted which stores changed something; None where that is not done.
    """

    python: str
    site: str
    race: bool = False
    patience_s: float = 10.0
    unwatched: frozenset[str] = frozenset()
    stores: Stores | None = None

    @property
    def longest_s(self) -> float:
        """Seconds a scenario may take if each of its calls ends: less than the patience, after which it is a hang."""
        return _CUT_SHARE * self.patience_s

    def program(self, name: str, *arguments: str) -> list[str]:
        """Return the command that runs one of these programs.

        Args:
            name: of its module, in the package of them all: `learn.learn`.
            arguments: what it is given.
        """
        # -P: its working directory is not to be imported from.
        return [self.python, "-P", "-m", f"{PACKAGE}.{name}", *arguments]

    def program_environment(self, home: str) -> dict[str, str]:
        """Return the environment variables of one of these programs: as `environment`, with another path.

        The path has the folder that this package is imported from, and not the distribution: the program adds that by
        itself, once it has begun.

        Args:
            home: the folder in which it may write.
        """
        return self.environment(PYTHONPATH=str(PROGRAMS), **name_user(home))

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment variables of a process that this interpreter runs.

        A sanitizer writes its reports to standard error, where they cannot be taken back.

        Args:
            more: further variables.
        """
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {
            "PYTHONPATH": self.site,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONFAULTHANDLER": "1",
            "PYTHONHASHSEED": "0",
            "WHEELFARM_LONGEST_S": str(self.longest_s),  # replay scripts go by both
            "WHEELFARM_LEAST_S": "0",
            **more,
        }
        if self.race:
            environment["TSAN_OPTIONS"] = " ".join(_TSAN_OPTIONS)
        if self.stores is not None:
            environment[VARIABLE] = self.stores.path

        return environment
