"""Each type of attribute: the code says what the blueprint says; right values are right, and wrong ones wrong."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AwareDatetime, Field, StrictBool, TypeAdapter, ValidationError

from app.core import decimals, documents, instants, numbers, pagination, text
from blueprint_tool.model import Attribute
from blueprint_tool.rendering import kinds
from blueprint_tool.rendering.samples import shown_default, written, wrong
from blueprint_tool.variety import values
from tests.blueprint.blueprints import only_attribute

TYPES: dict[str, Any] = {
    **{
        name: value
        for module in (decimals, documents, instants, numbers, pagination, text)
        for name, value in vars(module).items()
    },
    "Annotated": Annotated,
    "AwareDatetime": AwareDatetime,
    "Field": Field,
    "Literal": Literal,
    "StrictBool": StrictBool,
    "UTC": UTC,
    "date": date,
    "datetime": datetime,
    "Decimal": Decimal,
    "UUID": UUID,
}
OPTIONS = [
    '"type": "int"',
    '"type": "int", "min": -3, "max": 100',
    '"type": "int", "max": 0',
    '"type": "bigint"',
    '"type": "bigint", "min": 5',
    '"type": "string"',
    '"type": "string", "max_length": 2',
    '"type": "text", "nullable": true',
    '"type": "bool"',
    '"type": "float"',
    '"type": "float", "min": 0.5, "max": 3',
    '"type": "decimal"',
    '"type": "decimal", "precision": 18, "scale": 8, "min": "-2.5", "max": "2.5"',
    '"type": "decimal", "precision": 4, "scale": 0, "max": "12"',
    '"type": "date"',
    '"type": "date", "min": "2020-02-29", "max": "2030-01-01"',
    '"type": "datetime"',
    '"type": "datetime", "max": "2020-01-01T00:00:00Z"',
    '"type": "uuid"',
    '"type": "json"',
    '"type": "email"',
    '"type": "email", "max_length": 60',
    '"type": "url"',
    '"type": "enum", "choices": ["in port", "at sea", "lost"]',
    '"type": "enum", "choices": ["nothing of the kind"]',
    '"type": "email", "max_length": 6',
    '"type": "url", "max_length": 8',
    '"type": "int", "min": 2147483647',
    '"type": "int", "max": -2147483648',
    '"type": "bigint", "min": -9223372036854775808, "max": -9223372036854775807',
    '"type": "decimal", "precision": 1, "scale": 1, "min": "0.9"',
    '"type": "decimal", "precision": 3, "scale": 3, "max": "-0.998"',
    '"type": "date", "min": "0001-01-01", "max": "9999-12-31"',
    '"type": "date", "max": "0001-01-02"',
    '"type": "datetime", "min": "9999-12-31T23:59:59.999999Z"',
    '"type": "datetime", "max": "0001-01-01T00:00:00.000002Z"',
    '"type": "datetime", "min": "2026-01-01T00:00:00Z", "max": "2026-01-01T00:00:01Z"',
    '"type": "float", "min": 1e300, "max": 1e300',
    '"type": "float", "max": -1.7976931348623157e308',
    '"type": "float", "min": 1.0, "max": 1.0000000000000002',
]


def value_of(source: str) -> Any:
    """What the source stands for, among the names that the generated files import."""
    return eval(source, dict(TYPES))  # noqa: S307  our own texts


def adapter(attribute: Attribute) -> TypeAdapter[Any]:
    kind = value_of(kinds.given_type(attribute))
    return TypeAdapter(kind | None if attribute.nullable else kind)


@pytest.mark.parametrize("options", OPTIONS)
def test_values_are_allowed_and_come_back_as_they_were_written(options: str) -> None:
    attribute = only_attribute(options)
    found = values(attribute)
    assert 1 <= len(found) <= 3
    for value in found:
        sent = written(attribute, value)
        read = adapter(attribute).validate_python(sent)
        assert read == (str(value) if attribute.type in {"email", "url"} else value)
        assert TypeAdapter(Any).dump_python(read, mode="json") == sent or attribute.type == "decimal"


@pytest.mark.parametrize("options", OPTIONS)
def test_wrong_values_are_refused(options: str) -> None:
    attribute = only_attribute(options)
    faults = list(wrong(attribute))
    assert faults
    for fault in faults:
        with pytest.raises(ValidationError):
            adapter(attribute).validate_python(value_of(fault.value))


@pytest.mark.parametrize("options", OPTIONS)
def test_filters_read_what_answers_say(options: str) -> None:
    attribute = only_attribute(options)
    if attribute.type in kinds.LONG:
        assert not attribute.filterable
        return
    asked = value_of(kinds.asked_type(attribute, kinds.given_type(attribute)))
    for sample in (written(attribute, value) for value in values(attribute)):
        said = str(sample).lower() if isinstance(sample, bool) else str(sample)
        assert TypeAdapter(asked).validate_python(said) == adapter(attribute).validate_python(sample)


@pytest.mark.parametrize("options", OPTIONS)
def test_document_has_no_words_that_json_schema_does_not_know(options: str) -> None:
    schema = adapter(only_attribute(options)).json_schema()
    own = [schema, *schema.get("anyOf", ())]
    assert all(not {"ge", "le", "gt", "lt", "max_digits", "decimal_places"} & one.keys() for one in own)


@pytest.mark.parametrize(
    ("options", "column"),
    [
        ('"type": "int"', "size: int"),
        ('"type": "int", "nullable": true', "size: int | None = None"),
        ('"type": "int", "default": 3', "size: int = 3"),
        ('"type": "int", "nullable": true, "default": 3', "size: int | None = None"),
        ('"type": "bigint"', "size: int = Field(sa_type=BigInteger)"),
        ('"type": "string", "max_length": 9', "size: str = Field(max_length=9)"),
        ('"type": "bool", "default": false', "size: bool = False"),
        (
            '"type": "decimal", "default": "0.5"',
            'size: Decimal = Field(default=Decimal("0.50"), sa_type=ExactDecimal(18, 2))',
        ),
        ('"type": "datetime"', "size: datetime"),
        (
            '"type": "json"',
            "size: Any = Field(sa_type=Json, sa_column_kwargs=replaced_whole(), nullable=False)",
        ),
        ('"type": "email", "secret": true', "size: str = Field(max_length=254, sa_column_kwargs=hidden())"),
        ('"type": "enum", "choices": ["a"]', "size: str = Field(max_length=63)"),
    ],
)
def test_columns(options: str, column: str) -> None:
    assert kinds.column(only_attribute(options)) == column


@pytest.mark.parametrize(
    ("options", "default", "left_out"),
    [
        ('"type": "decimal", "default": "2"', "2.00", 'Decimal("2.00")'),
        ('"type": "date", "default": "2026-01-31"', "2026-01-31", "date(2026, 1, 31)"),
        (
            '"type": "datetime", "default": "2026-01-31T12:00:00+02:00"',
            "2026-01-31T10:00:00Z",
            "Field(default_factory=now)",
        ),
        ('"type": "enum", "choices": ["b", "a"]', None, "'b'"),
        ('"type": "string"', None, '""'),
        ('"type": "string", "nullable": true', None, "None"),
    ],
)
def test_defaults(options: str, default: object, left_out: str) -> None:
    attribute = only_attribute(options)
    assert shown_default(attribute) == default
    assert kinds.left_out(attribute) == left_out


@pytest.mark.parametrize(
    "value",
    [
        True,
        -5,
        1.5,
        'it\'s "quoted"',
        Decimal("1E-8"),
        date(2024, 2, 29),
        UUID(int=7),
        None,
        {"a": [1, None]},
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 30, 5, 7, tzinfo=UTC),
    ],
)
def test_literals_are_the_values(value: object) -> None:
    assert value_of(kinds.literal(value)) == value
