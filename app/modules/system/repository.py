"""Asks database and cache how they are."""

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import column, literal_column, select, table

from app.core.audit.writer import AccessWriter
from app.core.config import ROOT
from app.core.errors import AppError
from app.core.platform import Platform
from app.core.query import Query
from app.modules.system.models import State

_REVISION = Query(select(column("version_num")).select_from(table("alembic_version")))
_VERSIONS = {
    True: Query(select(literal_column("sqlite_version()").label("version"))),
    False: Query(select(literal_column("current_setting('server_version')").label("version"))),
}


class SystemRepository:
    """States and versions; never raises for a part that is down."""

    def __init__(self, platform: Platform, access: AccessWriter | None = None) -> None:
        """Looks at the parts of a running program; `access` is None where no requests are served."""
        self.platform = platform
        self.access = access

    async def database(self) -> State:
        """Whether the database answers; degraded where a fallback stands in for the one that was asked for."""
        try:
            await self.platform.database.ping()
        except AppError:
            return State.UNAVAILABLE
        return State.DEGRADED if self.platform.database.fallback else State.OK

    async def cache(self) -> State:
        """Whether the cache answers. Without it everything works, only slower."""
        return State.OK if await self.platform.cache.ping() else State.DEGRADED

    async def migrations(self) -> State:
        """Whether the schema is this program's or a later one's."""
        revision = await self.revision()
        if revision is None:
            return State.UNAVAILABLE
        known = known_revisions()
        # A revision that is not known here is ahead of the code: a newer program migrated already.
        return State.OK if revision == known[0] or revision not in known else State.UNAVAILABLE

    def audit(self) -> State:
        """Whether the access log reaches its table; degraded while rows go to a file, unavailable without one."""
        if self.access is None or not self.access.is_spooling:
            return State.OK
        return State.UNAVAILABLE if self.access.is_blocked else State.DEGRADED

    async def revision(self) -> str | None:
        """The schema's revision; None where there is none, or no database."""
        try:
            rows = await self.platform.database.fetch(_REVISION, {})
        except Exception:  # noqa: BLE001  no table: not migrated
            return None
        return str(rows[0][0]) if rows else None

    async def version(self) -> str:
        """The database server's version."""
        rows = await self.platform.database.fetch(_VERSIONS[self.platform.database.is_sqlite], {})
        return str(rows[0][0])


@cache
def known_revisions(folder: Path = ROOT / "alembic") -> list[str]:
    """All revisions of this program, the head first."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
