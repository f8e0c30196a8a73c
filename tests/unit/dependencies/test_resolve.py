from pathlib import Path

import pytest
from packaging.version import Version

from builder.dependencies import files, resolve
from builder.dependencies.files import Selection
from builder.errors import ExitCode, IndexUnreachableError
from builder.host import settings as host
from builder.sources.client import Index
from builder.store.store import Store
from tests.unit.local_index import LocalIndex, sdist, wheel

PYTHON = Version("3.14.5")


def ask(
    tmp_path: Path,
    text: str,
    settings: host.IndexSettings,
    store: Store,
    name: str = "requirements.txt",
) -> resolve.Resolution:
    path = tmp_path / name
    path.write_text(text)
    read = files.read(path, Selection(python=PYTHON))
    return resolve.resolve(read, Index(settings, store), PYTHON, lambda _: None)


def pins(found: resolve.Resolution) -> dict[str, str]:
    return {pin.name: str(pin.version) for pin in found.pins}


def test_the_whole_closure_within_constraints(
    served: tuple[LocalIndex, host.IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    requires = ("lib>=1", "win ; sys_platform == 'win32'", "extra ; extra == 'more'")
    index.add("app", "app-1.0-py3-none-any.whl", wheel("app", "1.0", requires=requires))
    for version in ("1.0", "1.5", "2.0", "3.0rc1"):
        index.add("lib", f"lib-{version}.tar.gz", sdist("lib", version))
    index.add("extra", "extra-1.0.tar.gz", sdist("extra", "1.0"))
    assert pins(ask(tmp_path, "app", settings, store)) == {"app": "1.0", "lib": "2.0"}
    assert pins(ask(tmp_path, "app[more]", settings, store)) == {
        "app": "1.0",
        "lib": "2.0",
        "extra": "1.0",
    }
    (tmp_path / "limits.txt").write_text("lib<2\nunrelated==1\n")
    found = ask(tmp_path, "app\n-c limits.txt", settings, store)
    assert pins(found) == {"app": "1.0", "lib": "1.5"}
    assert {pin.name: pin.where for pin in found.pins} == {"app": "requirements.txt:1", "lib": ""}
    assert pins(ask(tmp_path, "app\nlib==3.0rc1", settings, store)) == {
        "app": "1.0",
        "lib": "3.0rc1",
    }


def test_prereleases_count_where_the_file_says_so(
    served: tuple[LocalIndex, host.IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    index.add("app", "app-1.0-py3-none-any.whl", wheel("app", "1.0", requires=("lib>=1",)))
    for version in ("1.0", "2.0rc1"):
        index.add("lib", f"lib-{version}.tar.gz", sdist("lib", version))
    assert pins(ask(tmp_path, "app\nlib", settings, store))["lib"] == "1.0"
    assert pins(ask(tmp_path, "--pre\napp\nlib", settings, store))["lib"] == "2.0rc1"
    assert pins(ask(tmp_path, "--pre\napp", settings, store))["lib"] == "2.0rc1"


def test_overrides_replace_what_anybody_requires(
    served: tuple[LocalIndex, host.IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    index.add("app", "app-1.0-py3-none-any.whl", wheel("app", "1.0", requires=("lib<2", "toy")))
    index.add("toy", "toy-1.0.tar.gz", sdist("toy", "1.0"))
    for version in ("1.0", "2.0"):
        index.add("lib", f"lib-{version}.tar.gz", sdist("lib", version))
    project = '[project]\nname = "shop"\ndependencies = ["app"]\n[tool.uv]\n'
    settled = 'override-dependencies = ["lib>=2"]\nexclude-dependencies = ["toy"]\n'
    plain = ask(tmp_path, project, settings, store, "pyproject.toml")
    assert pins(plain) == {"app": "1.0", "lib": "1.0", "toy": "1.0"}
    found = ask(tmp_path, project + settled, settings, store, "pyproject.toml")
    assert pins(found) == {"app": "1.0", "lib": "2.0"}


def test_what_has_no_release_is_left_out_and_the_rest_stands(
    served: tuple[LocalIndex, host.IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    index.add("good", "good-1.0.tar.gz", sdist("good", "1.0"))
    index.add("bound", "bound-1.0.tar.gz", sdist("bound", "1.0"), 'data-requires-python="&lt;3.13"')
    found = ask(tmp_path, "good\nunheard-of\ngone==9\nbound==1.0\ngood<2\n", settings, store)
    assert pins(found) == {"good": "1.0", "bound": "1.0"}
    assert {pin.name: pin.refusal for pin in found.pins}["bound"] == "<3.13"
    assert {item.name for item in found.left_out} == {"unheard-of", "gone"}


def test_what_contradicts_itself_is_said_and_the_files_own_stand(
    served: tuple[LocalIndex, host.IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    index.add("app", "app-1.0-py3-none-any.whl", wheel("app", "1.0", requires=("lib<2",)))
    for version in ("1.0", "2.0"):
        index.add("lib", f"lib-{version}.tar.gz", sdist("lib", version))
    found = ask(tmp_path, "app\nlib==2.0", settings, store)
    assert pins(found) == {"app": "1.0", "lib": "2.0"}
    assert "no consistent set" in found.notes[0]


def test_a_complete_file_is_taken_at_its_word(
    served: tuple[LocalIndex, host.IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    index.add("app", "app-1.0-py3-none-any.whl", wheel("app", "1.0", requires=("unheard-of",)))
    found = ask(tmp_path, f"app==1.0 --hash=sha256:{'a' * 64}", settings, store)
    assert pins(found) == {"app": "1.0"}
    assert found.pins[0].hashes == (f"sha256:{'a' * 64}",)


def test_an_index_that_does_not_answer_ends_it(store: Store, tmp_path: Path):
    with pytest.raises(IndexUnreachableError) as caught:
        ask(tmp_path, "app", host.IndexSettings(url="http://127.0.0.1:9/"), store)
    assert caught.value.exit_code == ExitCode.UNDETERMINED
