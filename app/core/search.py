"""Search by beginnings of words, equal on every database: a derived column, and LIKE on it.

`search_text` holds the case-folded texts of a row with a mark before each beginning of a word. Folding is
done here (NFKC and Unicode case folding) and not by the database: SQLite folds ASCII only.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy import ColumnElement, Text, and_, bindparam, case, event, true
from sqlmodel import Field, SQLModel, col

from app.core.listing import Lead, SortKey, Where

WORD = "\x1f"  # stands before each beginning of a word
END_OF_FIRST = "\x1e"  # stands behind the first text, so that a hit in it can be told
_MARKS = re.compile(f"[{WORD}{END_OF_FIRST}]")
# Accents and vowel signs belong to the letter before them, but are no `\w`.
_ACCENTS = "".join(char for char in map(chr, range(0x20000)) if unicodedata.category(char)[0] == "M")
# A word begins after white space, and where a letter or digit follows something that is neither.
_BEGINNING = re.compile(rf"(?:(?<=\s)|^)(?=\S)|(?<=[^\w\s{_ACCENTS}])(?=\w)|(?<=_)(?=[^\W_])")


class Searchable(SQLModel):
    """Mixin of table classes: keeps `search_text` up to date. `searchable` names the columns, the weightiest first."""

    searchable: ClassVar[tuple[str, ...]]
    search_text: str = Field(
        default="", sa_type=Text, sa_column_kwargs={"info": {"derived": True, "audit": "exclude"}}
    )


@event.listens_for(Searchable, "before_insert", propagate=True)
@event.listens_for(Searchable, "before_update", propagate=True)
def _derive(_mapper: object, _connection: object, target: Searchable) -> None:
    derived = search_text_of([getattr(target, name) for name in target.searchable])
    if target.search_text != derived:
        target.search_text = derived


def search_text_of(texts: Sequence[str | None]) -> str:
    """What is kept of a row's texts, the weightiest first."""
    first, *others = (text or "" for text in texts)
    return marked(first) + END_OF_FIRST + marked(" ".join(others))


def folded(text: str) -> str:
    """One reading of a text: NFKC, case-folded, NFKC again (folding can undo the form)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def marked(text: str) -> str:
    """The folded text with a mark before each beginning of a word."""
    return _BEGINNING.sub(WORD, _MARKS.sub(" ", folded(text)))


def pieces(question: str) -> list[str]:
    """The parts of a question, each to begin a word; the same part twice counts once."""
    return list(dict.fromkeys(marked(part) for part in folded(question).split()))


def _escaped(piece: str) -> str:
    return piece.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def matching(model: type[Searchable], question: str) -> Where:
    """Rows in which every piece of the question begins a word. A question without pieces matches none."""
    found = pieces(question)
    values = {f"piece_{i}": f"%{_escaped(piece)}%" for i, piece in enumerate(found)}
    if not found:
        return Where(("search", 0), lambda: col(model.search_text).is_(None))
    return Where(("search", len(found)), lambda: _all_like(model, "piece_", len(found)), values)


def first_text_hits(model: type[Searchable], question: str) -> Lead:
    """Sorts rows before the others whose first text alone holds every piece."""
    found = pieces(question)
    values = {f"first_{i}": f"%{_escaped(piece)}%{END_OF_FIRST}%" for i, piece in enumerate(found)}
    rank = case((_all_like(model, "first_", len(found)), 1), else_=0)
    return Lead(SortKey(rank, descending=True, nullable=False), values)


def _all_like(model: type[Searchable], prefix: str, count: int) -> ColumnElement[bool]:
    text = col(model.search_text)
    return and_(
        true(), *(text.like(bindparam(f"{prefix}{i}", type_=Text), escape="\\") for i in range(count))
    )
