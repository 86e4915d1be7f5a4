"""The routes of the pages, to be added to the application as they are."""

from starlette.routing import BaseRoute

from app.core.errors import catalog
from app.pages.documents import (
    FOREVER,
    PAGE_POLICY,
    REDOC_POLICY,
    Document,
    asset,
    asset_route,
    page,
    page_route,
)
from app.pages.errors_page import errors_html
from app.pages.landing import landing_html
from app.pages.rendering import render

OWN_ASSETS = ("tessera.css", "tessera.svg", "mosaic.svg", "reset.css", "reset.js")
DOCS_ASSETS = ("swagger-init.js", "swagger-page.css", "redoc-init.js", "redoc-page.css")
SWAGGER_ASSETS = ("swagger-ui-5.35.0.js", "swagger-ui-5.35.0.css")
REDOC_SCRIPT = "redoc-2.5.4.js"
# The file is npm's, byte for byte; two things that the policy would block anyway are taken out on the way, so
# that the page asks nobody else for a logo and a violation in the browser's console always means something.
REDOC_EDITS = (
    (b"https://cdn.redoc.ly/redoc/logo-mini.svg", b"data:,"),
    # Styles of a scrollbar that redoc-init.js switches off: the element stays empty, as the policy allows.
    (b"t.appendChild(document.createTextNode(e))", b"void 0"),
)


def page_routes(*, docs_enabled: bool, version: str) -> list[BaseRoute]:
    """Landing page and password reset always; the documentation only where it is enabled (else 404)."""

    def landing() -> Document:
        return page(landing_html(docs_enabled=docs_enabled, version=version))

    always: list[BaseRoute] = [
        page_route("/", landing),
        # Links in mails lead here: <base_url>/reset-password#token=…
        page_route("/reset-password", lambda: page(render("reset.html"))),
        asset_route("/assets", {name: asset(name) for name in OWN_ASSETS}),
    ]
    return [*always, *_docs_routes()] if docs_enabled else always


def _docs_routes() -> list[BaseRoute]:
    assets = {name: asset(name) for name in DOCS_ASSETS}
    assets |= {name: asset(name, FOREVER) for name in SWAGGER_ASSETS}
    assets[REDOC_SCRIPT] = asset(REDOC_SCRIPT, FOREVER, REDOC_EDITS)
    return [
        page_route("/docs", lambda: page(render("docs.html"), PAGE_POLICY)),
        page_route("/redoc", lambda: page(render("redoc.html"), REDOC_POLICY)),
        page_route("/docs/errors", lambda: page(errors_html(catalog()))),
        asset_route("/docs/assets", assets),
    ]
