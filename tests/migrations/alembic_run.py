"""Alembic against a database of its own, with revisions of a test's own after those of the program."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from textwrap import indent
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.core.config import ROOT
from app.migrations import configuration

VERSIONS = ROOT / "alembic" / "versions"
REVISION = '''"""planted"""

import sqlalchemy as sa
from alembic import op

from app.core.migration import batch_alter

revision = "{name}"
down_revision = "{below}"
branch_labels = None
depends_on = None


def upgrade():
{up}


def downgrade():
{down}
'''


def heads() -> Sequence[str]:
    """The newest revisions of the program."""
    return ScriptDirectory.from_config(configuration()).get_heads()


@dataclass
class Migrations:
    """One database and what is done to it. `folder` holds planted revisions."""

    url: str
    folder: Path
    printed: StringIO = field(default_factory=StringIO)

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    @property
    def config(self) -> Config:
        made = configuration(make_url(self.url))
        made.set_main_option("version_locations", f"{VERSIONS}{os.pathsep}{self.folder}")
        made.set_main_option("path_separator", "os")
        made.stdout = self.printed
        return made

    async def run(self, what: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """A command of Alembic's. In a thread: its environment has an event loop of its own."""
        return await asyncio.to_thread(what, self.config, *arguments, **options)

    async def upgrade(self, to: str = "heads") -> None:
        await self.run(command.upgrade, to)

    async def downgrade(self, to: str) -> None:
        await self.run(command.downgrade, to)

    def plant(self, name: str, up: str, down: str = "pass", *, below: str | None = None) -> None:
        """Writes a revision above the head, or above another planted one."""
        body = REVISION.format(
            name=name, below=below or heads()[0], up=indent(up, "    "), down=indent(down, "    ")
        )
        self.folder.mkdir(exist_ok=True)
        (self.folder / f"{name}.py").write_text(body)

    async def query(
        self, statement: str, values: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """Runs one statement on a connection of its own, and commits; its rows."""
        engine = create_async_engine(self.url, poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                if self.is_sqlite:
                    await connection.exec_driver_sql("PRAGMA foreign_keys=ON")
                result = await connection.execute(text(statement), dict(values or {}))
                return [tuple(row) for row in result] if result.returns_rows else []
        finally:
            await engine.dispose()

    async def tables(self) -> set[str]:
        """Names of the tables, without the databases' own."""
        sqlite = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        postgres = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        return {name for (name,) in await self.query(sqlite if self.is_sqlite else postgres)}

    async def indexes(self) -> dict[str, str]:
        """The statements of all indexes, as the database keeps them."""
        sqlite = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        postgres = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        rows = await self.query(sqlite if self.is_sqlite else postgres)
        return {name: " ".join(statement.split()) for name, statement in rows}

    async def constraints(self) -> dict[str, str]:
        """Constraints as PostgreSQL prints them; on SQLite, which keeps only text, the keys that count up."""
        if self.is_sqlite:
            rows = await self.query("SELECT name, upper(sql) FROM sqlite_master WHERE type = 'table'")
            return {name: str("AUTOINCREMENT" in statement) for name, statement in rows}
        rows = await self.query(
            "SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace"
        )
        return {str(name): str(statement) for name, statement in rows}

    async def add_user(self, email: str) -> int:
        """A row in `users`, past the program; its key."""
        await self.query(
            "INSERT INTO users (id, created_at, updated_at, version, email, password_hash, is_blocked, "
            "auth_version, rights_version, search_text) VALUES (:id, :now, :now, 1, :email, 'x', :no, 1, 1, '')",
            {"id": _uuid(self.is_sqlite), "now": _now(self.is_sqlite), "email": email, "no": False},
        )
        ((pk,),) = await self.query("SELECT pk FROM users WHERE email = :email", {"email": email})
        return int(pk)

    async def add_session(self, user_pk: int) -> None:
        """A child row of a user's."""
        await self.query(
            "INSERT INTO sessions (id, created_at, user_pk, auth_version, expires_at, last_used_at) "
            "VALUES (:id, :now, :user, 1, :now, :now)",
            {"id": _uuid(self.is_sqlite), "now": _now(self.is_sqlite), "user": user_pk},
        )

    async def count(self, table: str) -> int:
        ((number,),) = await self.query(f"SELECT count(*) FROM {table}")  # noqa: S608  a name of ours
        return int(number)


def _uuid(is_sqlite: bool) -> object:
    from app.core.identifiers import uuid7  # noqa: PLC0415

    made = uuid7()
    return made.hex if is_sqlite else made


def _now(is_sqlite: bool) -> object:
    from app.core.clock import now  # noqa: PLC0415

    return now().isoformat(" ") if is_sqlite else now()
