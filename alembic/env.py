"""Alembic's environment: async, models through the registry, one file for SQLite and PostgreSQL."""

import asyncio
import warnings
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.util import CommandError
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from app.core.audit.revisions import RevisionLog
from app.core.config import RefusedStart, load_settings
from app.core.context import acting_as
from app.core.database import private_file
from app.core.decimals import ExactDecimal
from app.core.entity import metadata
from app.core.portable import make_portable
from app.registry import discover

_LOCK = 7_305_441_102_559_841_877  # any number that is ours: one migration at a time
_LOCK_TIMEOUT = "5s"

# SQLite can't reflect indexes on expressions; PostgreSQL compares them, and CI asks both.
warnings.filterwarnings("ignore", message=".*expression-based index")
discover()  # imports every module's models


def _url() -> URL:
    given: URL | None = context.config.attributes.get("url")
    if given is not None:
        return given
    try:
        return load_settings().database
    except RefusedStart as refusal:
        raise CommandError(str(refusal)) from None


def _render(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """SQLModel's types and our own as plain SQLAlchemy, so that revisions depend on nothing else."""
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, ExactDecimal):
        return f"sa.Numeric(precision={item.precision}, scale={item.scale})"
    return False


def _compare_type(
    _context: object, _inspected: object, _column: object, inspected_type: Any, metadata_type: Any
) -> bool | None:
    """Instants are the same under either name."""
    if isinstance(metadata_type, UTCDateTime) and isinstance(inspected_type, sa.DateTime):
        return False
    return None


def _configure(**options: Any) -> None:
    context.configure(
        target_metadata=metadata,
        render_item=_render,
        compare_type=_compare_type,
        render_as_batch=True,  # a revision made on either database has to run on both
        transaction_per_migration=False,
        process_revision_directives=make_portable,
        **options,
    )


def _migrate(connection: Connection) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        # Re-creating a parent table must not delete its children; has no effect inside a transaction.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("PRAGMA busy_timeout=60000")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        # Waits for another migration as long as it takes; for the application's locks only a little.
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({_LOCK})")
        connection.exec_driver_sql(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        connection.commit()
    log = RevisionLog(connection)
    _configure(connection=connection, on_version_apply=log.applied)
    with context.begin_transaction():
        context.run_migrations()
        log.write()
    if is_sqlite:
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            connection.exec_driver_sql("ROLLBACK")
            raise RuntimeError(f"the migration leaves dangling references: {broken[:5]}")
        connection.exec_driver_sql("COMMIT")
    else:
        connection.commit()


async def _online() -> None:
    url = _url()
    options = {} if url.get_backend_name() == "postgresql" else {"isolation_level": "AUTOCOMMIT"}
    if url.get_backend_name() == "sqlite":
        private_file(Path(url.database or ""))
    engine = create_async_engine(url, poolclass=NullPool, **options)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate)
    finally:
        await engine.dispose()


def _offline() -> None:
    _configure(url=_url(), literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()


with acting_as("system", origin="migration"):
    if context.is_offline_mode():
        _offline()
    else:
        asyncio.run(_online())
