"""What a browser would make of an HTML page: what it runs, what it loads, and what the page's policy allows."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser
from pathlib import Path

_EMBEDS = frozenset({"iframe", "object", "embed", "base", "frame", "applet", "audio", "video"})
"""Elements that bring something of others into a page, or move all links; the farm has none."""

_ADDRESSES = frozenset(
    {"href", "src", "srcset", "action", "formaction", "data", "poster", "xlink:href"}
)
"""Attributes that are addresses."""


class _Page(HTMLParser):
    """Collects what is active in a page.

    Attributes:
        policies: its Content-Security-Policies.
        scripts: texts of the scripts in it.
        faults: what the farm puts into no page.
    """

    def __init__(self) -> None:
        super().__init__()
        self.policies: list[str] = []
        self.scripts: list[str] = []
        self.faults: list[str] = []
        self._is_in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        equivalent = attributes.get("http-equiv", "").lower()
        if equivalent == "content-security-policy":
            self.policies.append(attributes.get("content", ""))
        elif equivalent:
            self.faults.append(f"<meta http-equiv={equivalent}>")
        if tag in _EMBEDS or (tag == "form" and "action" in attributes):
            self.faults.append(f"<{tag}>")
        if tag == "script":
            self._is_in_script = True
            self.scripts.append("")

        for name, value in attributes.items():
            if name.startswith("on") or name in {"srcdoc", "style"}:
                self.faults.append(f"<{tag} {name}={value!r}>")
            scheme = "".join(value.split()).lower().partition(":")[0]
            is_code = scheme in {"javascript", "vbscript"} or (scheme == "data" and tag != "link")
            if name in _ADDRESSES and is_code:
                self.faults.append(f"<{tag} {name}={value!r}>")
            if tag in {"script", "img", "link"} and name in {"src", "href"} and "//" in value:
                self.faults.append(f"<{tag} {name}={value!r}>")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._is_in_script = False

    def handle_data(self, data: str) -> None:
        if self._is_in_script:
            self.scripts[-1] += data


def check_page(path: Path) -> None:
    """Check that a page runs nothing but a script that its policy names by its hash, and loads nothing of others.

    Raises:
        AssertionError: it does, or has no policy that would keep it from that.
    """
    page = _Page()
    page.feed(path.read_text())
    page.close()
    assert not page.faults, f"{path.name} has {page.faults[:3]}"
    assert len(page.policies) == 1, f"{path.name} has {len(page.policies)} policies"

    directives: dict[str, list[str]] = {}
    for directive in page.policies[0].split(";"):
        name, *values = directive.split()
        directives[name] = values
    assert directives["default-src"] == ["'none'"], page.policies
    assert directives["base-uri"] == ["'none'"], page.policies
    assert directives["form-action"] == ["'none'"], page.policies
    for script in page.scripts:
        sha256 = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        allowed = directives.get("script-src", [])
        assert allowed == [f"'sha256-{sha256}'"], f"{path.name} allows {allowed}"
