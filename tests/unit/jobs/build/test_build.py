"""A build job: what it makes of the calls of cibuildwheel, and one call with a program in cibuildwheel's place."""

from __future__ import annotations

import contextlib
import io
import sys
import tarfile
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder.engine.compiler_cache import CompilerCache
from builder.engine.disk import FreeSpace
from builder.engine.tool_container import OwnEnd
from builder.errors import InfrastructureError, Interrupted
from builder.evidence.build import BuildFacts
from builder.host import settings as host
from builder.jobs.build import build as builds
from builder.jobs.build import cibuildwheel, log_file
from builder.jobs.build.build import Build
from builder.jobs.build.cache_record import BuildCache, hash_requirements
from builder.jobs.build.cibuildwheel import CallOutcome, CallRequest, CibuildwheelCall, _parse_usage
from builder.jobs.build.cpu_options import find_cpu_options
from builder.jobs.build.failure import Failure
from builder.jobs.build.log import FailedCall
from builder.jobs.build.output import Expectation, Refusal
from builder.jobs.job import Inputs, Tools, get_recorded, recorded_lookup
from builder.proxy.cache import FetchedFile
from builder.proxy.report import SessionReport
from builder.sources import UpstreamWheel
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId
from builder.store.store import Store
from tests.corpus import make_sdist
from tests.unit.wheels import write_wheel

SDIST = "steady-1.0.tar.gz"
LOG = "Building cp314-manylinux_x86_64 wheel\nBuilding wheel...\na.c:1:1: error: no\n"
SILENT_INDEX = SessionReport(unanswered=("tool",))


class Index:
    """Opens sessions, and notes whether a lock was worth keeping."""

    def __init__(self) -> None:
        self.kept: list[bool] = []

    def session(self, image: str, job: JobId, stop: threading.Event) -> Any:
        session = SimpleNamespace(
            network=SimpleNamespace(dns_server="192.0.2.1"), collect_report=SessionReport
        )
        return contextlib.nullcontext(session)

    def record_lock(self, job: JobId, report: SessionReport, *, better: bool) -> None:
        self.kept.append(better)


class Engine:
    """Gives containers no arguments, and counts their processes and what they write as it is told.

    It is the container that cibuildwheel starts, too.
    """

    def __init__(self) -> None:
        self.processes: tuple[int, int] | None = None
        self.disk_excess: str | None = None
        self.own_end: OwnEnd | None = None
        self.removed = 0
        self.removed_caches: list[CompilerCache] = []
        self.free_space: FreeSpace | None = FreeSpace(bytes=1 << 40, inodes=1 << 20)

    def remove_compiler_cache(self, cache: CompilerCache) -> None:
        self.removed_caches.append(cache)

    def tool_container(self, *_: object) -> Engine:
        return self

    def create_arguments(self, *_: object) -> list[str]:
        return ["--network=none"]

    def command_environment(self) -> dict[str, str]:
        return {"DOCKER_HOST": "unix:///none.sock"}

    def count_processes(self) -> tuple[int, int] | None:
        return self.processes

    def read_free_space(self) -> FreeSpace | None:
        return self.free_space

    def find_disk_excess(self) -> str | None:
        return self.disk_excess

    def find_own_end(self) -> OwnEnd | None:
        return self.own_end

    def remove_full_compiler_cache(self, *_: object) -> bool:
        return False

    def remove(self) -> None:
        self.removed += 1


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Tools]:
    store = Store(tmp_path / "wheelhouse")
    yield Tools(
        engine=cast("Any", Engine()),
        store=store,
        index=cast("Any", Index()),
        log=tmp_path / "log",
        stop=threading.Event(),
        say=lambda _: None,
    )
    store.close()


def make_build(tools: Tools, tmp_path: Path, **more: Any) -> Build:
    make_sdist("steady", tmp_path)
    return Build(
        **{
            "name": "steady",
            "version": "1.0",
            "base": "debian-12",
            "sdist_filename": SDIST,
            "sdist_sha256": tools.store.add_file(tmp_path / SDIST),
            "abis": ("cp314", "cp314t"),
            "environment": {},
            "config_settings": {},
            "skip": {},
            "timeout_s": 60,
            "memory_bytes": 1 << 30,
            **more,
        }
    )


def inputs_of(build: Build, **image: Any) -> Inputs:
    """Return what a build needs: images, and a build of each of its requirements that made a wheel for each ABI."""
    there = {"content": "c", "tag": "wheelfarm/builder:0", "bytes": 1}
    inputs: dict[str, Evidence] = {}
    for role, need in build.needs.items():
        facts: dict[str, Any] = image or there
        if role.startswith("build requirement"):
            facts = {
                "abis": {
                    abi: {"wheel": f"tool-1.0-cp314-{abi}-linux_x86_64.whl"} for abi in build.abis
                }
            }
        files = {f"tool-1.0-cp314-{abi}-linux_x86_64.whl": "0" * 64 for abi in build.abis}
        inputs[role] = Evidence(key="k", job=need, facts=facts, files=files)
    return inputs


def make_wheel(folder: Path, abi: str) -> Path:
    path = folder / f"steady-1.0-cp314-{abi}-manylinux_2_17_x86_64.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("steady-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("steady-1.0.dist-info/RECORD", "steady-1.0.dist-info/WHEEL,,\n")
        archive.writestr(
            "steady-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: steady\nVersion: 1.0\nRequires-Python: >=3.9\n",
        )
    return path


def play(
    build: Build,
    tools: Tools,
    monkeypatch: pytest.MonkeyPatch,
    *,
    fails: Sequence[str] = (),
    forgets: Sequence[str] = (),
    report: SessionReport | None = None,
    cpu_options: tuple[str, ...] = (),
) -> tuple[BuildFacts, dict[str, str], list[tuple[str, ...]]]:
    """Run a build whose calls fail where an ABI is among some, and forget to make a wheel for others.

    Returns:
        Its facts, its files, and the ABIs of each call.
    """
    calls: list[tuple[str, ...]] = []

    class Call:
        def __init__(self, request: CallRequest, project: Path, folder: Path, _: Tools) -> None:
            assert (project / "pyproject.toml").is_file()
            self._abis = request.abis
            self._folder = folder
            calls.append(request.abis)

        def run(self, session: object) -> CallOutcome:
            failing = [abi for abi in self._abis if abi in fails]
            failed_call = None
            wheels: dict[str, Path] = {}
            if failing:
                tools.log.write_text(LOG.replace("cp314", failing[0]))
                size = tools.log.stat().st_size
                failed_call = FailedCall(
                    abis=self._abis,
                    exit_code=1,
                    log=(0, size),
                    timeout_s=None,
                    memory_bytes=None,
                    processes=None,
                )
            else:
                made = [abi for abi in self._abis if abi not in forgets]
                wheels = {abi: make_wheel(self._folder, abi) for abi in made}
            return CallOutcome(
                wheels=wheels,
                usage={"memory-peak-bytes": 10 * len(calls)},
                cache_statistics=Counter(hits=1, misses=2),
                report=report or SessionReport(refused_hosts=(f"host-{len(calls)}.invalid",)),
                failed_call=failed_call,
                cpu_options=cpu_options,
            )

    monkeypatch.setattr(builds, "CibuildwheelCall", Call)
    result = build.run(inputs_of(build), tools)
    facts = result.facts
    assert isinstance(facts, BuildFacts)
    return facts, result.files, calls


def test_a_build_for_one_processor_holds_on_it_alone_and_no_key_changes(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path)
    inputs = inputs_of(build)
    key = build.key(inputs)
    facts, files, _ = play(build, tools, monkeypatch, cpu_options=("-march=native for m.c",))
    evidence = Evidence(key=key, job=build.id, facts=facts.to_json(), files=files)
    tools.store.put(evidence)
    assert get_recorded(build, key, tools.store) is not None
    assert recorded_lookup(tools.store)(build, key) is not None

    other = host.describe_processor() + " of another kind"
    monkeypatch.setattr(host, "describe_processor", lambda: other)
    assert build.key(inputs) == key
    assert get_recorded(build, key, tools.store) is None
    assert recorded_lookup(tools.store)(build, key) is None

    # There, its compiler cache, which holds code for the first one, is used no more.
    _, _, calls = play(build, tools, monkeypatch, cpu_options=("-march=native for m.c",))
    assert len(calls) == 2


def test_a_build_for_any_processor_holds_on_each(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path)
    facts, files, _ = play(build, tools, monkeypatch)
    tools.store.put(Evidence(key="k", job=build.id, facts=facts.to_json(), files=files))
    monkeypatch.setattr(host, "describe_processor", lambda: "another")
    assert get_recorded(build, "k", tools.store) is not None
    _, _, calls = play(build, tools, monkeypatch)
    assert len(calls) == 1


def test_one_call_makes_every_abi(tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    facts, files, calls = play(make_build(tools, tmp_path), tools, monkeypatch)
    assert calls == [("cp314", "cp314t")]
    assert [facts.wheel_of(abi) for abi in ("cp314", "cp314t")] == list(files)
    assert facts.abis["cp314"].requires_python == ">=3.9"
    assert all(tools.store.file(sha256).is_file() for sha256 in files.values())
    assert (facts.compiler_cache.hits, facts.limits.memory_peak_bytes) == (1, 10)
    assert cast("Index", tools.index).kept == [True]


def test_where_one_abi_fails_the_others_are_made_alone(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path)
    facts, files, calls = play(build, tools, monkeypatch, fails=["cp314"])
    assert calls == [("cp314", "cp314t"), ("cp314t",)]
    failed = facts.abis["cp314"]
    assert failed.failure is not None
    assert failed.failure.error == "a.c:1:1: error: no"
    assert failed.call is not None
    assert failed.call.abis == ("cp314", "cp314t")
    assert facts.wheel_of("cp314t") in files
    assert (facts.compiler_cache.hits, facts.compiler_cache.misses) == (2, 4)
    assert facts.limits.memory_peak_bytes == 20
    assert facts.asked == ("host-1.invalid", "host-2.invalid")


def test_a_build_that_makes_nothing_keeps_no_better_lock(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path)
    facts, files, calls = play(build, tools, monkeypatch, fails=["cp314", "cp314t"])
    assert calls == [("cp314", "cp314t"), ("cp314t",)]
    assert all(outcome.failure is not None for outcome in facts.abis.values())
    assert files == {}
    assert cast("Index", tools.index).kept == [False]


def test_a_call_that_ends_well_without_a_wheel_is_a_failure(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path)
    facts, _, calls = play(build, tools, monkeypatch, forgets=["cp314t"])
    assert len(calls) == 1
    failure = facts.abis["cp314t"].failure
    assert failure is not None
    assert failure.code == "WF206"
    assert facts.abis["cp314t"].call is None


def test_a_failure_after_the_index_was_silent_tells_nothing(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path)
    with pytest.raises(InfrastructureError, match="did not give tool"):
        play(build, tools, monkeypatch, fails=["cp314"], report=SILENT_INDEX)
    facts, _, _ = play(build, tools, monkeypatch, report=SILENT_INDEX)
    assert facts.wheel_of("cp314")  # what it was silent about was not needed


# --- upstream's wheels, and build tags --------------------------------------------------------------------------------


def make_upstream(tools: Tools, tmp_path: Path, *abis: str) -> tuple[UpstreamWheel, ...]:
    """Put wheels of upstream's into the store: other files than the build makes, under their names."""
    wheels: list[UpstreamWheel] = []
    for abi in abis:
        path = make_wheel(tmp_path / "upstream", abi)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("steady/upstream.py", "")
        sha256 = tools.store.add_file(path)
        wheels.append(UpstreamWheel(abi=abi, filename=path.name, sha256=sha256))
    return tuple(wheels)


def test_where_the_build_fails_upstreams_wheel_stands_in_its_place(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    upstream = make_upstream(tools, tmp_path, "cp314", "cp314t")
    build = make_build(tools, tmp_path, upstream=upstream)
    facts, files, _ = play(build, tools, monkeypatch, fails=["cp314"])

    taken, built = facts.abis["cp314"], facts.abis["cp314t"]
    assert (taken.wheel, taken.origin) == (upstream[0].filename, "upstream")
    assert taken.stands_for is not None
    assert taken.stands_for.error == "a.c:1:1: error: no"
    assert files[upstream[0].filename] == upstream[0].sha256
    assert (built.origin, built.stands_for) == ("built", None)
    assert files[upstream[1].filename] != upstream[1].sha256


def test_a_failure_that_a_wheel_stands_for_is_read_again_by_new_rules(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path, upstream=make_upstream(tools, tmp_path, "cp314"))
    facts, files, _ = play(build, tools, monkeypatch, fails=["cp314"])
    log = tools.store.log_path(build.id, "k" * 64)
    log.write_bytes(tools.log.read_bytes().replace(b"error: no", b"error: xx"))
    old = {**facts.to_json(), "rules": "of another day"}
    evidence = Evidence(
        key="k",
        job=build.id,
        facts=old,
        files=files,
        log=str(log.relative_to(tools.store.wheelhouse)),
    )
    reread = build.reread(evidence, tools.store)
    assert reread is not None
    again = BuildFacts.read(reread).abis["cp314"]
    assert again.wheel == facts.abis["cp314"].wheel
    assert again.stands_for is not None
    assert again.stands_for.error == "a.c:1:1: error: xx"


def test_a_base_without_the_system_packages_takes_upstreams_wheels(tools: Tools, tmp_path: Path):
    build = make_build(tools, tmp_path, upstream=make_upstream(tools, tmp_path, "cp314"))
    inputs = inputs_of(build, content="c", missing=["libnone-dev"], bytes=0)
    result = build.run(inputs, tools)
    facts = cast("BuildFacts", result.facts)
    assert facts.abis["cp314"].origin == "upstream"
    assert facts.abis["cp314"].stands_for is not None
    assert facts.abis["cp314"].stands_for.code == "WF207"
    assert facts.abis["cp314t"].failure is not None
    assert list(result.files) == [facts.abis["cp314"].wheel]


def test_a_wheel_of_another_package_stands_for_nothing(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (good,) = make_upstream(tools, tmp_path, "cp314")
    foreign = tmp_path / "foreign.whl"
    write_wheel(foreign, "other-1.0-py3-none-any.whl")
    bad = UpstreamWheel(abi="cp314", filename=good.filename, sha256=tools.store.add_file(foreign))
    build = make_build(tools, tmp_path, upstream=(bad,))
    facts, files, _ = play(build, tools, monkeypatch, fails=["cp314"])
    assert facts.abis["cp314"].failure is not None
    assert bad.sha256 not in files.values()


def test_an_abi_with_a_wheel_without_native_code_is_not_built(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "steady-1.0-py3-none-any.whl"
    write_wheel(path, path.name)
    pure = UpstreamWheel(abi="cp314t", filename=path.name, sha256=tools.store.add_file(path))
    build = make_build(tools, tmp_path, pure=(pure,))
    assert build.selected_abis == ("cp314",)
    facts, files, _ = play(build, tools, monkeypatch)
    assert (facts.abis["cp314"].origin, facts.abis["cp314t"].origin) == ("built", "upstream")
    assert facts.wheel_of("cp314t") == path.name
    assert files[path.name] == pure.sha256

    result = build.run(inputs_of(build, content="c", missing=["libnone-dev"], bytes=0), tools)
    facts = cast("BuildFacts", result.facts)
    assert facts.abis["cp314"].failure is not None
    assert facts.wheel_of("cp314t") == path.name

    lacking = make_build(tools, tmp_path, lacking=(("cp314t", "it has none"),))
    facts, _, _ = play(lacking, tools, monkeypatch)
    assert facts.abis["cp314t"].failure is not None
    assert facts.abis["cp314t"].failure.code == "WF220"
    plain = make_build(tools, tmp_path)
    keys = {one.key(inputs_of(one)) for one in (plain, build, lacking)}
    assert len(keys) == 3


def test_only_what_is_asked_for_is_in_the_key(tools: Tools, tmp_path: Path):
    plain = make_build(tools, tmp_path)
    assert {"upstream's wheels", "build tag"}.isdisjoint(plain.settings())
    either = make_build(tools, tmp_path, upstream=make_upstream(tools, tmp_path, "cp314"))
    tagged = make_build(tools, tmp_path, build_tag="1")
    keys = {build.key(inputs_of(build)) for build in (plain, either, tagged)}
    assert len(keys) == 3


def test_a_build_tag_is_in_the_names_of_the_wheels(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path, build_tag="7")
    facts, files, _ = play(build, tools, monkeypatch)
    expected = "steady-1.0-7-cp314-cp314-manylinux_2_17_x86_64.whl"
    assert facts.wheel_of("cp314") == expected
    assert expected in files


def fetched(*names: str) -> SessionReport:
    files = [
        FetchedFile(project=name, entry={"filename": f"{name}.whl", "hashes": {"sha256": name}})
        for name in names
    ]
    return SessionReport(fetched=tuple(files))


def test_a_compiler_cache_is_for_builds_with_the_same_requirements(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path)
    generations: list[str] = []
    make_request = Build._make_request

    def spy(
        self: Build, abis: tuple[str, ...], image: str, cache: CompilerCache, cpus: float
    ) -> CallRequest:
        generations.append(cache.generation)
        return make_request(self, abis, image, cache, cpus)

    monkeypatch.setattr(Build, "_make_request", spy)
    engine = cast("Engine", tools.engine)

    play(build, tools, monkeypatch, report=fetched("setuptools-1", "evil-1"))
    _, _, calls = play(build, tools, monkeypatch, report=fetched("evil-1", "setuptools-1"))
    assert len(calls) == 1
    assert generations == [generations[0]] * 2  # the same again: the cache is of use
    assert engine.removed_caches == []

    # What the bad requirement left in the cache must be in no wheel of a build without it.
    _, _, calls = play(build, tools, monkeypatch, report=fetched("setuptools-1"))
    assert len(calls) == 2
    assert generations[2] == generations[0]
    assert generations[3] != generations[0]
    assert [cache.generation for cache in engine.removed_caches] == [generations[0]]

    _, _, calls = play(build, tools, monkeypatch, report=fetched("setuptools-1"))
    assert len(calls) == 1
    assert generations[4] == generations[3]


def test_a_compiler_cache_of_a_build_that_was_cut_off_is_given_up(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path)
    play(build, tools, monkeypatch)
    first = BuildCache(build.base, build.sdist_sha256, tools.store)  # begun, and never confirmed
    play(build, tools, monkeypatch)
    removed = cast("Engine", tools.engine).removed_caches
    assert removed == [first.cache]


def test_the_farms_own_wheels_are_requirements_like_others(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    one = hash_requirements((), [["0" * 64]])
    assert one == hash_requirements([], [["0" * 64]])
    assert one != hash_requirements((), [["1" * 64]])


def test_abis_that_are_skipped_are_not_built(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path, skip={"cp314": "not today"})
    _, _, calls = play(build, tools, monkeypatch)
    assert calls == [("cp314t",)]
    build = make_build(tools, tmp_path, skip={"cp314": "no", "cp314t": "no"})
    facts, _, calls = play(build, tools, monkeypatch)
    assert (facts.abis, calls) == ({}, [])


def test_without_its_system_packages_nothing_is_built(tools: Tools, tmp_path: Path):
    build = make_build(tools, tmp_path, packages=("libnone-dev",))
    inputs = inputs_of(build, content="none", missing=["libnone-dev"])
    facts = cast("BuildFacts", build.run(inputs, tools).facts)
    failure = facts.abis["cp314t"].failure
    assert failure is not None
    assert failure.code == "WF207"
    assert "debian-12 has no system package libnone-dev" in failure.error


def test_an_sdist_that_does_not_unpack_is_no_fault_of_the_farm(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        "tests.unit.jobs.build.test_build.LOG",
        "Running before_all...\nwheelfarm-sdist-refused: member '../x' leads out of the sdist\n",
    )
    facts, _, calls = play(make_build(tools, tmp_path), tools, monkeypatch, fails=["cp314"])
    assert len(calls) == 1  # the same would come of a call for each ABI
    failures = [outcome.failure for outcome in facts.abis.values()]
    assert [failure.code for failure in failures if failure] == ["WF105", "WF105"]
    assert all(failure and "'../x' leads out" in failure.error for failure in failures)


def test_what_a_package_prints_is_no_refusal_of_its_sdist(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        "tests.unit.jobs.build.test_build.LOG",
        "Building cp314-manylinux_x86_64 wheel\nwheelfarm-sdist-refused: of its own accord\n",
    )
    facts, _, _ = play(make_build(tools, tmp_path), tools, monkeypatch, fails=["cp314"])
    failure = facts.abis["cp314"].failure
    assert failure is not None
    assert failure.code == "WF201"
    assert facts.wheel_of("cp314t")


def test_an_output_that_is_refused_is_the_packages_fault_and_no_call_is_made_again(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[tuple[str, ...]] = []

    class Call:
        def __init__(self, request: CallRequest, *_: object) -> None:
            calls.append(request.abis)

        def run(self, session: object) -> CallOutcome:
            return CallOutcome(
                wheels={},
                usage={},
                cache_statistics=Counter(),
                report=SessionReport(),
                refusal=Refusal(code="WF216", reason="it left 'evil.whl'"),
            )

    monkeypatch.setattr(builds, "CibuildwheelCall", Call)
    build = make_build(tools, tmp_path)
    facts = cast("BuildFacts", build.run(inputs_of(build), tools).facts)
    assert calls == [("cp314", "cp314t")]
    failures = [outcome.failure for outcome in facts.abis.values()]
    assert [failure.code for failure in failures if failure] == ["WF216", "WF216"]


def test_nothing_of_an_sdist_is_unpacked_on_this_machine(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What is copied into the container is the archive itself, beside files of our own."""
    found: set[str] = set()

    class Call:
        def __init__(self, request: CallRequest, project: Path, folder: Path, _: Tools) -> None:
            everything = [path for path in tools.store.wheelhouse.rglob("*") if path.is_file()]
            found.update(path.relative_to(project).as_posix() for path in project.rglob("*"))
            names = {path.name for path in everything}
            assert not names & {"PKG-INFO", "setup.py", "steady.c"}
            assert (project / "pyproject.toml").read_bytes() == b""

        def run(self, session: object) -> CallOutcome:
            return CallOutcome(
                wheels={}, usage={}, cache_statistics=Counter(), report=SessionReport()
            )

    monkeypatch.setattr(builds, "CibuildwheelCall", Call)
    build = make_build(tools, tmp_path)
    build.run(inputs_of(build), tools)
    assert found == {"pyproject.toml", "wheelfarm", "wheelfarm/sdist.tar", "wheelfarm/sdists.py"}


def test_patches_and_own_wheels_are_put_into_the_project(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build = make_build(tools, tmp_path, patches=("--- a", "--- b"), requires=("tool",))
    wheel = tools.store.file("0" * 64)
    wheel.parent.mkdir(parents=True)
    wheel.write_text("a wheel")
    seen: dict[str, str] = {}

    class Call:
        def __init__(self, request: CallRequest, project: Path, folder: Path, _: Tools) -> None:
            for path in project.rglob("*"):
                if path.is_file() and path.suffix not in {".py", ".tar"}:
                    seen[path.relative_to(project).as_posix()] = path.read_text()

        def run(self, session: object) -> CallOutcome:
            return CallOutcome(
                wheels={}, usage={}, cache_statistics=Counter(), report=SessionReport()
            )

    monkeypatch.setattr(builds, "CibuildwheelCall", Call)
    build.run(inputs_of(build), tools)
    assert seen["wheelfarm/patches/000.patch"] == "--- a"
    assert seen["wheelfarm/patches/001.patch"] == "--- b"
    assert seen["wheelfarm/own-wheels/cp314/tool-1.0-cp314-cp314-linux_x86_64.whl"] == "a wheel"
    constraint = "tool @ file:///opt/wheelfarm/inputs/own-wheels/cp314t/tool-1.0-cp314-cp314t-linux_x86_64.whl\n"
    assert seen["wheelfarm/own-wheels/cp314t.txt"] == constraint
    config = build.make_config(("cp314",), "image", [])["tool"]["cibuildwheel"]
    assert "/opt/wheelfarm/inputs/patches/*" in config["before-all"]
    (override,) = config["overrides"]
    assert override["environment"] == {
        "UV_BUILD_CONSTRAINT": "/opt/wheelfarm/inputs/own-wheels/cp314.txt"
    }


# --- one call, with a program in the place of the interpreter that runs cibuildwheel ------------------------------------

LIMITS = "wheelfarm-limits: processes-refused=0 memory-kills={kills} memory-peak-bytes=7"


def call_program(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, timeout_s: int = 60
) -> CallOutcome:
    """Call cibuildwheel, which is a shell script here; `$out` is the folder for wheels."""
    program = tmp_path / "program"
    # What follows --output-dir is the folder.
    program.write_text(
        '#!/bin/sh\nwhile [ "$1" != --output-dir ]; do shift; done\nout=$2\n' + script
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    request = CallRequest(
        job=JobId("build", "steady", "debian-12"),
        expected=Expectation(name="steady", version="1.0", abis=("cp314", "cp314t")),
        cache=cast("Any", None),
        memory_bytes=1 << 30,
        timeout_s=timeout_s,
        configure=lambda arguments: {"create-args": list(arguments)},
    )
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    folder = tmp_path / f"call-{len(list(tmp_path.iterdir()))}"
    with tools.index.session("image", request.job, tools.stop) as session:
        return CibuildwheelCall(request, project, folder, tools).run(session)


def test_a_wheel_for_every_python_is_that_of_each_abi(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script = "touch $out/steady-1.0-py3-none-any.whl"
    outcome = call_program(tools, tmp_path, monkeypatch, script)
    names = {abi: path.name for abi, path in outcome.wheels.items()}
    assert names == dict.fromkeys(("cp314", "cp314t"), "steady-1.0-py3-none-any.whl")


def test_a_call_returns_the_wheels_and_what_was_used(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tools.log.write_text("what an earlier call printed\n" + LIMITS.format(kills=9) + "\n")
    script = f"""
touch $out/steady-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl
touch $out/steady-1.0-cp312-abi3-manylinux_2_17_x86_64.whl
echo '{LIMITS.format(kills=0)}'
echo 'wheelfarm-compiler-cache: hits=3 misses=1'
"""
    outcome = call_program(tools, tmp_path, monkeypatch, script)
    assert sorted(outcome.wheels) == ["cp314", "cp314t"]
    assert outcome.wheels["cp314"].name.startswith("steady-1.0-cp312-abi3")
    assert outcome.usage["memory-kills"] == 0
    assert outcome.cache_statistics == {"hits": 3, "misses": 1}
    assert outcome.failed_call is None
    assert cast("Engine", tools.engine).removed == 1


def test_a_call_whose_output_was_refused_has_no_wheels(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script = """
touch $out/steady-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl
echo '{"code": "WF216", "reason": "a link"}' > $out/../refusal.json
echo 'Starting container image'
exit 1
"""
    outcome = call_program(tools, tmp_path, monkeypatch, script)
    assert (dict(outcome.wheels), outcome.refusal) == ({}, Refusal(code="WF216", reason="a link"))


def test_a_failed_call_says_where_its_output_is(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tools.log.write_text("before\n")
    script = f"echo 'Starting container image'; echo oh; echo '{LIMITS.format(kills=2)}'; exit 3"
    call = call_program(tools, tmp_path, monkeypatch, script).failed_call
    assert call is not None
    assert (call.exit_code, call.memory_bytes, call.processes) == (3, 1 << 30, None)
    printed = tools.log.read_bytes()[slice(*call.log)].decode()
    assert printed.startswith("Starting")
    assert call.timeout_s is None


NO_SPACE = f"""
echo 'Starting container image'
echo 'fatal error: No space left on device'
echo '{LIMITS.format(kills=0)}'
exit 1
"""


def test_a_full_disk_is_seen_and_not_believed(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A package may print that the disk is full; then it failed all the same, and that is on record."""
    assert call_program(tools, tmp_path, monkeypatch, NO_SPACE).failed_call is not None
    cast("Engine", tools.engine).free_space = FreeSpace(bytes=1 << 40, inodes=10)
    with pytest.raises(InfrastructureError, match="the disk is full"):
        call_program(tools, tmp_path, monkeypatch, NO_SPACE)


def test_a_container_that_was_killed_tells_nothing(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(InfrastructureError, match="was killed"):
        call_program(tools, tmp_path, monkeypatch, "echo 'Starting container image'; exit 1")


def test_a_build_that_ends_its_container_is_at_fault(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script = "echo 'Starting container image'; exit 1"
    engine = cast("Engine", tools.engine)
    engine.own_end = OwnEnd(exit_code=137, met_memory_limit=False)
    call = call_program(tools, tmp_path, monkeypatch, script).failed_call
    assert call is not None
    failure, _ = call.explain(tools.log, "steady")
    assert (failure.code, "exit code 137" in failure.error) == ("WF218", True)

    engine.own_end = OwnEnd(exit_code=137, met_memory_limit=True)
    call = call_program(tools, tmp_path, monkeypatch, script).failed_call
    assert call is not None
    assert call.explain(tools.log, "steady")[0].code == "WF204"


def test_a_call_that_takes_too_long_is_ended(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script = "echo 'Starting container image'; exec sleep 60"
    call = call_program(tools, tmp_path, monkeypatch, script, timeout_s=1).failed_call
    assert call is not None
    assert call.timeout_s == 1
    assert cast("Engine", tools.engine).removed == 2


def test_a_container_that_stays_at_its_limit_on_processes_is_ended(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cibuildwheel, "_PROCESS_CHECK_S", 0.05)
    cast("Engine", tools.engine).processes = (500, 512)
    script = "echo 'Starting container image'; exec sleep 60"
    call = call_program(tools, tmp_path, monkeypatch, script).failed_call
    assert call is not None
    assert (call.processes, call.timeout_s) == (512, None)


def test_a_container_that_writes_too_much_is_ended_and_that_is_the_finding(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cast("Engine", tools.engine).disk_excess = "5000 MiB in its file system, of 4096 MiB"
    script = "echo 'Starting container image'; echo 'No space left on device'; exec sleep 60"
    call = call_program(tools, tmp_path, monkeypatch, script).failed_call
    assert call is not None
    failure, _ = call.explain(tools.log, "steady")
    assert (failure.code, "5000 MiB" in failure.error) == ("WF217", True)


def test_a_call_ends_when_the_farm_is_asked_to_stop(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tools.stop.set()
    with pytest.raises(Interrupted):
        call_program(tools, tmp_path, monkeypatch, "exec sleep 60")


@pytest.mark.parametrize("value", ["²", "٣", "-1", "9" * 5000, ""])
def test_forged_limits_are_no_numbers(value: str):
    printed = f"wheelfarm-limits: memory-kills={value} other=1 processes-refused=2"
    assert _parse_usage(printed) == {"other": 1, "processes-refused": 2}


WARNINGS = 'yes "a.c:1:2: warning: unused parameter" | head -n 1500000'


def test_an_honest_build_with_a_long_log_goes_on_and_the_log_is_cut(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Numpy prints more than 64 MiB of warnings, and builds."""
    script = f"""
echo 'Starting container image'
{WARNINGS}
touch $out/steady-1.0-cp314-cp314-manylinux_2_17_x86_64.whl
echo '{LIMITS.format(kills=0)}'
"""
    outcome = call_program(tools, tmp_path, monkeypatch, script)
    assert list(outcome.wheels) == ["cp314"]
    assert outcome.usage["memory-kills"] == 0
    assert outcome.failed_call is None

    log = tools.log.read_bytes()
    assert len(log) < log_file.CALL_BYTES
    assert log.startswith(b"Starting container image\na.c:1:2")
    assert b" bytes of the log are left out here: it is too long]\n" in log
    assert log.endswith(LIMITS.format(kills=0).encode() + b"\n")


def test_the_error_at_the_end_of_a_long_log_is_that_of_its_own_abi_and_step(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script = f"""
echo 'Starting container image'
{WARNINGS}
printf '\\nBuilding cp314t-manylinux_x86_64 wheel\\n\\nBuilding wheel...\\n'
{WARNINGS} >&2
echo 'a.c:1:1: error: no'
echo '{LIMITS.format(kills=0)}'
exit 1
"""
    call = call_program(tools, tmp_path, monkeypatch, script).failed_call
    assert call is not None
    failure, abi = call.explain(tools.log, "steady")
    assert (failure.error, failure.stage, abi) == (
        "a.c:1:1: error: no",
        "building wheel",
        "cp314t",
    )


def test_a_build_that_prints_without_end_is_ended_by_its_time(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script = "echo 'Starting container image'; exec yes"
    call = call_program(tools, tmp_path, monkeypatch, script, timeout_s=2).failed_call
    assert call is not None
    assert call.explain(tools.log, "steady")[0].code == "WF203"
    assert tools.log.stat().st_size < log_file.CALL_BYTES


def test_system_packages_that_exclude_one_another_are_the_packages_fault(
    tools: Tools, tmp_path: Path
):
    build = make_build(tools, tmp_path, packages=("liba-dev", "libb-dev"))
    conflict = "libb-dev: Conflicts: liba-dev"
    result = build.run(inputs_of(build, content="none", conflict=conflict), tools)
    assert isinstance(result.facts, BuildFacts)
    failure = result.facts.abis["cp314"].failure
    assert failure is not None
    assert (failure.code, conflict in failure.error) == ("WF207", True)


def test_native_code_on_request_names_the_variable(tools: Tools, tmp_path: Path):
    path = tmp_path / "mypyced-1.0.tar.gz"
    script = b'import os\nif os.environ.get("MYPYCED_USE_MYPYC") == "1" and "NO_MYPYC" not in os.environ: ...\n'
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("mypyced-1.0/setup.py")
        info.size = len(script)
        archive.addfile(info, io.BytesIO(script))
    sha256 = tools.store.add_file(path)

    failure = Failure(code="WF206", stage="building wheel", error="pure", remedy="see the log")
    build = make_build(tools, tmp_path, sdist_sha256=sha256)
    assert (
        'set env = { MYPYCED_USE_MYPYC = "1" } in'
        in build._add_switches(failure, tools.store).remedy
    )

    is_set = make_build(
        tools, tmp_path, sdist_sha256=sha256, environment={"MYPYCED_USE_MYPYC": "1"}
    )
    assert is_set._add_switches(failure, tools.store) == failure


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("gcc -O3 -march=native -fPIC -c src/a.c -o build/a.o", ("-march=native for src/a.c",)),
        ("[2026] Command line: /usr/bin/g++ -mcpu=native -c ../src/b.cpp", ("-mcpu=native for ../src/b.cpp",)),
        ("gcc -march=native -c /tmp/tmpab12cd3/flagcheck.c", ()),
        ("gcc -march=native conftest.c", ()),
        ("-- Performing Test COMPILER_SUPPORTS_-march=native", ()),
        ("gcc -mtune=native -march=x86-64-v2 -c src/a.c", ()),
    ],
)  # fmt: skip
def test_code_for_this_machines_processor_is_seen(line: str, options: tuple[str, ...]):
    assert find_cpu_options(f"noise\n{line}\nnoise\n") == options
