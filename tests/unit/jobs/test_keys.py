"""What changes which keys, as a table. A run is played: an image's content is its key, and a build's wheels are too."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from builder.config import catalog, matrix
from builder.config.catalog import Catalog
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import Package
from builder.jobs.job import hash_key_parts
from builder.plan import graph as plan
from builder.sources import Pure, Source, UpstreamWheel
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId, JobKind
from tests.job_ids import inputs_of

ROOT = Path(__file__).parents[3]
MATRIX = """
[farm]
bases = ["debian-12", "debian-13", "ubuntu-24.04"]
[packages.foo]
[packages.bar]
[packages.user]
[packages.tool]
"""
BUILT_ON = ("debian-12", "ubuntu-24.04")
BASES = (*BUILT_ON, "debian-13")
UPSTREAM = UpstreamWheel(abi="cp314", filename="user-1.0-cp39-abi3-linux_x86_64.whl", sha256="3")
PURE_UPSTREAM = UpstreamWheel(abi="cp314t", filename="user-1.0-py3-none-any.whl", sha256="4")
PURE = Pure(name="plain", version="1.0", filename="plain-1.0-py3-none-any.whl", sha256="1")


def source(name: str, **more: Any) -> Source:
    return Source(
        **{
            "name": name,
            "version": "1.0",
            "kind": "index",
            "filename": f"{name}.tar.gz",
            "sha256": name,
            **more,
        }
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything a run goes by. `foo` needs `bar` at run time and is built with `tool`; `user` needs nothing."""

    text: str = MATRIX
    patches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: Catalog = field(default_factory=catalog.load)
    changed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    effort: EffortLevel = EffortLevel.QUICK
    contents: Mapping[str, str] = field(default_factory=dict)

    def play(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Return the key of every job, and what it was asked with."""
        links: dict[str, dict[str, Any]] = {
            "foo": {"needs": ("bar",), "builds_with": ("tool",), "pure": (PURE,)}
        }
        loaded = matrix.parse(tomllib.loads(self.text), Path("matrix.toml"))
        found = {
            name: source(name, **{**links.get(name, {}), **self.changed.get(name, {})})
            for name in loaded.packages
        }
        graph = plan.make_plan(
            loaded, found, self.patches, self.tables, Package(), EFFORTS[self.effort]
        )
        ended: dict[JobId, Evidence] = {}
        played: dict[str, tuple[str, dict[str, str]]] = {}
        for job in graph.jobs.values():
            inputs = inputs_of(job, ended)
            key = job.key(inputs)
            text = str(job.id)
            played[text] = key, hash_key_parts(job, inputs)
            wheels = (
                {abi: f"{job.id.name}-{job.id.base}-{abi}.whl" for abi in loaded.abis}
                if job.id.kind == JobKind.BUILD
                else {}
            )
            facts: dict[str, Any] = {
                "content": self.contents.get(text, text if text in BASE_IMAGES else key)
            }
            facts |= {
                "abis": {abi: {"wheel": wheel} for abi, wheel in wheels.items()},
                "wheels": {},
            }
            ended[job.id] = Evidence(
                key=key, job=job.id, facts=facts, files=dict.fromkeys(wheels.values(), key)
            )
        return played


BASE_IMAGES = {
    f"image:{base}" for base in BASES
}  # a base counts by what is installed, whatever made it


def of(name: str, *kinds: str) -> set[str]:
    """Return the jobs of a package, or those of some kinds."""
    places = {
        "build": [f"@{base}" for base in BUILT_ON],
        "audit": [f"@{base}" for base in BUILT_ON],
        "load": [f"@{built}/{base}" for built in BUILT_ON for base in BASES],
        "race": ["@debian-12"],
        "exercise": ["@debian-12"],
    }
    return {f"{kind}:{name}{place}" for kind in kinds or places for place in places[kind]}


def everything(*kinds: str) -> set[str]:
    return set().union(*(of(name, *kinds) for name in ("foo", "bar", "user", "tool")))


IMAGES = {
    f"image:{role}-{base}"
    for role, bases in (("builder", BUILT_ON), ("verify", BASES))
    for base in bases
}
INDEX = {"image:index"}
RACE = {"image:race-interpreter", "image:race-debian-12"}
LOADS_ON_13 = {job for job in everything("load") if job.endswith("/debian-13")}


def configured(text: str, name: str = "user") -> str:
    return MATRIX.replace(f"[packages.{name}]", f"[packages.{name}]\n{text}")


def released(**change: str) -> Catalog:
    tables = catalog.load()
    releases = {
        name: release.model_copy(update=change) for name, release in tables.releases.items()
    }
    return tables.model_copy(update={"releases": releases})


def rebased(name: str, **change: Any) -> Catalog:
    tables = catalog.load()
    return tables.model_copy(
        update={"bases": {**tables.bases, name: tables.bases[name].model_copy(update=change)}}
    )


CHANGES: dict[str, tuple[Case, set[str]]] = {
    "a comment": (Case(text=MATRIX + "# a comment\n"), set()),
    "spaces and quotes": (Case(text=MATRIX.replace('"debian-12", ', "'debian-12',   ")), set()),
    "the order of packages": (
        Case(text=MATRIX.replace("[packages.bar]\n", "") + "[packages.bar]\n"),
        set(),
    ),
    "where wheels are published": (
        Case(text=MATRIX.replace("[farm]", '[farm]\npublish = ["compatible"]')),
        set(),
    ),
    "a base that is switched off elsewhere": (
        Case(tables=rebased("debian-13", enabled=False)),
        set(),
    ),
    "a patch": (Case(patches={"user": ("--- a",)}), of("user")),
    "the order of patches": (Case(patches={"user": ("--- b", "--- a")}), of("user")),
    "an environment variable": (Case(text=configured("env = { CFLAGS = '-O1' }")), of("user")),
    "a setting of the backend": (
        Case(text=configured("config-settings = { debug = true }")),
        of("user"),
    ),
    "a limit": (
        Case(text=configured("timeout_s = 99")),
        of("user", "build", "audit", "load", "race", "exercise"),
    ),
    "an sdist": (Case(changed={"user": {"sha256": "else"}}), of("user")),
    "a registry of crates": (
        Case(changed={"user": {"has_crates": True}}),
        of("user", "build", "audit", "load", "race", "exercise"),
    ),
    "a Rust that is newer than the base's": (
        Case(changed={"user": {"rust_version": "1.999.0", "has_toolchains": True}}),
        of("user", "build", "audit", "load", "race", "exercise"),
    ),
    "a constraint of build requirements": (
        Case(text=configured("build-constraints = ['setuptools<82']")),
        of("user"),
    ),
    "a library left to the system": (
        Case(text=configured("exclude = ['libodbc.so.2']")),
        of("user"),
    ),
    "system packages where wheels are used": (
        Case(text=configured("apt-run = ['libodbc2']")),
        of("user", "load", "race", "exercise"),
    ),
    "system packages of what it needs": (
        Case(text=configured("apt-run = { debian-13 = ['libodbc2'] }", "bar")),
        {job for job in of("bar", "load") | of("foo", "load") if job.endswith("/debian-13")},
    ),
    "an apt list": (Case(text=configured("apt = ['libfoo-dev']")), of("user")),
    "an apt list of one distribution": (
        Case(text=configured("apt = { ubuntu = ['libfoo-dev'] }")),
        {job for job in of("user") if "@ubuntu" in job},
    ),
    "what a package needs at run time": (
        Case(changed={"bar": {"sha256": "else"}}),
        of("bar") | of("foo", "load", "race", "exercise"),
    ),
    "a build dependency": (Case(changed={"tool": {"sha256": "else"}}), of("tool") | of("foo")),
    "a flag of a build dependency": (
        Case(text=configured("env = { A = 1 }", "tool")),
        of("tool") | of("foo"),
    ),
    "a pure wheel": (
        Case(
            changed={
                "foo": {
                    "pure": (Pure(name="plain", version="1.1", filename="plain.whl", sha256="2"),)
                }
            }
        ),
        of("foo", "load", "race", "exercise"),
    ),
    "the content of a base": (
        Case(contents={"image:debian-13": "updated"}),
        {"image:verify-debian-13"} | LOADS_ON_13,
    ),
    "the content of the base that interpreters are compiled on": (
        Case(contents={"image:debian-12": "updated"}),
        IMAGES | INDEX | RACE | {"image:interpreters"} | everything(),
    ),
    "the way to the package index": (Case(contents={"image:index": "updated"}), set()),
    "what a base is made of": (
        Case(tables=rebased("debian-13", suite="else")),
        {"image:debian-13"},
    ),
    "the interpreter": (
        Case(tables=released(sha256="0" * 64)),
        IMAGES | INDEX | RACE | {"image:interpreters"} | everything(),
    ),
    "libraries of a base at run time": (
        Case(tables=rebased("debian-13", runtime=("libssl3", "else"))),
        {"image:verify-debian-13"} | LOADS_ON_13,
    ),
    "the sanitizer": (
        Case(tables=rebased("debian-12", sanitizer=("clang-20",))),
        RACE | everything("race", "exercise"),
    ),
    "the effort": (Case(effort=EffortLevel.STANDARD), everything("race", "exercise")),
    "recipes": (
        Case(text=configured("recipes = ['user.Table(16)']")),
        of("user", "race", "exercise"),
    ),
    "how own tests are run": (
        Case(text=configured("tests = { options = ['-q'] }")),
        of("user", "race", "exercise"),
    ),
    "upstream's wheels beside a build": (
        Case(changed={"user": {"take_from": "either", "wheels": (UPSTREAM,)}}),
        of("user"),
    ),
    "upstream's wheels in the place of a build": (
        Case(changed={"user": {"take_from": "wheel", "wheels": (UPSTREAM,)}}),
        of("user"),
    ),
    "a wheel without native code for an ABI": (
        Case(
            text=configured("pure = ['cp314t']"),
            changed={"user": {"wheels": (PURE_UPSTREAM,)}},
        ),
        of("user"),
    ),
    "what has to be imported first": (
        Case(text=configured("import-after = ['bar']")),
        of("user", "load", "race", "exercise"),
    ),
    "a build tag": (Case(text=configured("build-tag = 1")), of("user")),
    "an ABI that is left out": (Case(text=configured("skip = { cp314 = 'no' }")), of("user")),
}
BEFORE = {"the order of patches": Case(patches={"user": ("--- a", "--- b")})}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_changes_exactly_the_right_jobs(what: str):
    case, expected = CHANGES[what]
    before, after = BEFORE.get(what, Case()).play(), case.play()
    assert {job for job in before if before[job][0] != after[job][0]} == expected
    # What `plan` tells a person is what decides: a key changes when something it can name does, and only then.
    named = {job for job in before if before[job][1] != after[job][1]}
    assert named - expected <= {job for job in before if job.startswith("remedy:")}
    assert expected <= named


# --- what is read from files: a copy of the farm, with one of them changed ----------------------------------------------

PLAY = """
import json, os, pathlib, sys
from tests.unit.jobs.test_keys import Case

def play():
    return {job: key for job, (key, _) in Case().play().items()}

def play_in_child():
    # A process of its own for each file: texts and digests are cached for the life of a process.
    reader, writer = os.pipe()
    if not os.fork():
        with os.fdopen(writer, "w") as stream:
            json.dump(play(), stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        keys = json.load(stream)
    os.wait()
    return keys

played = {"": play_in_child()}
for name in sys.argv[1:]:
    path = pathlib.Path(name)
    text = path.read_text()
    path.write_text(f"{text}\\n# a comment\\n")
    played[name] = play_in_child()
    path.write_text(text)
json.dump(played, sys.stdout)
"""
STRESS = "builder/inside/stress/learn/calling.py"
FILES: dict[str, Callable[[], set[str]]] = {
    "README.md": set,
    "matrix.toml": set,
    "images/policies.toml": set,
    "builder/report/terminal/verdicts.py": set,
    "builder/inside/audit/audit.py": lambda: everything("audit"),
    "builder/inside/audit/elf.py": lambda: everything("audit"),
    "builder/inside/load/load.py": lambda: everything("load"),
    "builder/inside/load/probe.py": lambda: everything("load"),
    STRESS: lambda: everything("race", "exercise"),
    "images/canary.c": lambda: {"image:race-debian-12"} | everything("race", "exercise"),
    "images/keep-symbols.sh": lambda: {"image:race-debian-12"} | everything("race", "exercise"),
    "images/pauses.c": lambda: {"image:race-debian-12"} | everything("race", "exercise"),
    "images/freed-memory.patch": lambda: RACE | everything("race", "exercise"),
    "images/build-race-interpreter.sh": lambda: RACE | everything("race", "exercise"),
    "images/schedule.c": lambda: (
        {job for job in IMAGES if "verify" in job} | INDEX | everything("load", "exercise")
    ),
    "images/verify-tools.txt": lambda: (
        {job for job in IMAGES if "verify" in job} | INDEX | everything("load", "exercise")
    ),
    "images/index-tools.txt": lambda: INDEX,
    "builder/inside/proxy/server.py": set,
    "images/limits.sh": lambda: IMAGES | INDEX | {"image:race-debian-12"} | everything(),
    "images/build-interpreter.sh": lambda: (
        IMAGES | INDEX | {"image:interpreters", "image:race-debian-12"} | everything()
    ),
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Keys by job, of a copy of the farm as it is (""), and after a comment was added to each of FILES."""
    root = tmp_path_factory.mktemp("farm")
    unwanted = shutil.ignore_patterns("__pycache__", "corpus", "integration", "interfaces")
    for name in ("builder", "images", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=unwanted)
    for name in ("README.md", "matrix.toml"):
        shutil.copy(ROOT / name, root / name)

    done = subprocess.run(
        [sys.executable, "-c", PLAY, *FILES], cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    answer: dict[str, dict[str, str]] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_changes_exactly_the_right_jobs(
    played: dict[str, dict[str, str]], name: str
):
    before = played[""]
    after = played[name]
    assert {job for job in before if before[job] != after[job]} == FILES[name]()
