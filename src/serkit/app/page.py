"""The page at `/`: static files that `make page` builds."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>serkit</title>
<body>
<h1>serkit</h1>
<p>The server works, but its page is not built. Run <code>make page</code> in serkit's sources
(it needs Node.js), then start the server again.</p>
<p>The API is described in <a href="/openapi.json">/openapi.json</a>:</p>
<pre>curl --data-binary @call.wav http://127.0.0.1:8000/v1/predict</pre>
</body>
</html>
"""


def install(app: FastAPI, folder: Path) -> None:
    """Serve the page, or instructions for building it."""
    if (folder / "index.html").is_file():
        files = StaticFiles(directory=folder, html=True)
        # One route per file. A mount at `/` would answer requests that the API rejects, such as GET /v1/predict.
        names = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if file.is_file()]
        for name in ("", *names):
            app.router.routes.append(Route(f"/{name}", files, include_in_schema=False))
        return

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def not_built() -> HTMLResponse:
        return HTMLResponse(_NOT_BUILT)
