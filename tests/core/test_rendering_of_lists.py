"""Lists go out without validation: that must give what validation gives, for every repository."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel

from app.core.decimals import Exact
from app.core.listing import Listing
from app.core.pagination import Page, PageQuery
from app.core.repository import BaseRepository
from app.core.shape import nested_model
from app.core.transaction import UnitOfWork
from app.modules.privileges.repository import PrivilegeRepository
from app.modules.roles.schemas import RoleSummary
from app.modules.users.schemas import UserSummary
from tests.api import Api, Caller
from tests.backend import RunningApp
from tests.core.people import START, crowd


@pytest.fixture
async def admin(api: Api) -> Caller:
    return await api.superuser()


def every_summary() -> list[type[BaseModel]]:
    found = {shape for repository in BaseRepository.__subclasses__() for shape in repository.summaries}
    return sorted(found, key=lambda shape: shape.__name__)


SAMPLES: dict[type[Any], list[Any]] = {
    str: ["plain", 'é "quoted" \\ / \u2028 \x1f <b>', ""],
    UUID: [UUID(int=1), UUID("0198c0de-0000-7000-8000-0123456789ab"), uuid4()],
    bool: [True, False, True],
    int: [0, -5, 2**53],
    float: [0.1, 1e300, -2.5],
    Decimal: [Decimal("0.10"), Decimal(-5), Decimal("123456789.12")],
    datetime: [START, START.replace(microsecond=120), datetime(1, 1, 1, 23, 59, 59, 999999, tzinfo=UTC)],
    date: [date(2026, 1, 2), date(1, 1, 1), date(9999, 12, 31)],
}


def sample(annotation: Any, turn: int) -> Any:
    """A value as the database gives it."""
    if (inner := nested_model(annotation)) is not None:
        return {name: sample(field.annotation, turn) for name, field in inner.model_fields.items()}
    if get_origin(annotation) is not None and type(None) in get_args(annotation):
        return (
            None if turn == 2 else sample(next(a for a in get_args(annotation) if a is not type(None)), turn)
        )
    if get_origin(annotation) is Annotated:
        return sample(get_args(annotation)[0], turn)
    if get_origin(annotation) is Literal:
        return get_args(annotation)[turn % len(get_args(annotation))]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        members = [member.value for member in annotation]
        return members[turn % len(members)]
    return SAMPLES[annotation][turn]


def test_there_are_summaries() -> None:
    assert {UserSummary, RoleSummary} <= set(every_summary())


@pytest.mark.parametrize("shape", every_summary(), ids=lambda shape: shape.__name__)
def test_fast_rendering_is_the_validated_one(shape: type[BaseModel]) -> None:
    values = [{n: sample(f.annotation, turn) for n, f in shape.model_fields.items()} for turn in range(3)]
    for query in (PageQuery(), PageQuery(cursor="x"), PageQuery(count="exact", per_page=2)):
        for total, cursor in ((3, None), (101, "abc")):
            listing = Listing(shape, values, query, total, 100, cursor)
            assert listing.to_json() == listing.to_page().model_dump_json().encode()


class Priced(BaseModel):
    price: Exact
    discount: Exact | None
    status: Literal["draft", "active"]


def test_decimals_are_written_without_exponents() -> None:
    values = [{"price": Decimal("1E-8"), "discount": None, "status": "draft"}]
    listing = Listing(Priced, values, PageQuery(), 1, 100, None)
    assert listing.to_json() == listing.to_page().model_dump_json().encode()
    assert b'"price":"0.00000001"' in listing.to_json()


async def test_rendered_rows_are_valid_answers(app: RunningApp, admin: Caller) -> None:
    await crowd(app)
    shapes: dict[str, type[BaseModel]] = {"users": UserSummary, "roles": RoleSummary}
    for path, shape in shapes.items():
        answer = await admin.get(f"{path}?per_page=1000")
        page = Page[shape].model_validate_json(answer.content)  # type: ignore[valid-type]
        assert page.model_dump_json().encode() == answer.content


def test_shape_that_was_not_checked_is_refused(app: RunningApp) -> None:
    """Only shapes that start-up compared with their columns go out unvalidated."""
    repository = PrivilegeRepository(UnitOfWork(app.platform.database))
    with pytest.raises(TypeError, match="not among the summaries"):
        repository.page(PageQuery(), RoleSummary).send(None)
