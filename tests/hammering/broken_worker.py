"""`python -m tests.hammering.broken_worker serve`: the program with checks that remember for a while.

What the rig is there to find: a session, a key or a right that was looked at a moment ago is taken for alive.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from operator import attrgetter
from typing import Any

import pytest

from app.auth.principal import Rights
from app.cli import run
from app.modules.auth.repository import Stamp
from app.modules.auth.repository_keys import KeyStamp
from app.modules.auth.service_principals import PrincipalService

SECONDS = 60.0
_known: dict[object, tuple[float, Any]] = {}


def _remembered(key: object) -> Any | None:
    until, value = _known.get(key, (0.0, None))
    return value if until > time.monotonic() else None


def _remember(key: object, value: Any) -> Any:
    _known[key] = (time.monotonic() + SECONDS, value)
    return value


def _hasty_life(
    is_alive: Callable[[Any, datetime], bool], name: Callable[[Any], object]
) -> Callable[[Any, datetime], bool]:
    def checked(stamp: Any, moment: datetime) -> bool:
        known: bool | None = _remembered(name(stamp))
        return _remember(name(stamp), is_alive(stamp, moment)) if known is None else known

    return checked


def _hasty_rights(
    rights_of: Callable[[Any, Any], Awaitable[Rights]],
) -> Callable[[Any, Any], Awaitable[Rights]]:
    async def checked(service: Any, stamp: Any) -> Rights:
        known: Rights | None = _remembered(stamp.user_id)
        return _remember(stamp.user_id, await rights_of(service, stamp)) if known is None else known

    return checked


def break_checks() -> None:
    """From now on this process lags behind."""
    patch = pytest.MonkeyPatch()
    for stamp, name in ((Stamp, "session_id"), (KeyStamp, "prefix")):
        patch.setattr(stamp, "is_alive", _hasty_life(stamp.is_alive, attrgetter(name)))
    patch.setattr(PrincipalService, "_rights_of", _hasty_rights(PrincipalService._rights_of))


if __name__ == "__main__":
    break_checks()
    run()
