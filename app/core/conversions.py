"""What becomes of stored values when their column gets another type, as SQL of both databases.

Nothing is rounded, cut or guessed: what the new type does not hold as it is, is a misfit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CHAR,
    JSON,
    UUID,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Float,
    Integer,
    Numeric,
    String,
    Uuid,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

Kind = TypeEngine[Any]
_EXACT = 10**15  # a decimal of more digits does not always survive being a float
_WHOLE, _LARGE = 2**31, 2**63
_MIDNIGHT = " 00:00:00.000000"
_UUID_DIGITS = 32
# The narrower ones first: floats are numerics to SQLAlchemy.
_FAMILIES: tuple[tuple[type[Any], str], ...] = (
    (Boolean, "bool"),
    (Uuid, "uuid"),
    (UUID, "uuid"),
    (DateTime, "datetime"),
    (Date, "date"),
    (JSON, "json"),
    (String, "text"),
    (Float, "float"),
    (Numeric, "decimal"),
    (Integer, "whole"),
)


@dataclass(frozen=True, slots=True)
class Conversion:
    """SQL for one database, `{c}` is the column: the new value, and the condition of misfits (empty for none)."""

    value: str
    misfit: str = ""


def family(kind: Kind) -> str:
    """`whole`, `decimal`, `float`, `bool`, `text`, `date`, `datetime`, `uuid` or `json`."""
    if isinstance(kind, CHAR) and kind.length == _UUID_DIGITS:
        return "uuid"  # as SQLite keeps them
    return next(name for types, name in _FAMILIES if isinstance(kind, types))


def is_convertible(old: str, new: str) -> bool:
    """Whether values of one family can become values of the other."""
    return old == new or (old, new) in _SQLITE


def conversion(old: Kind, new: Kind, *, is_sqlite: bool) -> Conversion:
    """From one type to the other, of which `is_convertible` says that there is a way."""
    way = (_SQLITE if is_sqlite else _POSTGRESQL).get((family(old), family(new)))
    return Conversion("{c}") if way is None else way(old, new)


# Numbers. SQLite keeps decimals as whole numbers of their last digit.


def scale_of(kind: Kind) -> int:
    """Digits behind the point."""
    return int(kind.scale or 0) if isinstance(kind, Numeric) and not isinstance(kind, Float) else 0


def _ends(kind: Kind) -> tuple[int, int]:
    """The least and the greatest value, in steps of the last digit."""
    if isinstance(kind, Numeric):
        most = 10 ** int(kind.precision or 0) - 1
        return -most, most
    most = _LARGE if isinstance(kind, BigInteger) else _WHOLE
    return -most, most - 1


def _is_outside(expression: str, low: int, high: int) -> str:
    """The condition; empty where nothing that is stored can be."""
    return "" if high >= _LARGE - 1 else f"{expression} NOT BETWEEN {low} AND {high}"


def _is_inexact(steps: str) -> str:
    return f"{steps} NOT BETWEEN {-_EXACT} AND {_EXACT}"


def _either(*conditions: str) -> str:
    return " OR ".join(condition for condition in conditions if condition)


def _sqlite_exact(old: Kind, new: Kind) -> Conversion:
    (low, high), shift = _ends(new), scale_of(new) - scale_of(old)
    factor = 10 ** abs(shift)
    if shift >= 0:
        return Conversion(
            f"{{c}} * {factor}" if shift else "{c}", _is_outside("{c}", -(-low // factor), high // factor)
        )
    outside = _is_outside("{c}", low * factor, high * factor)
    return Conversion(f"{{c}} / {factor}", _either(f"{{c}} % {factor} <> 0", outside))


def _sqlite_from_float(_: Kind, new: Kind) -> Conversion:
    moved = f"ROUND({{c}} * {10 ** scale_of(new)}.0)"
    misfits = (
        _is_inexact(moved),
        f"CAST({moved} AS INTEGER) / {10 ** scale_of(new)}.0 <> {{c}}",
        _is_outside(moved, *_ends(new)),
    )
    return Conversion(f"CAST({moved} AS INTEGER)", _either(*misfits))


def _sqlite_to_float(old: Kind, _: Kind) -> Conversion:
    return Conversion(f"{{c}} / {10 ** scale_of(old)}.0", _is_inexact("{c}"))


def _exact(old: Kind, new: Kind) -> Conversion:
    (low, high), scale = _ends(new), scale_of(new)
    finer = f"{{c}} <> TRUNC({{c}}, {scale})" if scale_of(old) > scale else ""
    return Conversion(_cast("{c}", new), _either(finer, _is_outside(_in_steps("{c}", scale), low, high)))


def _from_float(_: Kind, new: Kind) -> Conversion:
    written, scale = "CAST(CAST({c} AS TEXT) AS NUMERIC)", scale_of(new)  # its shortest form
    steps = _in_steps(written, scale)
    misfits = (_is_inexact(steps), f"{written} <> TRUNC({written}, {scale})", _is_outside(steps, *_ends(new)))
    return Conversion(_cast(written, new), _either(*misfits))


def _to_float(old: Kind, new: Kind) -> Conversion:
    return Conversion(_cast("{c}", new), _is_inexact(_in_steps("{c}", scale_of(old))))


def _in_steps(expression: str, scale: int) -> str:
    return f"CAST({expression} AS NUMERIC) * {10**scale}" if scale else expression


def _cast(expression: str, kind: Kind) -> str:
    return f"CAST({expression} AS {kind.compile(dialect=postgresql.dialect())})"  # type: ignore[no-untyped-call]


# Texts.


def _text(old: Kind, new: Kind) -> Conversion:
    lengths = [kind.length for kind in (old, new) if isinstance(kind, String) and kind.length]
    is_wider = len(lengths) == len((old, new)) and lengths == sorted(lengths)
    return Conversion("{c}", "" if is_wider else _is_too_long("{c}", new))


def _is_too_long(expression: str, kind: Kind) -> str:
    length = kind.length if isinstance(kind, String) else None
    return f"LENGTH({expression}) > {length}" if length else ""


def _whole_to_text(_: Kind, new: Kind) -> Conversion:
    written = "CAST({c} AS TEXT)"
    return Conversion(written, _is_too_long(written, new))


def _sqlite_text_to_whole(_: Kind, new: Kind) -> Conversion:
    read = "CAST({c} AS INTEGER)"
    return Conversion(read, _either(f"CAST({read} AS TEXT) <> {{c}}", _is_outside(read, *_ends(new))))


def _text_to_whole(_: Kind, new: Kind) -> Conversion:
    low, high = _ends(new)
    digits, read = "{c} ~ '^(0|-?[1-9][0-9]{{0,18}})$'", "CAST({c} AS NUMERIC)"
    misfit = f"CASE WHEN {digits} THEN {read} NOT BETWEEN {low} AND {high} ELSE {{c}} IS NOT NULL END"
    return Conversion(_cast("{c}", new), misfit)


# The others.


def _sqlite_bool(_: Kind, new: Kind) -> Conversion:
    return Conversion("{c}", "{c} NOT IN (0, 1)" if family(new) == "bool" else "")


def _whole_to_bool(_: Kind, _new: Kind) -> Conversion:
    return Conversion("{c} = 1", "{c} NOT IN (0, 1)")


def _bool_to_whole(_: Kind, new: Kind) -> Conversion:
    return Conversion(_cast("CAST({c} AS INTEGER)", new))


def _constant(value: str, misfit: str = "") -> Callable[[Kind, Kind], Conversion]:
    return lambda _old, _new: Conversion(value, misfit)


Ways = Mapping[tuple[str, str], Callable[[Kind, Kind], Conversion]]
_SQLITE: Ways = {
    ("text", "text"): _text,
    ("whole", "whole"): _sqlite_exact,
    ("whole", "decimal"): _sqlite_exact,
    ("decimal", "whole"): _sqlite_exact,
    ("decimal", "decimal"): _sqlite_exact,
    ("float", "whole"): _sqlite_from_float,
    ("float", "decimal"): _sqlite_from_float,
    ("whole", "float"): _sqlite_to_float,
    ("decimal", "float"): _sqlite_to_float,
    ("whole", "text"): _whole_to_text,
    ("text", "whole"): _sqlite_text_to_whole,
    ("bool", "whole"): _sqlite_bool,
    ("whole", "bool"): _sqlite_bool,
    ("date", "datetime"): _constant(f"{{c}} || '{_MIDNIGHT}'"),
    ("datetime", "date"): _constant("SUBSTR({c}, 1, 10)", f"SUBSTR({{c}}, 11) <> '{_MIDNIGHT}'"),
}
_POSTGRESQL: Ways = {
    ("text", "text"): _text,
    ("whole", "whole"): _exact,
    ("whole", "decimal"): _exact,
    ("decimal", "whole"): _exact,
    ("decimal", "decimal"): _exact,
    ("float", "whole"): _from_float,
    ("float", "decimal"): _from_float,
    ("whole", "float"): _to_float,
    ("decimal", "float"): _to_float,
    ("whole", "text"): _whole_to_text,
    ("text", "whole"): _text_to_whole,
    ("bool", "whole"): _bool_to_whole,
    ("whole", "bool"): _whole_to_bool,
    ("date", "datetime"): _constant("CAST({c} AS TIMESTAMP) AT TIME ZONE 'UTC'"),
    ("datetime", "date"): _constant(
        "CAST({c} AT TIME ZONE 'UTC' AS DATE)",
        "{c} AT TIME ZONE 'UTC' <> DATE_TRUNC('day', {c} AT TIME ZONE 'UTC')",
    ),
}
