"""What a package needs: the search for it has an end, whatever it states."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from packaging.version import Version

from builder.sources import closure
from builder.sources.closure import Candidate, NoSolutionError, resolve_closure
from builder.sources.releases import Release

if TYPE_CHECKING:
    from builder.sources.client import Index


class Wheel(Release):
    """A release that may be taken."""

    yanked = False


class Crowd:
    """An index that has one release of every name."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def releases(self, name: str) -> tuple[Release, ...]:
        self.asked.append(name)
        return (Wheel(version=Version("1.0"), files=()),)

    def requirements(self, _name: str, _release: Release) -> tuple[str, ...]:
        return ()


def resolve(requires: tuple[str, ...], index: Crowd) -> list[Candidate]:
    root = Candidate(name="foo", version=Version("1.0"), extras=frozenset(), requires=requires)
    return resolve_closure(root, {}, cast("Index", index), Version("3.14.0"))


def test_so_many_packages_are_looked_at(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(closure, "_MAX_ASKED", 20)
    index = Crowd()
    found = resolve(tuple(f"a{number}" for number in range(15)), index)
    assert len(found) == 15

    index = Crowd()
    with pytest.raises(NoSolutionError, match="more than 20 packages were looked at"):
        resolve(tuple(f"a{number}" for number in range(10_000)), index)
    assert len(set(index.asked)) <= 20
