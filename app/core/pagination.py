"""What a client says and gets about pages: the query, the envelope, the signed cursor."""

import math
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from app.core.decimals import fixed_point
from app.core.errors import BadRequest
from app.core.keys import Signer

S = TypeVar("S", bound=BaseModel)
MAX_DEPTH = 1_000_000


def _plain_digits(value: object) -> object:
    """`+1`, `1_000` and other scripts' digits are refused: one number, one spelling."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 9):  # noqa: PLR2004
        raise ValueError("must be a whole number in plain digits")
    return value


def _plain_bool(value: object) -> object:
    if isinstance(value, str) and value not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value


# Behind the bounds of a number, so that these stand in the document: `Annotated[int, Field(ge=1), PLAIN_DIGITS]`.
PLAIN_DIGITS = BeforeValidator(_plain_digits)
Flag = Annotated[bool, BeforeValidator(_plain_bool)]


def _word(value: object) -> str:
    """A parameter as clients write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return fixed_point(value) if isinstance(value, Decimal) else str(value)


class PageQuery(BaseModel):
    """Query parameters of a list. Subclasses add filters (named after fields) and the sortable fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    sortable: ClassVar[tuple[str, ...]] = ("created_at",)
    default_sort: ClassVar[str] = "-created_at"

    page: Annotated[int, Field(ge=1), PLAIN_DIGITS] = 1
    per_page: Annotated[int, Field(ge=1, le=1000), PLAIN_DIGITS] = 20
    sort: str | None = Field(
        default=None,
        max_length=200,
        description="Comma list of fields, `-` before a field for descending order; ties are broken by id.",
    )
    cursor: str | None = Field(
        default=None, max_length=2000, description="`next_cursor` of the last answer, instead of `page`."
    )
    count: Literal["exact"] | None = Field(
        default=None, description="`exact` counts all rows, however long that takes."
    )
    deleted: Flag = Field(default=False, description="Shows the soft-deleted rows instead.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.page * self.per_page > MAX_DEPTH:
            raise ValueError(f"page x per_page must not exceed {MAX_DEPTH}; walk on with the cursor instead")
        if self.cursor is not None and "page" in self.model_fields_set:
            raise ValueError("send either page or cursor")
        return self

    @field_validator("sort")
    @classmethod
    def _allowed(cls, value: str | None) -> str | None:
        for part in (value or "").split(",") if value is not None else []:
            if part.removeprefix("-") not in cls.sortable:
                raise ValueError(f"must be a comma list of {', '.join(sorted(cls.sortable))}")
        return value

    @property
    def order(self) -> list[tuple[str, bool]]:
        """The fields to sort by, each with whether it is descending; of a field named twice the first counts."""
        found: dict[str, bool] = {}
        for part in (self.sort or self.default_sort).split(","):
            found.setdefault(part.removeprefix("-"), part.startswith("-"))
        return list(found.items())

    @property
    def filters(self) -> dict[str, Any]:
        """The filters that were sent, by the name of their parameter."""
        own = type(self).model_fields.keys() - PageQuery.model_fields.keys()
        return {name: value for name in sorted(own) if (value := getattr(self, name)) is not None}

    def digest(self, scope: str) -> str:
        """What a cursor is bound to: the list, its order and its filters."""
        what = [scope, self.order, self.deleted, sorted((k, str(v)) for k, v in self.filters.items())]
        return sha256(orjson.dumps(what)).hexdigest()[:16]

    def link_base(self, path: str) -> str:
        """The same question without its place: `page=…` or `cursor=…` goes to its end."""
        words = {
            name: _word(value)
            for name in sorted(self.model_fields_set - {"page", "cursor"})
            if (value := getattr(self, name)) is not None
        }
        return f"{path}?{urlencode(words)}&" if words else f"{path}?"


class RecordQuery(PageQuery):
    """The same for tables without soft deletion: there is no `deleted` to ask for."""

    deleted: ClassVar[bool] = False  # type: ignore[misc]


class Page(BaseModel, Generic[S]):
    """One page of a list. `total` is exact up to a bound; beyond it `total_is_capped` is true."""

    items: Sequence[S]
    page: int | None
    per_page: int
    total: int
    pages: int | None
    total_is_capped: bool
    next_cursor: str | None


def pages_of(total: int, per_page: int) -> int:
    """How many pages there are; 0 for an empty list."""
    return math.ceil(total / per_page)


def encode_cursor(signer: Signer, digest: str, values: Sequence[Any]) -> str:
    """A signed cursor that stands after the row with these sort values."""
    return signer.sign(orjson.dumps([digest, [_tagged(value) for value in values]]))


def decode_cursor(signer: Signer, digest: str, text: str) -> list[Any]:
    """The sort values. Raises `BadRequest` for a cursor that isn't ours or belongs to another question."""
    payload = signer.unsign(text)
    if payload is None:
        raise BadRequest("The cursor is not valid.")
    bound_to, tagged = orjson.loads(payload)
    if bound_to != digest:
        raise BadRequest("The cursor belongs to another sort order or filter.")
    return [_READERS[tag](value) for tag, value in tagged]


_READERS: dict[str, Callable[[Any], Any]] = {
    "": lambda value: value,
    "t": datetime.fromisoformat,
    "d": date.fromisoformat,
    "u": UUID,
    "n": Decimal,
}


def _tagged(value: Any) -> tuple[str, Any]:
    if isinstance(value, datetime):
        return "t", value.isoformat()
    if isinstance(value, date):
        return "d", value.isoformat()
    if isinstance(value, UUID):
        return "u", str(value)
    if isinstance(value, Decimal):
        return "n", str(value)
    return "", value
