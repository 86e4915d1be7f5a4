"""Alembic from inside the program: to the head, safely with several processes at once."""

import asyncio

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import URL

from app.core.config import ROOT


def configuration(url: URL | None = None) -> Config:
    """Alembic's configuration; `url` instead of the one in the settings."""
    config = Config(str(ROOT / "alembic.ini"))
    config.set_main_option("script_location", str(ROOT / "alembic"))
    if url is not None:
        config.attributes["url"] = url
    return config


async def upgrade(url: URL) -> None:
    """Migrates to the head. The environment runs its own event loop, hence the thread."""
    await asyncio.to_thread(command.upgrade, configuration(url), "head")
