"""The recipes for platforms: they parse, say what docs/platforms.md says, and name no registry, host or secret."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from jsonschema.validators import validator_for
from ruamel.yaml import YAML

from builder.config import catalog
from tests.unit.report.test_report import published_schema

ROOT = Path(__file__).parents[3]
PLATFORMS = ROOT / "examples" / "platforms"
FILES = sorted(path for path in PLATFORMS.rglob("*") if path.is_file())
NAMES = [str(path.relative_to(PLATFORMS)) for path in FILES if path.suffix != ".pyc"]
DOCKERFILES = {"Dockerfile.debian-12": "debian-12", "Dockerfile.ubuntu-24.04": "ubuntu-24.04"}
SCHEMAS = {
    "github-actions/deploy.yml": "schemastore.org/github-workflow.json",
    "gitlab/gitlab-ci.yml": "app/assets/javascripts/editor/schema/ci.json",
}


SECRET = re.compile(r"(?i)(?:password|secret|token|key|connectionstring)['\"]?\s*[:=]\s*['\"]\w")
"""A text given to a name that secrets have."""


def read(name: str) -> str:
    return (PLATFORMS / name).read_text()


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(read(name))
    return content


# --- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_it_names_no_host_and_nothing_that_floats(name: str):
    text = read(name)
    assert re.findall(r"https?://([^/\s\"']+)", text) == []
    assert re.search(r":latest\b|-latest\b", text) is None
    assert not SECRET.search(text)


def test_the_page_has_a_section_for_each_folder():
    page = (ROOT / "docs" / "platforms.md").read_text()
    folders = {path.name for path in PLATFORMS.iterdir() if path.is_dir()} - {"__pycache__"}
    linked = set(re.findall(r"examples/platforms/([a-z-]+)/", page))
    assert linked == folders


def test_the_page_and_the_program_name_the_same_exit_codes():
    page = (ROOT / "docs" / "platforms.md").read_text()
    section = page.partition("### Exit codes")[2].partition("\n#")[0]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    stated = {
        int(code) for code in re.findall(r"^EXIT_\w+ = (\d+)$", read("start.py"), re.MULTILINE)
    }
    assert documented == stated | {0}


# --- docker -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "base"), DOCKERFILES.items())
def test_a_dockerfile_installs_what_the_interpreters_need_on_its_base(name: str, base: str):
    match = re.search(r'SYSTEM_PACKAGES="([^"]+)"', read(f"docker/{name}"))
    assert match is not None
    assert match[1].split() == sorted(catalog.load().bases[base].runtime)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_takes_images_and_the_index_from_who_builds(name: str):
    text = read(f"docker/{name}")
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", text, re.MULTILINE)
    assert [image for image, _ in stages] == ["${PYTHON_IMAGE}", "${BASE_IMAGE}", "base", "base"]
    assert re.findall(r"^ARG (\w+_IMAGE)$", text, re.MULTILINE) == ["BASE_IMAGE", "PYTHON_IMAGE"]

    assert "ARG PIP_INDEX_URL" not in text
    assert "ENV PIP_INDEX_URL" not in text
    assert "--mount=type=secret,id=index,required=true" in text


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_installs_by_hashes_alone_and_runs_as_nobody(name: str):
    text = read(f"docker/{name}")
    joined = re.sub(r"\\\n\s*", " ", text)
    installs = re.findall(r"pip install (.*?) ?(?:&&|\n)", joined)
    assert len(installs) == 2
    for options in installs:
        for option in ("--require-hashes", "--no-deps", "--only-binary :all:"):
            assert option in re.sub(r"\s+", " ", options)

    last_stage = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER ([1-9]\d*):([1-9]\d*)$", last_stage, re.MULTILINE)
    assert "pip install" not in last_stage


def test_the_dockerfiles_differ_in_their_base_alone():
    texts = [read(f"docker/{name}").replace(base, "BASE") for name, base in DOCKERFILES.items()]
    plain = [re.sub(r'SYSTEM_PACKAGES="[^"]+"', "", text) for text in texts]
    assert plain[0] == plain[1]


# --- workflows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "ending"), SCHEMAS.items())
def test_a_workflow_fits_its_schema(name: str, ending: str):
    schema = published_schema(ending)
    checker = validator_for(schema)(schema)
    content = load(name)
    jobs = content.get("jobs", content)
    for job in jobs.values():
        # The schema that a package carries is older than this runner.
        if isinstance(job, dict) and job.get("runs-on") == "ubuntu-24.04":
            job["runs-on"] = "ubuntu-22.04"

    assert sorted(error.message for error in checker.iter_errors(content)) == []
    jobs["deploy"]["no-such-key"] = True
    assert not checker.is_valid(content)


def test_the_workflow_checks_both_interpreters_before_it_deploys():
    jobs = load("github-actions/deploy.yml")["jobs"]
    rows = jobs["check"]["strategy"]["matrix"]["include"]
    assert {row["abi"]: row["gil"] for row in rows} == {
        "cp314t": "--without-gil 3.14t",
        "cp314": "",
    }
    assert jobs["deploy"]["needs"] == ["check"]

    scripts = [step["run"] for step in jobs["check"]["steps"] if "run" in step]
    assert any("--require-hashes --no-deps" in script for script in scripts)
    assert any("start.py" in script and "--check" in script for script in scripts)
    assert not any("${{" in script for script in scripts)


def test_lint_looks_at_the_workflow():
    call = "--config .github/zizmor.yml examples/platforms/github-actions/deploy.yml"
    assert call in (ROOT / "Makefile").read_text()
    command = [
        str(Path(sys.executable).parent / "zizmor"),
        *("--offline", "--quiet", "--no-progress", "--strict-collection"),
        *call.split(),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_gitlab_job_checks_both_interpreters_before_it_deploys():
    jobs = load("gitlab/gitlab-ci.yml")
    assert set(jobs["deploy"]["needs"]) == {"check-cp314", "check-cp314t"}
    assert jobs["check-cp314t"]["variables"]["GIL"] == "--without-gil cp314t"
    for name in ("check-cp314", "check-cp314t"):
        assert jobs[name]["extends"] == ".check"
        assert jobs[name]["image"].startswith("$")
    assert any("--require-hashes --no-deps" in line for line in jobs[".check"]["script"])


# --- kubernetes -------------------------------------------------------------------------------------------------------


def documents() -> dict[str, dict[str, Any]]:
    loaded = YAML(typ="safe").load_all(read("kubernetes/service.yaml"))
    return {document["metadata"]["name"]: document for document in loaded}


def test_the_canary_has_five_percent_of_the_pods_of_one_service():
    parts = documents()
    selector = parts["service"]["spec"]["selector"]
    replicas: dict[str, int] = {}
    for name in ("service-stable", "service-canary"):
        spec = parts[name]["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert selector.items() <= labels.items()
        assert spec["selector"]["matchLabels"] == labels
        replicas[name] = spec["replicas"]
    assert Fraction(replicas["service-canary"], sum(replicas.values())) == Fraction(5, 100)


@pytest.mark.parametrize("name", ["service-stable", "service-canary"])
def test_a_pod_is_checked_before_it_starts_and_confined(name: str):
    pod = documents()[name]["spec"]["template"]["spec"]
    (check,), (service,) = pod["initContainers"], pod["containers"]
    assert check["args"][-1] == "--check"
    assert service["readinessProbe"]["httpGet"]["path"] == "/healthz"
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in (check, service):
        assert container["image"] == "${SERVICE_IMAGE}"
        assert "/start/start.py" in container["command"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["limits"]["memory"]


def test_only_the_canary_has_to_be_without_the_gil():
    arguments = {
        name: documents()[name]["spec"]["template"]["spec"]["initContainers"][0]["args"]
        for name in ("service-stable", "service-canary")
    }
    assert "--without-gil" in arguments["service-canary"]
    assert "--without-gil" not in arguments["service-stable"]
    assert "kubectl scale deployment/service-canary --replicas=0" in read("kubernetes/service.yaml")


# --- azure ------------------------------------------------------------------------------------------------------------


def bicep_without_texts() -> str:
    """Return main.bicep without comments and without what stands in quotes."""
    text = re.sub(r"'(?:[^'\\\n]|\\.)*'", "''", read("azure-app-service/main.bicep"))
    return re.sub(r"//.*", "", text)


def test_brackets_of_the_bicep_file_are_balanced():
    closing = {")": "(", "]": "[", "}": "{"}
    opened: list[str] = []
    for character in bicep_without_texts():
        if character in closing.values():
            opened.append(character)
        elif character in closing:
            assert opened, "a bracket is closed that was not opened"
            assert opened.pop() == closing[character]
    assert opened == []


def test_the_bicep_file_has_what_a_move_needs_each_with_a_version_of_its_api():
    text = read("azure-app-service/main.bicep")
    declared = re.findall(
        r"^resource \w+ '([\w./]+)@(\d{4}-\d{2}-\d{2})' = \{$", text, re.MULTILINE
    )
    assert len(declared) == len(re.findall(r"^resource ", text, re.MULTILINE))
    assert {kind for kind, _ in declared} == {
        "Microsoft.Web/serverfarms",
        "Microsoft.Web/sites",
        "Microsoft.Web/sites/config",
        "Microsoft.Web/sites/slots",
        "Microsoft.Web/sites/slots/config",
    }
    for key in ("healthCheckPath:", "appCommandLine:", "linuxFxVersion:", "httpsOnly: true"):
        assert key in text
    assert "name: 'slotConfigNames'" in text


def test_every_parameter_of_the_bicep_file_is_described_and_used():
    text = read("azure-app-service/main.bicep")
    named = re.findall(r"^(?:param|var) (\w+)", text, re.MULTILINE)
    assert len(re.findall(r"^@description\(", text, re.MULTILINE)) == text.count("\nparam ")
    for name in named:
        assert len(re.findall(rf"\b{name}\b", text)) > 1, name


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    """A deployment of which each runtime is a script that says with what it was started."""
    for source in (PLATFORMS / "azure-app-service/startup.sh", PLATFORMS / "start.py"):
        shutil.copy(source, tmp_path)
    (tmp_path / "requirements.txt").write_text("foo==1.0\n")
    for name in ("3.14t", "3.14"):
        folder = tmp_path / "venvs" / name / "bin"
        folder.mkdir(parents=True)
        is_broken = "exit 1" if name == "3.14t" else "exit 0"
        report = """printf '{"state": "complete"}\\n' > /dev/fd/$3"""
        (folder / "python").write_text(f"#!/bin/sh\n{report}\n{is_broken}\n")
        (folder / "serve").write_text(f'#!/bin/sh\necho {name} $PWD "$@"\n')
        for program in folder.iterdir():
            program.chmod(0o755)

    return tmp_path


def start_up(
    deployment: Path, *command: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", deployment / "startup.sh", *command],
        env={**os.environ, "START_PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_start_up_script_takes_runtimes_in_their_order_and_keeps_the_command_whole(
    deployment: Path,
):
    done = start_up(deployment, "serve", "a b", "--bind", "x")
    assert done.stdout == f"3.14 {deployment} a b --bind x\n"
    first, second = (line for line in done.stderr.splitlines() if line.startswith("{"))
    assert '"runtime": "3.14t", "usable": false' in first
    assert '"runtime": "3.14", "usable": true' in second


def test_the_start_up_script_heeds_its_variables(deployment: Path):
    done = start_up(deployment, "serve", START_RUNTIMES="3.14", START_TIMEOUT_S="30")
    assert (done.returncode, done.stdout.split()[0]) == (0, "3.14")
    done = start_up(deployment, "serve", START_RUNTIMES="3.14t")
    assert (done.returncode, done.stdout) == (69, "")


def test_the_start_up_script_wants_a_command(deployment: Path):
    done = start_up(deployment)
    assert (done.returncode, "expected the command" in done.stderr) == (64, True)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".sh")])
def test_a_shell_script_parses(name: str):
    done = subprocess.run(["sh", "-n", PLATFORMS / name], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
