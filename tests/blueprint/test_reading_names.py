"""Names: the words that follow from them, and that no word with another meaning was forgotten."""

import sqlite3

import pytest
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS
from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer
from sqlmodel import SQLModel

from app.core.entity import Entity, table_of
from app.core.pagination import PageQuery
from app.modules.users.models import User
from blueprint_tool import names, reserved


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


def test_columns_of_every_table_are_reserved() -> None:
    own = set(Entity.model_fields) | {"search_text"}
    assert own <= reserved.COLUMNS
    assert own - {"search_text"} <= set(table_of(User).c.keys())


@pytest.mark.parametrize("kind", [BaseModel, SQLModel, Entity])
def test_names_of_the_libraries_are_reserved(kind: type) -> None:
    public = {name for name in dir(kind) if not name.startswith(("_", "model_"))}
    assert {name for name in public if names.attribute_fault(name) is None} == set()


def test_parameters_of_lists_are_reserved_for_filters() -> None:
    public = {name for name in dir(PageQuery) if not name.startswith(("_", "model_"))} - set(dir(BaseModel))
    assert public | set(PageQuery.model_fields) <= reserved.LIST_PARAMETERS | {"q"}
