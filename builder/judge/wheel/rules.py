"""Facts of a wheel -> findings. Pure: used by a run and by `wheelfarm check` alike.

archive.py the file itself · tags.py what it claims to be · module_names.py which file each interpreter loads ·
module_code.py whether it can · floors.py what it needs of a system · symbols.py what it needs of the interpreter ·
health.py how its native code is made · installs.py what of others' it would replace · sbom.py what is told of libraries
it brings · compare.py one package built on two bases · thread_signs.py what it shows of how it was made for threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename

from builder.judge.findings import Finding
from builder.judge.wheel.archive import judge_archive
from builder.judge.wheel.floors import judge_floors
from builder.judge.wheel.health import judge_health
from builder.judge.wheel.installs import judge_installs
from builder.judge.wheel.module_code import judge_module_code
from builder.judge.wheel.module_names import judge_module_names
from builder.judge.wheel.sbom import judge_sbom
from builder.judge.wheel.subject import Subject
from builder.judge.wheel.symbols import judge_symbols
from builder.judge.wheel.tags import judge_tags
from builder.judge.wheel.thread_signs import judge_thread_signs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.config.catalog import Base
    from builder.evidence.audit import WheelFacts
    from builder.judge.interfaces import Interfaces


def judge_wheel(
    filename: str,
    facts: WheelFacts,
    bases: Iterable[Base],
    interfaces: Interfaces,
    excluded: tuple[str, ...] = (),
) -> tuple[Finding, ...]:
    """Return the findings on one wheel, by what was read in it; WF305 alone where its file name is no wheel's.

    Args:
        filename: the wheel's name, which is what it promises.
        facts: what was read.
        bases: where it is meant to run.
        interfaces: what interpreters and bases offer.
        excluded: shared libraries that the matrix leaves to the system.
    """
    try:
        subject = Subject.from_filename(filename, facts, tuple(bases), interfaces, excluded)
    except InvalidWheelFilename as error:
        return (Finding(code="WF305", detail=str(error), where=filename),)

    return judge_subject(subject)


def judge_subject(subject: Subject) -> tuple[Finding, ...]:
    """Return the findings on one wheel whose file name is parsed already.

    Of an archive without readable members only the archive itself is judged.
    """
    archive_findings = tuple(judge_archive(subject))
    if not subject.facts.members:
        return archive_findings or (
            Finding(code="WF305", detail="it is empty", where=subject.filename),
        )

    own_findings = (
        *archive_findings,
        *judge_tags(subject),
        *judge_module_names(subject),
        *judge_module_code(subject),
        *judge_floors(subject),
        *judge_symbols(subject),
        *judge_health(subject),
        *judge_installs(subject),
        *judge_sbom(subject),
        *judge_thread_signs(subject),
    )
    return (*own_findings, *_take_objections(subject.facts, own_findings))


def _take_objections(facts: WheelFacts, own: Iterable[Finding]) -> list[Finding]:
    """Return abi3audit's objections as findings; one whose code the farm's own rules reported already is skipped."""
    own_codes = {finding.code for finding in own}

    findings = []
    for code, where, detail in facts.abi3audit:
        if code not in own_codes:
            findings.append(Finding(code=code, detail=detail, where=where))

    return findings
