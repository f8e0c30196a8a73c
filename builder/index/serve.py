"""Index and report over HTTP, read-only. Starlette answers: ranges, ETags, and paths that stay inside.

A client that prefers it gets a page of the index as JSON (PEP 691). Nothing of the store is served.
"""

from __future__ import annotations

import mimetypes
from pathlib import PurePath
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from builder.index import QUARANTINE_CHANNEL, SERVED_CHANNEL
from builder.index.constraints import FOLDER as CONSTRAINTS

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

HTML = "text/html"
JSON_V1 = "application/vnd.pypi.simple.v1+json"
HTML_V1 = "application/vnd.pypi.simple.v1+html"
_LATEST = {
    "application/vnd.pypi.simple.latest+json": JSON_V1,
    "application/vnd.pypi.simple.latest+html": HTML_V1,
}
_CONTENT_TYPES = (HTML, HTML_V1, JSON_V1)
"""Forms of a page, the one for whoever does not care first: a person with a browser."""

_CHANNELS = (SERVED_CHANNEL, QUARANTINE_CHANNEL)
_FOLDERS = ("report", "logs", CONSTRAINTS)
_TYPES = {
    ".whl": "application/zip",
    ".metadata": "text/plain",
    ".log": "text/plain",
    ".sarif": "application/sarif+json",
    ".md": "text/markdown",
}


def make_application(wheelhouse: Path) -> Starlette:
    """Return the ASGI application that serves a wheelhouse."""
    files = StaticFiles(directory=wheelhouse, check_dir=False)

    async def page(request: Request) -> Response:
        return await _serve_page(request, files)

    async def file(request: Request) -> Response:
        path = request.path_params["path"]
        if not _is_public(path):
            raise HTTPException(404)
        return await _serve_file(request, files, path)

    async def start(_: Request) -> Response:
        return RedirectResponse("report/index.html")

    pages = [
        Route(f"/{channel}/{project}", page, methods=["GET"])
        for channel in _CHANNELS
        for project in ("", "{project:str}/")
    ]
    return Starlette(
        routes=[Route("/", start), *pages, Route("/{path:path}", file, methods=["GET"])]
    )


def serve(wheelhouse: Path, host: str, port: int) -> None:
    """Serve until interrupted.

    Args:
        wheelhouse: what to serve.
        host: address to listen on.
        port: port to listen on; 0 for any that is free.
    """
    import uvicorn

    uvicorn.run(
        make_application(wheelhouse), host=host, port=port, log_level="info", server_header=False
    )


def negotiate_content_type(accept: str) -> str | None:
    """Return the content type of a page to answer with, or None where a client takes none that there is (PEP 691)."""
    wanted = [_parse_preference(part) for part in accept.split(",") if part.strip()] or [
        ("*/*", 1.0)
    ]
    scored = [
        (max((quality for kind, quality in wanted if _accepts(kind, offer)), default=0.0), offer)
        for offer in _CONTENT_TYPES
    ]
    best = max(scored, key=lambda pair: pair[0])
    return best[1] if best[0] > 0 else None


def _parse_preference(part: str) -> tuple[str, float]:
    kind, *parameters = (item.strip().lower() for item in part.split(";"))
    quality = next((item[2:] for item in parameters if item.startswith("q=")), "1")
    try:
        return _LATEST.get(kind, kind), float(quality)
    except ValueError:
        return kind, 0.0


def _accepts(kind: str, offer: str) -> bool:
    return kind in {offer, "*/*", f"{offer.partition('/')[0]}/*"}


async def _serve_page(request: Request, files: StaticFiles) -> Response:
    kind = negotiate_content_type(request.headers.get("accept", ""))
    if kind is None:
        return PlainTextResponse(
            f"This page is to be had as {', '.join(_CONTENT_TYPES)}.\n", status_code=406
        )
    name = "index.json" if kind == JSON_V1 else "index.html"
    response = await _serve_file(request, files, f"{request.url.path.lstrip('/')}{name}")
    response.headers["Content-Type"] = kind if kind == JSON_V1 else f"{kind}; charset=utf-8"
    response.headers["Vary"] = "Accept"
    return response


def _is_public(path: str) -> bool:
    """Return whether a path is of the index, the constraints, the report, the logs, or verdicts.json."""
    parts = path.split("/")
    if any(part.startswith(".") for part in parts):
        return False
    inside = any(path.startswith(f"{folder}/") for folder in (*_CHANNELS, *_FOLDERS))
    return inside or path == "verdicts.json"


async def _serve_file(request: Request, files: StaticFiles, path: str) -> Response:
    full, stat = files.lookup_path(path) if "\0" not in path else ("", None)
    if stat is None:
        raise HTTPException(404)
    if S_ISDIR(stat.st_mode) and not path.endswith("/"):
        return RedirectResponse(f"{request.url.path}/")
    if not S_ISREG(stat.st_mode):
        raise HTTPException(404)
    kind = (
        _TYPES.get(PurePath(path).suffix)
        or mimetypes.guess_type(path)[0]
        or "application/octet-stream"
    )
    response = FileResponse(
        full, media_type=kind, stat_result=stat, headers={"Cache-Control": "no-cache"}
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    if files.is_not_modified(response.headers, request.headers):
        return NotModifiedResponse(response.headers)
    return response
