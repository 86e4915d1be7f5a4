"""Values that bodies and queries may hold: what is taken, what is refused, what comes back."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from app.core.decimals import IN_TEXT, Exact, ExactDecimal, fixed_point
from app.core.documents import Document
from app.core.instants import Day
from app.core.numbers import Finite, FiniteFilter, Int32, Int32Filter, Int64, Int64Filter
from app.core.pagination import PageQuery
from app.core.text import Url

Price = Annotated[Decimal, Field(max_digits=6, decimal_places=2, ge=0), IN_TEXT]


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (Int32, -(2**31), -(2**31)),
        (Int32, 2**31 - 1, 2**31 - 1),
        (Int64, 2**63 - 1, 2**63 - 1),
        (Int32Filter, "-5", -5),
        (Int64Filter, str(-(2**63)), -(2**63)),
        (Finite, 5, 5.0),
        (Finite, 1e300, 1e300),
        (FiniteFilter, "-1.5e-3", -0.0015),
        (Price, "9999.99", Decimal("9999.99")),
        (Price, "12.5", Decimal("12.50")),
        (Day, "2024-02-29", date(2024, 2, 29)),
        (Url, "https://example.com:8443/a?b=c#d", "https://example.com:8443/a?b=c#d"),
        (Document, {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        (Document, 2**53, 2**53),
        (Document, False, False),
    ],
)
def test_value_is_taken(kind: Any, given: object, value: object) -> None:
    assert TypeAdapter(kind).validate_python(given) == value


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        *((Int32, given) for given in (2**31, "5", 5.0, True, None)),
        *((Int64, given) for given in (2**63, -(2**63) - 1)),
        *((Int32Filter, given) for given in ("1_000", "+5", " 5", "5.0", "٣", "")),
        *((Int64Filter, given) for given in (str(2**63), "1" * 20)),
        *((Finite, given) for given in ("1.5", True, float("nan"), float("inf"))),
        *((FiniteFilter, given) for given in ("nan", "inf", "1e999", "0x1", "1_0", "")),
        *(
            (Price, given)
            for given in (12.5, 12, "-0.01", "12.505", "12345.00", "1e2", " 1", "NaN", "1.", "", None)
        ),
        *((Day, given) for given in (20240229, "2023-02-29", "2024-02-29T00:00:00Z", "20240229", "")),
        *(
            (Url, given)
            for given in ("javascript:alert(1)", "ftp://a.b", "https://", "//a.b", "/path", "x" * 2001)
        ),
        *(
            (Url, given)
            for given in ("https://a.b/ c", "https://a.b/\n", "https://[::1", "https://a.b:99999/")
        ),
        *((Document, given) for given in (None, "\x00", {"a\x00": 1}, [[2**53 + 1]], 1e300)),
    ],
)
def test_value_is_refused(kind: Any, given: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(given)


def test_minus_zero_is_zero() -> None:
    assert str(TypeAdapter(Finite).validate_python(-0.0)) == "0.0"


def test_document_may_be_nested_deeper_than_calls() -> None:
    nested: Any = 1
    for _ in range(5000):
        nested = [nested]
    assert TypeAdapter(Document).validate_python(nested) is nested


def test_decimals_are_texts_without_exponents() -> None:
    adapter = TypeAdapter(Exact)
    assert adapter.dump_json(Decimal("1E-8")) == b'"0.00000001"'
    assert adapter.json_schema()["format"] == "decimal"
    assert adapter.json_schema(mode="serialization")["type"] == "string"
    assert fixed_point(Decimal("1E+3")) == "1000"


def test_link_of_a_page_says_decimals_as_they_are_read() -> None:
    class Query(PageQuery):
        price: Exact | None = None

    assert "price=0.00000001&" in Query(price=Decimal("1E-8")).link_base("/things")


@pytest.mark.parametrize(("precision", "scale"), [(19, 2), (2, 3), (5, -1)])
def test_column_of_too_many_digits_is_refused(precision: int, scale: int) -> None:
    with pytest.raises(ValueError, match="at most 18 digits"):
        ExactDecimal(precision, scale)


def test_instants_are_no_days() -> None:
    assert isinstance(TypeAdapter(Day).validate_python("2026-01-01"), date)
    assert datetime(2026, 1, 1, tzinfo=UTC).date() == TypeAdapter(Day).validate_python("2026-01-01")
