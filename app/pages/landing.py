"""The landing page at `/`: what this is, for whom, and where things are."""

from dataclasses import dataclass
from string import Template

from app.pages.rendering import Html, fill, joined, render


@dataclass(frozen=True)
class Place:
    """Something to visit. `href` is relative, so that the page also works behind a root path."""

    href: str
    path: str
    title: str
    about: str
    is_docs: bool = False


PLACES = (
    Place("docs", "/docs", "Swagger UI", "Every endpoint, to read and to try with your own token.", True),
    Place("redoc", "/redoc", "ReDoc", "The same API as one long page, made for reading.", True),
    Place("docs/errors", "/docs/errors", "Errors", "Each error code, and what it means.", True),
    Place(
        "openapi.json", "/openapi.json", "OpenAPI", "The machine-readable description for client tools.", True
    ),
    Place("health", "/health", "Health", "The state of database, cache and migrations."),
    Place("health/ready", "/health/ready", "Readiness", "Whether this process should be sent requests."),
    Place("health/live", "/health/live", "Liveness", "Whether this process runs; it touches nothing."),
    Place(
        "api/v1/system/ping", "/api/v1/system/ping", "Ping", "A first call: no token needed, tells the time."
    ),
)

PLACE = Template(
    '<li><a class="place" href="$href"><span class="place-title">$title</span>'
    '<code>$path</code><span class="place-about">$about</span></a></li>'
)
NAVIGATION = Template('<nav aria-label="Documentation"><ul>\n$links\n</ul></nav>')
LINK = Template('<li><a href="$href">$title</a></li>')
ACTION = Template('<a class="button$kind" href="$href">$label</a>')

WITH_DOCS = (("docs", "Open the API docs", ""), ("redoc", "Read the reference", " button-quiet"))
WITHOUT_DOCS = (
    ("health", "See the health", ""),
    ("api/v1/system/ping", "Make a first call", " button-quiet"),
)


def landing_html(*, docs_enabled: bool, version: str) -> Html:
    """The whole page. The version is told only where the documentation is open too."""
    places = [place for place in PLACES if docs_enabled or not place.is_docs]
    actions = WITH_DOCS if docs_enabled else WITHOUT_DOCS
    return render(
        "landing.html",
        navigation=_navigation([place for place in places if place.is_docs]),
        actions=joined([fill(ACTION, href=href, label=label, kind=kind) for href, label, kind in actions]),
        places=joined([_place(place) for place in places]),
        version=f"Tessera {version}" if docs_enabled else "Tessera",
    )


def _navigation(places: list[Place]) -> Html:
    links = [fill(LINK, href=place.href, title=place.title) for place in places]
    return fill(NAVIGATION, links=joined(links)) if links else Html("")


def _place(place: Place) -> Html:
    return fill(PLACE, href=place.href, title=place.title, path=place.path, about=place.about)
