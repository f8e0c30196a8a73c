"""Build job: builds the sdist of one package on one base, with cibuildwheel, into a wheel for each ABI.

builder/evidence/build.py has the model of its facts. Its files are the wheels.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.distributions.build_tags import add_build_tag
from builder.distributions.identity import explain_file_mismatch
from builder.distributions.metadata import wheel_metadata
from builder.distributions.reproducible import compare_files, normalize_wheel
from builder.errors import InfrastructureError
from builder.evidence.build import AbiBuild, BuildFacts
from builder.evidence.image import ImageFacts, read_image_content, read_image_tag
from builder.host import settings as host
from builder.jobs.build import network
from builder.jobs.build.cache_record import BuildCache, hash_requirements
from builder.jobs.build.cibuildwheel import CallOutcome, CallRequest, CibuildwheelCall
from builder.jobs.build.failure import Failure
from builder.jobs.build.log import FailedCall, reread_failure, rules_digest
from builder.jobs.build.output import Expectation
from builder.jobs.build.own_wheels import wheel_hashes
from builder.jobs.build.recipe import Recipe
from builder.jobs.images.ids import INDEX_IMAGE, packages_image_id
from builder.jobs.job import Result, build_requirement
from builder.jobs.upstream import describe_lack, take_wheel
from builder.proxy.report import SessionReport
from builder.sources.switches import find_switches
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind
from builder.untrusted.package_names import project_of, table_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from builder.engine.compiler_cache import CompilerCache
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.proxy.cache import FetchedFile
    from builder.proxy.crates import FetchedCrate
    from builder.proxy.toolchains import ToolchainFile
    from builder.store.evidence import Evidence
    from builder.store.store import Store

_RESERVE_BYTES = 512 << 20
"""Room that stays free when wheels are put into the store: other jobs write logs and the ledger meanwhile."""


@dataclass(kw_only=True, slots=True)
class _Outcomes:
    """The results of the calls of cibuildwheel that one build has made so far.

    Attributes:
        wheels: the wheels that were made, by ABI.
        failures: why there is no wheel, by ABI.
        failed_calls: the calls from whose logs the failures were read, by ABI; kept so that they can be read again.
        usage: the most that any call used of what is limited, such as memory.
        cache_statistics: hits and misses of the compiler cache, over all calls.
        report: what the calls asked of the network.
        cpu_options: how compilers were told to make code for this machine's processor.
    """

    wheels: dict[str, Path] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    failed_calls: dict[str, FailedCall] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    cache_statistics: Counter[str] = field(default_factory=Counter)
    report: SessionReport = field(default_factory=SessionReport)
    cpu_options: dict[str, None] = field(default_factory=dict)

    @property
    def processor(self) -> str:
        """The processor that the wheels are for; empty where they are for any."""
        return host.describe_processor() if self.cpu_options else ""

    @property
    def fetched(self) -> tuple[FetchedFile | FetchedCrate | ToolchainFile, ...]:
        """What the calls fetched, crates and Rust toolchains among it."""
        crates = self.report.crates
        return (*self.report.fetched, *crates.files, *crates.toolchains.files)

    def add(self, outcome: CallOutcome) -> None:
        """Add the wheels, the usage and the network report of one call; its failure is explained elsewhere."""
        self.wheels |= outcome.wheels
        self.usage = {
            name: max(self.usage.get(name, 0), value) for name, value in outcome.usage.items()
        }
        self.cache_statistics.update(outcome.cache_statistics)
        self.report = self.report.merge(outcome.report)
        self.cpu_options.update(dict.fromkeys(outcome.cpu_options))


@dataclass(frozen=True, kw_only=True)
class Build(Recipe):
    """Compile one package on one base for all its ABIs."""

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.BUILD, self.name, self.base)

    @cached_property
    def needs(self) -> Needs:
        """The image to build in, the builds of what it is built with, and the index proxy, which counts in no key."""
        needs = {"image": packages_image_id(self.base, self.packages)}
        for name in self.requires:
            needs[build_requirement(name)] = JobId(JobKind.BUILD, name, self.base)
        needs["index proxy"] = INDEX_IMAGE

        return needs

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        """Return the part of the inputs that can change the result, by job id: the image, and wheels for its ABIs."""
        needs = self.needs
        parts: dict[str, object] = {str(needs["image"]): read_image_content(inputs["image"])}
        for name in self.requires:
            role = build_requirement(name)
            parts[str(needs[role])] = wheel_hashes(inputs[role], self.selected_abis)

        return parts

    def key(self, inputs: Inputs) -> str:
        return digest("build", 4, self.settings(), list(self.key_inputs(inputs).values()))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Build the wheels, and return them with the reason of each failure.

        Without its system packages all ABIs fail and nothing is run.

        Raises:
            InfrastructureError: a build failed for a reason that is perhaps not the package's.
            Interrupted: the farm was asked to stop.
        """
        image = ImageFacts.read(inputs["image"])
        if image.tag is None:
            return self._fail_all(self._explain_packages(image), tools.store)

        with tools.store.scratch_folder() as scratch:
            project = scratch / "project"
            self.write_inputs(project, inputs, tools.store)

            cache = BuildCache(self.base, self.sdist_sha256, tools.store)
            own_wheels = [
                wheel_hashes(inputs[role], self.selected_abis) for role in self.requirement_roles
            ]
            folder = scratch / "calls"
            outcomes = self._call_for_all(project, folder, image.tag, cache, inputs, tools)

            made_with = hash_requirements(outcomes.fetched, own_wheels, outcomes.processor)
            if not cache.fits(made_with):
                tools.say("building again: its compiler cache was filled with other requirements")
                cache.renew()
                folder = scratch / "calls with an empty cache"
                outcomes = self._call_for_all(project, folder, image.tag, cache, inputs, tools)
                made_with = hash_requirements(outcomes.fetched, own_wheels, outcomes.processor)
            cache.confirm(made_with)

            report = outcomes.report
            tools.index.record_lock(self.id, report, better=bool(outcomes.wheels))
            return self._make_result(outcomes, tools)

    def _call_for_all(
        self,
        project: Path,
        folder: Path,
        image: str,
        cache: BuildCache,
        inputs: Inputs,
        tools: Tools,
    ) -> _Outcomes:
        """Call cibuildwheel until each ABI has a wheel or a failure, and return these.

        Args:
            project: the folder that is copied into the containers.
            folder: a folder to make, for the calls.
            image: full name of the image to build in.
            cache: the compiler cache to build with.
            inputs: of the job.
            tools: of the job.

        Raises:
            InfrastructureError: as of `run`.
            Interrupted: as of `run`.
        """
        replaced = cache.take_replaced()
        if replaced is not None:
            tools.engine.remove_compiler_cache(replaced)

        proxy = read_image_tag(inputs["index proxy"])
        outcomes = _Outcomes()
        # The first call builds all ABIs. At the first that fails, cibuildwheel stops and drops all wheels. Then
        # each of the other ABIs gets a call of its own.
        pending: list[tuple[str, ...]] = [self.selected_abis] if self.selected_abis else []
        while pending:
            abis = pending.pop(0)
            request = self._make_request(abis, image, cache.cache, tools.cpus)
            call = CibuildwheelCall(request, project, folder / "-".join(abis), tools)
            with tools.index.session(proxy, self.id, tools.stop) as session:
                outcome = call.run(session)
            outcomes.add(outcome)
            pending += self._explain_failures(abis, outcome, outcomes, tools)

        return outcomes

    def _make_request(
        self, abis: tuple[str, ...], image: str, cache: CompilerCache, cpus: float = 1.0
    ) -> CallRequest:
        """Return the request for one call of cibuildwheel, which builds this package's wheels for some of its ABIs.

        The call itself supplies what is not known before it starts: the arguments of `docker create`, i.e. the limits
        and the network of its container. Given these, `configure` returns cibuildwheel's whole configuration.

        Args:
            abis: the ABIs to build for, such as `("cp313", "cp314t")`.
            image: full name of the image to build in.
            cache: the compiler cache to build with.
            cpus: how many CPUs the scheduler gives the build.
        """
        configure = partial(self.make_config, abis, image, cpus=cpus)  # the container is missing

        return CallRequest(
            job=self.id,
            expected=Expectation(
                name=project_of(self.name), version=self.version, abis=abis, takes_pure=self.is_pure
            ),
            cache=cache,
            memory_bytes=self.memory_bytes,
            timeout_s=self.timeout_s,
            configure=configure,
        )

    def _explain_failures(
        self, abis: tuple[str, ...], outcome: CallOutcome, outcomes: _Outcomes, tools: Tools
    ) -> list[tuple[str, ...]]:
        """Add the reasons why a call made no wheel for some ABIs, and return the ABIs to try again.

        A call that failed says of one ABI why. The others that have no wheel yet come back, each for a call of its own.
        Empty where all wheels were made, where cibuildwheel ended well without making some of them, and where the
        reason is one for all: an sdist that does not unpack, or an output that was refused.

        Args:
            abis: the ABIs that the call was to build.
            outcome: what the call made.
            outcomes: of the whole build so far, with those of this call; gets the failures.
            tools: of the job.

        Raises:
            InfrastructureError: the call failed, perhaps only because the package index did not answer.
        """
        missing = [abi for abi in abis if abi not in outcomes.wheels]

        if outcome.refusal is not None:
            for abi in missing:
                outcomes.failures[abi] = Failure(
                    code=outcome.refusal.code,
                    stage="copying wheels back to host",
                    error=outcome.refusal.reason,
                    remedy="nothing but its wheels may be in the build's output; the log names what it ran",
                )
            return []

        if outcome.failed_call is None:
            for abi in missing:
                outcomes.failures[abi] = Failure(
                    code="WF206",
                    stage="build",
                    error="cibuildwheel made no wheel for it",
                    remedy="see the log",
                )
            return []

        failure, failed_abi = outcome.failed_call.explain(tools.log, self.name)
        infrastructure_error = outcome.report.infrastructure_error()
        if infrastructure_error is not None and not network.is_certain(failure):
            raise infrastructure_error

        failure = self._add_switches(failure, tools.store)
        failed_abis = missing if failure.code == "WF105" else [failed_abi]
        for abi in failed_abis:
            outcomes.failures[abi] = failure
            outcomes.failed_calls[abi] = outcome.failed_call

        return [(abi,) for abi in missing if abi not in failed_abis]

    def _add_switches(self, failure: Failure, store: Store) -> Failure:
        """Return a failure with the variables by which the package makes native code on request, if that is missing."""
        if failure.code != "WF206":
            return failure
        sdist = store.file(self.sdist_sha256)
        if not sdist.exists():
            return failure

        switches = find_switches(sdist, self.sdist_filename)
        unset = [name for name in switches if name not in self.environment]
        if not unset:
            return failure

        assignments = ", ".join(f'{name} = "1"' for name in unset)
        table = f"[packages.{table_key(self.name)}]"
        remedy = f"its build makes native code on request: set env = {{ {assignments} }} in {table}"
        return replace(failure, remedy=f"{remedy}; or else {failure.remedy}")

    def reread(self, evidence: Evidence, store: Store) -> Evidence | None:
        """Return the evidence of a build with its failures as today's rules read the log. Nothing is built for that.

        It comes back as it is where the same rules were used before. ABIs with a wheel stay as they are. None where its
        wheels are for another processor than this machine's: no setting says so beforehand, so it is in no key.
        """
        if evidence.facts.get("cpu_options"):
            compiled_for = evidence.facts.get("processor", "")
            if compiled_for != host.describe_processor():
                return None
        if evidence.facts.get("rules") == rules_digest():
            return evidence

        log = store.wheelhouse / evidence.log
        abis: dict[str, Any] = {}
        for abi, outcome in evidence.facts["abis"].items():
            field_name = next((name for name in ("failure", "stands_for") if name in outcome), None)
            if field_name is None:
                abis[abi] = outcome
                continue
            reread = reread_failure(outcome, log, self.name)
            failure = Failure(**reread[field_name])
            abis[abi] = {**reread, field_name: asdict(self._add_switches(failure, store))}

        return replace(evidence, facts={**evidence.facts, "abis": abis, "rules": rules_digest()})

    def compare_rebuild(
        self, before: Evidence, result: Result, store: Store
    ) -> Mapping[str, object]:
        """Return, by wheel, the files in it whose content is not the same as in the wheel that was built before."""
        return {"rebuilt": compare_files(before.files, result.files, store)}

    def _explain_packages(self, image: ImageFacts) -> Failure:
        """Return the failure of a build whose system packages its base does not have, or not together."""
        if image.conflict:
            return Failure(
                code="WF207",
                stage="system packages",
                error=f"the system packages cannot be installed together on {self.base}: {image.conflict}",
                remedy=f"leave one of them out of `apt` in [packages.{table_key(self.name)}]",
            )
        return Failure(
            code="WF207",
            stage="system packages",
            error=f"{self.base} has no system package {', '.join(image.missing)}",
            remedy=f"correct `apt` in [packages.{table_key(self.name)}]; `apt-cache search` on {self.base} finds names",
        )

    def _fail_all(self, failure: Failure, store: Store) -> Result:
        """Return the result of a build that failed, for all ABIs alike, before cibuildwheel was called."""
        abis: dict[str, Any] = {abi: {"failure": asdict(failure)} for abi in self.selected_abis}
        files = self._stand_in(abis, {}, store)
        files |= self._take_pure(abis, store)

        facts = BuildFacts.check({"abis": abis, "rules": rules_digest(), "limits": {}})
        return Result(facts=facts, files=files)

    def _stand_in(
        self, abis: dict[str, Any], built: Mapping[str, str], store: Store
    ) -> dict[str, str]:
        """Put upstream's wheel in the place of each failure that it can stand for, and return these wheels' files.

        A wheel of upstream's that is named as one that was built, for another ABI, stands for nothing: an index has
        one file of a name.

        Args:
            abis: facts by ABI, changed in place.
            built: the wheels that were built: sha256 by file name.
            store: has upstream's wheels.
        """
        files: dict[str, str] = {}
        for wheel in self.upstream:
            outcome = abis.get(wheel.abi, {})
            if "failure" not in outcome or wheel.filename in built:
                continue

            taken = take_wheel(project_of(self.name), self.version, wheel, store)
            if taken.wheel is None:
                continue  # it is no wheel of the package: what is worth knowing is why there is no other

            failure = outcome.pop("failure")
            abis[wheel.abi] = {**taken.to_json(), **outcome, "stands_for": failure}
            files[wheel.filename] = wheel.sha256

        return files

    def _take_pure(self, abis: dict[str, Any], store: Store) -> dict[str, str]:
        """Add upstream's wheels without native code for the ABIs that are not built, and return these wheels' files.

        Args:
            abis: facts by ABI; gets those of these ABIs.
            store: has the wheels.
        """
        project = project_of(self.name)
        files: dict[str, str] = {}
        for wheel in self.pure:
            if wheel.abi in self.skip:
                continue
            taken = take_wheel(project, self.version, wheel, store)
            abis[wheel.abi] = taken.to_json()
            if taken.wheel is not None:
                files[wheel.filename] = wheel.sha256

        for abi, reason in self.lacking:
            if abi not in self.skip:
                failure = describe_lack(project, self.version, reason)
                abis[abi] = AbiBuild(failure=failure).to_json()

        return files

    def _make_result(self, outcomes: _Outcomes, tools: Tools) -> Result:
        """Return the facts of a build, and put its wheels into the store.

        The wheels are normalized before, so that building again makes the very same files.

        Raises:
            InfrastructureError: there is no room for the wheels.
        """
        _check_room(outcomes.wheels.values(), tools.store.wheelhouse)
        abis: dict[str, Any] = {}
        for abi, failure in outcomes.failures.items():
            abis[abi] = {"failure": asdict(failure)}
            if abi in outcomes.failed_calls:
                abis[abi]["call"] = asdict(outcomes.failed_calls[abi])

        files: dict[str, str] = {}
        finished: dict[Path, Path] = {}  # a wheel may be for several ABIs
        for abi, path in outcomes.wheels.items():
            mismatch = explain_file_mismatch(project_of(self.name), self.version, path.name, path)
            if mismatch:
                failure = Failure(code="WF215", stage="build", error=mismatch, remedy="")
                abis[abi] = {"failure": asdict(failure)}
                continue

            if path not in finished:
                finished[path] = self._finish_wheel(path, tools)
            wheel = finished[path]
            requires_python = wheel_metadata(wheel).get("requires_python", "")
            abis[abi] = {"wheel": wheel.name, "requires_python": requires_python}
            files[wheel.name] = tools.store.add_file(wheel)
        files |= self._stand_in(abis, files, tools.store)
        files |= self._take_pure(abis, tools.store)

        facts = BuildFacts.check(
            {
                "abis": abis,
                "rules": rules_digest(),
                "limits": outcomes.usage,
                "compiler_cache": outcomes.cache_statistics,
                "cpu_options": tuple(outcomes.cpu_options),
                "processor": outcomes.processor,
                **outcomes.report.record(),
                "rust": outcomes.report.crates.toolchains.version,
            }
        )
        return Result(facts=facts, files=files)

    def _finish_wheel(self, path: Path, tools: Tools) -> Path:
        """Give a wheel its build tag, if it gets one, and put its archive in order; return where it is then."""
        if not self.build_tag:
            normalize_wheel(path)
            return path

        tagged = add_build_tag(path, self.build_tag)
        if tagged == path:
            tools.say(f"{path.name} gets no build tag: there is something odd about its archive")
        return tagged


def _check_room(wheels: Iterable[Path], folder: Path) -> None:
    """Check that a folder's file system has room for copies of some wheels, two of each: a full one ends the whole run.

    Raises:
        InfrastructureError: it has not.
    """
    wheel_bytes = sum(wheel.stat().st_size for wheel in wheels)
    status = os.statvfs(folder)
    free_bytes = status.f_bavail * status.f_frsize
    if free_bytes < 2 * wheel_bytes + _RESERVE_BYTES:
        raise InfrastructureError(
            f"{free_bytes >> 20} MiB are free at {folder}, too little for wheels of {wheel_bytes >> 20} MiB: free some"
        )
