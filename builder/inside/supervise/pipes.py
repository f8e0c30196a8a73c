"""The pipes through which a supervisor hears a process, and nobody else does."""

import os
from collections.abc import Iterable
from typing import Any


class Pipes:
    """The pipes between a supervisor and one process.

    Made by root, they can be opened by nobody else, not even through /proc.

    Attributes:
        ours: the ends that we read from, by what comes through them.
        theirs: the ends that the process writes to, as well. It knows them by these numbers.
        looked: the end by which the process is told that it was looked at.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Open the pipes.

        Args:
            names: of what is to come through them; `records` is one of them.
        """
        self.ours: dict[str, int] = {}
        self.theirs: dict[str, int] = {}
        for name in names:
            self.ours[name], self.theirs[name] = os.pipe()
        self._looked_end, self.looked = os.pipe()

    def passed_on(self) -> list[int]:
        """Return the ends that the process has beside its standard input and output."""
        named = [self.theirs[name] for name in ("records", "answers") if name in self.theirs]
        return [*named, self._looked_end]

    def make_request(self, token: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return what the process is asked, as witness.read_request describes it.

        Args:
            token: the secret that it shows with each record.
            request: what the request itself is.
        """
        asked = {
            "token": token,
            "descriptor": self.theirs["records"],
            "request": request,
            "looked": self._looked_end,
        }
        if "answers" in self.theirs:
            asked["answers"] = self.theirs["answers"]

        return asked

    def close_theirs(self) -> None:
        """Close the process's ends, which it has copies of."""
        for descriptor in (*self.theirs.values(), self._looked_end):
            os.close(descriptor)

    def close_ours(self) -> None:
        """Close our ends."""
        for descriptor in (*self.ours.values(), self.looked):
            os.close(descriptor)
