"""What is put into a page is escaped; the reference of errors shows what the classes say."""

from string import Template
from typing import cast

import pytest

from app.core.errors import AppError
from app.pages.errors_page import errors_html
from app.pages.landing import landing_html
from app.pages.rendering import Html, fill, prose


def _problem(name: str, bases: tuple[type, ...] = (), **attributes: object) -> type[AppError]:
    """As an error class looks from outside; a real one would stay in the catalogue of all later tests."""
    return cast("type[AppError]", type(name, bases, attributes))


def test_errors_page_explains_and_escapes() -> None:
    planted = _problem(
        "Planted", status=418, code="planted", title="<script>x()</script>", __doc__='Sent `<b>` & "quotes".'
    )

    html = errors_html([planted])

    assert "<script>" not in html
    assert "&lt;script&gt;x()&lt;/script&gt;" in html
    assert "Sent <code>&lt;b&gt;</code> &amp; &quot;quotes&quot;." in html
    assert 'id="planted"' in html
    assert "418</span> I&#x27;m a Teapot" in html


def test_error_without_docstring_has_no_borrowed_one() -> None:
    parent = _problem("Parent", status=409, code="parent", title="Parent", __doc__="What the parent means.")
    child = _problem("Child", (parent,), status=409, code="child", title="Child")

    assert "What the parent means." in errors_html([parent])
    assert "What the parent means." not in errors_html([child])


def test_interpolation_is_escaped() -> None:
    hostile = "\"><img src=x onerror='x()'>"

    assert fill(Template('<a title="$x">'), x=hostile) == (
        '<a title="&quot;&gt;&lt;img src=x onerror=&#x27;x()&#x27;&gt;">'
    )
    assert fill(Template("$x"), x=Html("<b>ours</b>")) == "<b>ours</b>"
    assert prose("one\n  `<two>`") == "one <code>&lt;two&gt;</code>"
    assert hostile not in landing_html(docs_enabled=True, version=hostile)


def test_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill(Template("$here $missing"), here="x")
