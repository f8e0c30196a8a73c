"""A fault under threads in one sentence, for people who know no C: when it shows, and what happens then. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.verdicts.levels import Consequence, Need
from builder.verdicts.wording import join_names, name_callable, name_types

if TYPE_CHECKING:
    from builder.judge.levels import ThreadFault

_MAX_NAMED = 3  # callables in a sentence

ENDS = {
    Consequence.CRASH: "the process crashes",
    Consequence.FREED: "memory is used that another thread has given back, so the process may crash",
    Consequence.WRONG: "results are wrong",
    Consequence.HANG: "threads wait for ever",
    Consequence.RACE: "they access the same memory at the same time, which may corrupt it, though no harm was seen",
}
"""What happens, for someone who knows no C."""

SHARED_THINGS = {
    Need.OBJECT: "share an object of {names} that one of them changes",
    Need.READING: "share an object of {names}",
    Need.ARGUMENT: "pass the same object to {names} and one of them changes it",
    Need.COMPONENT: "use {names} on objects that were made of the same object",
}
"""What threads do when a fault shows."""


def describe_fault(fault: ThreadFault) -> str:
    """Return when a fault shows and what happens then, in a sentence without a full stop."""
    end = ENDS[fault.consequence]
    calls = join_names([f"`{name_callable(name)}`" for name in fault.names], _MAX_NAMED)
    calls = calls or "what its own tests call"

    if fault.needs is Need.NOTHING:
        return f"when several threads call {calls}, {end}, even if each has objects of its own"
    if fault.needs is Need.UNKNOWN:
        return f"when several threads call {calls}, {end}; what they share for that was not settled"

    things = calls
    if fault.needs is not Need.ARGUMENT and fault.names:
        types = [name.rpartition(".")[2] for name in name_types(fault.names)]
        things = join_names([f"`{name}`" for name in types], _MAX_NAMED)
    return f"if threads {SHARED_THINGS[fault.needs].format(names=things)}, {end}"
