"""Whatever one package states about itself, and whatever breaks over it, is its own finding; the others go on."""

import errno
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from builder.config import matrix
from builder.errors import NoSpaceError
from builder.host.settings import IndexSettings
from builder.sources import Sources, resolve
from builder.sources.client import Index
from builder.sources.closure import Candidate, NoSolutionError, resolve_closure
from builder.sources.cool_down import HeldRelease
from builder.store.store import Store
from tests.unit.local_index import LocalIndex, archive, sdist, serving, wheel

PYTHON = Version("3.14.5")
RESOLVING = sys.modules["builder.sources.resolve"]  # the package has a function of that name
BUILD = sys.modules["builder.sources.build_requirements"]
MATRIX = '[packages.bad]\nsdist = "bad-1.tar.gz"\n[packages.good]\nsdist = "good-1.0.tar.gz"\n'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[LocalIndex, IndexSettings]]:
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as answer:
        yield answer


def resolve_bad(content: bytes, store: Store, index: IndexSettings, root: Path) -> Sources:
    """Resolve a package of which the sdist is given, beside a good one that must not be harmed."""
    (root / "bad-1.tar.gz").write_bytes(content)
    (root / "good-1.0.tar.gz").write_bytes(sdist("good", "1.0"))
    loaded = matrix.parse(tomllib.loads(MATRIX), root / "matrix.toml")
    answer = resolve(
        loaded,
        store,
        Index(index, store),
        PYTHON,
        names=list(loaded.packages),
        fresh_s=0,
        say=lambda _: None,
    )
    assert answer.found["good"].version == "1.0"
    assert answer.found["good"].trouble == ""
    return answer


def pkg_info(*lines: str, pyproject: bytes = b"") -> bytes:
    text = "\n".join(("Metadata-Version: 2.1", "Name: bad", *lines)) + "\n"
    files = {"bad-1/PKG-INFO": text.encode("utf-8", "surrogatepass")}
    if pyproject:
        files["bad-1/pyproject.toml"] = pyproject
    return archive("tar.gz", files)


@pytest.mark.parametrize(
    "version",
    ["one", "1.0.0-final-really", "9" * 5000, "1.0\x1b[2J", "1.0 || 2", "../../x", "\ud800"],
)
def test_a_version_that_is_none(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path, version: str
):
    content = pkg_info(f"Version: {version}")
    fault = resolve_bad(content, store, served[1], tmp_path).faults["bad"]
    assert fault.code == "WF105"
    assert fault.detail.startswith("the PKG-INFO of bad-1.tar.gz: expected a version")
    assert fault.detail.replace("…", "").isprintable()


def test_a_metadata_version_that_is_none(served: tuple[LocalIndex, IndexSettings], store: Store):
    index, settings = served
    text = b"Metadata-Version: 2.x\nName: bad\nVersion: 1\nRequires-Dist: good\n"
    index.add("bad", "bad-1.tar.gz", archive("tar.gz", {"bad-1/PKG-INFO": text}))
    index.add("bad", "bad-1-cp314-cp314-win_amd64.whl", wheel("bad", "1", requires=("good",)))
    index.add("good", "good-1.0.tar.gz", sdist("good", "1.0"))
    loaded = matrix.parse(tomllib.loads("[packages.bad]\n[packages.good]"), Path("matrix.toml"))
    answer = resolve(
        loaded, store, Index(settings, store), PYTHON, names=["bad", "good"], fresh_s=0, say=print
    )
    assert answer.found["bad"].needs == ("good",)


REQUIREMENTS = [
    "good; " + "(" * 4000 + "extra == 'x'" + ")" * 4000,
    "good; " + "(" * 900 + "extra == 'x'" + ")" * 900,
    "good; python_version == 'x'",
    "good; python_full_version ~= '1'",
    "good; 'x' in extras",
    "good; platform_release > '4.4 rc'",
    "good; implementation_version in '...'",
    "good; dependency_groups == 'x'",
    "good" + "[a]" * 50,
    "good===\u0661.0",
    "good>=1.0.*",
    "good==" + "1." * 2000 + "*",
    "good @ file:///etc/passwd",
    "good\n--index-url http://evil.invalid",
    "\ud800",
    "good; os_name == '\ud800'",
]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=range(len(REQUIREMENTS)))
def test_requirements_that_have_no_answer(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path, requirement: str
):
    pyproject = (
        f"[build-system]\nrequires = [{requirement.encode('ascii', 'replace').decode()!r}]".encode()
    )
    content = pkg_info("Version: 1", f"Requires-Dist: {requirement}", pyproject=pyproject)
    answer = resolve_bad(content, store, served[1], tmp_path)
    assert answer.faults == {} or answer.faults["bad"].code == "WF112"


PYPROJECTS = [
    b"a = " + b"[" * 100_000,
    b"a" + b".a" * 100_000 + b" = 1",
    b"\xff\xfe",
    b"[build-system]\nrequires = 1",
    b"[build-system]\nrequires = [1, {}, []]",
    b"build-system = 1",
    b"[[build-system]]",
    b"[build-system]\nrequires = [" + b"'good'," * 100_000 + b"]",
    b"a = 1e" + b"9" * 5000,
    b"a = 0x" + b"f" * 500_000,
]


@pytest.mark.parametrize("pyproject", PYPROJECTS, ids=range(len(PYPROJECTS)))
def test_a_pyproject_that_is_odd(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path, pyproject: bytes
):
    content = pkg_info("Version: 1", pyproject=pyproject)
    assert resolve_bad(content, store, served[1], tmp_path).faults == {}


@settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    requirements=st.lists(
        st.text(max_size=40)
        | st.builds(
            "{}{}; {} {} '{}'".format,
            st.sampled_from(["good", "a", "a[b]"]),
            st.sampled_from(["", ">=1", "==1.*", "===x", "~=1", "!=1,<2"]),
            st.sampled_from(
                [
                    "python_version",
                    "extra",
                    "extras",
                    "os_name",
                    "platform_release",
                    "'x'",
                    "implementation_version",
                ]
            ),
            st.sampled_from(["==", "<", "in", "not in", "~=", "==="]),
            st.text(max_size=8),
        ),
        max_size=4,
    )
)
def test_any_requirement_is_followed_or_passed_over(requirements: list[str]):
    class Silent:
        def releases(self, _name: str) -> None:
            return None

        def held_releases(self, _name: str) -> tuple[HeldRelease, ...]:
            return ()

    root = Candidate(
        name="bad", version=Version("1"), extras=frozenset({"x"}), requires=tuple(requirements)
    )
    try:
        resolve_closure(root, {}, Silent(), PYTHON)  # type: ignore[arg-type] # all that is asked of it
    except NoSolutionError:
        return


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyError("surprise"), "WF113", "perhaps this is a bug in wheelfarm: logs/sources/bad.log"),
        (AssertionError(), "WF113", "AssertionError"),
        (RuntimeError("\x1b[2J\ud800"), "WF113", r"\x1b[2J\ud800"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), "WF113", "UnicodeEncodeError"),
        (RecursionError(), "WF112", "a deeper recursion"),
        (MemoryError(), "WF112", "more memory"),
    ],
)
@pytest.mark.parametrize(
    "where", ["sdist_metadata", "_make_candidate", "_cached_build_requirements"]
)
def test_what_is_not_foreseen_is_the_packages_own(
    served: tuple[LocalIndex, IndexSettings],
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: str,
    said: str,
    where: str,
):
    owners = {
        "sdist_metadata": RESOLVING,
        "_make_candidate": RESOLVING._Resolver,
        "_cached_build_requirements": BUILD,
    }
    original = getattr(owners[where], where)

    def fail(*arguments):
        # Of objects without a name nothing is compared: their address may have the digits b, a, d.
        if any("bad" in getattr(one, "name", "") for one in arguments):
            raise error
        return original(*arguments)

    monkeypatch.setattr(owners[where], where, fail)
    fault = resolve_bad(pkg_info("Version: 1"), store, served[1], tmp_path).faults["bad"]
    assert (fault.code, said in fault.detail) == (code, True), fault.detail
    assert fault.detail.isprintable()
    if code == "WF113":
        assert "Traceback" in (store.wheelhouse / "logs" / "sources" / "bad.log").read_text()


def test_what_breaks_over_a_packages_needs_is_its_trouble(
    served: tuple[LocalIndex, IndexSettings],
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    search = RESOLVING.resolve_closure

    def fail(root, *arguments):
        if root.name == "bad":
            raise ZeroDivisionError
        return search(root, *arguments)

    monkeypatch.setattr(RESOLVING, "resolve_closure", fail)
    answer = resolve_bad(pkg_info("Version: 1"), store, served[1], tmp_path)
    assert "perhaps this is a bug in wheelfarm" in answer.found["bad"].trouble


def test_a_full_disk_is_nobodys_fault(
    served: tuple[LocalIndex, IndexSettings],
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RESOLVING, "sdist_metadata", fail)
    with pytest.raises(NoSpaceError):
        resolve_bad(pkg_info("Version: 1"), store, served[1], tmp_path)


def test_one_name_without_an_answer_does_not_hold_the_others_back(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    loaded = matrix.parse(tomllib.loads("[packages.slow]\n[packages.good]"), Path("matrix.toml"))

    def ask() -> Sources:
        return resolve(
            loaded,
            store,
            Index(settings, store),
            PYTHON,
            names=["slow", "good"],
            fresh_s=0,
            say=print,
        )

    index.add("slow", "slow-1.0.tar.gz", sdist("slow", "1.0", requires=("deep",)))
    index.add("deep", "deep-1.0.tar.gz", sdist("deep", "1.0"))
    index.add("good", "good-1.0.tar.gz", sdist("good", "1.0"))
    assert ask().found["good"].version == "1.0"
    index.add("good", "good-2.0.tar.gz", sdist("good", "2.0"))
    index.refusals["/slow/"] = [(403, {})] * 9
    answer = ask()
    assert answer.faults == {}
    assert {name: source.version for name, source in answer.found.items()} == {
        "good": "2.0",
        "slow": "1.0",
        "deep": "1.0",
    }
