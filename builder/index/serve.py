"""Index and report over HTTP, read-only. Starlette answers: ranges, ETags, and paths that stay inside.

A client that prefers it gets a page of the index as JSON (PEP 691). Nothing of the store is served.
"""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path, PurePath
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from builder.index import CHANNELS
from builder.index.constraints import FOLDER as CONSTRAINTS
from builder.index.pages import CONTENT_POLICY

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HTML = "text/html"
JSON_V1 = "application/vnd.pypi.simple.v1+json"
HTML_V1 = "application/vnd.pypi.simple.v1+html"

_REPORT_PAGES = "/report/"
_NO_FRAMES = "frame-ancestors 'none'"

_LATEST = {
    "application/vnd.pypi.simple.latest+json": JSON_V1,
    "application/vnd.pypi.simple.latest+html": HTML_V1,
}
_CONTENT_TYPES = (HTML, HTML_V1, JSON_V1)
"""Content types of a page. The first is for clients that accept all of them alike, such as a browser."""

_FOLDERS = ("report", "logs", CONSTRAINTS)

_MEDIA_TYPES = {
    ".whl": "application/zip",
    ".metadata": "text/plain",
    ".log": "text/plain",
    ".sarif": "application/sarif+json",
    ".md": "text/markdown",
}
"""Of files that `mimetypes` does not know on every system."""


class _SafetyHeaders:
    """Gives every answer the headers that tell a browser what it may do with it."""

    def __init__(self, app: ASGIApp, report_policy: str) -> None:
        self._app = app
        self._report_policy = report_policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI asks for it."""
        is_report = scope.get("path", "").startswith(_REPORT_PAGES)
        policy = self._report_policy if is_report else CONTENT_POLICY

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = f"{policy}; {_NO_FRAMES}"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
            await send(message)

        await self._app(scope, receive, send_with_headers)


def make_application(wheelhouse: Path, report_policy: str = CONTENT_POLICY) -> Starlette:
    """Return the ASGI application that serves a wheelhouse.

    It answers with pages of the index in the form that the client prefers, and with public files; `/` leads to the
    report.

    Args:
        wheelhouse: what to serve.
        report_policy: what pages of the report may load and run, as a Content-Security-Policy.
    """
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

    routes = [Route("/", start)]
    for channel in CHANNELS:
        routes.append(Route(f"/{channel}/", page, methods=["GET"]))
        routes.append(Route(f"/{channel}/{{project:str}}/", page, methods=["GET"]))
    routes.append(Route("/{path:path}", file, methods=["GET"]))

    return Starlette(
        routes=routes,
        middleware=[Middleware(_SafetyHeaders, report_policy=report_policy)],
    )


def serve(wheelhouse: Path, host: str, port: int, report_policy: str = CONTENT_POLICY) -> None:
    """Serve the index and the report of a wheelhouse over HTTP until interrupted.

    Args:
        wheelhouse: what to serve.
        host: address to listen on.
        port: port to listen on; 0 for any that is free.
        report_policy: what pages of the report may load and run, as a Content-Security-Policy.
    """
    import uvicorn

    application = make_application(wheelhouse, report_policy)
    uvicorn.run(application, host=host, port=port, log_level="info", server_header=False)


def negotiate_content_type(accept: str) -> str | None:
    """Return the content type that a client prefers for a page of the index (PEP 691), or None if it accepts none.

    `application/vnd.pypi.simple.v1+json, text/html;q=0.1` -> `application/vnd.pypi.simple.v1+json`.

    Args:
        accept: value of the Accept header; without one, any type is accepted.
    """
    preferences = [_parse_preference(part) for part in accept.split(",") if part.strip()]
    if not preferences:
        preferences = [("*/*", 1.0)]

    best_type: str | None = None
    best_quality = 0.0
    for content_type in _CONTENT_TYPES:
        for accepted_type, quality in preferences:
            if quality > best_quality and _accepts(accepted_type, content_type):
                best_type = content_type
                best_quality = quality

    return best_type


def _parse_preference(part: str) -> tuple[str, float]:
    """Return (content type, quality) of one part of an Accept header: `text/html;q=0.1` -> `("text/html", 0.1)`.

    The quality is 1 if none is given, and 0, i.e. not accepted, if it is no number.
    """
    content_type, *parameters = (item.strip().lower() for item in part.split(";"))
    quality = "1"
    for parameter in parameters:
        if parameter.startswith("q="):
            quality = parameter.removeprefix("q=")
            break

    try:
        return _LATEST.get(content_type, content_type), float(quality)
    except ValueError:
        return content_type, 0.0


def _accepts(accepted_type: str, content_type: str) -> bool:
    major_type = content_type.partition("/")[0]
    return accepted_type in {content_type, "*/*", f"{major_type}/*"}


async def _serve_page(request: Request, files: StaticFiles) -> Response:
    """Answer with a page of the index, as HTML or JSON by what the client prefers (PEP 691).

    Each page is stored as two files in the folder of its URL: `/simple/lxml/` -> `simple/lxml/index.html` and
    `simple/lxml/index.json`. The answer has status 406 if the client accepts neither form.

    Args:
        request: for a URL that ends with `/`; its Accept header says what the client prefers.
        files: the wheelhouse, i.e. the folder that is served.

    Raises:
        HTTPException: there is no such page (404).
    """
    content_type = negotiate_content_type(request.headers.get("accept", ""))
    if content_type is None:
        text = f"This page is available as {', '.join(_CONTENT_TYPES)}.\n"
        return PlainTextResponse(text, status_code=406)

    if content_type == JSON_V1:
        name = "index.json"
        header = content_type  # JSON is always UTF-8
    else:
        name = "index.html"
        header = f"{content_type}; charset=utf-8"

    folder = request.url.path.lstrip("/")  # ends with a slash
    response = await _serve_file(request, files, folder + name)
    response.headers["Content-Type"] = header
    response.headers["Vary"] = "Accept"  # caches must not give the HTML to who asks for JSON
    return response


def _is_public(path: str) -> bool:
    """Return whether a path may be served: the index, constraints, report, logs and verdicts.json.

    Hidden files, such as the state of a channel, are not public.
    """
    is_hidden = any(part.startswith(".") for part in path.split("/"))
    if is_hidden:
        return False

    folders = (*CHANNELS, *_FOLDERS)
    is_inside = any(path.startswith(f"{folder}/") for folder in folders)
    return is_inside or path == "verdicts.json"


async def _serve_file(request: Request, files: StaticFiles, path: str) -> Response:
    """Answer with a file, with a redirect for a folder, or with status 304 if the client has the file already.

    Raises:
        HTTPException: there is no such file (404).
    """
    if "\0" in path:  # no system call takes such a path
        raise HTTPException(404)
    full_path, stat = files.lookup_path(path)
    if stat is None:
        raise HTTPException(404)
    if _leads_elsewhere(path, full_path, files):
        raise HTTPException(404)
    if S_ISDIR(stat.st_mode) and not path.endswith("/"):
        return RedirectResponse(f"{request.url.path}/")
    if not S_ISREG(stat.st_mode):
        raise HTTPException(404)

    response = FileResponse(
        full_path,
        media_type=_guess_media_type(path),
        stat_result=stat,
        headers={"Cache-Control": "no-cache"},
    )
    if files.is_not_modified(response.headers, request.headers):
        return NotModifiedResponse(response.headers)

    return response


def _leads_elsewhere(path: str, full_path: str, files: StaticFiles) -> bool:
    """Return whether a link is on the way to a file: what is public by its path may be anything where a link leads.

    Args:
        path: what was asked for.
        full_path: where that is, with all links followed.
        files: the wheelhouse.
    """
    assert files.directory is not None, "it was made with one"
    root = Path(os.path.realpath(files.directory))
    return Path(full_path) != Path(os.path.normpath(root / path))


def _guess_media_type(path: str) -> str:
    """Return the media type of a file by its name's suffix: `app.whl` -> `application/zip`."""
    suffix = PurePath(path).suffix
    if suffix in _MEDIA_TYPES:
        return _MEDIA_TYPES[suffix]

    guessed, _ = mimetypes.guess_type(path)
    return guessed or "application/octet-stream"
