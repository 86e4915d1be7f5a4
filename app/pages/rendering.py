"""Templates of the standard library: `$name` is replaced, and everything that isn't `Html` is escaped."""

import re
from functools import cache
from html import escape
from pathlib import Path
from string import Template

TEMPLATES = Path(__file__).parent / "templates"


class Html(str):
    """Markup that is safe already, made by this package; plain strings never are."""

    __slots__ = ()


@cache
def _template(name: str) -> Template:
    return Template((TEMPLATES / name).read_text(encoding="utf-8"))


def render(name: str, **values: str) -> Html:
    """The template with its values; KeyError if one is missing."""
    return fill(_template(name), **values)


def fill(template: Template, **values: str) -> Html:
    """As `render`, for a template at hand."""
    return Html(template.substitute({name: as_html(value) for name, value in values.items()}))


def as_html(value: str) -> Html:
    """The value itself if it is `Html`, else escaped for text and quoted attributes."""
    return value if isinstance(value, Html) else Html(escape(value, quote=True))


def joined(parts: list[Html]) -> Html:
    """One piece of markup, a line each."""
    return Html("\n".join(parts))


def prose(text: str) -> Html:
    """A docstring as markup: escaped, `code` marked, line breaks folded."""
    folded = " ".join(text.split())
    return Html(re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escape(folded)))
