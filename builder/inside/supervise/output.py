"""What a process printed, of which a bounded part is kept."""

from dataclasses import dataclass, field

_SLACK_BYTES = 1 << 16  # of a tail beyond what is kept, before it is cut
_CUT = b"\n[%d bytes are left out here]\n"


@dataclass(slots=True)
class Output:
    """What a process printed: its beginning and its end, however much it prints.

    Attributes:
        head_bytes: how much of the beginning is kept.
        tail_bytes: how much of the end is kept.
        size: how much was printed, in bytes.
    """

    head_bytes: int
    tail_bytes: int
    size: int = 0
    _head: bytearray = field(default_factory=bytearray)
    _tail: bytearray = field(default_factory=bytearray)

    def feed(self, printed: bytes) -> None:
        """Take what was printed next."""
        self.size += len(printed)
        missing = self.head_bytes - len(self._head)
        self._head += printed[:missing]
        self._tail += printed[missing:]
        # Cut seldom: each cut copies the tail.
        if len(self._tail) > 2 * self.tail_bytes + _SLACK_BYTES:
            del self._tail[: len(self._tail) - self.tail_bytes]

    def read(self) -> bytes:
        """Return what is kept; a line in between says how much is left out."""
        tail = bytes(self._tail[-self.tail_bytes :]) if self.tail_bytes else b""
        omitted = self.size - len(self._head) - len(tail)
        cut = _CUT % omitted if omitted else b""

        return bytes(self._head) + cut + tail

    def read_text(self) -> str:
        """Return what is kept as text."""
        return self.read().decode(errors="replace")
