import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.config import edit as matrix_file
from builder.config.edit import Action, Entry
from builder.errors import MatrixError

MATRIX = """# heading, with an ünusual letter

[farm]
abis = ["cp314"]   # aligned

# two of them
[packages.PyYAML]      # the index writes it so
version = "==6.0"  # not newer
apt = [
  "libyaml-dev",   # why
]

[packages.local]
sdist = "local-1.0.tar.gz"
[packages.floating]
"""
A, B = "a" * 64, "b" * 64


def edit(
    path: Path, *entries: Entry, update: bool = False, beside: bool = False
) -> matrix_file.MatrixEdit:
    edited = matrix_file.plan_edit(
        path, entries, "from requirements.txt", update=update, beside=beside
    )
    matrix_file.write_edit(path, edited)
    return edited


def actions(edited: matrix_file.MatrixEdit) -> dict[str, Action]:
    return {change.name: change.action for change in edited.changes}


def test_new_packages_come_last_and_nothing_else_moves(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    path.write_text(MATRIX)
    new = (
        Entry(name="lxml", version="==6.0.2", hashes=(A,)),
        Entry(name="ujson", version="==5.11.0"),
    )
    assert actions(edit(path, *new)) == {"lxml": Action.ADDED, "ujson": Action.ADDED}
    text = path.read_text()
    assert text.startswith(MATRIX)
    assert text.removeprefix(MATRIX) == (
        f'\n# from requirements.txt\n[packages.lxml]\nversion = "==6.0.2"\nsha256 = "{A}"\n'
        '[packages.ujson]\nversion = "==5.11.0"\n'
    )
    assert actions(edit(path, *new)) == {"lxml": Action.SAME, "ujson": Action.SAME}
    assert path.read_text() == text
    assert sorted(item.name for item in tmp_path.iterdir()) == ["matrix.toml"]


def test_another_pin_stays_unless_an_update_is_asked_for(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    path.write_text(MATRIX)
    new = (
        Entry(name="pyyaml", version="==6.0.3", hashes=(A,)),
        Entry(name="local", version="==2.0"),
        Entry(name="floating", version="==1.0"),
    )
    edited = edit(path, *new)
    assert set(actions(edited).values()) == {Action.DIFFERS}
    assert "'==6.0'" in edited.changes[0].detail
    assert "no version" in edited.changes[2].detail
    assert path.read_text() == MATRIX
    assert actions(edit(path, *new, update=True)) == {
        "pyyaml": Action.CHANGED,
        "local": Action.DIFFERS,
        "floating": Action.CHANGED,
    }
    text = path.read_text()
    packages = tomllib.loads(text)["packages"]
    assert packages["PyYAML"] == {"version": "==6.0.3", "sha256": A, "apt": ["libyaml-dev"]}
    assert packages["local"] == {"sdist": "local-1.0.tar.gz"}
    assert packages["floating"] == {"version": "==1.0"}
    for comment in (
        "# heading, with an ünusual letter",
        "# aligned",
        "# two of them",
        "# not newer",
        "# why",
    ):
        assert comment in text
    assert list(packages) == ["PyYAML", "local", "floating"]


def test_another_hash_is_another_pin_and_none_takes_the_old_one_along(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    path.write_text(f'[packages.x]\nversion = "==1"\nsha256 = "{A}"\n')
    assert actions(edit(path, Entry(name="x", version="==1"))) == {"x": Action.SAME}
    edited = edit(path, Entry(name="x", version="==1", hashes=(B,)))
    assert actions(edited) == {"x": Action.DIFFERS}
    assert A in edited.changes[0].detail
    edit(path, Entry(name="x", version="==2"), update=True)
    assert tomllib.loads(path.read_text()) == {"packages": {"x": {"version": "==2"}}}


@pytest.mark.parametrize("before", ["", MATRIX])
def test_quotes_and_what_else_is_escaped_come_back_as_they_were(tmp_path: Path, before: str):
    path = tmp_path / "matrix.toml"
    path.write_text(before)
    odd = Entry(name="odd", version='===1."0\\n', hashes=(A,))
    edit(path, odd, Entry(name="next", version="==1"))
    packages = tomllib.loads(path.read_text())["packages"]
    assert packages["odd"] == {"version": odd.version, "sha256": A}
    assert packages["next"] == {"version": "==1"}


def test_a_file_name_with_a_line_break_stays_in_the_comment(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    heading = 'from a\n[packages.evil]\nversion = "==6"'
    edited = matrix_file.plan_edit(path, [Entry(name="x", version="==1")], heading, update=False)
    assert tomllib.loads(edited.after) == {"packages": {"x": {"version": "==1"}}}


def test_a_matrix_that_is_missing_is_made(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    edit(path, Entry(name="x", version="==1"))
    assert path.read_text() == '# from requirements.txt\n[packages.x]\nversion = "==1"\n'


@pytest.mark.parametrize(
    "text",
    ["[packages", '[packages.x]\nversoin = "1"\n', 'packages = { x = { version = "==1" } }\n'],
)
def test_a_matrix_that_is_wrong_or_closed_stays_as_it_is(tmp_path: Path, text: str):
    path = tmp_path / "matrix.toml"
    path.write_text(text)
    with pytest.raises(MatrixError):
        edit(path, Entry(name="y", version="==1"))
    assert path.read_text() == text


def test_a_matrix_that_changed_meanwhile_is_not_written_over(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    path.write_text("[packages.x]\n")
    edited = matrix_file.plan_edit(
        path, [Entry(name="y", version="==1")], "from a file", update=False
    )
    path.write_text("[packages.z]\n")
    with pytest.raises(MatrixError, match="meanwhile"):
        matrix_file.write_edit(path, edited)
    assert path.read_text() == "[packages.z]\n"


def test_a_link_stays_a_link_and_line_endings_stay(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "matrix.toml").write_bytes(b"[packages.x]\r\n")
    path = tmp_path / "matrix.toml"
    path.symlink_to("real/matrix.toml")
    edit(path, Entry(name="y", version="==1"))
    assert path.is_symlink()
    assert (
        path.read_bytes()
        == b'[packages.x]\r\n\r\n# from requirements.txt\r\n[packages.y]\r\nversion = "==1"\r\n'
    )


NAMES = st.sampled_from(["alpha", "beta-two", "gamma3", "x"])
VERSIONS = st.sampled_from(["==1.0", "==2.0.post1", ">=1,<2", ""])
COMMENTS = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=20)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80
)
@given(
    there=st.dictionaries(NAMES, st.tuples(VERSIONS, COMMENTS), min_size=1),
    new=st.dictionaries(NAMES, st.sampled_from(["==1.0", "==3.1"]), min_size=1),
    update=st.sampled_from([True, False]),
)
def test_comments_order_and_other_tables_survive_any_edit(
    tmp_path: Path, there: dict[str, tuple[str, str]], new: dict[str, str], update: object
):
    path = tmp_path / "matrix.toml"
    tables = [
        f"# {comment}\n[packages.{name}] # {comment}\n"
        + (f'version = "{version}" # {comment}\n' if version else "")
        for name, (version, comment) in there.items()
    ]
    path.write_text("".join(tables))
    edit(
        path,
        *(Entry(name=name, version=version) for name, version in new.items()),
        update=bool(update),
    )
    text = path.read_text()
    packages = tomllib.loads(text)["packages"]
    assert list(packages) == list(dict.fromkeys((*there, *new)))
    for name, (version, comment) in there.items():
        kept = new[name] if update and name in new else version
        assert packages[name].get("version", "") == kept
        assert text.count(f"# {comment}") >= 2
    for name in set(new) - set(there):
        assert packages[name] == {"version": new[name]}
    edited = edit(
        path,
        *(Entry(name=name, version=version) for name, version in new.items()),
        update=bool(update),
    )
    assert edited.after == text


def test_a_second_lock_s_version_stands_beside_the_first(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    path.write_text(MATRIX)
    first = Entry(name="pyyaml", version="==6.0")
    second = Entry(name="pyyaml", version="==6.0.3", hashes=(A, B))
    (change,) = edit(path, second).changes
    assert "--beside has both" in change.detail
    assert path.read_text() == MATRIX

    assert actions(edit(path, first, second, beside=True)) == {
        "pyyaml": Action.SAME,
        "pyyaml==6.0.3": Action.ADDED,
    }
    text = path.read_text()
    assert text.startswith(MATRIX)
    assert tomllib.loads(text)["packages"]["pyyaml==6.0.3"] == {"sha256": [A, B]}
    loaded = matrix_file.read_matrix(path).packages
    assert loaded["pyyaml==6.0.3"].version == "==6.0.3"
    assert loaded["pyyaml==6.0.3"].apt == loaded["pyyaml"].apt

    # Both locks are known now, however they are added.
    for update, beside in ((False, False), (True, False), (False, True)):
        again = edit(path, first, second, update=update, beside=beside)
        assert set(actions(again).values()) == {Action.SAME}
    assert path.read_text() == text


def test_of_several_versions_none_is_replaced_by_a_third(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    path.write_text('[packages.x]\nversion = "==1"\n[packages."x==2"]\nsha256 = "' + A + '"\n')
    third = Entry(name="x", version="==3")
    (change,) = edit(path, third, update=True).changes
    assert (change.action, change.detail) == (
        Action.DIFFERS,
        "3 is none of x, x==2; --beside adds it",
    )
    assert actions(edit(path, third, beside=True)) == {"x==3": Action.ADDED}

    # Other hashes of a version are another matter.
    other = Entry(name="x", version="==2", hashes=(B,))
    assert actions(edit(path, other, beside=True)) == {"x==2": Action.DIFFERS}
    assert actions(edit(path, other, update=True)) == {"x==2": Action.CHANGED}
    packages = tomllib.loads(path.read_text())["packages"]
    assert packages == {"x": {"version": "==1"}, "x==2": {"sha256": B}, "x==3": {}}
