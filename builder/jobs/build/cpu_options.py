"""Compilers that were told to make code for the processor of the machine they run on, as a build's log shows them."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import PurePosixPath

from builder.untrusted.text import clean_line

LOG_IN_CONTAINER = "/opt/wheelfarm/compiler.log"
"""Where ccache writes how it was called (its `log_file`): few build systems print how they call compilers."""

_OPTION = r"(-march=native|-mcpu=native|-xHost|target-cpu=native)"
_MAX_LINES = (
    50  # one is enough to know; some more, because those of questions to the compiler do not count
)

SHOW_COMMAND = (
    f"grep -h -E -e '{_OPTION}' {LOG_IN_CONTAINER} 2> /dev/null | grep 'Command line: ' | cut -c -3000 | sort -u"
    f" | head -n {_MAX_LINES}; rm -f {LOG_IN_CONTAINER}"
)
"""Prints the calls that matter of a build that has ended, and forgets all of them."""

_LINE = re.compile(rf"^.*?(?<![\w-]){_OPTION}(?![\w-]).*$", re.MULTILINE)
_MAX_CALLS = 2000

_SOURCES = (
    ".c",
    ".cc",
    ".cpp",
    ".cxx",
    ".c++",
    ".C",
    ".cu",
    ".s",
    ".S",
    ".f",
    ".F",
    ".f90",
    ".F90",
    ".rs",
    ".m",
)

_QUESTIONS = re.compile(
    r"conftest|CMakeTmp|CMakeScratch|CMakeFiles/|TryCompile|meson-private|sanitycheck|_configtest|(?:^|/)tmp[\w]{6,}/[\w]+\.\w+$"
    r"|(?:^|/)(?:test|flag|check|src|has_flag|probe|feature|dummy|null|compiler_?test)[\w-]*\.c\w*$"
)
"""Sources that a build compiles to see whether the compiler takes an option: they end up in no wheel."""


def find_cpu_options(printed: str) -> tuple[str, ...]:
    """Return how compilers were told to make code for this machine's processor: `-march=native for src/a.c`.

    One for each such option, with the first source that it was used for; none where it was only asked for.

    Args:
        printed: what a build printed, as `read_log` returns it.
    """
    seen: dict[str, str] = {}
    for line in islice(_LINE.finditer(printed), _MAX_CALLS):
        words = line[0].split()
        sources = [word for word in words if word.endswith(_SOURCES)]
        compiled = [source for source in sources if not _QUESTIONS.search(source)]
        if compiled:
            seen.setdefault(line[1], str(PurePosixPath(compiled[-1])))

    return tuple(clean_line(f"{option} for {source}", 200) for option, source in seen.items())
