"""Migrates a database in a process of its own."""

import asyncio

from sqlalchemy.engine import make_url

from app.migrations import upgrade
from app.registry import discover

discover()  # as `alembic/env.py` does, once for all of them


def run(url: str) -> None:
    """To the newest schema."""
    asyncio.run(upgrade(make_url(url)))
