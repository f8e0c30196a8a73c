"""Attacks by text that a container, or a build, gives the farm: it ends in logs, terminals, pages and documents.

Each has a run of its own, in which a container answers by a script; see ../offline.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.hostile.attack import Attack, Site, World, iter_files
from tests.hostile.attacks.sources import sdist
from tests.hostile.pages import check_page
from tests.hostile.sdists import PLATFORM, make_library, make_wheel, wheel_filename

ANY_FAULT = ("import-failure", "undetermined", "build-failure")

NO_REPORT = ("abi-mismatch", "undetermined", "build-failure")
"""What abi3audit could not read is not taken for good."""

_ESCAPES = "\x1b[2J\x1b]8;;http://link.invalid/\x07here\x1b]8;;\x07 \x9b31m \x08\x08\x7f"
_BIDI = "\u202eevil\u2066\u200b\u2069 \u2028 \ufeff"
_COMMANDS = "first\n::add-mask::compatible\n::set-output name=verdict::compatible\r::stop-commands::x\n##[error]x"
_MARKUP = "[bold]x[/bold] <script>alert(1)</script> | `|` [x](javascript:alert(1)) ![x](http://image.invalid/) </td>"

_LINES = "first" + "".join(f"{end}evil{number} @ file:///tmp/{number} ; x" for number, end in enumerate(
    ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\\\n")
)) + "\\"  # fmt: skip
"""Requirements after everything that somebody takes for the end of a line; the last line wants to go on in the next."""

_SCRIPTS = (
    "</script><script>alert(1)</script> </title><script>alert(2)</script> --><svg onload=alert(3)> ]]><script>alert(4)//"
    "\"'><img src=x onerror=alert(5)> <a href='java&#10;script:alert(6)'>x</a> <base href=//evil.invalid> "
    "<meta http-equiv=refresh content=0;url=//evil.invalid> <iframe srcdoc='<script>alert(7)</script>'></iframe> "
    "<form action=//evil.invalid><link rel=stylesheet href=//evil.invalid> {{ 7 * 7 }} ${alert(8)} &lt;script&gt;"
)
"""Scripts and what loads or sends something, for all places of a page that text may be in."""


def answer(make: Callable[[str], bytes], kind: str = "load") -> Callable[[Site], str]:
    """Return a maker of a package whose container answers something of its own.

    Args:
        make: returns the answer, for the name of the package.
        kind: the job that is answered, or `log` for what a build that fails printed.
    """

    def place(site: Site) -> str:
        path = site.folder / f"{kind}-answer"
        path.write_bytes(make(site.name))
        site.answers[site.name] = {kind: str(path)}
        return sdist()(site)

    return place


def load_answer(name: str, **changed: Any) -> list[dict[str, Any]]:
    """Return what a container answers of a wheel whose import raises; `error` is the exception's text."""
    module = {"module": name, "native": True, "error": "ImportError: no", **changed}
    return [
        {
            "abi": "cp314", "python": "/opt/python/cp314-cp314/bin/python", "requirement": f"{name}==1.0",
            "index": "file:///farm/cp314/simple/", "install": None, "python_version": "3.14.5",
            "metadata": {"requires_python": "", "requires_python_ignored": False, "free_threading": None},
            "modules": [module],
        }
    ]  # fmt: skip


def error(text: str) -> Callable[[Site], str]:
    """Return a maker of a package whose import raises an exception with a text."""
    return answer(lambda name: json.dumps(load_answer(name, error=text)).encode())


def raw_error(text: bytes) -> Callable[[Site], str]:
    """Return a maker of a package whose import raises an exception with these bytes in its text."""
    return answer(
        lambda name: json.dumps(load_answer(name, error="HERE")).encode().replace(b"HERE", text)
    )


def log(make: Callable[[], bytes]) -> Callable[[Site], str]:
    """Return a maker of a package whose build fails after printing a log."""
    return answer(lambda _: make(), kind="log")


def abi3_wheel(symbols: int) -> Callable[[Site], str]:
    """Return a maker of a package whose build makes a wheel of the stable ABI with a library of so many symbols."""

    def place(site: Site) -> str:
        tag = f"cp314-abi3-{PLATFORM}"
        module = f"{site.name.replace('-', '_')}.abi3.so"
        path = site.folder / wheel_filename(site.name, tag)
        path.write_bytes(make_wheel(site.name, tag=tag, files={module: make_library(symbols)}))
        site.answers[site.name] = {"wheel": str(path)}
        return sdist()(site)

    return place


# --- what is looked for -----------------------------------------------------------------------------------------------


def iter_texts(world: World) -> Iterator[tuple[str, str]]:
    """Yield (where, text) of everything that a person or a program reads: the terminal, the report, the verdicts."""
    yield "the terminal", world.output.decode(errors="replace")
    for path in iter_files(world.wheelhouse / "report"):
        yield path.name, path.read_text(errors="replace")
    verdicts = json.loads((world.wheelhouse / "verdicts.json").read_text())
    yield "verdicts.json", "\n".join(iter_strings(verdicts))


def iter_strings(value: object) -> Iterator[str]:
    """Yield all texts in JSON data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from iter_strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from iter_strings(item)


def check_no_controls(world: World) -> None:
    for where, text in iter_texts(world):
        found = re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text)
        assert found is None, f"{where} has {found and found[0]!r}"


def check_no_bidi(world: World) -> None:
    for where, text in iter_texts(world):
        if where.endswith((".js", ".css")):
            continue
        found = re.search("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]", text)
        assert found is None, f"{where} has {found and found[0]!r}"


def check_no_commands(world: World) -> None:
    text = world.output.decode(errors="replace")
    found = re.search(r"^\s*(?:::[a-z-]+|##\[)", text, re.MULTILINE)
    assert found is None, f"the terminal has a line that is a command: {found and found[0]!r}"


def check_no_markup(world: World) -> None:
    for where, text in iter_texts(world):
        if where.endswith(".html"):
            assert "<script>alert(1)" not in text, where
        if where.endswith(".md"):
            assert "](javascript:" not in text, where
            assert "![x](http" not in text, where


def check_pages_run_nothing(world: World) -> None:
    pages = [path for path in iter_files(world.wheelhouse) if path.suffix == ".html"]
    assert any("alert(5)" in path.read_text() for path in pages), "no page shows the text"
    for path in pages:
        check_page(path)


def check_documents_are_small(world: World) -> None:
    for path in (world.wheelhouse / "verdicts.json", *iter_files(world.wheelhouse / "report")):
        assert path.stat().st_size < 4 << 20, f"{path.name} has {path.stat().st_size >> 20} MiB"
    assert len(world.output) < 1 << 20, "it printed more than 1 MiB"


_TEXT = "terminal, report, verdicts.json"
_TIME = "time of the farm, the neighbours' verdicts"

ATTACKS = (
    Attack(
        name="surrogate-escape", point="8", kind="text", verdicts=ANY_FAULT, checked=_TEXT,
        make=raw_error(rb"\udc80 \ud800 \uDFFF"),
    ),
    Attack(
        name="surrogate-bytes", point="8", kind="text", verdicts=ANY_FAULT, checked=_TEXT,
        make=raw_error(b"\xed\xa0\x80 \xed\xb2\x80"),
    ),
    Attack(
        name="surrogate-in-a-key", point="8", kind="text", verdicts=ANY_FAULT, checked=_TEXT,
        make=answer(lambda name: json.dumps(load_answer(name)).encode().replace(b'"modules"', b'"\\udc80": 1, "modules"')),
    ),
    Attack(
        name="surrogate-in-utf-16", point="8", kind="text", verdicts=ANY_FAULT, checked=_TEXT,
        make=answer(lambda name: json.dumps(load_answer(name, error="\ud800")).encode("utf-16")),
    ),
    Attack(
        name="surrogate-in-the-log", point="8", kind="log", verdicts=("build-failure",), checked=_TEXT,
        make=log(lambda: b"x.c:1:1: error: \xed\xa0\x80 \xff\xfe\n"),
    ),
    Attack(
        name="terminal-escapes", point="medium", kind="text", verdicts=ANY_FAULT, checked=_TEXT,
        make=error(_ESCAPES), check=check_no_controls,
    ),
    Attack(
        name="terminal-escapes-in-the-log", point="medium", kind="log", verdicts=("build-failure",), checked=_TEXT,
        make=log(f"x.c:1:1: error: {_ESCAPES}\n".encode), check=check_no_controls,
    ),
    Attack(
        name="turned-letters", point="medium", kind="text", verdicts=ANY_FAULT, checked=_TEXT,
        make=error(_BIDI), check=check_no_bidi,
    ),
    Attack(
        name="commands-of-ci", point="medium", kind="text", verdicts=ANY_FAULT, checked=_TEXT,
        make=error(_COMMANDS), check=check_no_commands,
    ),
    Attack(
        name="commands-in-the-log", point="medium", kind="log", verdicts=("build-failure",), checked=_TEXT,
        make=log(lambda: b"x\n::error::planted\n::add-mask::compatible\n"), check=check_no_commands,
    ),
    Attack(
        name="markup", point="medium", kind="text", verdicts=ANY_FAULT, checked=_TEXT,
        make=error(_MARKUP), check=check_no_markup,
    ),
    Attack(
        name="scripts-in-an-error", point="medium", kind="text", verdicts=ANY_FAULT, checked="report, index pages",
        make=error(_SCRIPTS), check=check_pages_run_nothing,
    ),
    Attack(
        name="scripts-in-the-log", point="medium", kind="log", verdicts=("build-failure",), checked="report, index pages",
        make=log(lambda: b"x.c:1:1: error: " + _SCRIPTS.encode() + b"\n"), check=check_pages_run_nothing,
    ),
    Attack(
        name="requirements-in-an-error", point="medium", kind="text", verdicts=ANY_FAULT, checked="constraints files",
        make=error(_LINES),
    ),
    Attack(
        name="requirements-in-the-log", point="medium", kind="log", verdicts=("build-failure",),
        checked="constraints files", make=log(lambda: b"x.c:1:1: error: " + _LINES.encode() + b"\n"),
    ),
    Attack(
        name="ten-megabytes-of-error", point="12", kind="text", verdicts=ANY_FAULT, checked="size of the documents",
        make=error("x" * (10 << 20)), check=check_documents_are_small,
    ),
    Attack(
        name="deep-answer", point="8", kind="text", verdicts=ANY_FAULT, checked=_TEXT,
        make=answer(lambda _: b"[" * 200_000 + b"]" * 200_000),
    ),
    Attack(
        name="number-of-digits", point="8", kind="text", verdicts=ANY_FAULT, checked=_TEXT,
        make=answer(lambda name: json.dumps(load_answer(name, seconds=1)).encode().replace(b": 1,", b": " + b"9" * 5000 + b",").replace(b": 1}", b": " + b"9" * 5000 + b"}")),
    ),
    Attack(
        name="no-number", point="8", kind="text", verdicts=ANY_FAULT, checked=_TEXT,
        make=answer(lambda name: json.dumps(load_answer(name, seconds=float("nan"))).encode()),
    ),
    Attack(
        name="answer-about-another", point="10", kind="text", verdicts=("undetermined",), checked="verdicts",
        make=answer(lambda _: json.dumps(load_answer("neighbour", error=None, gil=None)).encode()),
    ),
    # --- wheels that abi3audit reads on this machine
    Attack(
        name="countless-symbols", point="medium", kind="wheel", verdicts=NO_REPORT, codes=("WF303",), checked=_TIME,
        seconds=60, make=abi3_wheel(4_000_000),
    ),
    # --- logs that take long to read
    Attack(
        name="log-of-empty-lines", point="9", kind="log", verdicts=("build-failure",), checked=_TIME, seconds=60,
        make=log(lambda: b"\n" * (1 << 20)),
    ),
    Attack(
        name="log-of-one-line", point="9", kind="log", verdicts=("build-failure",), checked=_TIME, seconds=60,
        make=log(lambda: b"auditwheel " * (4 << 20) + b"\n"),
    ),
    Attack(
        name="log-of-one-word", point="9", kind="log", verdicts=("build-failure",), checked=_TIME, seconds=60,
        make=log(lambda: b"ld" * (1 << 20) + b"\n"),
    ),
    Attack(
        name="log-of-the-network", point="9", kind="log", verdicts=("build-failure", "undetermined"), checked=_TIME,
        seconds=60, make=log(lambda: b"Network is unreachable a@a.a\n" * (1 << 20)),
    ),
    Attack(
        name="log-of-cmake", point="9", kind="log", verdicts=("build-failure",), checked=_TIME, seconds=60,
        make=log(lambda: b"CMake Error at x\n" + b" " * (1 << 20) + b"package\n" + b"CMake Error at x\n \n" * (1 << 18)),
    ),
)  # fmt: skip
