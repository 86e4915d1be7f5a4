"""A body kept in memory with its headers, answered with 304 where the client has it already.

Everything here is read once; no request touches the disk. Answers ignore `Range`, so that many ranges cost
nothing (CVE-2025-62727 was about files with them).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC = Path(__file__).parent / "static"

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
# ReDoc makes empty style elements and fills them by script: the hash is that of no text at all.
EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
REDOC_POLICY = (
    PAGE_POLICY.replace("style-src 'self'", f"style-src 'self' {EMPTY_STYLE}") + "; worker-src 'self' blob:"
)

REVALIDATE = "no-cache"
# The vendored files carry their version in the name: another version is another URL.
FOREVER = "public, max-age=31536000, immutable"

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Document:
    """One answer, ready to send. `etag` is strong: the hash of the body."""

    body: bytes
    media_type: str
    cache_control: str = REVALIDATE
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """Quoted, as it stands in the header."""
        return f'"{_digest(self.body)}"'

    def answer(self, request: Request) -> Response:
        """200 with the body, or 304 without one (RFC 9110 13.1.2)."""
        headers = {**self.headers, "etag": self.etag, "cache-control": self.cache_control}
        if _is_known(self.etag, request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers={**headers, "content-type": self.media_type})


@cache
def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()[:32]


def _is_known(etag: str, if_none_match: str) -> bool:
    known = {part.strip().removeprefix("W/") for part in if_none_match.split(",")}
    return etag in known or "*" in known


def page(html: str, policy: str = PAGE_POLICY) -> Document:
    """An HTML page under its own content security policy."""
    return Document(html.encode(), "text/html; charset=utf-8", headers={"content-security-policy": policy})


def asset(name: str, cache_control: str = REVALIDATE, edits: Sequence[tuple[bytes, bytes]] = ()) -> Document:
    """A file of `static/`; its suffix decides the type. Each edit must fit exactly once, else ValueError."""
    path = STATIC / name
    body = path.read_bytes()
    for old, new in edits:
        if body.count(old) != 1:
            raise ValueError(f"{name} has changed: {old!r} occurs {body.count(old)} times in it")
        body = body.replace(old, new)
    return Document(body, MEDIA_TYPES[path.suffix], cache_control)


def page_route(path: str, build: Callable[[], Document]) -> Route:
    """A page that is built by the first request: by then all modules, and their errors, are loaded."""
    build_once = cache(build)

    async def show_page(request: Request) -> Response:
        return build_once().answer(request)

    return Route(path, show_page, methods=["GET"], include_in_schema=False)


def asset_route(path: str, assets: Mapping[str, Document]) -> Route:
    """A folder of named files; what isn't named is 404, whatever lies on the disk."""

    async def show_asset(request: Request) -> Response:
        document = assets.get(request.path_params["name"])
        if document is None:
            raise HTTPException(404)
        return document.answer(request)

    return Route(path + "/{name}", show_asset, methods=["GET"], include_in_schema=False)
