"""The pages on a bare Starlette application: policy, origins, links, anchors, caching, escaping."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from app.core.errors import catalog
from app.pages.documents import EMPTY_STYLE, STATIC
from app.pages.rendering import TEMPLATES
from app.pages.routes import REDOC_EDITS, page_routes

ALWAYS = ["/", "/reset-password"]
PAGES = [*ALWAYS, "/docs", "/redoc", "/docs/errors"]
DOCS_PATHS = [
    "/docs",
    "/redoc",
    "/docs/errors",
    "/docs/assets/swagger-init.js",
    "/docs/assets/redoc-2.5.4.js",
]
OWN_FILES = [
    *TEMPLATES.glob("*.html"),
    *(p for p in STATIC.iterdir() if p.suffix in {".css", ".js", ".svg"} and "5." not in p.name),
]
# What the rest of the application serves, as far as the pages point to it.
ELSEWHERE = ["/openapi.json", "/health", "/health/ready", "/health/live", "/api/v1/system/ping"]


async def _ok(request: Request) -> Response:
    return JSONResponse({"path": request.url.path})


def _app(*, docs_enabled: bool) -> Starlette:
    routes = page_routes(docs_enabled=docs_enabled, version="1.2.3")
    return Starlette(routes=[*routes, *(Route(path, _ok) for path in ELSEWHERE)])


def _client(app: Starlette) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://localhost")


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    async with _client(_app(docs_enabled=True)) as client:
        yield client


@pytest.fixture
async def closed() -> AsyncIterator[AsyncClient]:
    async with _client(_app(docs_enabled=False)) as client:
        yield client


class _Reader(HTMLParser):
    """Collects what a page refers to, its anchors, and what a strict policy would block."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.inline: list[str] = []
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_script = tag in {"script", "style"}
        for name, value in attrs:
            if name in {"href", "src", "action", "srcset"}:
                self.references.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  HTMLParser names it
        self._in_script = False


def _directives(policy: str) -> dict[str, list[str]]:
    return {name: sources for name, *sources in (part.split() for part in policy.split(";"))}


def _foreign(text: str) -> list[str]:
    """Absolute and scheme-relative URLs; the namespace of SVG is a name and never fetched."""
    urls = re.findall(r"(?:https?:|wss?:)//[^\s\"'<>)]+|(?<=[\"'(])//[^\s\"'<>)]+", text)
    return [url for url in urls if url != "http://www.w3.org/2000/svg"]


@pytest.mark.parametrize("path", PAGES)
async def test_page_has_strict_policy(client: AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    directives = _directives(answer.headers["content-security-policy"])
    styles = ["'self'", EMPTY_STYLE] if path == "/redoc" else ["'self'"]
    workers = {"worker-src": ["'self'", "blob:"]} if path == "/redoc" else {}
    assert directives == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": styles,
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        **workers,
    }


def test_hash_in_policy_is_that_of_nothing() -> None:
    digest = b64encode(sha256(b"").digest()).decode()

    assert f"'sha256-{digest}'" == EMPTY_STYLE


@pytest.mark.parametrize("path", PAGES)
async def test_page_has_nothing_inline(client: AsyncClient, path: str) -> None:
    assert _Reader((await client.get(path)).text).inline == []


@pytest.mark.parametrize(
    "html", ["<p style='color:red'>", "<p onclick='x()'>", "<script>x()</script>", "<style>p{}</style>"]
)
def test_inline_check_sees_a_planted_violation(html: str) -> None:
    assert _Reader(html).inline


@pytest.mark.parametrize("path", PAGES)
async def test_page_names_no_foreign_origin(client: AsyncClient, path: str) -> None:
    html = (await client.get(path)).text

    assert _foreign(html) == []
    assert all(not urlsplit(reference).netloc for reference in _Reader(html).references)


@pytest.mark.parametrize("file", OWN_FILES, ids=lambda file: file.name)
def test_own_file_names_no_foreign_origin(file: Path) -> None:
    assert _foreign(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text", ['<a href="https://example.com/x">', "@import '//cdn.example.com/x.css'", "url(http://a.b/c)"]
)
def test_origin_check_sees_a_planted_violation(text: str) -> None:
    assert _foreign(text)


@pytest.mark.parametrize("docs_enabled", [True, False])
@pytest.mark.parametrize("prefix", ["", "/behind/a/proxy"])
async def test_every_reference_resolves(*, docs_enabled: bool, prefix: str) -> None:
    app = Starlette(routes=[Mount(prefix, app=_app(docs_enabled=docs_enabled))])
    async with _client(app) as client:
        for path in PAGES if docs_enabled else ALWAYS:
            page = await client.get(prefix + path)
            assert page.status_code == 200
            references = _Reader(page.text).references
            assert references
            for reference in references:
                target = urljoin(prefix + path, reference)
                assert target.startswith(prefix)
                assert (await client.get(target)).status_code == 200, f"{path} -> {reference}"


async def test_every_fragment_has_its_anchor(client: AsyncClient) -> None:
    for path in [*ALWAYS, "/docs/errors"]:
        page = _Reader((await client.get(path)).text)
        assert {reference[1:] for reference in page.references if reference.startswith("#")} <= set(page.ids)
        assert len(page.ids) == len(set(page.ids))


async def test_every_error_code_has_its_anchor(client: AsyncClient) -> None:
    page = _Reader((await client.get("/docs/errors")).text)

    assert catalog()
    assert {problem.code for problem in catalog()} <= set(page.ids)


@pytest.mark.parametrize("path", DOCS_PATHS)
async def test_docs_off_is_404(closed: AsyncClient, path: str) -> None:
    assert (await closed.get(path)).status_code == 404


async def test_docs_off_landing_shows_no_docs_and_no_version(
    closed: AsyncClient, client: AsyncClient
) -> None:
    private, public = (await closed.get("/")).text, (await client.get("/")).text

    for word in ['/docs"', "/redoc", "openapi", "1.2.3", "Swagger"]:
        assert word not in private
    for word in ["/redoc", "openapi.json", "1.2.3", "Swagger UI"]:
        assert word in public
    for word in ["/health", "/api/v1", "docs/RBAC_GUIDE.md", "scripts/dev.py run"]:
        assert word in private
        assert word in public


async def test_reset_page_is_told_no_token_and_says_so_without_script(closed: AsyncClient) -> None:
    answer = await closed.get("/reset-password", params={"token": "canary"})

    assert answer.status_code == 200
    assert "canary" not in answer.text
    assert re.search(r"<noscript>.*needs JavaScript.*</noscript>", answer.text, re.DOTALL)
    assert re.search(r"<form [^>]*\bhidden>", answer.text)
    assert answer.text.count('autocomplete="new-password"') == 2
    fields = re.findall(r'<input id="([^"]+)"', answer.text)
    assert sorted(fields) == sorted(re.findall(r'<label for="([^"]+)"', answer.text))


@pytest.mark.parametrize("path", [*PAGES, "/assets/tessera.css", "/docs/assets/redoc-2.5.4.js"])
async def test_known_etag_is_304(client: AsyncClient, path: str) -> None:
    first = await client.get(path)
    etag = first.headers["etag"]

    for header in [etag, f"W/{etag}", f'"other", {etag}', "*"]:
        again = await client.get(path, headers={"if-none-match": header})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == etag
        assert again.headers["cache-control"] == first.headers["cache-control"]
        assert "content-type" not in again.headers
    assert (await client.get(path, headers={"if-none-match": '"other"'})).status_code == 200


async def test_only_versioned_names_are_kept_for_ever(client: AsyncClient) -> None:
    for path, kept in [
        ("/assets/tessera.css", False),
        ("/docs/assets/swagger-init.js", False),
        ("/docs/assets/swagger-ui-5.35.0.css", True),
        ("/docs/assets/redoc-2.5.4.js", True),
    ]:
        answer = await client.get(path)
        assert ("immutable" in answer.headers["cache-control"]) is kept, path


@pytest.mark.parametrize(
    "path",
    [
        "/assets/nothing.css",
        "/assets/%2e%2e%2froutes.py",
        "/assets/swagger-init.js",
        "/docs/assets/redoc-2.5.4.LICENSE",
    ],
)
async def test_unlisted_file_is_404(client: AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_many_ranges_are_one_plain_answer(client: AsyncClient) -> None:
    ranges = "bytes=" + ",".join(f"{n}-{n + 1}" for n in range(0, 20_000, 2))
    answer = await client.get("/docs/assets/redoc-2.5.4.js", headers={"range": ranges})

    assert answer.status_code == 200
    assert "content-range" not in answer.headers


async def test_head_and_other_methods(client: AsyncClient) -> None:
    head = await client.head("/docs")

    assert (head.status_code, head.content) == (200, b"")
    assert (await client.post("/docs")).status_code == 405


async def test_served_redoc_asks_no_foreign_logo(client: AsyncClient) -> None:
    body = (await client.get("/docs/assets/redoc-2.5.4.js")).content

    assert all(old not in body for old, _ in REDOC_EDITS)
