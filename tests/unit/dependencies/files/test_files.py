import string
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from builder.dependencies import files as lockfiles
from builder.dependencies.files import Selection
from builder.dependencies.files.text import LIMIT_BYTES
from builder.errors import DependencyFileError
from tests.unit.dependencies.files.helpers import HERE, A, B, left_out, read, refused, wanted

# --- requirements.txt ----------------------------------------------------------------------------------------------


def test_requirements_with_hashes_markers_includes_and_constraints(tmp_path: Path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "base.txt").write_text("Base_Package>=2  # why\n-c ../limits.txt\n")
    (tmp_path / "limits.txt").write_text("urllib3<2\n")
    file = read(
        tmp_path,
        "requirements.txt",
        "# heading\n"
        "--index-url https://example.invalid/simple\n"
        f"Foo.Bar[Extra_One]==1.0 ; python_version >= '3.9' \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n"
        "old==1 ; python_version < '3.10'\n"
        "-r more/base.txt\n"
        "-e ./here\n"
        "./wheels/local-1.0-py3-none-any.whl\n"
        "direct @ git+https://example.invalid/x.git\n",
    )
    assert wanted(file) == {"foo-bar": "==1.0", "base-package": ">=2"}
    first, second = file.dependencies
    assert first.hashes == (f"sha256:{A}", f"sha256:{B}")
    assert first.extras == {"extra-one"}
    assert first.version == Version("1.0")
    assert first.where == "requirements.txt:3"
    assert second.where == "more/base.txt:1"
    assert [(one.name, one.specifier) for one in file.constraints] == [("urllib3", "<2")]
    assert set(left_out(file)) == {"old", "./here", "./wheels/local-1.0-py3-none-any.whl", "direct"}
    assert "python_version" in left_out(file)["old"]
    assert not file.is_complete
    assert any("index of its own" in note for note in file.notes)


def test_hashes_everywhere_make_requirements_complete(tmp_path: Path):
    line = f" --hash=sha256:{A}\n"
    assert read(tmp_path, "requirements.txt", f"a==1{line}b==2{line}").is_complete
    assert not read(tmp_path, "requirements.txt", f"a==1{line}b==2\n").is_complete
    assert not read(tmp_path, "requirements.txt", f"a==1{line}b>=2{line}").is_complete
    assert not read(tmp_path, "requirements.txt", "").is_complete


@pytest.mark.parametrize(
    ("content", "place", "text"),
    [
        ("ok==1\nfoo=1\n", "line 2", "no requirement"),
        ("ok==1\n../../etc/passwd==\n-bad-option\n", "line 3", "cannot be read"),
        ("foo===not-a-version\n", "line 1", "no requirement"),
        ("foo==1 --hash=sha256\n", "line 1", "cannot be read"),
        ("-r https://example.invalid/r.txt\n", "line 1", "download it"),
        ("\n-r nowhere.txt\n", "line 2", "no such file"),
        ("-r requirements.txt\n", "line 1", "includes this file"),
        ("foo ; python_version\n", "line 1", "no requirement"),
        ("foo\x1b[31m==1\n", "line 1", "no requirement"),
        (b"foo==1\n\xff\xfe\n", "line 2", "not UTF-8"),
        ("foo 'bar\n", "line 1", "no requirement"),
    ],
)
def test_a_wrong_requirements_file_is_refused_with_its_line(
    tmp_path: Path, content: str, place: str, text: str
):
    message = refused(tmp_path, "requirements.txt", content)
    assert f": {place}: " in message
    assert text in message
    assert "\x1b" not in message


def test_files_that_include_each_other_are_refused(tmp_path: Path):
    (tmp_path / "other.txt").write_text("-r requirements.txt\n")
    assert "other.txt: line 1" in refused(tmp_path, "requirements.txt", "-r other.txt\n")


def test_environment_variables_are_not_put_into_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    assert "hunter2" not in refused(tmp_path, "requirements.txt", "foo==${SECRET_TOKEN}\n")


def test_a_huge_file_is_refused(tmp_path: Path):
    for name in ("requirements.txt", "pylock.toml", "uv.lock", "pyproject.toml"):
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(LIMIT_BYTES + 1)
        with pytest.raises(DependencyFileError, match="larger than 32 MiB"):
            lockfiles.read(path, HERE)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_file_is_read_in_the_encoding_that_it_says(tmp_path: Path, encoding: str):
    file = read(tmp_path, "requirements.txt", "six==1.17.0\r\nmarkupsafe\r\n".encode(encoding))
    assert wanted(file) == {"six": "==1.17.0", "markupsafe": ""}

    cut_off = "six==1.17.0\n".encode("utf-16")[:-1]
    assert "is not UTF-16" in refused(tmp_path, "requirements.txt", cut_off)


def test_options_of_a_file_are_taken_or_named(tmp_path: Path):
    file = read(tmp_path, "requirements.txt", "--pre\n--no-binary :all:\nmarkupsafe\n")
    assert file.takes_prereleases
    assert any("chooses between wheels and sdists" in note for note in file.notes)

    plain = read(tmp_path, "requirements.txt", "markupsafe\n")
    assert not plain.takes_prereleases
    assert not plain.notes


def test_addresses_are_left_out_by_their_names_and_without_credentials(tmp_path: Path):
    file = read(
        tmp_path,
        "requirements.txt",
        "x @ git+https://user:s3cret@example.invalid/x.git@main\n"
        "y @ https://s3cret@example.invalid/y-1.0.tar.gz\n"
        "-e git+https://user:s3cret@example.invalid/z.git#subdirectory=a&egg=z\n"
        "https://user:s3cret@example.invalid/w-1.0-py3-none-any.whl\n"
        "--index-url https://user:s3cret@example.invalid/simple\n"
        "v @ git+ssh://git@example.invalid/v.git\n"
        'https://example.invalid/u-1.0-py3-none-win_amd64.whl; sys_platform == "win32"\n'
        "t-1.0.tar.bz2\n",
    )
    assert not file.dependencies
    assert {"x", "y", "z", "v", "t-1.0.tar.bz2"} < set(left_out(file))
    assert left_out(file)["z"] == "comes from a repository (git+https), not from the index"
    assert "git+https://****@example.invalid/x.git" in left_out(file)["x"]
    assert "s3cret" not in f"{file.left_out}{file.notes}"
    assert "s3cret" not in refused(
        tmp_path, "requirements.txt", "-r https://user:s3cret@example.invalid/r.txt\n"
    )


# --- pylock.toml ---------------------------------------------------------------------------------------------------

PYLOCK = f"""
lock-version = "1.0"
created-by = "a locker"
requires-python = ">=3.10"
extras = ["fast"]
dependency-groups = ["dev"]
[[packages]]
name = "native"
version = "1.2"
sdist = {{ url = "https://example.invalid/native-1.2.tar.gz", hashes = {{ sha256 = "{A}" }} }}
wheels = [{{ url = "https://example.invalid/native-1.2-cp314-cp314-linux_x86_64.whl", hashes = {{ sha256 = "{B}" }} }}]
[[packages]]
name = "wheel-only"
version = "2.0"
wheels = [{{ url = "https://example.invalid/wheel_only-2.0-py3-none-any.whl", hashes = {{ sha256 = "{B}" }} }}]
[[packages]]
name = "windows"
version = "3.0"
marker = "sys_platform == 'win32'"
wheels = [{{ url = "https://example.invalid/windows-3.0-py3-none-any.whl", hashes = {{ sha256 = "{B}" }} }}]
[[packages]]
name = "sped"
version = "4.0"
marker = "'fast' in extras or 'dev' in dependency_groups"
wheels = [{{ url = "https://example.invalid/sped-4.0-py3-none-any.whl", hashes = {{ sha256 = "{B}" }} }}]
[[packages]]
name = "cloned"
vcs = {{ type = "git", url = "https://example.invalid/x.git", commit-id = "{A}" }}
"""


def test_a_pylock_is_complete_and_keeps_the_sdists_hash(tmp_path: Path):
    file = read(tmp_path, "pylock.toml", PYLOCK)
    assert file.is_complete
    assert wanted(file) == {"native": "==1.2", "wheel-only": "==2.0"}
    assert {one.name: one.hashes for one in file.dependencies} == {
        "native": (f"sha256:{A}",),
        "wheel-only": (f"sha256:{B}",),
    }
    assert set(left_out(file)) == {"windows", "sped", "cloned"}
    assert file.dependencies[0].where == "packages[0]"
    assert file.notes == ("extras and groups that are not taken: dev, fast",)
    for selection in (
        Selection(python=HERE.python, extras=frozenset({"fast"})),
        Selection(python=HERE.python, groups=frozenset({"dev"})),
    ):
        assert "sped" in wanted(read(tmp_path, "pylock.dev.toml", PYLOCK, selection))


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('lock-version = "1.0"', 'lock-version = "9.0"', "lock-version"),
        ('name = "native"', 'name = "../native"', "packages[0]"),
        ('version = "1.2"', 'version = "one"', "packages[0].version"),
        ("sys_platform ==", "sys_platform =!", "packages[2].marker"),
        ('name = "wheel-only"', 'name = "native"', "packages[1]"),
        ('created-by = "a locker"', "", "created-by"),
        ("[[packages]]", "[[packages", ""),
    ],
)
def test_a_wrong_pylock_is_refused_with_its_dotted_path(
    tmp_path: Path, old: str, new: str, place: str
):
    assert f"pylock.toml: {place}" in refused(tmp_path, "pylock.toml", PYLOCK.replace(old, new, 1))


def test_a_lock_for_another_python_says_so(tmp_path: Path):
    file = read(tmp_path, "pylock.toml", PYLOCK.replace(">=3.10", "<3.14"))
    assert any("lock again" in note for note in file.notes)


def test_a_lock_file_for_other_systems_is_refused(tmp_path: Path):
    elsewhere = PYLOCK.replace("extras =", "environments = [\"sys_platform == 'win32'\"]\nextras =")
    assert "for other systems alone" in refused(tmp_path, "pylock.toml", elsewhere)

    here = PYLOCK.replace(
        "extras =",
        "environments = [\"sys_platform == 'win32'\", \"sys_platform == 'linux'\"]\nextras =",
    )
    assert read(tmp_path, "pylock.toml", here).dependencies


# --- uv.lock -------------------------------------------------------------------------------------------------------

UV_LOCK: dict[str, Any] = {
    "version": 1,
    "revision": 3,
    "requires-python": ">=3.10",
    "package": [
        {
            "name": "project",
            "source": {"editable": "."},
            "dependencies": [
                {"name": "native"},
                {"name": "old", "marker": "python_full_version < '3.11'"},
                {"name": "forked", "version": "2.0", "marker": "python_full_version >= '3.11'"},
                {"name": "forked", "version": "1.0", "marker": "python_full_version < '3.11'"},
                {"name": "cloned"},
            ],
            "optional-dependencies": {"fast": [{"name": "sped"}]},
            "dev-dependencies": {"dev": [{"name": "tool"}]},
        },
        {
            "name": "native",
            "version": "1.2",
            "source": {"registry": "https://example.invalid/simple"},
            "dependencies": [{"name": "deep", "extra": ["more"]}],
            "sdist": {
                "url": "https://example.invalid/native-1.2.tar.gz",
                "hash": f"sha256:{A}",
                "size": 1,
            },
            "wheels": [
                {
                    "url": "https://example.invalid/native-1.2-cp314-cp314-linux_x86_64.whl",
                    "hash": f"sha256:{B}",
                }
            ],
        },
        {
            "name": "deep",
            "version": "3.0",
            "source": {"registry": "https://example.invalid/simple"},
            "optional-dependencies": {"more": [{"name": "deeper"}]},
        },
        *(
            {
                "name": name,
                "version": version,
                "source": {"registry": "https://example.invalid/simple"},
            }
            for name, version in (
                ("deeper", "4.0"),
                ("old", "0.1"),
                ("forked", "1.0"),
                ("forked", "2.0"),
                ("sped", "5.0"),
                ("tool", "6.0"),
            )
        ),
        {"name": "cloned", "version": "7.0", "source": {"git": "https://example.invalid/x.git"}},
    ],
}


def test_a_uv_lock_is_walked_from_the_project(tmp_path: Path):
    file = read(tmp_path, "uv.lock", tomli_w.dumps(UV_LOCK))
    assert file.is_complete
    assert wanted(file) == {
        "native": "==1.2",
        "deep": "==3.0",
        "deeper": "==4.0",
        "forked": "==2.0",
    }
    assert file.dependencies[0].hashes == (f"sha256:{A}",)
    assert file.dependencies[0].where == "package[1]"
    assert {"old", "sped", "tool", "cloned", "forked"} == set(left_out(file))
    assert "git" in left_out(file)["cloned"]
    everything = Selection(
        python=HERE.python, extras=frozenset({"fast"}), groups=frozenset({"dev"})
    )
    assert {"sped", "tool"} <= set(
        wanted(read(tmp_path, "uv.lock", tomli_w.dumps(UV_LOCK), everything))
    )


def test_members_of_a_workspace_count_where_the_project_needs_them(tmp_path: Path):
    registry = {"registry": "x"}
    lock = {
        "version": 1,
        "package": [
            {"name": "root", "source": {"virtual": "."}, "dependencies": [{"name": "member"}]},
            {"name": "member", "source": {"editable": "member"}, "dependencies": [{"name": "one"}]},
            {"name": "aside", "source": {"editable": "aside"}, "dependencies": [{"name": "two"}]},
            {"name": "one", "version": "1", "source": registry},
            {"name": "two", "version": "2", "source": registry},
        ],
    }
    assert wanted(read(tmp_path, "uv.lock", tomli_w.dumps(lock))) == {"one": "==1"}
    del lock["package"][0]  # type: ignore[attr-defined]
    assert wanted(read(tmp_path, "uv.lock", tomli_w.dumps(lock))) == {"one": "==1", "two": "==2"}


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("version = 1\n", "version = 2\n", "version"),
        ('name = "native"', 'name = "na/tive"', "package[0].dependencies[0].name"),
        ('version = "3.0"', 'version = "../3"', "package[2].version"),
        (
            "python_full_version < '3.11'",
            "python_full_version <",
            "package[0].dependencies[1].marker",
        ),
        ('hash = "sha256:', 'hash = "', "package[1].sdist.hash"),
        ('name = "deeper"', 'name = "gone"', "package[2].optional-dependencies.more[0]"),
        ('editable = "."', 'registry = "x"', "package"),
    ],
)
def test_a_wrong_uv_lock_is_refused_with_its_dotted_path(
    tmp_path: Path, old: str, new: str, place: str
):
    text = tomli_w.dumps(UV_LOCK)
    assert old in text
    assert f"uv.lock: {place}: " in refused(tmp_path, "uv.lock", text.replace(old, new, 1))


# --- pyproject.toml ------------------------------------------------------------------------------------------------

PYPROJECT = """
[project]
name = "Some_Project"
requires-python = ">=3.10"
dependencies = ["native>=1,<2", "old ; python_version < '3.10'", "cloned @ git+https://example.invalid/x.git"]
[project.optional-dependencies]
fast = ["sped[turbo]"]
all = ["some-project[fast]", "more"]
[dependency-groups]
test = ["pytest"]
dev = [{include-group = "test"}, "ruff"]
[tool.something]
key = 1
"""


def test_a_pyproject_with_extras_of_itself_and_groups(tmp_path: Path):
    file = read(tmp_path, "pyproject.toml", PYPROJECT)
    assert wanted(file) == {"native": "<2,>=1"}
    assert set(left_out(file)) == {"old", "cloned"}
    assert not file.is_complete
    chosen = Selection(python=HERE.python, extras=frozenset({"all"}), groups=frozenset({"dev"}))
    file = read(tmp_path, "pyproject.toml", PYPROJECT, chosen)
    assert set(wanted(file)) == {"native", "sped", "more", "pytest", "ruff"}
    assert {one.name: one.where for one in file.dependencies}[
        "sped"
    ] == "project.optional-dependencies.fast[0]"


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"native>=1,<2"', '"native>="', "project.dependencies[0]"),
        ('"native>=1,<2"', "7", "project.dependencies[0]"),
        ('"more"', '"<b>"', "project.optional-dependencies.all[1]"),
        ('requires-python = ">=3.10"', 'requires-python = "three"', "project.requires-python"),
        ('name = "Some_Project"', 'name = "x"\ndynamic = ["dependencies"]', "project.dynamic"),
        ('{include-group = "test"}', '{include-group = "dev"}', "dependency-groups.dev"),
        ('{include-group = "test"}', '{include-group = "gone"}', "dependency-groups.dev"),
        ('{include-group = "test"}', "3", "dependency-groups"),
    ],
)
def test_a_wrong_pyproject_is_refused_with_its_dotted_path(
    tmp_path: Path, old: str, new: str, place: str
):
    chosen = Selection(python=HERE.python, extras=frozenset({"all"}), groups=frozenset({"dev"}))
    assert old in PYPROJECT
    assert f"pyproject.toml: {place}" in refused(
        tmp_path, "pyproject.toml", PYPROJECT.replace(old, new, 1), chosen
    )


def test_a_pyproject_without_a_project_is_refused_with_a_way_out(tmp_path: Path):
    assert "there is no such table" in refused(tmp_path, "pyproject.toml", "[tool.ruff]\n")
    assert "give poetry.lock" in refused(tmp_path, "pyproject.toml", "[tool.poetry]\nname = 'x'\n")


def test_an_extra_or_group_that_is_not_there_is_refused(tmp_path: Path):
    for selection in (
        Selection(python=HERE.python, extras=frozenset({"gone"})),
        Selection(python=HERE.python, groups=frozenset({"gone"})),
    ):
        assert "gone" in refused(tmp_path, "pyproject.toml", PYPROJECT, selection)


# --- all of them ---------------------------------------------------------------------------------------------------


def test_other_formats_are_refused_with_a_way_out(tmp_path: Path):
    assert "pdm export" in refused(tmp_path, "pdm.lock", "")
    assert "pip freeze" in refused(tmp_path, "environment.yml", "")
    assert "pip freeze" in refused(tmp_path, "packages.txt", "numpy=2.1.0=py312h1103770_0\n")
    assert "by its name" in refused(tmp_path, "setup.cfg", "")
    with pytest.raises(DependencyFileError, match="no such file"):
        lockfiles.read(tmp_path / "none.txt", HERE)
    (tmp_path / "requirements").mkdir()
    with pytest.raises(DependencyFileError, match="cannot be read"):
        lockfiles.read(tmp_path / "requirements", HERE)


def test_a_projects_folder_means_its_best_file(tmp_path: Path):
    with pytest.raises(DependencyFileError, match="without a file of dependencies"):
        lockfiles.find_file(tmp_path)
    for name in (
        "environment.yml",
        "pyproject.toml",
        "requirements.in",
        "requirements.txt",
        "poetry.lock",
        "uv.lock",
    ):
        (tmp_path / name).touch()
        assert lockfiles.find_file(tmp_path) == tmp_path / name
    assert lockfiles.find_file(tmp_path / "other.txt") == tmp_path / "other.txt"


UV_LOCK_WITH_PARTS = """
version = 1
[[package]]
name = "app"
source = { virtual = "." }
[package.optional-dependencies]
pg = []
[package.metadata]
provides-extras = ["pg", "empty"]
[package.metadata.requires-dev]
docs = []
"""
PYLOCK_WITH_PARTS = 'lock-version = "1.0"\ncreated-by = "t"\nextras = ["pg"]\ndependency-groups = ["docs"]\npackages = []\n'
POETRY_LOCK_WITH_PARTS = """
package = []
[extras]
pg = []
[metadata]
lock-version = "2.1"
python-versions = "*"
content-hash = "x"
"""
PIPFILE_LOCK_WITH_PARTS = '{"_meta": {"pipfile-spec": 6}, "default": {}, "develop": {}}'


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("uv.lock", UV_LOCK_WITH_PARTS, ("pg", "empty", "docs")),
        ("pylock.toml", PYLOCK_WITH_PARTS, ("pg", "docs")),
        ("poetry.lock", POETRY_LOCK_WITH_PARTS, ("pg",)),
        ("Pipfile.lock", PIPFILE_LOCK_WITH_PARTS, ("dev",)),
        ("requirements.txt", "a\n", ()),
    ],
)
def test_an_extra_or_group_that_a_file_does_not_have_is_refused(
    tmp_path: Path, name: str, text: str, parts: tuple[str, ...]
):
    """What it leads to would be missing without a word."""
    path = tmp_path / name
    path.write_text(text)
    for part in parts:
        for selected in ({"extras": frozenset({part})}, {"groups": frozenset({part})}):
            lockfiles.read(path, lockfiles.Selection(python=HERE.python, **selected))

    for selected in ({"extras": frozenset({"typo"})}, {"groups": frozenset({"typo"})}):
        with pytest.raises(DependencyFileError, match="no extra or group typo"):
            lockfiles.read(path, lockfiles.Selection(python=HERE.python, **selected))


def test_deeply_nested_toml_is_refused(tmp_path: Path):
    for name in ("pylock.toml", "uv.lock", "pyproject.toml"):
        refused(tmp_path, name, "a = " + "[" * 5000 + "]" * 5000)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "fine\nfoo=={}\n"),
        ("requirements.txt", "fine\nfoo; python_version >= '{}'\n"),
        ("pylock.toml", "lock-version = '1.0'\npackages = [{{name = 'foo', version = '{}'}}]\n"),
        ("uv.lock", "version = 1\npackage = [{{name = 'foo', version = '{}'}}]\n"),
        ("pyproject.toml", "[project]\nrequires-python = '>={}'\n"),
        ("pyproject.toml", "[project]\ndependencies = ['foo=={}']\n"),
    ],
)
def test_a_version_of_thousands_of_digits_is_refused_with_its_line(
    tmp_path: Path, name: str, text: str
):
    assert "line 2: has a number of more than 1000 digits" in refused(
        tmp_path, name, text.format("9" * 5000)
    )


NAMES = ("requirements.txt", "pylock.toml", "uv.lock", "pyproject.toml")
quick = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)


def complaint(tmp_path: Path, name: str, content: str | bytes) -> str:
    """Read a file, and return the message it is refused with, if it is."""
    try:
        read(tmp_path, name, content)
    except DependencyFileError as error:
        return str(error)
    return ""


@quick
@given(name=st.sampled_from(NAMES), content=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(tmp_path: Path, name: str, content: bytes):
    assert all(line.isprintable() for line in complaint(tmp_path, name, content).split("\n"))


LINES = st.text(
    alphabet=string.ascii_letters + string.digits + "-_.=<>~!;,[]()@#'\" \\:/$\n\t\x1b",
    max_size=200,
)


@quick
@given(content=LINES)
def test_any_lines_are_read_or_refused(tmp_path: Path, content: str):
    assert all(
        line.isprintable() for line in complaint(tmp_path, "requirements.txt", content).split("\n")
    )


SCALARS = st.one_of(
    st.text(max_size=12),
    st.integers(-5, 5),
    st.booleans(),
    st.sampled_from(["1.0", "a", "..", "a[b]>=1", "x ; y"]),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
TABLES: dict[str, tuple[str, dict[str, Any]]] = {
    "pylock.toml": ("packages", {"lock-version": "1.0", "created-by": "x"}),
    "uv.lock": ("package", {"version": 1}),
    "pyproject.toml": ("project", {"dependency-groups": {"x": ["y"]}}),
}
KEYS = st.sampled_from(
    ["name", "version", "marker", "dependencies", "optional-dependencies", "dynamic", "source", "sdist", "wheels", "hash",
     "requires-python", "resolution-markers", "dev-dependencies", "vcs", "directory", "archive", "editable", "url", "extra"]
)  # fmt: skip


@quick
@given(
    name=st.sampled_from(sorted(TABLES)),
    table=st.dictionaries(KEYS, TREES, max_size=6),
    count=st.integers(0, 2),
)
def test_any_table_is_read_or_refused(tmp_path: Path, name: str, table: dict[str, Any], count: int):
    key, rest = TABLES[name]
    try:
        text = tomli_w.dumps({**rest, key: [table] * count if count else table})
        tomllib.loads(text)
    except (TypeError, ValueError):  # what TOML cannot hold
        return
    assert all(line.isprintable() for line in complaint(tmp_path, name, text).split("\n"))


PACKAGE_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,4})?", fullmatch=True)


@quick
@given(
    pins=st.dictionaries(
        PACKAGE_NAMES, st.tuples(st.integers(0, 99), st.integers(0, 99), st.text("0123456789abcdef", min_size=64, max_size=64)),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_every_format_says_the_same_of_the_same_pins(
    tmp_path: Path, pins: dict[str, tuple[int, int, str]]
):
    listed = {name: (f"{major}.{minor}", sha256) for name, (major, minor, sha256) in pins.items()}
    lines = [
        f"{name}=={version} --hash=sha256:{sha256}" for name, (version, sha256) in listed.items()
    ]
    sdist = "https://example.invalid/{}-{}.tar.gz"
    pylock = {
        "lock-version": "1.0",
        "created-by": "x",
        "packages": [
            {
                "name": name,
                "version": version,
                "sdist": {"url": sdist.format(name, version), "hashes": {"sha256": sha256}},
            }
            for name, (version, sha256) in listed.items()
        ],
    }
    root = "the-project-itself"
    uv = {
        "version": 1,
        "package": [
            {
                "name": root,
                "source": {"virtual": "."},
                "dependencies": [{"name": name} for name in listed],
            },
            *(
                {
                    "name": name,
                    "version": version,
                    "source": {"registry": "x"},
                    "sdist": {"hash": f"sha256:{sha256}"},
                }
                for name, (version, sha256) in listed.items()
            ),
        ],
    }
    files = [
        read(tmp_path, "requirements.txt", "\n".join(lines)),
        read(tmp_path, "pylock.toml", tomli_w.dumps(pylock)),
        read(tmp_path, "uv.lock", tomli_w.dumps(uv)),
    ]
    said = [{one.name: (one.version, one.hashes) for one in file.dependencies} for file in files]
    assert said[0] == {
        name: (Version(version), (f"sha256:{sha256}",))
        for name, (version, sha256) in listed.items()
    }
    assert said[0] == said[1] == said[2]
    assert all(file.is_complete for file in files)
