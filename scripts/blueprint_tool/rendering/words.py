"""How things are called in the code of a module, and in its sentences."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from blueprint_tool import reserved
from blueprint_tool.model import Entity

_SCHEMAS = Path(__file__).parent / "templates" / "schemas.py.mako"
_IMPORTED = frozenset(
    name
    for line in re.findall(r"^from \S+ import (.+)$", _SCHEMAS.read_text(encoding="utf-8"), re.MULTILINE)
    for name in line.split(", ")
)


def pascal(name: str) -> str:
    """`unit_price` is `UnitPrice`."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def capital(text: str) -> str:
    """With a capital at its beginning."""
    return text[:1].upper() + text[1:]


def quoted(words: Iterable[str]) -> str:
    """Texts as parts of a tuple, a list or a set: each with its comma, so that one alone is a tuple too."""
    return "".join(f'"{word}", ' for word in words)


def mapping(fields: Mapping[str, str]) -> str:
    """A dictionary of names with source for their values."""
    return f"{{{', '.join(f'{name!r}: {value}' for name, value in fields.items())}}}"


def series(parts: Sequence[str]) -> str:
    """`title, description and code`."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def either(parts: Sequence[str]) -> str:
    """`title, description or code`."""
    return " or ".join(series(parts).rsplit(" and ", 1)) if len(parts) > 1 else parts[0]


def alias_names(entity: Entity, attributes: Iterable[str]) -> dict[str, str]:
    """A name for the type of each of these attributes: its own in capitals, unless something else is called so."""
    taken = {entity.name, *(f"{entity.name}{suffix}" for suffix in (*reserved.SUFFIXES, "Columns", "Row"))}
    taken |= {f"My{entity.name}Query"} | reserved.CLASSES | reserved.BUILTINS | _IMPORTED
    found: dict[str, str] = {}
    for attribute in attributes:
        found[attribute] = _first_free(entity, pascal(attribute), taken | set(found.values()))
    return found


def _first_free(entity: Entity, name: str, taken: Collection[str]) -> str:
    wanted = (name, f"{entity.name}{name}", f"{entity.name}{name}Value", f"{entity.name}{name}Kind")
    return next(one for one in wanted if one not in taken)
