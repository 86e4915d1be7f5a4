"""From the fields of an answer to columns: what fits, what is found at start-up."""

import enum
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import Column, Enum, ForeignKey, Integer, MetaData, String, Table, Uuid
from sqlalchemy.types import DateTime

from app.core.repository import BaseRepository
from app.core.shape import Plan, nested_model
from app.registry import shape_faults

METADATA = MetaData()
PLACES = Table(
    "places",
    METADATA,
    Column("pk", Integer, primary_key=True),
    Column("id", Uuid),
    Column("name", String(50)),
)
THINGS = Table(
    "things",
    METADATA,
    Column("pk", Integer, primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("title", String(50), nullable=False),
    Column("note", String(50)),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("place_pk", ForeignKey("places.pk"), nullable=True),
    Column("home_pk", ForeignKey("places.pk"), nullable=False),
)


class Place(BaseModel):
    id: UUID
    name: str


class Thing(BaseModel):
    id: UUID
    title: str
    home_id: UUID
    home: Place
    place: Place | None


def test_columns_follow_the_names() -> None:
    plan = Plan(THINGS, Thing)
    assert [column.name for column in plan.columns] == [
        "id", "title", "home_id", "home__id", "home__name", "place__id", "place__name",
    ]  # fmt: skip
    sql = str(plan.source)
    assert sql.count("JOIN places AS home") == 1
    assert "LEFT OUTER JOIN places AS place" in sql
    assert "LEFT OUTER JOIN places AS home" not in sql


def test_rows_become_nested_values() -> None:
    plan = Plan(THINGS, Thing)
    one, two = UUID(int=1), UUID(int=2)
    (full, empty) = plan.values(
        [(one, "t", two, two, "Home", one, "Shop", "more"), (one, "t", two, two, "Home", None, None)]
    )
    home = {"id": two, "name": "Home"}
    assert full == {
        "id": one,
        "title": "t",
        "home_id": two,
        "home": home,
        "place": {"id": one, "name": "Shop"},
    }
    assert empty["place"] is None
    assert Thing.model_validate(empty).home.name == "Home"


def shape(**fields: Any) -> type[BaseModel]:
    made: type[BaseModel] = type("Shape", (BaseModel,), {"__annotations__": fields})
    return made


@pytest.mark.parametrize("fields", [{"id": UUID, "nothing": str}, {"title_id": UUID}, {"note": Place}])
def test_field_without_column_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        Plan(THINGS, shape(**fields))


@pytest.mark.parametrize(
    ("fields", "is_fit"),
    [
        ({"title": str, "at": datetime, "id": UUID}, True),
        ({"note": str | None}, True),
        ({"home": Place}, False),  # its columns may be empty
        ({"title": int}, False),
        ({"title": str | int}, True),
        ({"note": str}, False),
        ({"at": str}, False),
        ({"id": str}, False),
        ({"home_id": UUID | None}, True),
    ],
)
def test_misfits_are_found(fields: dict[str, Any], *, is_fit: bool) -> None:
    made = shape(**fields)
    assert (list(Plan(THINGS, made).misfits(made)) == []) is is_fit


def test_nested_model_of_annotations() -> None:
    assert nested_model(Place) is Place
    assert nested_model(Place | None) is Place
    assert nested_model(str | None) is None
    assert nested_model(list[Place]) is None
    assert nested_model(Place | str) is None


def test_every_list_of_the_program_fits() -> None:
    assert len(BaseRepository.__subclasses__()) >= 3
    assert shape_faults(BaseRepository.__subclasses__()) == []


def test_annotations_and_choices_are_what_they_hold() -> None:
    word = Annotated[str, "told to nobody"]
    made = shape(title=word, note=Literal["a", "b"] | None)
    assert list(Plan(THINGS, made).misfits(made)) == []
    wrong = shape(title=Literal[1, 2], note=Annotated[int, "a number"] | None)
    assert len(list(Plan(THINGS, wrong).misfits(wrong))) == 2


def test_enum_is_read_as_it_is_stored() -> None:
    class Colour(enum.StrEnum):
        RED = "red"

    table = Table(
        "t",
        MetaData(),
        Column("pk", Integer, primary_key=True),
        Column("colour", Enum(Colour), nullable=False),
    )
    made = shape(colour=Colour)
    assert list(Plan(table, made).misfits(made)) == []
