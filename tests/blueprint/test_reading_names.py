"""Names: the words that follow from them, and that no word with another meaning was forgotten."""

import ast
import sqlite3

import pytest
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, Table, select
from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS
from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from app.core.entity import Entity, table_of
from app.core.pagination import PageQuery
from app.modules.users.models import User
from blueprint_tool import names, reserved
from blueprint_tool.rendering.module import render
from tests.backend import Backend
from tests.blueprint.blueprints import read_it, relations

SEARCHED = 'string", "searchable": true, "default": "'


@pytest.mark.parametrize(
    ("entity", "singular"),
    [("Quay", "quay"), ("QuayWall", "quay_wall"), ("HTTPRoute", "http_route"), ("Dock2Gate", "dock2_gate")],
)
def test_singular_is_the_name_in_words(entity: str, singular: str) -> None:
    assert names.singular(entity) == singular
    assert names.words(entity) == singular.replace("_", " ")


def test_words_of_many_come_from_the_table() -> None:
    assert names.words("quay_walls") == "quay walls"


SPOKEN = """
    a quay, an order, an hour, a unit, an uninsured ship, a user, an umbrella, a use, an usher, a one, an onion, a url,
    an sms, an heir, a european, an uncle, a union
"""


@pytest.mark.parametrize("phrase", [phrase.strip() for phrase in SPOKEN.split(",")])
def test_article_is_as_it_is_spoken(phrase: str) -> None:
    assert names.with_article(phrase.partition(" ")[2]) == phrase


def fails_in_sqlite(word: str) -> bool:
    with sqlite3.connect(":memory:") as connection:
        try:
            connection.execute(f"CREATE TABLE {word} ({word} int)")
        except sqlite3.OperationalError:
            return True
    connection.close()
    return False


def test_words_that_would_have_to_be_quoted_are_reserved() -> None:
    words = RESERVED_WORDS | {
        word for word in SQLiteIdentifierPreparer.reserved_words if fails_in_sqlite(word)
    }
    assert words - reserved.SQL == set()


async def test_references_can_be_joined_under_their_names(backend: Backend) -> None:
    """Answers join what a relation points to under the relation's name, whatever that is in SQL."""
    engine = create_async_engine(backend.empty_database(), poolclass=NullPool)
    probes = Table("probes", MetaData(), Column("pk", Integer), Column("id", Integer))
    failing = []
    async with engine.connect() as connection:
        await connection.run_sync(probes.metadata.create_all)
        words = {word for word in reserved.SQL if names.relation_fault(word) is None}
        for word in sorted(words):
            other = probes.alias(word)
            statement = select(probes.c.pk, other.c.id).join(other, probes.c.pk == other.c.pk, isouter=True)
            try:
                async with connection.begin_nested():
                    await connection.execute(statement)
            except DBAPIError:
                failing.append(word)
    await engine.dispose()
    assert failing == []
    assert {"order", "user", "group"} <= words


def test_columns_of_every_table_are_reserved() -> None:
    own = set(Entity.model_fields) | {"search_text"}
    assert own <= reserved.COLUMNS
    assert own - {"search_text"} <= set(table_of(User).c.keys())


def test_members_of_a_service_are_no_tables() -> None:
    """A service keeps its own repository, and the services that it needs, under the names of their tables."""
    links = relations('{"name": "lock", "type": "many_to_many", "target": "User"}')
    for more in ('"owned": true', '"soft_delete": false'):
        made = read_it(links.replace('"relations"', f'{more}, "relations"').replace("string", SEARCHED))
        (service,) = (text for path, text in render(made.entities[0], made).items() if "service" in path)
        (found,) = (node for node in ast.parse(service).body if isinstance(node, ast.ClassDef))
        members = {node.name for node in found.body if isinstance(node, ast.AsyncFunctionDef)} | {"uow"}
        public = {name for name in members if not name.startswith("_")}
        assert {name for name in public if names.table_fault(name) is None} == set()


@pytest.mark.parametrize("kind", [BaseModel, SQLModel, Entity])
def test_names_of_the_libraries_are_reserved(kind: type) -> None:
    public = {name for name in dir(kind) if not name.startswith(("_", "model_"))} | {"cls"}
    assert {name for name in public if names.attribute_fault(name) is None} == set()


def test_parameters_of_lists_are_reserved_for_filters() -> None:
    public = {name for name in dir(PageQuery) if not name.startswith(("_", "model_"))} - set(dir(BaseModel))
    assert public | set(PageQuery.model_fields) <= reserved.LIST_PARAMETERS | {"q"}
