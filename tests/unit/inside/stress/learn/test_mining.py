from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.inside.stress.learn import mining

_LONG_S = 60.0


def calls(folder: Path, source: str) -> dict[str, list[str]]:
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests/test_it.py").write_text(source)
    return mining.mine_calls(folder, {"fast"}, _LONG_S)


def test_calls_with_literals_are_taken(tmp_path: Path):
    found = calls(
        tmp_path,
        "import fast\nfrom fast import Ring\n\ndef test_it():\n    ring = Ring(16, mode='refuse')\n    ring.push(b'ab')\n"
        "    ring.push([1, -2.5, {'a': None}])\n    assert fast.fold((1, 2)) == 3\n",
    )
    assert found == {
        "Ring": ["16, mode='refuse'"],
        "push": ["b'ab'", "[1, -2.5, {'a': None}]"],
        "fold": ["(1, 2)"],
    }


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ("SIZE = 8\nring(SIZE)", "8"),
        ("ring(fast.Ring(8))", "fast.Ring(8)"),
        ("ring(bytes(range(4)))", "bytes(range(4))"),
        ("ring(array.array('d', [1.0]))", "array.array('d', [1.0])"),
        ("ring()", ""),
    ],
)
def test_what_needs_nothing_but_literals_and_the_package(tmp_path: Path, source: str, given: str):
    assert given in calls(tmp_path, source)["ring"]


@pytest.mark.parametrize(
    "source",
    [
        "ring(tmp_path)",
        "ring(open('/etc/passwd'))",
        "ring(os.system('true'))",
        "ring(*given)",
        "ring(**named)",
        "ring(lambda: 1)",
        "ring([one for one in range(3)])",
        "ring((n := 3))",
        "ring(__import__('os'))",
        "ring((lambda: 1)())",
        f"ring({'x' * 300!r})",
        "other = ring\nA = B\nring(A)",
    ],
)
def test_what_needs_more_is_left_out(tmp_path: Path, source: str):
    assert "ring" not in calls(tmp_path, source)


def test_examples_in_documents_are_read(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.rst").write_text(
        "Usage::\n\n    >>> ring = Ring(4)\n    >>> broken(\n    Ring(5)\n"
    )
    (tmp_path / "docs/more.md").write_text(">>> ring.push('a')\n")
    assert mining.mine_calls(tmp_path, {"fast"}, _LONG_S) == {"Ring": ["4"], "push": ["'a'"]}


def test_the_same_call_is_taken_once_and_no_more_than_some(tmp_path: Path):
    source = "\n".join(f"ring({number % 40})" for number in range(200))
    found = calls(tmp_path, source)["ring"]
    assert found == [str(number) for number in range(12)]


def test_nothing_is_executed(tmp_path: Path):
    witness = tmp_path / "witness"
    calls(
        tmp_path,
        f"from pathlib import Path\nPath({str(witness)!r}).write_text('ran')\nring(Path({str(witness)!r}).touch())\n",
    )
    (tmp_path / "fast.pyi").write_text(
        f"from pathlib import Path\nPath({str(witness)!r}).touch()\ndef f(a: int) -> int: ...\n"
    )
    assert mining.read_stubs(tmp_path) == {"f": [("a", "int")]}
    assert not witness.exists()


DEEP = "ring(" + "(" * 150 + "1" + ")" * 150 + ")\n"
HOSTILE = {
    "syntax": "def broken(:\n",
    "old": "print 'ring'\nring(1)\n",
    "null": "ring(1)\0\n",
    "brackets": "ring(" + "[" * 5000,
    "attributes": "ring(fast" + ".a" * 20_000 + ")\n",
    "minus": "ring(" + "-" * 20_000 + "1)\n",
    "sum": "ring(" + "1+" * 20_000 + "1)\n",
    "calls": "fast.ring" + "(1)" * 20_000 + "\n",
    "huge": "ring(1)\n" * 100_000,
    "number": "ring(" + "9" * 6000 + ")\n",
    "encoding": "# coding: no-such-coding\nring(\udcff)\n",
    "indented": "".join(" " * depth + "if 1:\n" for depth in range(120)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_do_no_harm(tmp_path: Path, name: str):
    for suffix in ("py", "pyi"):
        (tmp_path / f"a.{suffix}").write_bytes(HOSTILE[name].encode(errors="surrogateescape"))
        (tmp_path / f"b.{suffix}").write_text("def good(n: int) -> int: ...\ngood(1)\n")
    (tmp_path / "README.md").write_bytes(b">>> " + HOSTILE[name].encode(errors="surrogateescape"))
    assert mining.mine_calls(tmp_path, {"fast"}, _LONG_S)["good"] == ["1"]
    assert mining.read_stubs(tmp_path)["good"] == [("n", "int")]


def test_what_is_no_file_of_the_sdists_own_is_passed_over(tmp_path: Path):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.pyi").mkdir()
    (tmp_path / "gone.pyi").symlink_to(tmp_path / "nowhere")
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere")
    assert mining.mine_calls(tmp_path, {"fast"}, _LONG_S) == {}
    assert mining.read_stubs(tmp_path) == {}


def test_stubs_tell_what_is_needed(tmp_path: Path):
    (tmp_path / "fast").mkdir()
    (tmp_path / "fast/_fast.pyi").write_text(
        "from typing import overload\n\ndef fold(items: list[int], start: int = 0) -> int: ...\n"
        "def now() -> float: ...\n"
        "class Ring:\n    def __init__(self, capacity: int, /, mode: str) -> None: ...\n"
        "    def push(self, value) -> None: ...\n    @classmethod\n    def of(cls, size: int) -> 'Ring': ...\n"
    )
    assert mining.read_stubs(tmp_path) == {
        "fold": [("items", "list[int]")],
        "now": [],
        "Ring": [("capacity", "int"), ("mode", "str")],
        "push": [("value", "")],
        "of": [("size", "int")],
    }


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.integers(), st.text(max_size=9), st.binary(max_size=9), st.none(), st.booleans()
        ),
        max_size=4,
    )
)
def test_what_is_taken_is_what_was_written(given: list[object]):
    found = [
        given for name, given in mining._iter_calls(f"f({', '.join(map(repr, given))})", set())
    ]
    assert [eval(f"[{one}]") for one in found] == [given]


def test_tests_are_read_first_while_there_is_time(tmp_path: Path):
    (tmp_path / "fast").mkdir()
    (tmp_path / "fast/core.py").write_text("push('of the package')\n" + "# long\n" * 400)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text("push('of a test')\n")
    assert mining.mine_calls(tmp_path, {"fast"}, _LONG_S)["push"][0] == "'of a test'"
    assert mining.mine_calls(tmp_path, {"fast"}, -1.0) == {}
