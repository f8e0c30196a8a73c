"""Pages of projects (PEP 503, 691), parsed within bounds: in one pass, so many links, and names that are names.

The general parsers of HTML and of file names take a time that grows with the square or the cube of what a page can
be made to have.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from builder.sources.errors import MalformedAnswerError
from builder.sources.index_file import from_json, from_link, normalize
from builder.untrusted.names import UntrustedNameError, parse_distribution_name
from builder.untrusted.reading import parse_json
from builder.untrusted.text import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.sources.http import Answer
    from builder.sources.index_file import IndexFile

PAGE_LIMIT_BYTES = 32 << 20
"""Largest page. One of ten thousand files has some 5 MiB."""

_MAX_FILES = 50_000
"""Most files of a project; of each an object of about 2 KiB is kept."""

_MAX_JSON_MARKS = 2_000_000
"""Most brackets and commas of a JSON page: each value becomes an object. A file has about 15."""

_MAX_TAG = 16 << 10
"""Longest tag, in characters. What is longer is no link."""

_MAX_TEXT = 4096
"""Longest text of a link; a file name has 255 characters at most, with white space and emphasis around it."""

_MAX_ATTRIBUTES = 32
"""Most attributes of a link; the standards have six."""

_TAG = re.compile(r"<(a|base|meta)(?=[\s/>])", re.IGNORECASE)
_LINK_END = re.compile(r"</?a(?=[\s/>])", re.IGNORECASE)
_INNER_TAG = re.compile(r"<[^<>]{0,200}>")
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s"'<>/=]+)\s*(?:=\s*("[^"]*"|'[^']*'|[^\s"'<>]+))?[\s/]*""")


def parse_page(answer: Answer, name: str, content_type: str) -> list[IndexFile]:
    """Return the files that a project's page lists, whether it is JSON or HTML.

    What is no file of a distribution, or one of another project, is skipped, as installers do.

    Args:
        answer: the page.
        name: the project.
        content_type: of the page, as the server states it.

    Raises:
        MalformedAnswerError: it is no such page, or lists too many files.
    """
    what = f"the page of {name}"
    if "html" in content_type.lower():
        files = _iter_html_files(answer, name)
    else:
        files = _iter_json_files(answer, name, what)

    project = normalize(name)
    listed: list[IndexFile] = []
    for file in files:
        is_of_another = normalize(file.project or "") != project
        if is_of_another:
            continue

        listed.append(file)
        if len(listed) > _MAX_FILES:
            raise MalformedAnswerError(f"{what} lists more than {_MAX_FILES} files")
    return listed


def _iter_json_files(answer: Answer, name: str, what: str) -> Iterator[IndexFile]:
    """Yield the files of a JSON page (PEP 691)."""
    marks = sum(answer.content.count(mark) for mark in (b",", b"[", b"{"))
    if marks > _MAX_JSON_MARKS:
        raise MalformedAnswerError(f"{what} has more than {_MAX_JSON_MARKS} values")

    try:
        data = parse_json(answer.content, what)
    except ValueError as error:
        raise MalformedAnswerError(show(str(error))) from None

    files = data.get("files") if isinstance(data, dict) else None
    if not isinstance(files, list):
        raise MalformedAnswerError(f"{what} has no list of files (PEP 691)")
    _check_version(data.get("meta"), what)

    project = normalize(name)
    for item in files:
        if not isinstance(item, dict) or not _is_distribution(item.get("filename")):
            continue
        try:
            yield from_json(item, project, answer.url)
        except ValueError:
            continue  # a field of another type than PEP 691 gives it


def _check_version(meta: object, what: str) -> None:
    """Go on if a page is of the first version of the standard (PEP 629), or of no version that it states.

    Raises:
        MalformedAnswerError: it is of another.
    """
    version = meta.get("api-version") if isinstance(meta, dict) else None
    if isinstance(version, str) and not version.startswith("1."):
        raise MalformedAnswerError(f"{what} has version {show(version)} of PEP 691, not 1.x")


def _iter_html_files(answer: Answer, name: str) -> Iterator[IndexFile]:
    """Yield the files of an HTML page (PEP 503)."""
    from pypi_simple import DistributionPackage, Link

    try:
        text = answer.content.decode(answer.encoding or "utf-8", errors="replace")
    except LookupError:
        text = answer.content.decode(errors="replace")

    base = answer.url
    for tag, attributes, link_text in _iter_tags(text):
        href = attributes.get("href")
        if tag == "meta":
            if attributes.get("name") == "pypi:repository-version":
                _check_version(
                    {"api-version": attributes.get("content", "")}, f"the page of {name}"
                )
            continue
        if href is None or (tag == "a" and not _is_distribution(link_text)):
            continue

        try:
            url = urljoin(base, href)
            if tag == "base":
                base = url
                continue
            link_attributes: dict[str, Any] = dict(attributes)
            package = DistributionPackage.from_link(Link(link_text, url, link_attributes), name)
            yield from_link(package)
        except ValueError:
            continue  # a link to nowhere


def _iter_tags(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield the name, the attributes and the text of each link of a page, and of `base` and `meta`.

    The text is read once: no tag is looked at for longer than it is.
    """
    position = 0
    while (start := text.find("<", position)) >= 0:
        if text.startswith("<!--", start):
            end = text.find("-->", start)
            if end < 0:
                return
            position = end + 3
            continue

        position = start + 1
        tag = _TAG.match(text, start)
        if tag is None:
            continue
        parsed = _parse_attributes(text, tag.end())
        if parsed is None:
            continue

        attributes, position = parsed
        yield tag[1].lower(), attributes, _read_link_text(text, position)


def _parse_attributes(text: str, position: int) -> tuple[dict[str, str], int] | None:
    """Return the attributes of a tag and where it ends; None where it does not."""
    attributes: dict[str, str] = {}
    limit = position + _MAX_TAG

    for _ in range(_MAX_ATTRIBUTES):
        match = _ATTRIBUTE.match(text, position, limit)
        if match is None:
            break
        value = match[2] or ""
        if value[:1] in {'"', "'"}:
            value = value[1:-1]
        attributes.setdefault(match[1].lower(), html.unescape(value))
        position = match.end()

    while position < limit and text[position : position + 1].isspace():
        position += 1
    if text[position : position + 1] != ">":
        return None
    return attributes, position + 1


def _read_link_text(text: str, position: int) -> str:
    """Return the text from a position to the end of a link, without emphasis and white space; empty where it has none.

    The next link ends it as well: so no text is read twice.
    """
    end = _LINK_END.search(text, position, position + _MAX_TEXT)
    if end is None:
        return ""
    return html.unescape(_INNER_TAG.sub("", text[position : end.start()])).strip()


def _is_distribution(filename: object) -> bool:
    """Return whether a text is the name of an sdist or wheel."""
    try:
        parse_distribution_name(filename)
    except UntrustedNameError:
        return False
    return True
