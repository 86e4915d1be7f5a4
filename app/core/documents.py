"""JSON that is kept as it came: the column's type, and what of it every database keeps."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator
from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB

# No value is SQL's NULL, never JSON's.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_EXACT = 2**53  # larger numbers lose digits in other JSON readers (RFC 8259 6)


def _kept(value: Any) -> Any:
    """Raises ValueError for what one database refuses, or gives back otherwise than the other."""
    if value is None:
        raise ValueError("must not be null")
    for part in _scalars(value):
        if isinstance(part, str) and "\x00" in part:
            raise ValueError("must not contain NUL")
        if isinstance(part, int | float) and abs(part) > _EXACT:
            raise ValueError("must not contain numbers beyond 2^53")
    return value


def _scalars(value: Any) -> Iterator[Any]:
    """Names and values at every depth. No recursion: what was parsed may be nested deeper than calls may be."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += part.keys()
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
        else:
            yield part


Document = Annotated[Any, AfterValidator(_kept)]
