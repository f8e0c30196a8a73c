"""Ways out of the lack of a wheel, each with whether it is known to work: a remedy promises what is known. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.judge import codes
from builder.untrusted.package_names import pin_package, table_key, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from builder.config.catalog import Abi
    from builder.evidence.audit import WheelFacts
    from builder.evidence.build import Failure
    from builder.sources import Source

_FREE_THREADING = "Programming Language :: Python :: Free Threading"
"""The trove classifier by which a project states that it supports free threading; a grade may follow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PastBuild:
    """What building the same sdist for an ABI came to, in an earlier run.

    Attributes:
        base: where it was built.
        failure: why it made no wheel; None where it made one.
    """

    base: str
    failure: Failure | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WayOut:
    """What to do about something that is in the way.

    Attributes:
        text: what to do, as an order.
        is_known: whether it is known to remove what is in the way; otherwise it is to be tried.
    """

    text: str
    is_known: bool = False


def sort_ways(ways: Iterable[WayOut]) -> tuple[WayOut, ...]:
    """Return ways out, each once, those that are known to work first; otherwise in their order."""
    first: dict[str, WayOut] = {}
    for way in ways:
        earlier = first.get(way.text)
        if earlier is None or not earlier.is_known:
            first[way.text] = way

    return tuple(sorted(first.values(), key=lambda way: not way.is_known))


def join_ways(ways: Iterable[WayOut]) -> str:
    """Return ways out as the text of a remedy."""
    return "; or ".join(way.text for way in ways)


def take_upstream(name: str) -> WayOut:
    """Return the way out that takes upstream's wheel of the release at hand; that there is one is known."""
    text = f'`from = "wheel"` in [packages.{table_key(name)}] takes the wheel that upstream has of this release'
    return WayOut(text=text, is_known=True)


def leave_pure(name: str, abi: Abi) -> WayOut:
    """Return the way out of asking for a wheel without native code where upstream has none of the release."""
    text = f"leave {abi.name} out of `pure` in [packages.{table_key(name)}]: then it gets a wheel as the other ABIs do"
    return WayOut(text=text)


def find_ways_to_wheel(
    source: Source, abi: Abi, past: PastBuild | None, audited: Iterable[WheelFacts]
) -> tuple[WayOut, ...]:
    """Return what helps where upstream has no wheel of a release for an ABI, what is known to work first.

    Args:
        source: the package.
        abi: the ABI.
        past: what building it for this ABI came to before; None where that is not known.
        audited: what is known of upstream's wheels of this release for other ABIs.
    """
    ways = [*_find_other_release(source, abi), *_find_build(source, abi, past, audited)]
    if not ways:
        text = f"try another release, with `version`; or leave {abi.name} out, with `skip`"
        ways.append(WayOut(text=text))
    return sort_ways(ways)


def describe_past_failure(past: PastBuild | None) -> str:
    """Return a clause that says that building it came to nothing before; empty where that is not known."""
    if past is None or past.failure is None:
        return ""

    title = codes.load()[past.failure.code].title
    return f"; its build failed on {past.base} before ({title}: {past.failure.error})"


def _find_other_release(source: Source, abi: Abi) -> Iterator[WayOut]:
    version = dict(source.offers).get(abi.name, "")
    if version and version != source.version:
        table = f"[packages.{table_key(source.name)}]"
        change = f'`version = "=={version}"` in {table}'
        if version_of(source.name):
            change = (
                f"[packages.{table_key(pin_package(source.project, version))}] in place of {table}"
            )
        text = f"{change}: upstream has a wheel of it for {abi.name}"
        yield WayOut(text=text, is_known=True)


def _find_build(
    source: Source, abi: Abi, past: PastBuild | None, audited: Iterable[WheelFacts]
) -> Iterator[WayOut]:
    """Yield the way out by building the sdist, unless there is none, or building it failed before."""
    if not source.sha256:
        return
    setting = f'`from = "either"` in [packages.{table_key(source.name)}]'
    if past is not None:
        if past.failure is None:
            text = f"{setting} builds it: its sdist was built for {abi.name} on {past.base} before"
            yield WayOut(text=text, is_known=True)
        return

    stated = _find_classifier(audited) if abi.free_threaded else ""
    if stated:
        text = f"try {setting}: whether its sdist builds for {abi.name} is not known, and it says `{stated}`"
    else:
        text = f"try {setting}: whether its sdist builds for {abi.name} is not known"
    yield WayOut(text=text)


def _find_classifier(wheels: Iterable[WheelFacts]) -> str:
    """Return the classifier by which a release states support of free threading; empty without one."""
    for wheel in wheels:
        for classifier in wheel.metadata.get("classifier", ()):
            if classifier.startswith(_FREE_THREADING):
                return classifier

    return ""
