"""`wheelfarm add` and `wheelfarm survey`, run as a person runs them, against an index on the loopback interface."""

import io
import json
import os
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.local_index import LocalIndex, sdist, serving, wheel

NATIVE = "cp312-cp312-manylinux_2_17_x86_64"
OTHER = "b" * 64


@dataclass(frozen=True)
class Project:
    root: Path
    environment: dict[str, str]
    hashes: dict[str, str]

    @property
    def matrix(self) -> Path:
        return self.root / "matrix.toml"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "builder", *arguments],
            capture_output=True, text=True, check=False, cwd=self.root, env=self.environment, timeout=120,
        )  # fmt: skip

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def write(self, name: str, text: str) -> str:
        (self.root / name).write_text(text)
        return name


def source_tree(name: str, member: str) -> bytes:
    """Make an sdist with one file beside its metadata."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in (
            (f"{name}-1.0/PKG-INFO", f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n"),
            (member, "x"),
        ):
            info = tarfile.TarInfo(path)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def fill(index: LocalIndex) -> dict[str, str]:
    """Serve one package of each kind, and return the hashes of those with an sdist."""
    hashes = {
        "native": index.add(
            "native", "native-1.0.tar.gz", sdist("native", "1.0", requires=("deep>=1",))
        )
    }
    index.add("native", f"native-1.0-{NATIVE}.whl", wheel("native", "1.0", requires=("deep>=1",)))
    hashes["deep"] = index.add(
        "deep", "deep-1.0.tar.gz", source_tree("deep", "deep-1.0/src/deep.c")
    )
    hashes["plain"] = index.add(
        "plain", "plain-1.0.tar.gz", source_tree("plain", "plain-1.0/plain.py")
    )
    index.add("pure", "pure-1.0-py3-none-any.whl", wheel("pure", "1.0"))
    hashes["sped"] = index.add("sped", "sped-1.0.tar.gz", sdist("sped", "1.0"))
    for tags in ("py3-none-any", NATIVE):
        index.add("sped", f"sped-1.0-{tags}.whl", wheel("sped", "1.0"))
    index.add("tool", "tool-1.0-py3-none-manylinux_2_17_x86_64.whl", wheel("tool", "1.0"))
    index.add("sourceless", f"sourceless-1.0-{NATIVE}.whl", wheel("sourceless", "1.0"))
    return hashes


@pytest.fixture
def project(tmp_path: Path):
    (tmp_path / "index").mkdir()
    (tmp_path / "project").mkdir()
    with serving(tmp_path / "index") as (index, settings):
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PIP_", "UV_"))
        }
        environment = {
            **kept,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": settings.url,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "COLUMNS": "200",
            "NO_PROXY": "127.0.0.1",
        }
        yield Project(root=tmp_path / "project", environment=environment, hashes=fill(index))


def test_add_takes_the_native_ones_of_the_closure_and_says_what_it_left_out(project: Project):
    file = project.write(
        "requirements.txt", "native\nplain\npure\nsped\ntool\nsourceless\nunheard-of\n"
    )
    project.matrix.write_text("# mine\n[packages.kept]  # stays\n")
    dry = project.json("add", file, "--dry-run")
    assert project.matrix.read_text() == "# mine\n[packages.kept]  # stays\n"
    answer = project.json("add", file)
    assert answer == dry
    assert {one["name"]: one["action"] for one in answer["packages"]} == {
        "deep": "added",
        "native": "added",
    }
    why = {one["name"]: one["why"] for one in answer["left_out"]}
    assert set(why) == {"plain", "pure", "sped", "tool", "sourceless", "unheard-of"}
    assert "pure Python" in why["plain"]
    assert "--speedups" in why["sped"]
    assert "no sdist" in why["sourceless"]
    text = project.matrix.read_text()
    assert text.startswith("# mine\n[packages.kept]  # stays\n")
    assert tomllib.loads(text)["packages"] == {
        "kept": {}, "deep": {"version": "==1.0"}, "native": {"version": "==1.0"}
    }  # fmt: skip
    again = project.run("add", file)
    assert again.returncode == 0
    assert "0 added, 0 changed, 2 there already" in again.stdout
    assert project.matrix.read_text() == text
    more = project.json("add", file, "--speedups")
    assert {one["name"]: one["action"] for one in more["packages"]}["sped"] == "added"


def test_add_all_takes_everything_that_can_be_had(project: Project):
    file = project.write("requirements.txt", "native\nplain\npure\nsped\ntool\nsourceless\n")
    answer = project.json("add", "--all", file)
    assert {one["name"]: one["group"] for one in answer["packages"]} == {
        "deep": "native",
        "native": "native",
        "sped": "native",
        "tool": "native",
        "plain": "pure Python",
        "pure": "pure Python",
    }
    assert [(one["name"], one["why"]) for one in answer["left_out"]] == [
        (
            "sourceless",
            "there is no sdist of 1.0 to build from, and none of its 1 wheels is for cp314",
        )
    ]
    text = project.matrix.read_text()
    assert text.index("# from requirements.txt: native") < text.index(
        "# from requirements.txt: pure Python"
    )
    assert tomllib.loads(text)["packages"]["tool"] == {"version": "==1.0", "from": "wheel"}

    planned = project.json("plan")
    assert planned["faults"] == {}
    builds = {job["id"].split("@")[0] for job in planned["jobs"] if job["id"].startswith("build:")}
    assert builds == {f"build:{name}" for name in ("deep", "native", "plain", "sped", "tool")}


def test_hashes_of_the_file_are_those_of_the_sdist_or_the_package_is_left_out(project: Project):
    lines = [
        f"native==1.0 --hash=sha256:{OTHER} --hash=sha256:{project.hashes['native'].upper()}",
        f"deep==1.0 --hash=sha256:{OTHER}",
    ]
    answer = project.json("add", project.write("requirements.txt", "\n".join(lines)))
    assert [(one["name"], one["sha256"]) for one in answer["packages"]] == [
        ("native", project.hashes["native"])
    ]
    assert "must not be built" in answer["left_out"][0]["why"]
    assert (
        tomllib.loads(project.matrix.read_text())["packages"]["native"]["sha256"]
        == project.hashes["native"]
    )


def test_hashes_of_another_algorithm_are_checked_against_the_file_itself(project: Project):
    import hashlib

    content = (project.root.parent / "index" / "deep" / "deep-1.0.tar.gz").read_bytes()
    good, bad = hashlib.sha512(content).hexdigest(), hashlib.sha512(b"other").hexdigest()
    answer = project.json(
        "add", project.write("requirements.txt", f"deep==1.0 --hash=sha512:{good}")
    )
    assert answer["packages"][0]["sha256"] == project.hashes["deep"]
    answer = project.json(
        "add", project.write("requirements.txt", f"deep==1.0 --hash=sha512:{bad}")
    )
    assert answer["packages"] == []


def test_a_package_with_another_pin_changes_only_when_that_is_asked_for(project: Project):
    project.matrix.write_text('[packages.deep]\nversion = "<1"  # on purpose\n')
    file = project.write("requirements.txt", "deep\n")
    done = project.run("add", file)
    assert done.returncode == 0
    assert "'<1'" in done.stdout
    assert "--update" in done.stdout
    assert 'version = "<1"' in project.matrix.read_text()
    assert project.json("add", file, "--update")["packages"][0]["action"] == "changed"
    assert project.matrix.read_text() == '[packages.deep]\nversion = "==1.0"  # on purpose\n'


@pytest.mark.parametrize(
    ("command", "name", "text", "place"),
    [
        ("add", "requirements.txt", "good==1\n../x/../y\nbad=1\n", "requirements.txt: line 3"),
        ("survey", "uv.lock", 'version = 1\n[[package]]\nname = "<b>"\n', "package[0].name"),
    ],
)
def test_a_wrong_file_ends_with_its_place_and_nothing_written(
    project: Project, command: str, name: str, text: str, place: str
):
    done = project.run(command, project.write(name, text))
    assert done.returncode == 2, done.stderr
    assert place in done.stderr
    assert "Traceback" not in done.stderr
    assert [item.name for item in project.root.iterdir()] == [name]


def test_add_refuses_a_wrong_matrix_before_it_asks_the_index(project: Project):
    project.matrix.write_text("[packages.x]\nversoin = '1'\n")
    done = project.run("add", project.write("requirements.txt", "deep"))
    assert done.returncode == 2
    assert "packages.x.versoin" in done.stderr
    assert not (project.root / "wheelhouse").exists()


def test_survey_tells_kinds_and_outlooks(project: Project):
    file = project.write(
        "pyproject.toml",
        '[project]\nname = "x"\ndependencies = ["native", "plain", "sped", "tool", "sourceless"]\n',
    )
    answer = project.json("survey", file)
    rows = {row["name"]: row for row in answer["dependencies"]}
    assert {name: row["kind"] for name, row in rows.items()} == {
        "deep": "native", "native": "native", "plain": "pure", "sped": "speedups", "tool": "program",
        "sourceless": "native",
    }  # fmt: skip
    assert {name: row["outlooks"]["3.14t"]["status"] for name, row in rows.items()} == {
        "deep": "build", "native": "build", "plain": "ready", "sped": "ready", "tool": "ready", "sourceless": "blocked"
    }  # fmt: skip
    assert answer["counts"]["3.14"] == {"ready": 3, "upgrade": 0, "build": 2, "blocked": 1}
    done = project.run("survey", file)
    assert done.returncode == 0
    assert done.stdout.endswith("3 ready as pinned, 2 to be built from source, 1 blocked.\n")
    assert not project.matrix.exists()


def test_an_index_that_does_not_answer_is_the_farms_own_trouble(project: Project):
    environment = {**project.environment, "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    file = project.write("requirements.txt", "deep")
    for command in ("add", "survey"):
        done = Project(root=project.root, environment=environment, hashes={}).run(command, file)
        assert done.returncode == 3, done.stderr
        assert "did not answer" in done.stderr
        assert not project.matrix.exists()
