"""Nothing from outside is read without an end: neither in bytes, nor in seconds, nor in one line."""

import io
import time

import pytest

from builder.untrusted import reading
from builder.untrusted.reading import Deadline, TooLargeError, TooSlowError


class Endless:
    """A stream that never ends; it counts what was taken."""

    def __init__(self, pause_s: float = 0) -> None:
        self.taken = 0
        self.pause_s = pause_s

    def read(self, size: int, /) -> bytes:
        time.sleep(self.pause_s)
        self.taken += 1 if self.pause_s else size
        return bytes(1 if self.pause_s else size)


def test_what_fits_is_read_whole():
    assert reading.read_bounded(io.BytesIO(b"x" * 100_000), 100_000, "it") == b"x" * 100_000


def test_what_has_no_end_is_cut_and_little_more_is_taken():
    stream = Endless()
    with pytest.raises(TooLargeError, match=r"^the page of foo has more than 1 MiB$"):
        reading.read_bounded(stream, 1 << 20, "the page of foo")
    assert stream.taken == (1 << 20) + 1


def test_a_byte_now_and_then_meets_the_deadline():
    began = time.monotonic()
    with pytest.raises(TooSlowError, match=r"^it took more than 0\.2 s in all$"):
        reading.read_bounded(Endless(pause_s=0.01), 1 << 20, "it", Deadline(0.2))
    assert time.monotonic() - began < 5


def test_a_deadline_counts_down():
    deadline = Deadline(100)
    assert 99 < deadline.remaining_s <= 100
    deadline.check("it")
    assert Deadline(0).remaining_s == 0


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"{", b"9" * 5000])
def test_odd_json_is_a_value_error(content: bytes):
    with pytest.raises(ValueError, match=r"^the answer is "):
        reading.parse_json(content, "the answer")


@pytest.mark.parametrize(
    "content",
    [
        b"a = " + b"[" * 100_000,
        b"a" + b".a" * 100_000 + b" = 1",
        b"[" + b"a ." * 100_000 + b"a]",
        b"\xff",
        b"a",
        b"a = " + b"9" * 5000,
    ],
)
def test_odd_toml_is_a_value_error(content: bytes):
    with pytest.raises(ValueError, match=r"^pyproject\.toml is "):
        reading.parse_toml(content, "pyproject.toml")


def test_json_and_toml():
    assert reading.parse_json(b'{"a": 1}', "it") == {"a": 1}
    assert reading.parse_toml(b"a = 1", "it") == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        "[" + "a." * 190 + "x]\n" + "".join("b." * 190 + f"c{n}=1\n" for n in range(2500)),
        "[" + "a." * 190 + "x]\n" + "".join("b." * 10 + f"c{n}=1\n" for n in range(30_000)),
        "".join(f"a{n}." + "b." * 190 + "c=1\n" for n in range(2500)),
    ],
    ids=["long names and keys", "a long name", "long keys"],
)
def test_keys_of_many_parts_take_no_time(text: str) -> None:
    """tomllib takes 4 to 12 seconds for these."""
    began = time.monotonic()
    with pytest.raises(ValueError, match="too many parts"):
        reading.parse_toml(text, "it")
    assert time.monotonic() - began < 2


def test_many_usual_lines_are_read() -> None:
    lines = "".join(f'"setuptools>=70.1.{n}",\n' for n in range(30_000))
    assert len(reading.parse_toml(f"[build-system]\nrequires = [\n{lines}]\n", "it")) == 1
