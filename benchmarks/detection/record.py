"""What was measured of labelled packages, in one file, so that another machine can go on with a measurement.

Three runs of all packages take longer than many machines are lent for. A wheelhouse is too large to carry around; the
answers are small. They hold for one detector only: what a changed one would say, nobody knows.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.detection.runs import Package
from builder.config.effort import EFFORTS, EffortLevel
from builder.jobs.programs import programs_digest
from builder.store.hashing import digest

if TYPE_CHECKING:
    from benchmarks.detection.labels import Label

ROOT = Path(__file__).parents[2]

_JUDGING = (
    "builder/judge/threads/*.py", "builder/judge/codes.toml", "builder/judge/findings.py", "builder/judge/levels.py",
    "builder/judge/package.py", "builder/jobs/threads/*.py", "images/*.c",
    "images/*.patch", "images/*race*", "images/keep-symbols.sh",
)  # fmt: skip
"""Besides the programs that search: what makes verdicts of what they see, and what they run on."""


@dataclass(frozen=True, slots=True)
class Round:
    """One run of one set.

    Attributes:
        name: of the set.
        number: of the run, from 1.
        effort: of the run.
    """

    name: str
    number: int
    effort: str


class Record:
    """The answers of a measurement; each is written as soon as it is there."""

    def __init__(self, path: Path, detector: str) -> None:
        """Read what there is. Answers of another detector are forgotten when the first one is added.

        Args:
            path: of the file.
            detector: what `identify_detector` returns.
        """
        self._path = path
        self._detector = detector
        self._answers: dict[str, dict[str, Any]] = {}
        if path.exists():
            document = json.loads(path.read_text())
            if document["detector"] == detector:
                self._answers = document["answers"]

    def find(self, round_: Round, label: Label) -> Package | None:
        """Return what a run came to for a label; None where that is not on record."""
        answer = self._answers.get(_name(round_, label))
        return None if answer is None else Package(label=label, **answer["package"])

    def add(self, round_: Round, packages: list[Package], measured: dict[str, Any]) -> None:
        """Record what a run came to for some packages; those of which nothing was measured are left out.

        Args:
            round_: the run.
            packages: what it came to.
            measured: when and on what that was.
        """
        answered = [package for package in packages if not package.failure]
        if not answered:
            return

        for package in answered:
            fields = asdict(package)
            del fields["label"]
            self._answers[_name(round_, package.label)] = {"measured": measured, "package": fields}

        document = {"detector": self._detector, "answers": dict(sorted(self._answers.items()))}
        aside = self._path.with_suffix(".part")
        aside.write_text(json.dumps(document, indent=1) + "\n")
        aside.replace(self._path)

    def describe(self, round_: Round, labels: list[Label]) -> dict[str, Any] | None:
        """Return when and on what the last of some labels was measured; None where none is on record."""
        measured = []
        for label in labels:
            answer = self._answers.get(_name(round_, label))
            if answer is not None:
                measured.append(answer["measured"])

        return max(measured, key=lambda entry: str(entry["date"]), default=None)


def identify_detector(effort: str) -> str:
    """Return a hash of all that verdicts on threads come from: the same for two farms that would say the same.

    Args:
        effort: how hard they look.
    """
    texts: dict[str, str] = {}
    for pattern in _JUDGING:
        for path in sorted(ROOT.glob(pattern)):
            is_text = path.is_file() and "__pycache__" not in path.parts
            if is_text:
                texts[str(path.relative_to(ROOT))] = digest(path.read_text())

    limits = EFFORTS[EffortLevel(effort)].record()
    return digest("detector", programs_digest("stress"), texts, limits)[:16]


def _name(round_: Round, label: Label) -> str:
    release = f"{label.package} {label.version}".strip()
    return f"{round_.name}, {round_.effort}, run {round_.number}: {release}"
