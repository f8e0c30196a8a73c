"""What the engine's notes say of the end of a container: whether what ran in it ended it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.errors import DockerException

from builder.engine import tool_container
from builder.engine.disk import FreeSpace
from builder.engine.labels import JOB_LABEL, LABEL
from builder.engine.tasks import Limits
from builder.engine.tool_container import OwnEnd, ToolContainer

DIED = {"Action": "die", "Actor": {"Attributes": {"exitCode": "137"}}}
PODMAN_DIED = {"Action": "died", "Actor": {"Attributes": {"exitCode": "137"}}}
ORDER = {"Action": "kill", "Actor": {"Attributes": {"signal": "9"}}}
HUNGER = {"Action": "oom", "Actor": {"Attributes": {}}}
CREATED = {"Action": "exec_create: sh", "Actor": {"Attributes": {}}}
GONE = {"Action": "destroy", "Actor": {"Attributes": {}}}


def make_container(notes: Any, *, is_here: bool = True) -> ToolContainer:
    def events(**_: object) -> Any:
        if isinstance(notes, Exception):
            raise notes
        return iter(notes)

    space = FreeSpace(bytes=1 << 40, inodes=1 << 20) if is_here else None
    storage = cast("Any", SimpleNamespace(read_free_space=lambda: space))
    client = cast("Any", SimpleNamespace(events=events))
    return ToolContainer(client, storage, {LABEL: "farm", JOB_LABEL: "call"}, Limits())


@pytest.mark.parametrize(
    ("notes", "end"),
    [
        ([CREATED, DIED, GONE], OwnEnd(exit_code=137, met_memory_limit=False)),
        ([PODMAN_DIED], OwnEnd(exit_code=137, met_memory_limit=False)),
        ([HUNGER, DIED, GONE], OwnEnd(exit_code=137, met_memory_limit=True)),
        ([DIED, ORDER, GONE], OwnEnd(exit_code=137, met_memory_limit=False)),
        ([ORDER, DIED, GONE], None),
        ([HUNGER, ORDER, DIED], None),
        ([CREATED], None),
        ([], None),
        (DockerException("stopped"), None),
        ([{"Action": "die"}], None),
    ],
)
def test_only_an_end_without_an_order_is_its_own(notes: Any, end: OwnEnd | None):
    assert make_container(notes).find_own_end() == end


def test_on_another_machine_nobody_knows():
    assert make_container([DIED], is_here=False).find_own_end() is None


def test_a_machine_without_memory_may_have_ended_it(monkeypatch: pytest.MonkeyPatch):
    kills = iter([3, 4, 4])
    monkeypatch.setattr(tool_container, "_count_kernel_kills", lambda: next(kills))
    assert make_container([DIED]).find_own_end() is None
