"""The built web UI: a static export, served from the package under a strict policy."""

import mimetypes
import re
from pathlib import Path
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from hypercode.gateway.csp import PolicyCache, policy_of

STATIC_DIR = Path(__file__).parent / "_static"
IMMUTABLE = "public, max-age=31536000, immutable"
# .txt are the router's own data, which the browser must take as such.
MEDIA_TYPES = {
    ".txt": "text/x-component",
    ".js": "text/javascript",
    ".woff2": "font/woff2",
    ".map": "application/json",
}
TASK_PATH = re.compile(r"tasks/(tsk_[0-9a-f]{32})")
NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>HyperCode</title>
<body style="font:16px/1.6 system-ui;max-width:38rem;margin:4rem auto;padding:0 1rem">
<h1>The web UI is not built</h1>
<p>This installation runs from its source. Build the pages once, then reload:</p>
<pre>make web</pre>
<p>The API works without them: <a href="/api/openapi.json">/api/openapi.json</a>.</p></body></html>
"""


class StaticUi:
    """Finds and serves files of an export directory, and nothing outside it."""

    def __init__(self, directory: Path = STATIC_DIR) -> None:
        self._directory = directory.resolve()
        self._policies = PolicyCache()

    async def serve(self, path: str) -> Response:
        return await to_thread.run_sync(self._serve, path)

    def _serve(self, path: str) -> Response:
        if not (self._directory / "index.html").is_file():
            return self._html(NOT_BUILT.encode(), policy_of(NOT_BUILT), status=200 if path == "" else 404)
        found = self._find(path)
        if found is None:
            found = self._inside("404.html")
            return self._page(found, status=404) if found else Response(status_code=404)
        if found.suffix == ".html":
            return self._page(found, status=200)
        immutable = path.startswith("_next/static/")
        return FileResponse(
            found,
            media_type=MEDIA_TYPES.get(found.suffix) or mimetypes.guess_type(found.name)[0],
            headers={"Cache-Control": IMMUTABLE if immutable else "no-cache"},
        )

    def _find(self, path: str) -> Path | None:
        path = path.strip("/")
        candidates = (path, f"{path}.html", f"{path}/index.html") if path else ("index.html",)
        return next((file for file in map(self._inside, candidates) if file), None)

    def _inside(self, relative: str) -> Path | None:
        try:
            file = (self._directory / relative).resolve()
            return file if file.is_relative_to(self._directory) and file.is_file() else None
        except (OSError, ValueError):
            return None

    def _page(self, file: Path, *, status: int) -> Response:
        html = file.read_bytes()
        return self._html(html, self._policies.policy_of(file, html, file.stat().st_mtime_ns), status=status)

    def _html(self, html: bytes, policy: str, *, status: int) -> Response:
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
        return HTMLResponse(html, status_code=status, headers=headers)


def ui_router(ui: StaticUi) -> APIRouter:
    """Return the routes of the UI; they catch every path, so they come last."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/{path:path}", methods=["GET", "HEAD"])
    async def serve_ui(path: str, request: Request) -> Response:
        if path == "api" or path.startswith("api/"):
            raise HTTPException(404, "There is no such endpoint.")
        task = TASK_PATH.fullmatch(path.rstrip("/"))
        if task:
            return RedirectResponse(f"/task?id={quote(task[1])}", status_code=307)
        _ = request
        return await ui.serve(path)

    return router
