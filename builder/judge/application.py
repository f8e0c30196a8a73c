"""Verdicts of its packages, and what trying it showed -> the verdict of an application on an ABI and a base. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from builder.distributions.tags import accepts_wheel, floor_name, runs_on
from builder.judge.application_threads import describe_trials, find_harm
from builder.judge.ways_out import WayOut, sort_ways, take_upstream
from builder.sources import Source
from builder.verdicts import ApplicationVerdict, Verdict
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from builder.config.catalog import Abi, Base
    from builder.evidence.application import ApplicationFacts, CommandRun, FailedImport
    from builder.judge.package import JudgedPackage, Judgement
    from builder.sources import Fault
    from builder.verdicts.codes import FindingCode

_PURE_WHEEL: FindingCode = "WF227"
"""Code of the finding that upstream has a wheel without native code in place of one that is at fault."""

_MOST_NAMED = 5
"""Modules or messages that are named in a sentence: the job's log has all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedPackage:
    """A package of a lock.

    Attributes:
        name: canonical.
        version: the release that is locked.
    """

    name: str
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocker:
    """What keeps an application from moving.

    Attributes:
        package: the package that does; empty where it is the application itself.
        version: the release that is locked; empty where it is the application itself.
        what: one sentence on what is wrong.
        ways: what helps, those that are known to work first, of these the shortest; empty where none is known.
    """

    package: str
    version: str
    what: str
    ways: tuple[WayOut, ...] = ()

    @property
    def ways_out(self) -> tuple[str, ...]:
        """What helps, as texts, in the same order."""
        return tuple(way.text for way in self.ways)


@dataclass(frozen=True, kw_only=True, slots=True)
class Risk:
    """What does not keep an application from moving, and has to be known.

    Attributes:
        package: the package that it is about; empty where it is the application itself.
        what: one sentence.
        code: of the kind of finding; empty where it has none.
        remedy: what to do about it; empty where the sentence has all.
    """

    package: str
    what: str
    code: FindingCode | None = None
    remedy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedApplication:
    """The verdict of an application on an ABI and a base.

    Attributes:
        name: of the application, in the matrix.
        packages: how many its lock has.
        blockers: what has to be mended first comes first.
        log: of the job that tried it, relative to the wheelhouse; empty where it was not tried.
        threads: what came of its native calls in several threads, in a few sentences; empty where they were not made.
    """

    name: str
    abi: str
    base: str
    verdict: ApplicationVerdict
    packages: int
    blockers: tuple[Blocker, ...] = ()
    risks: tuple[Risk, ...] = ()
    log: str = ""
    threads: str = ""

    @property
    def reason(self) -> str:
        """One sentence for a person."""
        if self.blockers:
            names = list(
                dict.fromkeys(
                    blocker.package or "the application itself" for blocker in self.blockers
                )
            )
            return f"blocked by {join_names(names, _MOST_NAMED)}: {self.blockers[0].what}"
        if self.verdict is ApplicationVerdict.UNDETERMINED:
            return "it could not be tried"
        if self.risks:
            first, *others = dict.fromkeys(risk.package or "the application" for risk in self.risks)
            also = f"; also to be known of {join_names(others, _MOST_NAMED)}" if others else ""
            return f"installs and runs; to be known of {first}: {self.risks[0].what}{also}"
        return f"all {self.packages} packages of its lock install from the index alone, and it runs"

    @property
    def way_out(self) -> str:
        """The shortest way out, as one step for each blocker; empty where nothing blocks or no way is known."""
        steps = [blocker.ways_out[0] for blocker in self.blockers if blocker.ways_out]
        return "; ".join(dict.fromkeys(steps))


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What the package index has of a package that blocks.

    Attributes:
        has_wheel: whether the locked release has a wheel of upstream's for the ABI and the base.
        mending_release: the newest release above the locked one with such a wheel; empty where there is none.
        older_release: the newest release below the locked one with such a wheel; empty where there is none.
        newest_release: the newest release above the locked one; empty where there is none.
    """

    has_wheel: bool = False
    mending_release: str = ""
    older_release: str = ""
    newest_release: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What an application is judged by, on one ABI and one base.

    Attributes:
        name: of the application.
        lock: its lock file, as the matrix names it.
        to_add: what `wheelfarm add` is told to take all that it locks: options, and the file.
        locked: what that has.
        packages: the judged package for each that is locked, by project; those that the farm lacks are not there.
        served: names of the files that the index serves, by package.
        outlooks: what the package index has of those that block, by package.
        versions: the releases that the matrix has of a project, by project.
    """

    name: str
    lock: str
    to_add: str
    abi: Abi
    base: Base
    locked: Sequence[LockedPackage]
    packages: Mapping[str, JudgedPackage]
    served: Mapping[str, Sequence[str]]
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)
    versions: Mapping[str, Sequence[str]] = field(default_factory=dict)


def select_wheels(filenames: Iterable[str], abi: str, base: Base) -> list[str]:
    """Return the wheels that an interpreter of an ABI takes on a base; it need not be one of the farm's ABIs."""
    return [name for name in filenames if accepts_wheel(name, abi) and runs_on(name, base)]


def find_blocked(situation: Situation) -> tuple[Blocker, ...]:
    """Return the packages of a lock that cannot be installed from the farm's index, as blockers."""
    blockers: list[Blocker] = []
    for locked in situation.locked:
        what = _explain_lack(locked, situation)
        if what:
            ways = sort_ways(_find_ways_out(locked, situation))
            blockers.append(
                Blocker(package=locked.name, version=locked.version, what=what, ways=ways)
            )

    return tuple(blockers)


def judge_application(
    situation: Situation, facts: ApplicationFacts | None, log: str = ""
) -> JudgedApplication:
    """Return the verdict of an application that was to be tried.

    Args:
        situation: what it is judged by.
        facts: what trying it showed; None where it was not tried, or nothing was found out.
        log: of the job that tried it.
    """
    blockers = find_blocked(situation)
    risks: list[Risk] = []
    if facts is not None:
        blockers += tuple(_find_own_blockers(facts, situation.locked))
        risks += _find_own_risks(facts, situation.abi)
    risks += _find_package_risks(situation)

    return JudgedApplication(
        name=situation.name,
        abi=situation.abi.name,
        base=situation.base.name,
        verdict=_choose_verdict(blockers, risks, was_tried=facts is not None),
        packages=len(situation.locked),
        blockers=blockers,
        risks=tuple(risks),
        log=log,
        threads="" if facts is None else describe_trials(facts.amplified),
    )


def judge_unusable(situation: Situation, what: str) -> JudgedApplication:
    """Return the judgement of an application whose lock or files cannot be used.

    Args:
        situation: what it was to be judged by.
        what: why, with what to do.
    """
    return JudgedApplication(
        name=situation.name,
        abi=situation.abi.name,
        base=situation.base.name,
        verdict=ApplicationVerdict.BLOCKED,
        packages=0,
        blockers=(_own_blocker(what),),
    )


def name_other_abi(
    judged: Sequence[JudgedApplication], abis: Iterable[Abi]
) -> list[JudgedApplication]:
    """Return judgements in which a blocked application names the ABI with the GIL on which it is not blocked.

    Args:
        judged: all judgements of a run.
        abis: the ABIs of the matrix.
    """
    with_gil = [abi.name for abi in abis if not abi.free_threaded]
    open_places: dict[tuple[str, str], JudgedApplication] = {}
    for item in sorted(judged, key=lambda item: item.verdict.rank):
        is_open = item.verdict.rank <= ApplicationVerdict.READY_WITH_RISKS.rank
        if item.abi in with_gil and is_open:
            open_places.setdefault((item.name, item.base), item)

    named: list[JudgedApplication] = []
    for item in judged:
        other = open_places.get((item.name, item.base))
        if item.blockers and other is not None and item.abi not in with_gil:
            text = f"run {item.name} on {other.abi} for now: it is {other.verdict} there"
            way = WayOut(text=text, is_known=True)
            blockers = [
                replace(blocker, ways=sort_ways((*blocker.ways, way))) for blocker in item.blockers
            ]
            named.append(replace(item, blockers=tuple(blockers)))
        else:
            named.append(item)

    return named


def _choose_verdict(
    blockers: Sequence[Blocker], risks: Sequence[Risk], *, was_tried: bool
) -> ApplicationVerdict:
    if blockers:
        return ApplicationVerdict.BLOCKED
    if not was_tried:
        return ApplicationVerdict.UNDETERMINED
    if risks:
        return ApplicationVerdict.READY_WITH_RISKS
    return ApplicationVerdict.READY


# --- packages that cannot be installed --------------------------------------------------------------------------------


def _explain_lack(locked: LockedPackage, situation: Situation) -> str:
    """Return why the farm's index has no wheel of a locked package that can be installed; empty where it has one."""
    package = situation.packages.get(locked.name)
    if package is None:
        return f"{locked.name} {locked.version} is in {situation.lock} and not in the matrix"
    if _is_other_release(package, locked):
        versions = join_names(situation.versions.get(locked.name, (package.version,)), _MOST_NAMED)
        return f"{situation.lock} has {locked.name} {locked.version}, the matrix {versions}"

    judgement = package.abis.get(situation.abi.name)
    filenames = situation.served.get(locked.name, ())
    accepted = [name for name in filenames if accepts_wheel(name, situation.abi.name)]
    if not accepted:
        return _explain_verdict(locked, judgement, situation.abi)
    if not select_wheels(accepted, situation.abi.name, situation.base):
        floors = join_names(sorted({floor_name(name) for name in accepted}), _MOST_NAMED)
        base = situation.base
        return f"the wheels of {locked.name} need {floors}; {base.name} has glibc {base.glibc}"

    return ""


def _is_other_release(package: JudgedPackage, locked: LockedPackage) -> bool:
    """Return whether the farm has another release of a package than the one that is locked."""
    was_found = isinstance(package.source, Source)
    return was_found and Version(package.version) != Version(locked.version)


def _explain_verdict(locked: LockedPackage, judgement: Judgement | None, abi: Abi) -> str:
    """Return why no wheel of a package is served for an ABI."""
    if judgement is None:
        return f"{locked.name} {locked.version} was not judged on {abi.name}"
    if judgement.held:
        return f"{locked.name} {locked.version} is held back on {abi.name}: {judgement.held}"
    return f"{locked.name} {locked.version} is {judgement.verdict.value} on {abi.name}: {judgement.reason}"


def _find_ways_out(locked: LockedPackage, situation: Situation) -> Iterator[WayOut]:
    """Iterate over what helps against a package that blocks, the shortest way first."""
    package = situation.packages.get(locked.name)
    if package is None:
        text = f"`wheelfarm add --all {situation.to_add}` takes what is missing"
        yield WayOut(text=text, is_known=True)
        return
    if _is_other_release(package, locked):
        add = f"`wheelfarm add --all --update {situation.to_add}`"
        text = f"{add} takes the locked releases; with --beside for --update the matrix keeps its own as well"
        yield WayOut(text=text, is_known=True)
        return

    judgement = package.abis.get(situation.abi.name)
    is_without_wheel = judgement is not None and not judgement.wheels
    outlook = situation.outlooks.get(locked.name, Outlook())
    if is_without_wheel and outlook.has_wheel:
        yield take_upstream(package.name)
    if is_without_wheel:
        for version in (outlook.mending_release, outlook.older_release):
            if version:
                yield _lock_other(locked, version, package.source, situation.abi)
    if judgement is not None:
        yield from _find_remedies(judgement)
    if not is_without_wheel and outlook.newest_release:
        text = f"try {locked.name} {outlook.newest_release}, which is newer: lock it, and have the farm judge it"
        yield WayOut(text=text)


def _lock_other(locked: LockedPackage, version: str, source: Source | Fault, abi: Abi) -> WayOut:
    """Return the way out by another release, of which upstream has a wheel that can be installed."""
    is_newer = Version(version) > Version(locked.version)
    kind = "" if is_newer else ", which is older"
    is_built = isinstance(source, Source) and source.take_from == "sdist"
    setting = f', and take it with `from = "wheel"` in [packages.{locked.name}]' if is_built else ""
    text = f"lock {locked.name} {version}{kind}: upstream has a wheel of it for {abi.name}{setting}"
    return WayOut(text=text, is_known=True)


def _find_remedies(judgement: Judgement) -> Iterator[WayOut]:
    """Iterate over what its deciding findings say is to be done; unless they say so, nobody knows whether it helps."""
    for finding in judgement.findings:
        is_way_out = finding.verdict is judgement.verdict or finding.code == _PURE_WHEEL
        if is_way_out:
            remedy = WayOut(text=finding.remedy or finding.kind.remedy)
            yield from finding.ways_out or (remedy,)


# --- what trying it showed --------------------------------------------------------------------------------------------


def _find_package_risks(situation: Situation) -> list[Risk]:
    """Return the packages of which something has to be known although they are served, the gravest verdict first."""
    risks: list[tuple[Verdict, Risk]] = []
    for locked in situation.locked:
        package = situation.packages.get(locked.name)
        judgement = None if package is None else package.abis.get(situation.abi.name)
        if judgement is None or judgement.verdict is Verdict.COMPATIBLE:
            continue
        if not _explain_lack(locked, situation):
            what = f"{judgement.verdict.value}: {judgement.reason}"
            risks.append((judgement.verdict, Risk(package=locked.name, what=what)))

    risks.sort(key=lambda found: -found[0].rank)
    return [risk for _, risk in risks]


def _find_own_blockers(
    facts: ApplicationFacts, locked: Sequence[LockedPackage]
) -> Iterator[Blocker]:
    """Iterate over what went wrong when it was installed, imported and run."""
    versions = {package.name: package.version for package in locked}
    if facts.install is not None:
        yield _own_blocker(f"its lock cannot be installed: {facts.install}")
        return

    imports = facts.imports
    if imports is not None:
        ending = imports.signal or imports.hang or imports.fault
        if ending is not None:
            at_module = f" (importing {imports.during})" if imports.during else ""
            yield _own_blocker(f"importing all of it in one process ended it: {ending}{at_module}")
        for failed in imports.failed:
            if not _lacks_option(failed):
                package = canonicalize_name(failed.distribution)
                yield Blocker(
                    package=package,
                    version=versions.get(package, ""),
                    what=f"{failed.module} cannot be imported: {failed.error}",
                )

    for run in facts.smoke:
        if run.exit_code != 0:
            yield _own_blocker(f"`{run.command}` {_describe_end(run)}")
    if facts.tests is not None and facts.tests.exit_code != 0:
        yield _own_blocker(f"its tests fail: `{facts.tests.command}` {_describe_end(facts.tests)}")


def _own_blocker(what: str) -> Blocker:
    return Blocker(package="", version="", what=what)


def _lacks_option(failed: FailedImport) -> bool:
    """Return whether a module lacks one of another package: an option that the lock does not have."""
    missing = (failed.missing or "").partition(".")[0]
    return missing not in {"", failed.module.partition(".")[0]}


def _describe_end(run: CommandRun) -> str:
    """Return how a command ended, with the last line that it printed."""
    lines = run.output.strip().splitlines()
    last_line = f": {lines[-1].strip()}" if lines else ""
    if run.exit_code is None:
        return f"did not end within {run.seconds:.0f} s{last_line}"
    if run.exit_code < 0:
        return f"died of signal {-run.exit_code}{last_line}"
    return f"ended with exit code {run.exit_code}{last_line}"


def _find_own_risks(facts: ApplicationFacts, abi: Abi) -> Iterator[Risk]:
    """Iterate over what has to be known of an application that was tried."""
    imports = facts.imports
    if imports is not None and abi.free_threaded and imports.has_gil:
        culprit = imports.enabled_by or "a package"
        what = f"{culprit} turns the GIL on for the whole process: threads run one at a time, as with {abi.name[:-1]}"
        yield Risk(package=culprit.partition(".")[0] if imports.enabled_by else "", what=what)

    for failed in imports.failed if imports is not None else ():
        if _lacks_option(failed):
            what = f"{failed.module} cannot be imported: {failed.error}"
            yield Risk(package=canonicalize_name(failed.distribution), what=what)

    for harm in find_harm(facts.amplified):
        yield Risk(package=harm.package, what=harm.what, code=harm.code, remedy=harm.remedy)

    if facts.unmet:
        yield Risk(package="", what=f"`pip check`: {join_names(facts.unmet, _MOST_NAMED)}")
