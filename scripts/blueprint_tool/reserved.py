"""Words that can't be names, because the generated code, the databases or the libraries have another use for them."""

import builtins
import keyword
import sys


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEYWORDS = frozenset(keyword.kwlist)
# What a variable of the generated code can't be called, should not, or is called already.
VARIABLES = (
    KEYWORDS
    | {name for name in dir(builtins) if name.islower()}
    | _words("api caller created data hard query request response router row self service")
)

# Reserved by PostgreSQL 13 to 18 or by SQLite: as a table or column each would have to be quoted everywhere.
SQL = _words(
    """
    add all alter analyse analyze and any array as asc asymmetric authorization autoincrement between binary both
    case cast check collate collation column commit concurrently constraint create cross current_catalog
    current_date current_role current_schema current_time current_timestamp current_user default deferrable delete
    desc distinct do drop else end escape except exists false fetch for foreign freeze from full grant group having
    if ilike in index initially inner insert intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural new not nothing notnull null of off offset old on only or order outer over overlaps placing
    primary references returning right select session_user set similar some symmetric system_user table tablesample
    then to trailing transaction true union unique update user using values variadic verbose when where window with
    """
)

# Those of them that can't be the name of a joined table unless they are quoted, which SQLAlchemy does not know.
ALIASES = _words("collation concurrently lateral nothing returning tablesample")

# Columns that every table has, or gets with an option.
COLUMNS = _words(
    """
    pk id created_at created_by updated_at updated_by deleted_at deleted_by version search_text
    """
)

# Names of pydantic's and SQLModel's classes, and of ours: a field of that name would hide them.
CLASS_MEMBERS = _words(
    """
    cls construct copy dict from_orm json metadata parse_file parse_obj parse_raw registry schema schema_json searchable
    sqlmodel_update update_forward_refs validate
    """
)

# What the code of a class names: a field `date` with a default would stand for the type in all further lines.
TYPES = _words(
    """
    bool bytes classmethod date datetime float frozenset int list now object property set staticmethod str super tuple
    uuid
    """
)

# Parameters and members of the query of a list, which a filter would hide.
LIST_PARAMETERS = _words(
    """
    count cursor default_sort deleted digest filters link_base order page per_page q sort sortable
    """
)

# Classes that the code of a module imports beside the entity, or that an ending of the entity's own would hide.
CLASSES = _words(
    """
    Annotated Any Base BaseModel BaseRepository BigInteger Boolean ClassVar Column ColumnElement ConfigDict Conflict
    Date DateTime Decimal Double Entity Enum ExactDecimal Field Float Forbidden ForeignKey Index Integer Invalid JSON
    Json Key Links Listing Literal Module NotFound Numeric Page Principal Privilege Record Resource SQLModel Searchable
    Self SmallInteger String Table Text Time UnitOfWork UUID Uuid Where
    """
)
BUILTINS = frozenset(dir(builtins))

# Endings of the classes that are made for an entity: `Product` has a `ProductRead`.
SUFFIXES = ("Create", "Update", "Summary", "Read", "Query", "Search", "Ref", "Repository", "Service")

# Folders of modules, paths below the API and beside it, and members of a service, which knows others by their tables.
MODULES = _words(
    """
    admin alembic_version api app assets auth console core create delete docs health key_of keys_of metrics modules
    openapi page page_mine read redoc reset_password restore search static system tests uow update
    """
)
LIBRARY = sys.stdlib_module_names

TABLE_PREFIXES = ("audit_", "pg_", "sqlite_", "test_", "my_")

# Actions that every module has, and parts of paths that mean something else.
ACTIONS = frozenset({"read", "create", "update", "delete", "purge", "restore", "search", "my", "privileges"})
