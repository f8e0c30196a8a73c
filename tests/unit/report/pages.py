"""The pages of a report about one package, and what is printed of a document."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, TypeVar

from rich.console import Console

from builder.report.history import History
from builder.report.site import site
from tests.unit.documents import abi, document

Document = TypeVar("Document")


def render_pages(**more: Any) -> dict[str, str]:
    """Return the pages of a report by name; `more` is what it has beside the package."""
    data = site.SiteData(
        document=document({"foo": {"cp314t": abi()}}),
        history=History(runs={"r1": {}}),
        run="r1",
        runs={},
        logs={},
        **more,
    )
    return dict(site.render_pages(data))


def print_narrow(show: Callable[[Console, Document], None], printed: Document) -> str:
    """Return what is shown of a document in 80 columns."""
    console = Console(file=io.StringIO(), width=80)
    show(console, printed)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
