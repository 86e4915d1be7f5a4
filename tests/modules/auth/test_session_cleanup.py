"""Clean-up: it removes what is dead, in batches, and nothing that lives; what was dead stays dead."""

import asyncio
from datetime import datetime, timedelta

import pytest
import time_machine

from app.core.clock import now
from app.core.context import acting_as
from app.core.transaction import UnitOfWork
from app.modules.auth import service_sessions
from app.modules.auth.models import PasswordReset, ThrottleTally
from app.modules.auth.service_sessions import KEEP_RESETS, KEEP_TALLIES, SessionService
from tests.api import Api, assert_problem
from tests.backend import RunningApp
from tests.modules.auth.support import (
    again,
    assert_alive,
    assert_dead,
    refresh,
    refreshed,
    session_of,
    stored,
)

WEEK = timedelta(days=7)
TABLES = ("refresh_tokens", "sessions", "password_resets", "throttle_tallies")


async def clean_up(app: RunningApp, keep_days: int = 7) -> dict[str, int]:
    """As the command does it."""
    service = SessionService(UnitOfWork(app.platform.database), app.kernel.tokens, app.settings)
    with acting_as("test", origin="cli"):
        return await service.clean_up(keep_days=keep_days)


async def sizes(app: RunningApp) -> dict[str, int]:
    return {name: (await stored(app, f"SELECT count(*) FROM {name}"))[0][0] for name in TABLES}  # noqa: S608


async def insert(app: RunningApp, *rows: PasswordReset | ThrottleTally) -> None:
    uow = UnitOfWork(app.platform.database)
    async with uow.transaction() as session:
        session.add_all(rows)


def reset_row(created_at: datetime) -> PasswordReset:
    return PasswordReset(email="nobody@example.com", created_at=created_at, due_at=None)


def tally_row(key: str, last_at: datetime) -> ThrottleTally:
    return ThrottleTally(key=key, count=11, started_at=last_at, last_at=last_at)


async def test_fresh_database_has_nothing_to_remove(app: RunningApp) -> None:
    assert await clean_up(app, keep_days=0) == dict.fromkeys(TABLES, 0)


async def test_living_sessions_stay_whole(api: Api, clock: time_machine.Traveller) -> None:
    user = await api.user()
    first = user.refresh_token
    for _ in range(3):
        clock.shift(timedelta(days=20))
        user = await refreshed(user)
    here = await again(user)
    before = await sizes(api.app)
    removed = await clean_up(api.app, keep_days=0)
    assert removed == {**dict.fromkeys(TABLES, 0), "refresh_tokens": 2}, (
        "spent, and over for at least ten days"
    )
    assert (await sizes(api.app))["sessions"] == before["sessions"]
    await assert_alive(await refreshed(user))
    await assert_alive(await refreshed(here))
    assert_problem(await refresh(api, first), 401, "token_invalid")


async def test_what_died_lately_stays_and_what_died_long_ago_goes(
    api: Api, clock: time_machine.Traveller
) -> None:
    user = await api.user()
    long_ago, lately = await again(user), await again(user)
    assert (await long_ago.post("auth/logout")).status_code == 204
    clock.shift(WEEK + timedelta(hours=1))
    user, lately = await refreshed(user), await refreshed(lately)
    assert (await lately.post("auth/logout")).status_code == 204
    before = await sizes(api.app)
    assert await clean_up(api.app) == {**dict.fromkeys(TABLES, 0), "refresh_tokens": 1, "sessions": 1}
    left = await sizes(api.app)
    assert left["sessions"] == before["sessions"] - 1
    assert await clean_up(api.app) == dict.fromkeys(TABLES, 0)
    assert_problem(await refresh(api, long_ago.refresh_token), 401, "token_invalid")
    await assert_dead(lately)
    await assert_alive(user)


async def test_nothing_dead_is_accepted_after_it_was_removed(api: Api, clock: time_machine.Traveller) -> None:
    user = await api.user()
    spent = user.refresh_token
    out, user = await again(user), await refreshed(user)
    assert (await out.post("auth/logout")).status_code == 204
    clock.shift(timedelta(seconds=1))
    removed = await clean_up(api.app, keep_days=0)
    assert (removed["sessions"], removed["refresh_tokens"]) == (1, 1)
    assert_problem(await out.get("auth/me"), 401, "token_revoked")
    assert_problem(await refresh(api, out.refresh_token), 401, "token_invalid")
    clock.shift(timedelta(minutes=1))
    assert_problem(await refresh(api, spent), 401, "token_reused")
    await assert_dead(user)
    clock.shift(timedelta(seconds=1))
    await clean_up(api.app, keep_days=0)
    await assert_dead(user)


async def test_removed_sessions_are_dead_by_their_age_too(api: Api, clock: time_machine.Traveller) -> None:
    user = await api.user()
    session = await session_of(user)
    clock.shift(timedelta(days=90) + WEEK + timedelta(minutes=1))
    removed = await clean_up(api.app)
    assert (removed["sessions"], removed["refresh_tokens"]) == (1, 1)
    assert_problem(await refresh(api, user.refresh_token), 401, "token_invalid")
    assert_problem(await user.get("auth/me"), 401)
    left = await stored(api.app, "SELECT CAST(id AS varchar(36)) FROM sessions")
    assert session.replace("-", "") not in {row[0].replace("-", "") for row in left}


async def test_it_works_in_batches_and_ends(
    api: Api, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_sessions, "_BATCH", 3)
    user = await api.user()
    for _ in range(10):
        out = await refreshed(await again(user))
        assert (await out.post("auth/logout")).status_code == 204
    clock.shift(timedelta(seconds=1))
    removed = await clean_up(api.app, keep_days=0)
    assert (removed["refresh_tokens"], removed["sessions"]) == (20, 10)
    await assert_alive(user)


async def test_two_at_once_remove_each_row_once(api: Api, clock: time_machine.Traveller) -> None:
    user = await api.user()
    for _ in range(10):
        assert (await (await again(user)).post("auth/logout")).status_code == 204
    clock.shift(timedelta(seconds=1))
    told = await asyncio.gather(*(clean_up(api.app, keep_days=0) for _ in range(2)))
    assert sum(one["sessions"] for one in told) == 10
    assert sum(one["refresh_tokens"] for one in told) == 10
    await assert_alive(user)


async def test_links_and_tallies_that_count_still_are_kept_whatever_was_wished(app: RunningApp) -> None:
    minute, moment = timedelta(minutes=1), now()
    await insert(
        app,
        *(reset_row(moment - age) for age in (minute, KEEP_RESETS - minute, KEEP_RESETS + minute, WEEK * 2)),
        *(
            tally_row(f"key {age}", moment - age)
            for age in (minute, KEEP_TALLIES - minute, KEEP_TALLIES + minute, WEEK * 2)
        ),
    )
    app.has_written = True
    removed = await clean_up(app)
    assert (removed["password_resets"], removed["throttle_tallies"]) == (1, 1)
    removed = await clean_up(app, keep_days=0)
    assert (removed["password_resets"], removed["throttle_tallies"]) == (1, 1)
    left = await sizes(app)
    assert (left["password_resets"], left["throttle_tallies"]) == (2, 2)


def test_what_is_kept_outlives_every_link_and_every_pause() -> None:
    from app.auth.throttling import LONGEST_PAUSE_SECONDS  # noqa: PLC0415  only here
    from app.core.config import Settings  # noqa: PLC0415
    from app.modules.auth.service_resets import LINK_LIFE  # noqa: PLC0415

    (bound,) = [
        rule.le for rule in Settings.model_fields["login_window_minutes"].metadata if hasattr(rule, "le")
    ]
    assert timedelta(minutes=bound) + timedelta(seconds=LONGEST_PAUSE_SECONDS) < KEEP_TALLIES
    # A link is made until its request is as old as a link may become, and lives as long again.
    assert 2 * LINK_LIFE < KEEP_RESETS
