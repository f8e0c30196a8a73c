"""What variants of a fault's program showed -> what it needs, and the verdict that it forces. Pure.

Why levels and not alarms: docs/decisions/0028-levels-instead-of-alarm.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.evidence.events import Variants
from builder.verdicts import Verdict
from builder.verdicts.levels import Consequence, Level, Need
from builder.verdicts.wording import join_names, name_callable, name_types

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from builder.evidence.scenarios import Scenario

MAX_NATIVES = 4
"""Native callables by which a fault is named, and that `where` of a finding has at most; where its program reaches
more, a fault is named after their type."""

_MADE_BY = re.compile(r"(?:values\.\w+\()*(?!values\.)([A-Za-z_][\w.]*)\(")
"""What of a package an expression calls first: `pkg.Box(4)` -> `pkg.Box`; `values.after(pkg.Box(4), …)` as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """How often a fault showed in one variant of its program.

    Attributes:
        how: what the variant is, after "shown": `with nothing shared`.
    """

    how: str
    shown: int
    ran: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadFault:
    """What is known of a fault under threads.

    Attributes:
        needs: what threads have to share for it to show.
        consequence: what it does.
        names: the native callables that it is about, or the type.
        defies_lock: whether it showed with one lock round every call, too.
        obeys_lock: whether it was tried with such a lock, and did not show.
        changing: dotted names of the functions that change or free what others use meanwhile; empty where that is not
            known, or where these others are the same functions.
        trials: how often it showed in which variants of its program.
    """

    needs: Need
    consequence: Consequence
    names: tuple[str, ...]
    defies_lock: bool = False
    obeys_lock: bool = False
    changing: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()

    @property
    def remedy(self) -> str:
        """What to do in this very case; empty where too little is known of what it needs."""
        if self.needs is Need.UNKNOWN and not self.obeys_lock:
            return ""
        if self.needs in {Need.NOTHING, Need.UNKNOWN} and self.defies_lock:
            return (
                f"Call {self._calls} from one thread only:"
                " it was tried with a lock round every call, which does not help."
            )

        remedy = self._choose_remedy()
        if self.obeys_lock:
            remedy += " With a lock round every call it did not show."
        return remedy

    def _choose_remedy(self) -> str:
        calls = self._calls
        thing = self._thing
        if self.needs in {Need.NOTHING, Need.UNKNOWN}:
            return f"Put one lock round every call of {calls}, or call it from one thread only."
        if self.needs is Need.READING:
            return f"Give each thread its own {thing}: sharing one breaks even where threads only read it."
        if self.needs is Need.COMPONENT:
            return (
                f"Make what each {thing} is made of anew for each thread,"
                " or use all that is made of it under one lock."
            )
        if self.needs is Need.ARGUMENT:
            return f"Pass a copy to {calls}, or hold a lock while it is called and while what was passed is changed."

        if self.changing:
            return (
                f"Make every call of {_join_calls(self.changing)} before threads share the {thing},"
                f" or put a lock round every use of a shared one, or give each thread its own."
            )
        return f"Give each thread its own {thing}, or put a lock round every use of a shared one."

    @property
    def _calls(self) -> str:
        """What threads call when it shows, for a sentence."""
        return _join_calls(self.names) or "it"

    @property
    def _thing(self) -> str:
        """The object that it is about, for a sentence: its type where there is one, else `object`."""
        types = [name.rpartition(".")[2] for name in name_types(self.names)]
        is_one_type = len(types) == 1 and types[0].lstrip("_")[:1].isupper()
        return f"`{types[0]}`" if is_one_type else "object"

    @property
    def level(self) -> Level:
        """How safe the code is that has it."""
        breaks_reading = self.needs is Need.READING and self.consequence.is_harm
        if self.needs is Need.UNKNOWN:
            return Level.UNKNOWN
        if self.needs is not Need.NOTHING and not breaks_reading:
            return Level.DISTINCT
        return Level.INCOMPATIBLE if self.defies_lock else Level.COMPATIBLE

    @property
    def verdict(self) -> Verdict:
        """The verdict that it forces."""
        if self.level is Level.DISTINCT:
            return Verdict.DISTINCT
        return Verdict.THREAD_UNSAFE if self.consequence.is_harm else Verdict.RACY


def _join_calls(dotted_names: Iterable[str]) -> str:
    """Return callables as a person writes them, for a sentence."""
    names = dict.fromkeys(f"`{name_callable(name)}`" for name in dotted_names)
    return join_names(list(names), MAX_NATIVES)


def assess_fault(
    scenario: Scenario | None,
    variants: Variants | None,
    consequence: Consequence,
    *,
    came_again: tuple[int, int] | None,
    changing: Sequence[str] = (),
    functions: Sequence[str] = (),
    unshared: Collection[str] = (),
) -> ThreadFault:
    """Return what is known of a fault.

    Args:
        scenario: the calls that show it; None where the package's own tests showed it.
        variants: what variants of these calls showed; None where none were tried.
        consequence: what it does.
        came_again: how often a program of its own showed it, of how many times; None where there was none.
        changing: dotted names of the functions that change what others use, where these are told apart.
        functions: dotted names of the functions behind it; empty where they are not known.
        unshared: native callables that returned in several threads while these shared nothing.
    """
    variants = variants or Variants()
    blamed = functions or (() if scenario is None else scenario.natives)
    was_tried_apart = bool(blamed) and set(blamed) <= set(unshared)
    needs = _find_need(scenario, variants, came_again=was_shown(came_again))
    if needs is Need.UNKNOWN and was_tried_apart and scenario is not None:
        # It was seen where threads share something, and the same calls showed nothing where they share nothing.
        needs = _name_shared(scenario) or Need.UNKNOWN

    return ThreadFault(
        needs=needs,
        consequence=consequence,
        names=() if scenario is None else name_callables(scenario),
        defies_lock=was_shown(variants.locked),
        obeys_lock=variants.locked is not None and not was_shown(variants.locked),
        changing=tuple(changing),
        trials=tuple(_list_trials(variants, came_again)),
    )


def _list_trials(variants: Variants, came_again: tuple[int, int] | None) -> Iterator[Trial]:
    """Yield how often a fault showed in each variant that was tried, that with all of it shared first."""
    tried = (
        ("as it was found", came_again or variants.shared),
        ("with nothing shared", variants.private),
        ("with nothing shared but the argument", variants.argument),
        ("with nothing shared but what objects are made of", variants.component),
        ("with calls that only read", variants.reading),
        ("with a lock round every call", variants.locked),
        ("in one thread", variants.alone),
        ("with the GIL on", variants.gil),
    )
    for how, counts in tried:
        if counts is not None:
            shown, ran = counts
            yield Trial(how=how, shown=shown, ran=ran)


def join_faults(faults: Sequence[ThreadFault]) -> ThreadFault | None:
    """Return what is known of several faults with the same cause; None where there is none.

    What is settled for one of them is settled for all; of several, the one that needs least counts.
    """
    if not faults:
        return None

    settled = [fault for fault in faults if fault.needs is not Need.UNKNOWN] or list(faults)
    least = min(settled, key=lambda fault: fault.needs.rank)
    worst = max(faults, key=lambda fault: fault.consequence.rank)
    names = [name for fault in faults for name in fault.names]
    changing = [name for fault in faults for name in fault.changing]
    return replace(
        least,
        consequence=worst.consequence,
        names=tuple(dict.fromkeys(names)),
        changing=tuple(dict.fromkeys(changing)),
    )


def was_shown(counts: tuple[int, int] | None) -> bool:
    """Return whether a variant of a program, counted as (shown, ran), showed the fault at least once."""
    return counts is not None and counts[0] > 0


def _find_need(scenario: Scenario | None, variants: Variants, *, came_again: bool) -> Need:
    """Return the least that threads have to share for a fault to show.

    What was shown with less is worth more than what was not shown with more.
    """
    if scenario is None:
        return Need.UNKNOWN

    by_scenario = _need_by_scenario(scenario)
    if by_scenario is not None:
        return by_scenario

    by_variant = (
        (variants.private, Need.NOTHING),
        (variants.component, Need.COMPONENT),
        (variants.argument, Need.ARGUMENT),
        (variants.reading, Need.READING),
    )
    for counts, need in by_variant:
        if was_shown(counts):
            return need

    has_own = scenario.sharing == "fresh" and scenario.argument is None
    if has_own:
        # It was seen with objects of each call's own, and these may be one and the same object.
        return Need.UNKNOWN if variants.private is not None else Need.NOTHING

    # That it does not show with nothing shared means something only where it is sure to show otherwise.
    is_settled = variants.private is not None and (came_again or was_shown(variants.shared))
    return (_name_shared(scenario) if is_settled else None) or Need.UNKNOWN


def _need_by_scenario(scenario: Scenario) -> Need | None:
    """Return what a fault needs where the scenario itself says so; None where variants have to tell."""
    if scenario.kind == "meeting":
        # The argument is the farm's own callback.
        return Need.NOTHING if scenario.make is None else Need.OBJECT
    if scenario.make is None and scenario.argument is None:
        return Need.NOTHING
    if scenario.threads == 1 or scenario.sharing in {"private", "separate", "distinct"}:
        return Need.NOTHING
    if scenario.sharing == "component":
        return Need.COMPONENT
    if scenario.sharing == "argument":
        return Need.ARGUMENT
    return None


def _name_shared(scenario: Scenario) -> Need | None:
    """Return what threads share in a scenario; None where that is nothing."""
    if not shares_anything(scenario):
        return None
    if scenario.make is not None:
        return Need.OBJECT
    # There, each call makes its object of the argument.
    return Need.COMPONENT if scenario.kind == "component" else Need.ARGUMENT


def shares_anything(scenario: Scenario) -> bool:
    """Return whether threads share an object or an argument in a scenario."""
    return _need_by_scenario(scenario) is not Need.NOTHING and scenario.sharing != "fresh"


def name_callables(scenario: Scenario) -> tuple[str, ...]:
    """Return the native callables that a scenario is about; its type where it reaches many; else none."""
    if 0 < len(scenario.natives) <= MAX_NATIVES:
        return scenario.natives

    owners = {name.rpartition(".")[0] for name in scenario.natives}
    if len(owners) == 1:
        return tuple(owners)

    made_by = _MADE_BY.match(scenario.make or "")
    return (made_by[1],) if made_by else ()
