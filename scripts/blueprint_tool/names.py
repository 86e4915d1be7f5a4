"""Names: which ones an entity, a table and a field may have, and the words that follow from them."""

import re

from blueprint_tool import reserved

SNAKE = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
PASCAL = r"^[A-Z][A-Za-z0-9]*$"
MAX_ENTITY = 40
MAX_TABLE = 36  # leaves room for `ix_<table>_owner_pk_created_at_id`
MAX_FIELD = 40
MAX_IDENTIFIER = 63  # bytes, PostgreSQL's bound; our names are ASCII

_SMALL = re.compile(SNAKE)
_LARGE = re.compile(PASCAL)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Written with a vowel and spoken with a consonant, and the other way round.
_A = re.compile(r"eu|ewe|one|once|ubiq|uk|un(i(?!n|m)|i?$)|ur[aeiou]|us[aei]|ut[ei]|url")
_AN = re.compile(r"heir|honest|honou?r|hour|html|http|sms|sql|xml|x-?ray|mp|nda")

_OF_LIBRARIES = "is a name that pydantic or SQLModel uses"
# What no attribute and no relation can be called, and why.
_FIELDS = (
    (reserved.COLUMNS, "is a column that every table has anyway"),
    (reserved.KEYWORDS, "is a word of Python"),
    (reserved.ALIASES, "is a word of SQL"),
    (reserved.TYPES, "means something else in the code: say what it is of, such as start_date"),
    (reserved.CLASS_MEMBERS, _OF_LIBRARIES),
    ({"l"}, "is taken for the digit one in many fonts"),
)


def singular(entity: str) -> str:
    """`PortCall` is `port_call`, `HTTPRoute` is `http_route`."""
    return _HUMP.sub("_", entity).lower()


def operations(entity: str, table: str) -> frozenset[str]:
    """Names that the calls of a module have, or may get with an option."""
    one = singular(entity)
    each = {f"{verb}_{one}" for verb in ("create", "read", "update", "delete", "restore")}
    return frozenset({*each, f"list_{table}", f"list_my_{table}", f"search_{table}"})


def words(name: str) -> str:
    """`PortCall` and `port_call` are `port call`; with a table's name these are the words of many."""
    return (singular(name) if name[:1].isupper() else name).replace("_", " ")


def with_article(phrase: str) -> str:
    """`a port call`, `an order`, `an hour`, `a unit`."""
    spoken = _AN.match(phrase) is not None or (phrase[:1] in tuple("aeiou") and _A.match(phrase) is None)
    return f"{'an' if spoken else 'a'} {phrase}"


def entity_fault(name: str) -> str | None:
    """What is wrong with the name of an entity, in words that follow the name; None where nothing is."""
    if not _LARGE.fullmatch(name):
        return "is no name of an entity: letters and digits, each word with a capital, such as PortCall"
    if len(name) > MAX_ENTITY:
        return f"is too long: at most {MAX_ENTITY} characters"
    if name in reserved.CLASSES | reserved.BUILTINS:
        return "is a name that the code of every module uses already"
    if singular(name) in reserved.VARIABLES:
        return f"can't be an entity: its variable {singular(name)} would hide something else in the code"
    if singular(name).split("_")[0] == "test":
        return "begins with Test: pytest would take its code for tests"
    return None


def table_fault(table: str) -> str | None:
    """What is wrong with the name of a table, which is also the module's; None where nothing is."""
    if not _is_snake(table):
        return "is no name of a table: lower case words with single underscores, in the plural, such as port_calls"
    if len(table) > MAX_TABLE:
        return f"is too long: at most {MAX_TABLE} characters, because names of indexes are made of it"
    if table in reserved.KEYWORDS:
        return "is a word of Python"
    if table in reserved.SQL:
        return "is a word of SQL"
    if table in reserved.MODULES | reserved.LIBRARY:
        return "is the name of something else, in Python or in this program"
    if table.startswith(reserved.TABLE_PREFIXES):
        return f"begins with {table.partition('_')[0]}_, which means something else"
    return None


def attribute_fault(name: str) -> str | None:
    """What is wrong with the name of an attribute, which is also its column's; None where nothing is."""
    return relation_fault(name) or ("is a word of SQL" if name in reserved.SQL else None)


def relation_fault(name: str) -> str | None:
    """What is wrong with the name of a relation (`<name>_pk` is its column); None where nothing is."""
    if not _is_snake(name):
        return "is no name of a field: lower case letters and digits, words with single underscores between"
    if len(name) > MAX_FIELD:
        return f"is too long: at most {MAX_FIELD} characters"
    for words, fault in _FIELDS:
        if name in words:
            return fault
    if name.startswith("model_"):
        return _OF_LIBRARIES
    return "ends in _pk, as only keys do" if name.endswith("_pk") else None


def _is_snake(name: str) -> bool:
    return _SMALL.fullmatch(name) is not None


def action_fault(action: str) -> str | None:
    """What is wrong with the action of a privilege; None where nothing is."""
    if not _is_snake(action) or len(action) > MAX_FIELD:
        return f"is no action: at most {MAX_FIELD} lower case letters and digits, with single underscores between"
    return "is an action that means something already" if action in reserved.ACTIONS else None
