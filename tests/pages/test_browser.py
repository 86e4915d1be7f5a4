"""Swagger UI and ReDoc in a real browser that can reach nothing but this server.

Chromium is a tool of the machine: without it these tests are skipped, with REQUIRE_BROWSER=1 they fail.
"""

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from app.pages.documents import PAGE_POLICY
from app.pages.routes import page_routes

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--enable-logging=stderr",
    # Virtual: the clock jumps over idle time, so that a page that is ready early costs no waiting.
    "--virtual-time-budget=20000",
)
START_SECONDS = 20


@dataclass(frozen=True)
class Seen:
    """What the browser made of a page: the final document, and the console's complaints."""

    dom: str
    complaints: list[str]


def _application() -> FastAPI:
    app = FastAPI(title="Probe", version="1.2.3", docs_url=None, redoc_url=None)

    @app.get("/api/v1/tiles", operation_id="list_tiles", tags=["tiles"])
    async def list_tiles() -> list[str]:
        return []

    @app.post("/api/v1/tiles", operation_id="create_tile", tags=["tiles"], status_code=201)
    async def create_tile(title: str) -> dict[str, str]:
        return {"title": title}

    @app.get("/planted", include_in_schema=False)
    async def planted() -> HTMLResponse:
        html = "<!doctype html><title>x</title><p style='color: red'>planted<script>x()</script>"
        return HTMLResponse(html, headers={"content-security-policy": PAGE_POLICY})

    app.router.routes.extend(page_routes(docs_enabled=True, version="1.2.3"))
    return app


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found:
        return found
    reason = f"no browser on this machine ({', '.join(NAMES)}): Swagger UI and ReDoc were not rendered"
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    print(reason)  # noqa: T201  a skip that nobody sees is a hole
    pytest.skip(reason)


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(_application(), log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(START_SECONDS)
    listener.close()


def _visit(browser: str, url: str, profile: Path) -> Seen:
    command = [browser, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    complaints = [
        line
        for line in done.stderr.splitlines()
        if "CONSOLE" in line and re.search(r"Content Security Policy|Refused|Uncaught|Failed to load", line)
    ]
    return Seen(done.stdout, complaints)


def test_swagger_ui_renders_operations(browser: str, base_url: str, tmp_path: Path) -> None:
    seen = _visit(browser, f"{base_url}/docs", tmp_path)

    assert seen.complaints == []
    assert 'id="operations-tiles-list_tiles"' in seen.dom
    assert 'id="operations-tiles-create_tile"' in seen.dom


def test_redoc_renders_operations(browser: str, base_url: str, tmp_path: Path) -> None:
    seen = _visit(browser, f"{base_url}/redoc", tmp_path)

    assert seen.complaints == []
    assert 'id="tag/tiles/operation/list_tiles"' in seen.dom
    assert 'id="tag/tiles/operation/create_tile"' in seen.dom


@pytest.mark.parametrize("path", ["/", "/docs/errors"])
def test_own_page_has_no_complaint(browser: str, base_url: str, tmp_path: Path, path: str) -> None:
    seen = _visit(browser, base_url + path, tmp_path)

    assert seen.complaints == []
    assert "</footer>" in seen.dom or 'id="conflict"' in seen.dom


def test_planted_violation_is_complained_about(browser: str, base_url: str, tmp_path: Path) -> None:
    seen = _visit(browser, f"{base_url}/planted", tmp_path)

    assert len(seen.complaints) == 2  # the style attribute and the script
