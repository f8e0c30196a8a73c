"""Which request a process takes, and what it leaves to others."""

from __future__ import annotations

import json
import os

import pytest

from builder.inside.application.amplified import Slot
from builder.inside.smoke import watch


def test_each_process_takes_a_request_of_its_own_and_closes_the_rest():
    slots = [Slot({"number": number}) for number in range(2)]
    pairs = ",".join(slot.pair for slot in slots)
    copies: dict[int, int] = {}
    for slot in slots:
        for end in (slot.asking, slot.answering):
            copies[end] = os.dup(end)

    first = watch.take_request(pairs)
    for end, copy in copies.items():  # as another process has them
        os.dup2(copy, end)
        os.close(copy)
    second = watch.take_request(pairs)
    assert first is not None
    assert second is not None
    assert [first["request"], second["request"]] == [{"number": 0}, {"number": 1}]
    assert first["token"] != second["token"]
    assert second["descriptor"] == slots[1].answering
    assert not os.get_inheritable(slots[1].answering)

    os.write(
        slots[1].answering,
        json.dumps({"token": second["token"], "number": 0, "record": {"begun": True}}).encode()
        + b"\n",
    )
    slots[1].reader.feed(os.read(slots[1].listening, 4096))
    assert slots[1].reader.records.items == [{"begun": True}]
    for descriptor in (slots[0].listening, slots[1].listening, slots[1].answering):
        os.close(descriptor)


def test_files_under_the_numbers_of_closed_pipes_are_left_alone(tmp_path):
    with (tmp_path / "own.txt").open("w") as file:
        number = file.fileno()
        assert watch.take_request(f"{number}:{number}") is None
        file.write("still open")


def test_a_process_that_is_not_to_be_watched_is_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(watch.VARIABLE, raising=False)
    monkeypatch.setattr(watch, "take_request", lambda _: pytest.fail("nothing was asked"))
    watch.begin()
