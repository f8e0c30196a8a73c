"""Logs that were written to keep the farm busy: the work they make is counted, and has a bound."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.jobs.build import error_patterns, log, log_excerpt, network
from builder.jobs.build.error_patterns import PATTERNS, SEARCH_BUDGET, Pattern, find_first
from builder.jobs.build.log import FailedCall, explain
from builder.jobs.build.log_excerpt import LINE_LIMIT, WHOLE_BYTES, read_log
from tests.unit.jobs.build.regex_steps import count_steps, list_samples

START = "Building cp314-manylinux_x86_64 wheel\nBuilding wheel...\n"

LOOKED_FOR = [
    *(pattern.regex for pattern in PATTERNS),
    log._REQUIRED_FROM,
    network._HOST,
    log_excerpt.BUILD_START,
    log_excerpt.STAGE_START,
]

STEPS_FACTOR = 2.6
"""How many times as many steps twice the text may take. A search whose steps grow with the square takes 4 times as many."""


@pytest.fixture(autouse=True)
def _deep_recursion() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.parametrize("regex", LOOKED_FOR, ids=lambda regex: regex.pattern[:60])
def test_a_search_takes_time_in_proportion_to_the_text(regex: re.Pattern[str]) -> None:
    for short, long in zip(list_samples(regex, 24), list_samples(regex, 48), strict=True):
        steps = count_steps(regex, short)
        more_steps = count_steps(regex, long)
        assert more_steps <= STEPS_FACTOR * steps + 200, f"{steps} and {more_steps}: {long[:80]!r}"


def test_the_counter_sees_a_search_that_grows_with_the_square() -> None:
    regex = re.compile(r"^\S*ld\S*: ")

    assert count_steps(regex, "ld" * 200) > 3 * count_steps(regex, "ld" * 100)


class CountingRegex:
    """A pattern's regex that counts the characters it is shown."""

    def __init__(self, regex: re.Pattern[str]) -> None:
        self._regex = regex
        self.characters = 0
        self.longest = 0

    def search(self, text: str) -> re.Match[str] | None:
        self.characters += len(text)
        self.longest = max(self.longest, len(text))
        return self._regex.search(text)


def count_characters(monkeypatch: pytest.MonkeyPatch) -> list[CountingRegex]:
    """Let every pattern count the characters that it is shown."""
    counted: list[CountingRegex] = []
    patterns: list[Pattern] = []
    for pattern in PATTERNS:
        regex = CountingRegex(pattern.regex)
        counted.append(regex)
        values = {name: getattr(pattern, name) for name in Pattern.__slots__}
        patterns.append(Pattern(**{**values, "regex": regex}))
    monkeypatch.setattr(log, "PATTERNS", tuple(patterns))

    return counted


def write_hostile_log(path: Path, line: bytes, size: int = 16 << 20) -> FailedCall:
    """Write a log of one call that repeats a line without end."""
    path.write_bytes(START.encode() + line * (size // len(line)))
    end = path.stat().st_size

    return FailedCall(
        abis=("cp314",), exit_code=1, log=(0, end), timeout_s=None, memory_bytes=None, processes=None
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b"a",
        b"a ",
        b" ",
        b"\n",
        b"a\n",
        b"\xff",
        b"ld",
        b"a:1:1:\n",
        b"/bin/sh: 1: x: not fount\n",
        b"CMake Error at " + b"(" * 50 + b"\n",
        b"CMake Error at x (y):\n" + b" " * 3000 + b"\n",
        b" " * (LINE_LIMIT - 1) + b"\n",
        b"_execute_child\n",
        b"auditwheel",
        b"auditwheel Error:\n",
        b"   Error:\n",
        b"wheelfarm: patch 11111111111111111111\n",
        b"No route to host\n",
        b"http://a.a.a.a.a No route to host ",
        b"x.cpp:1:1:   required from her\n/usr/x:1:1: error: x\n",
        b"Building cp314-manylinux_x86_64 wheel\n",
        b"Repairing wheel...\n",
    ],
    ids=ascii,
)
def test_a_log_of_any_kind_is_read_within_bounds(
    line: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = count_characters(monkeypatch)
    path = tmp_path / "log"
    call = write_hostile_log(path, line)

    failure, abi = call.explain(path, "foo")

    assert abi == "cp314"
    assert len(failure.error) <= 2 * 300
    # One window more than the budget, because what is shown is counted afterwards.
    assert all(regex.characters <= SEARCH_BUDGET + regex.longest for regex in counted)
    assert all(regex.longest <= 12 * (LINE_LIMIT + 1) for regex in counted)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.regex.pattern[:60])
def test_near_misses_without_end_spend_a_budget_and_no_more(pattern: Pattern) -> None:
    hint = pattern.hints.pattern.split("|")[0]
    line = re.sub(r"\\(.)", r"\1", hint) + "\n"
    counting = CountingRegex(re.compile(r"(?!)"))
    values = {name: getattr(pattern, name) for name in Pattern.__slots__}
    never = Pattern(**{**values, "regex": counting})

    found = find_first(never, line * (4 * SEARCH_BUDGET // len(line)))

    assert found is None
    assert SEARCH_BUDGET <= counting.characters <= SEARCH_BUDGET + counting.longest


def test_network_errors_without_end_are_looked_at_up_to_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched: list[int] = []
    find_hosts = network._find_hosts

    def count(text: str, proxy_address: str) -> list[str]:
        searched.append(len(text))
        return find_hosts(text, proxy_address)

    monkeypatch.setattr(network, "_find_hosts", count)

    hosts = network.find_unreachable_hosts("No route to host\n" * 200_000, "172.19.0.2")

    assert hosts == (network.UNKNOWN_HOST,)
    assert sum(searched) < 3_000_000


def test_a_large_log_keeps_what_explains_the_failure(tmp_path: Path) -> None:
    path = tmp_path / "log"
    noise = b"cc -c some/file.c -o some/file.o\n" * 300_000
    path.write_bytes(
        b"of another call\n"
        b"Starting container image x...\n"
        b"Building cp314-manylinux_x86_64 wheel\nBuilding wheel...\n"
        + noise
        + b"Building cp314t-manylinux_x86_64 wheel\nBuilding wheel...\nconfigure: first of cp314t\n"
        + noise
        + b"Repairing wheel...\n"
        + noise
        + b"src/a.c:7:1: error: at the end\nwheelfarm-limits: memory-kills=0\n"
    )

    text = read_log(path, start=16)
    failure, abi = explain(
        text, 1, "foo", ("cp314", "cp314t"), timeout_s=None, memory_bytes=None, processes=None
    )

    assert len(text) <= WHOLE_BYTES + 1000
    assert text.startswith("Starting container image")
    assert text.count("bytes of the log are left out here]") == 3
    assert "first of cp314t" in text
    assert (abi, failure.stage) == ("cp314t", "repairing wheel")
    assert failure.error == "src/a.c:7:1: error: at the end"
    assert log.find_infrastructure_problem(text, disk_was_full=False) is None


def test_a_log_without_a_line_break_is_one_short_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * (8 << 20))

    assert len(read_log(path)) < 4 * LINE_LIMIT


def test_a_log_that_is_shorter_than_it_was_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"abc")

    assert read_log(path, 1, 100) == "bc"
    assert read_log(path, 50, 100) == ""


def test_what_cannot_be_seen_in_an_error_is_shown() -> None:
    text = f"{START}a.c:1:1: error: \x1b]8;;https://bad.invalid\x07 \u202ex\n"
    failure, _ = explain(
        text, 1, "foo", ("cp314",), timeout_s=None, memory_bytes=None, processes=None
    )

    assert failure.error == r"a.c:1:1: error: \x1b]8;;https://bad.invalid\x07 \u202ex"


def test_every_pattern_finds_its_hint_in_what_it_matches() -> None:
    logs = Path(__file__).parent / "buildlogs"
    for path in logs.iterdir():
        text = path.read_text()
        for pattern in PATTERNS:
            whole = re.compile(pattern.regex.pattern, re.MULTILINE).search(text)
            found = error_patterns.find_first(pattern, text)
            assert (found is None) == (whole is None), (path.name, pattern.regex.pattern)
