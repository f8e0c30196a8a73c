"""A wheel that was built elsewhere, in the place of a build: what loads it cannot tell the difference.

Facts: `abis`, as a build's (build.py). Files: the wheel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.jobs.job import Result
from builder.store.evidence import Evidence
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Tools


@dataclass(frozen=True, kw_only=True, slots=True)
class Prebuilt:
    """The wheels of one release, one for each interpreter.

    Attributes:
        built_on: what stands in the place of a base: which wheel is loaded with their help.
        wheels: (file name, sha256) by ABI; the store has the files.
    """

    name: str
    built_on: str
    wheels: Mapping[str, tuple[str, str]]

    @property
    def id(self) -> str:
        return f"build:{self.name}@{self.built_on}"

    @property
    def needs(self) -> tuple[str, ...]:
        return ()

    def settings(self) -> Mapping[str, object]:
        return {"wheels": self.wheels}

    def key_inputs(self, inputs: Mapping[str, Evidence]) -> Mapping[str, object]:  # noqa: ARG002 - as below
        return {}

    def key(self, inputs: Mapping[str, Evidence]) -> str:  # noqa: ARG002 - it stands on nothing
        return digest("given", self.name, self.wheels)

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:  # noqa: ARG002 - there is nothing to do
        return Result(
            facts={
                "abis": {abi: {"wheel": filename} for abi, (filename, _) in self.wheels.items()}
            },
            files=dict(self.wheels.values()),
        )
