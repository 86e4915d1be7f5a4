"""Rows of the change log into its table, by the connection that made the changes.

On PostgreSQL in one statement for any number of rows, handed to the driver as text: going through SQLAlchemy's
compiler and its types would cost more than the statement does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, insert

from app.core.audit import driver
from app.core.audit.models import AuditChange
from app.core.entity import table_of

_LOG = table_of(AuditChange)
# The same in all rows of a transaction, and what each row has of its own; by the types of their parameters.
_SHARED = {"occurred_at": "timestamptz", "tx_id": "uuid"} | dict.fromkeys(
    ("request_id", "origin", "actor_type", "actor_id", "client_ip"), "text"
)
_OWN = {
    "tx_seq": "integer",
    **dict.fromkeys(("action", "cause", "entity", "entity_id", "changed", "old", "new"), "text"),
    "truncated": "boolean",
    "redacted": "boolean",
    "reason": "text",
}
_JSON = ("changed", "old", "new")
_NAMES = ", ".join((*_SHARED, *_OWN))
# The transaction's number comes from below the rows: it is drawn before their ids are.
_POSTGRES = (
    "WITH writing AS MATERIALIZED (SELECT pg_current_xact_id()::text::bigint AS xid) "  # noqa: S608  made of constants
    f"INSERT INTO audit_change (xid, {_NAMES}) SELECT writing.xid, "
    + ", ".join(f"${n}::{kind}" for n, kind in enumerate(_SHARED.values(), 1))
    + ", "
    + ", ".join(f"{name}::jsonb" if name in _JSON else name for name in _OWN)
    + " FROM writing, unnest("
    + ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_OWN.values(), len(_SHARED) + 1))
    + f") AS row ({', '.join(_OWN)})"
)


def add(connection: Connection, shared: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds rows: the columns that they share, and their own. Raises what the database raises."""
    if connection.dialect.name != "postgresql":
        connection.execute(insert(_LOG), [{**shared, **row} for row in rows])
        return
    own = (
        [None if row[name] is None else orjson.dumps(row[name]).decode() for row in rows]
        if name in _JSON
        else [row[name] for row in rows]
        for name in _OWN
    )
    driver.fetch(connection, _POSTGRES, (*(shared[name] for name in _SHARED), *own))
