"""What a project says of threads: which of its words are quoted, from where, and what hostile text comes to."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.distributions import thread_statements
from builder.distributions.thread_statements import (
    MAX_QUOTE,
    MAX_QUOTES,
    ThreadStatement,
    read_grade,
    read_sdist_statement,
    read_wheel_statement,
)
from tests.unit.local_index import archive
from tests.unit.wheels import write_wheel

PKG_INFO = """Metadata-Version: 2.2
Name: foo
Version: 1.0
Classifier: Programming Language :: Python :: 3
Classifier: Programming Language :: Python :: Free Threading :: 3 - Stable

Foo boxes things.

A Box is not thread-safe.
"""
FREE_THREADING = "Programming Language :: Python :: Free Threading"


def read(tmp_path: Path, files: Mapping[str, str | bytes], kind: str = "tar.gz") -> ThreadStatement:
    contents: dict[str, bytes] = {}
    for name, text in files.items():
        contents[f"foo-1.0/{name}"] = text if isinstance(text, bytes) else text.encode()
    path = tmp_path / f"foo-1.0.{kind}"
    path.write_bytes(archive(kind, contents))
    return read_sdist_statement(path, path.name)


def quotes(statement: ThreadStatement) -> list[tuple[str, int, str]]:
    return [(quote.file, quote.line, quote.text) for quote in statement.quotes]


@pytest.mark.parametrize(
    ("classifiers", "grade"),
    [
        ((), ""),
        (("Programming Language :: Python :: 3",), ""),
        ((FREE_THREADING,), "stated"),
        ((FREE_THREADING, f"{FREE_THREADING} :: 2 - Beta"), "2 - Beta"),
        ((f"{FREE_THREADING} :: 1 - Unstable", f"{FREE_THREADING} :: 4 - Resilient"), "4 - Resilient"),
        ((f"no {FREE_THREADING} :: 4 - Resilient",), ""),
        ((f"{FREE_THREADING} :: \x1b[2J{'9' * 100}",), "\\x1b[2J9999999999999999999999999 [… cut]"),
    ],
)  # fmt: skip
def test_the_grade_of_a_classifier(classifiers: tuple[str, ...], grade: str):
    assert read_grade(classifiers) == grade


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_the_readme_counts_before_the_description(tmp_path: Path, kind: str):
    readme = "# foo\n\nIt is fast. A `Box` may be *shared*,\nbut is not thread-safe. Try it.\n"
    statement = read(tmp_path, {"PKG-INFO": PKG_INFO, "README.md": readme}, kind)
    assert statement.classifier == "3 - Stable"
    assert quotes(statement) == [
        ("README.md", 3, "A `Box` may be *shared*, but is not thread-safe."),
    ]


def test_the_description_counts_where_there_is_no_readme(tmp_path: Path):
    statement = read(tmp_path, {"PKG-INFO": PKG_INFO})
    assert quotes(statement) == [("PKG-INFO", 9, "A Box is not thread-safe.")]
    lines = PKG_INFO.splitlines()
    assert lines[9 - 1] == "A Box is not thread-safe."


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("docs/api.rst", "Use\n---\n\nCall :func:`~foo.put` from several threads at once.\n",
         (4, "Call foo.put from several threads at once.")),
        ("README.rst", "Threading\n=========\n\nGive each worker its own box.\n", (4, "Give each worker its own box.")),
        ("README", "The GIL is released while a box is packed.", (1, "The GIL is released while a box is packed.")),
        ("README.md", "- fast\n- [thread-safe](https://x.invalid/a) boxes\n- small\n", (2, "thread-safe boxes")),
        ("README.md", "Wheels for <b>free-threaded</b> Python.", (1, "Wheels for free-threaded Python.")),
        ("docs/exchange.md", "An exchange is thread-safe.", (1, "An exchange is thread-safe.")),
        ("src/foo/box.py", 'class Box:\n    """A box.\n\n    Boxes are not thread-safe.\n    """\n', (4, "Boxes are not thread-safe.")),
    ],
)  # fmt: skip
def test_sentences_about_threads(tmp_path: Path, name: str, text: str, expected: tuple[int, str]):
    line, sentence = expected
    assert quotes(read(tmp_path, {name: text})) == [(name, line, sentence)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CHANGES.md", "Mended a race: boxes are thread-safe now."),
        ("docs/changelog.rst", "Boxes are thread-safe now."),
        ("docs/dev/notes.rst", "The cache is not thread-safe."),
        ("README.md", "# Changelog\n\nBoxes are thread-safe now.\n"),
        ("README.md", "```\nthread-safe code\n```\n"),
        ("README.rst", "Run::\n\n    box.put(1)  # thread-safe\n\n"),
        ("README.rst", ">>> foo.thread_safe\n"),
        ("README.md", "Is it thread-safe?"),
        ("docs/api.rst", ".. versionchanged:: 1.2\n   It is thread-safe now.\n"),
        ("README.md", "It has a red thread, and gilded edges."),
        ("tests/README.md", "The tests are not thread-safe."),
        ("tests/test_box.py", '"""Not thread-safe."""'),
        ("src/foo/box.c", "/* not thread-safe */"),
        ("src/foo/box.py", 'def _put():\n    """It is not thread-safe."""\n'),
        ("logo.md", b"thread-safe \x00\x01\x02"),
    ],
)  # fmt: skip
def test_what_states_nothing(tmp_path: Path, name: str, text: str | bytes):
    assert read(tmp_path, {name: text}) == ThreadStatement()


def test_whose_docstring_it_is(tmp_path: Path):
    text = 'class Box:\n    def put(self):\n        """Put. It is not thread-safe."""\n'
    (quote,) = read(tmp_path, {"foo/box.py": text}).quotes
    assert quote.about == "put"


def test_a_few_of_many_are_quoted_and_the_plainest_first(tmp_path: Path):
    text = "".join(f"Lock {number} works in multi-threaded programs.\n\n" for number in range(50))
    many = "".join(f"Box {number} is thread-safe.\n\n" for number in range(50))
    found = read(tmp_path, {"README.md": text, "docs/more.md": many}).quotes
    assert len(found) == MAX_QUOTES
    assert {quote.file for quote in found} == {"docs/more.md"}


def test_a_long_sentence_is_cut_round_what_it_says(tmp_path: Path):
    text = "A box holds things " * 100 + "and is thread-safe for all of them"
    (quote,) = read(tmp_path, {"README.md": text}).quotes
    assert quote.text.startswith("… ")
    assert "thread-safe" in quote.text


def test_hostile_text_is_shown_and_cut(tmp_path: Path):
    text = "It is \x1b[2J\u202e<script>alert(1)</script> thread-safe\r " + "and so on " * 500
    (quote,) = read(tmp_path, {"README.md": text}).quotes
    assert "\\x1b[2J\\u202e" in quote.text
    assert quote.text.isprintable()
    assert len(quote.text) <= MAX_QUOTE


@pytest.mark.parametrize(
    "text",
    [
        "thread-safe " * 80_000,
        "thread " * 140_000,
        "concurrent " * 90_000,
        "not " * 250_000,
        "[" * 500_000 + "thread-safe",
        "`" * 500_000 + " thread-safe",
        "![" * 250_000 + " thread-safe",
        "<a" * 250_000 + " thread-safe",
        ":a:`" * 125_000 + " thread-safe",
        "several threads " * 60_000,
        "thread-safe.\n" * 70_000,
        "A thread-safe. " * 60_000,
        "=" * 1_000_000,
        "thread\n====\n" * 80_000,
        '"""thread-safe' * 70_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["README.md", "foo/box.py"])
def test_long_text_takes_no_long_time(tmp_path: Path, name: str, text: str):
    began = time.process_time()
    found = read(tmp_path, {name: text[: 1 << 20]}).quotes
    assert time.process_time() - began < 5
    assert all(len(quote.text) <= MAX_QUOTE for quote in found)


def test_too_large_or_too_many_files_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    huge = "Boxes are thread-safe.\n" + "x" * (1 << 20)
    assert read(tmp_path, {"README.md": huge}) == ThreadStatement()

    monkeypatch.setattr(thread_statements, "_MAX_FILES", 2)
    files = {f"docs/{number}.md": f"Box {number} is thread-safe." for number in range(5)}
    assert len(read(tmp_path, files).quotes) == 2


@pytest.mark.parametrize(
    "content",
    [b"no archive", b"", archive("tar.gz", {"x": b"1"})[:-20]],
    ids=["no archive", "empty", "cut off"],
)
def test_what_cannot_be_read_says_nothing(tmp_path: Path, content: bytes):
    path = tmp_path / "foo-1.0.tar.gz"
    path.write_bytes(content)
    assert read_sdist_statement(path, path.name) == ThreadStatement()


def test_damaged_metadata_hides_no_document(tmp_path: Path):
    files = {"README.md": "Boxes are thread-safe.", "PKG-INFO": "\n" * 200_001}
    assert [quote.file for quote in read(tmp_path, files).quotes] == ["README.md"]


def test_a_wheel_speaks_by_its_metadata(tmp_path: Path):
    path = tmp_path / "foo-1.0-cp314-cp314t-linux_x86_64.whl"
    write_wheel(path, path.name, "# foo\n\nBoxes are not thread-safe.\n")
    assert quotes(read_wheel_statement(path)) == [("METADATA", 0, "Boxes are not thread-safe.")]

    path.write_bytes(b"no wheel")
    assert read_wheel_statement(path) == ThreadStatement()
