"""What rows that are there get in a new column; and texts brought into the style of the house."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import pytest

from app.core.config import ROOT
from blueprint_tool.applying.filling import constant, fillings
from blueprint_tool.model import Attribute, AttributeType, Entity
from blueprint_tool.refusals import Refused
from blueprint_tool.rendering.formatting import formatted


def filled(kind: AttributeType, **options: Any) -> str | None:
    entity = Entity("Probe", "probes", (Attribute("x", kind, **options),))
    return fillings([entity])["probes"].get("x")


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("int", {}, "0"),
        ("int", {"min": 3}, "3"),
        ("int", {"min": -3}, "0"),
        ("decimal", {"min": Decimal("1.50")}, "1.50"),
        ("string", {}, ""),
        ("string", {"has_default": True, "default": "it's"}, "it's"),
        ("bool", {}, "0"),
        ("bool", {"has_default": True, "default": True}, "1"),
        ("enum", {"choices": ("new", "old")}, "new"),
        ("enum", {"choices": ("new", "old"), "has_default": True, "default": "old"}, "old"),
        ("json", {}, "{}"),
        ("json", {"has_default": True, "default": ["ä"]}, '["ä"]'),
        ("date", {}, "1970-01-01"),
        ("uuid", {}, "0" * 32),
        ("string", {"unique": True}, None),
        ("email", {}, None),
        ("url", {}, None),
        ("email", {"has_default": True, "default": "ada@example.com"}, "ada@example.com"),
        ("int", {"max": -3}, "-3"),
        ("date", {"min": date(2020, 2, 29)}, "2020-02-29"),
        ("date", {"max": date(1, 1, 1)}, "0001-01-01"),
        ("datetime", {"max": datetime(1, 1, 1, tzinfo=UTC)}, "0001-01-01 00:00:00.000000"),
        ("decimal", {"max": Decimal("-1E-8"), "precision": 18, "scale": 8}, "-0.00000001"),
        ("float", {"min": 1e300}, "1e+300"),
        ("json", {"has_default": True, "default": "x"}, '"x"'),
        ("json", {"has_default": True, "default": True}, "true"),
    ],
)
def test_filling(kind: AttributeType, options: dict[str, Any], expected: str | None) -> None:
    assert filled(kind, **options) == expected


@pytest.mark.parametrize("kind", sorted({*get_args(AttributeType)} - {"email", "url", "enum"}))
def test_every_other_type_has_a_filling(kind: AttributeType) -> None:
    assert isinstance(filled(kind), str)


def test_instants_are_written_in_utc() -> None:
    instant = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert constant(instant) == constant(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01 00:00:00.000000"
    assert constant(UUID(int=1)) == "0" * 31 + "1"


def test_texts_get_the_style_of_the_house() -> None:
    given = {"app/x.py": "import sys\nfrom app import y\nimport os\nprint( os, y )\n", "docs/x.md": "# X\n"}
    made = formatted(given, ROOT)
    assert made == {"app/x.py": "import os\n\nfrom app import y\n\nprint(os, y)\n", "docs/x.md": "# X\n"}
    assert formatted(made, ROOT) == made


def test_text_that_is_no_python_is_refused() -> None:
    with pytest.raises(Refused, match=r"ruff can't format what was generated: .*x\.py"):
        formatted({"app/x.py": "def (\n"}, ROOT)
