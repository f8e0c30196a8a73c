from pathlib import Path

import pytest

from builder.config import matrix
from builder.errors import MatrixError
from tests.unit.config.parsing import parse


def test_a_matrix_of_bare_tables_is_complete():
    loaded = parse("[packages.lxml]\n[packages.yarl]\n")
    assert list(loaded.packages) == ["lxml", "yarl"]
    assert loaded.bases == ("debian-12", "debian-13", "ubuntu-24.04")
    assert loaded.build_on == ("debian-12", "ubuntu-24.04")
    assert loaded.abis == ("cp314", "cp314t")
    assert loaded.packages["lxml"].version == ""
    assert loaded.packages["lxml"].memory == 4 << 30


def test_a_base_that_is_built_on_is_also_verified_on():
    loaded = parse("[farm]\nbases = ['debian-13']\nbuild-on = ['ubuntu-26.04']\n[packages.x]")
    assert loaded.bases == ("debian-13", "ubuntu-26.04")
    assert loaded.build_on == ("ubuntu-26.04",)


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(MatrixError, match="--matrix PATH"):
        matrix.load(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("[packages")
    with pytest.raises(MatrixError, match="is not TOML"):
        matrix.load(tmp_path / "broken.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(MatrixError, match="cannot be read"):
        matrix.load(tmp_path / "binary.toml")


def test_the_default_matrix_is_valid():
    loaded = matrix.load(Path(__file__).parents[3] / "matrix.toml")
    assert len(loaded.packages) >= 14
    assert loaded.packages["lxml"].apt


def test_what_wheels_are_made_of_is_said_once_for_all_and_by_a_package():
    loaded = parse(
        """
        [farm]
        from = "wheel"
        [packages.x]
        [packages.built]
        from = "sdist"
        build-tag = 1
        [packages.local]
        sdist = "local-1.0.tar.gz"
        [packages.patched]
        patches = ["mend.patch"]
        """
    )
    assert {name: loaded.source_of(name) for name in (*loaded.packages, "needed")} == {
        "x": "wheel",
        "built": "sdist",
        "local": "sdist",  # the index has nothing of it
        "patched": "sdist",  # a wheel of upstream's is without the patch
        "needed": "wheel",
    }
    assert parse("[packages.x]").source_of("x") == "sdist"
    assert loaded.packages["built"].build_tag == "1"


# --- the rollout ------------------------------------------------------------------------------------------------------


def test_a_rollout_has_defaults_and_says_what_is_wrong(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    assert matrix.parse({"packages": {"foo": {}}}, path).rollout is None
    bare = matrix.parse({"rollout": {}, "packages": {"foo": {}}}, path).rollout
    assert bare is not None
    assert (bare.gates, bare.verdicts, bare.automatic) == (("verdict", "age"), (), False)

    data = {"rollout": {"age": "soon", "gates": ["speed"], "auto": True}, "packages": {"foo": {}}}
    with pytest.raises(MatrixError) as caught:
        matrix.parse(data, path)
    mistakes = dict(caught.value.mistakes)
    assert "'7 days'" in mistakes["rollout.age"]
    assert "'verdict'" in mistakes["rollout.gates[0]"]
    assert "'automatic'" in mistakes["rollout.auto"]


def test_applications_alone_are_a_beginning(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    path.write_text('[applications.shop]\nlock = "uv.lock"\n')
    assert list(matrix.load_begun(path).applications) == ["shop"]
    with pytest.raises(MatrixError, match="expected at least one table"):
        matrix.load(path)

    path.write_text('[applications.shop]\nlok = "uv.lock"\n')
    with pytest.raises(MatrixError, match="lok"):
        matrix.load_begun(path)


def test_the_settings_are_read_without_the_packages(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    path.write_text('[rollout]\nage = "1 day"\n[packages.foo]\nno_such_key = 1\n')
    settings = matrix.load_settings(path)
    assert settings.rollout is not None
    assert not settings.packages
    with pytest.raises(MatrixError, match="no_such_key"):
        matrix.load(path)
