"""What a module promises, as texts that are kept beside its tests: its routes, its part of the OpenAPI document."""

import json
from functools import cache
from typing import Any

from app.commands import RouteRow, route_matrix
from app.core.config import Environment, load_settings
from app.main import create_app

Json = dict[str, Any]


@cache
def _rows() -> list[RouteRow]:
    return route_matrix()


def document_of_program() -> Json:
    """The whole OpenAPI document, whatever the settings here say. Opens no database."""
    settings = load_settings(
        _env_file=None,
        environment=Environment.TEST,
        database_url="sqlite+aiosqlite:///./never-opened.db",
        secret_key="only-for-the-document-" * 2,
    )
    made: Json = create_app(settings).openapi()
    return made


def routes_text(module: str) -> str:
    """`routes.txt`: a line for each route with what it asks for."""
    rows = [row for row in _rows() if row.module == module]
    width = max(len(row.path) for row in rows)
    lines = [f"{row.method:7}{row.path:{width}}  {row.access}  {row.note}".rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def document_text(document: Json, module: str) -> str:
    """`openapi.json`: the module's part of the document."""
    return json.dumps(part_of(document, module), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def part_of(document: Json, module: str) -> Json:
    """The module's paths, and the schemas that they refer to, directly or through others."""
    paths: Json = {}
    for row in _rows():
        if row.module != module or row.method == "WS":  # OpenAPI has no words for sockets
            continue
        paths.setdefault(row.path, {})[row.method.lower()] = document["paths"][row.path][row.method.lower()]
    schemas, wanted = {}, references(paths)
    while wanted:
        name = wanted.pop()
        schemas[name] = document["components"]["schemas"][name]
        wanted |= references(schemas[name]) - schemas.keys()
    return {"paths": paths, "schemas": schemas}


def references(part: Any) -> set[str]:
    """The names of the schemas that a part of the document refers to."""
    if isinstance(part, dict):
        own = {str(part["$ref"]).rpartition("/")[2]} if "$ref" in part else set()
        return own.union(*(references(value) for value in part.values()))
    return set().union(*(references(value) for value in part)) if isinstance(part, list) else set()
