"""Decimal numbers, exact on every database and in every answer.

SQLite knows no exact decimals: there they are whole numbers of their last digit (`12.50` is 1250), which compare
and sort as they should. Bodies and answers hold them as texts, since other readers make floats of JSON's numbers.
"""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import Numeric, TypeDecorator
from sqlalchemy.engine.interfaces import Dialect

from app.core.query import Processor

MAX_PRECISION = 18  # of what fits SQLite's integers of 64 bits
_PLAIN = re.compile(r"-?\d{1,40}(\.\d{1,40})?", re.ASCII)


class ExactDecimal(TypeDecorator[Decimal]):
    """A column of `precision` digits, `scale` of them behind the point. Values come back with all of these."""

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        """Raises ValueError for more digits than every database keeps."""
        if not 0 <= scale <= precision <= MAX_PRECISION:
            raise ValueError(
                f"a decimal has at most {MAX_PRECISION} digits, and no more of them behind the point"
            )
        super().__init__(precision, scale)
        self.precision, self.scale = precision, scale

    def bind_processor(self, dialect: Dialect) -> Processor:
        """Refuses what would be rounded: a database that does it silently and one that can't must not differ."""
        is_sqlite = dialect.name == "sqlite"

        def process(value: Decimal | None) -> object:
            if value is None:
                return None
            shifted = value.scaleb(self.scale)
            if shifted != int(shifted):
                raise ValueError(f"has more than {self.scale} digits behind the point")
            return int(shifted) if is_sqlite else value

        return process

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor | None:  # noqa: ARG002  SQLAlchemy names it
        """None where the driver gives decimals itself."""
        return self._unscaled if dialect.name == "sqlite" else None

    def _unscaled(self, value: int | None) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-self.scale)


def fixed_point(value: Decimal) -> str:
    """All digits and no exponent: `0.00000001`, not `1E-8`."""
    return f"{value:f}"


def _plain(value: object) -> object:
    """One number, one spelling: digits in a text. A JSON number has been a float before anybody could look."""
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return Decimal(value)
    if isinstance(value, Decimal):
        return value
    raise ValueError("must be a decimal number in a text, such as 12.50")


class _InText:
    """Reads and writes decimals as texts, and says so in the document."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(
            fixed_point, return_schema=core_schema.str_schema(), when_used="json-unless-none"
        )
        inner = handler(source)
        return core_schema.no_info_before_validator_function(_plain, inner, serialization=written)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "format": "decimal", "pattern": r"^-?\d+(\.\d+)?$", "examples": ["12.50"]}


# Behind the bounds of a number: `Annotated[Decimal, Field(max_digits=18, decimal_places=2), IN_TEXT]`.
IN_TEXT = _InText()
Exact = Annotated[Decimal, IN_TEXT]
