"""What the tests of sessions say again and again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.api import PASSWORD, Api, Caller, assert_problem
from tests.backend import RunningApp


async def stored(app: RunningApp, statement: str, **values: Any) -> Sequence[Sequence[Any]]:
    """Rows, over a connection that the app knows nothing of: what it returns is committed."""
    engine = create_async_engine(app.platform.database.url, poolclass=NullPool)
    async with engine.connect() as connection:
        rows = (await connection.execute(text(statement), values)).all()
    await engine.dispose()
    return rows


async def write(app: RunningApp, statement: str, **values: Any) -> None:
    """A change behind the app's back."""
    engine = create_async_engine(app.platform.database.url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text(statement), values)
    await engine.dispose()
    app.has_written = True


async def session_of(caller: Caller) -> str:
    """The public id of the caller's session."""
    found: str = (await caller.get("auth/me")).json()["session_id"]
    return found


async def ending_of(app: RunningApp, session_id: str) -> str | None:
    """Why a session has ended, as it stands on disk; None for a living one."""
    statement = "SELECT revoked_at, revoked_reason FROM sessions WHERE replace(CAST(id AS varchar(36)), '-', '') = :id"
    (found,) = [tuple(row) for row in await stored(app, statement, id=session_id.replace("-", ""))]
    assert found.count(None) in {0, 2}
    return None if found[1] is None else str(found[1])


async def refresh(api: Api, token: str) -> httpx2.Response:
    return await api.post("auth/refresh", {"refresh_token": token})


async def refreshed(caller: Caller) -> Caller:
    """The same caller with the next pair of tokens."""
    answer = await refresh(caller.api, caller.refresh_token)
    assert answer.status_code == 200, answer.text
    pair = answer.json()
    return replace(caller, access_token=pair["access_token"], refresh_token=pair["refresh_token"])


async def again(caller: Caller, password: str = PASSWORD) -> Caller:
    """A second session of the same user."""
    return await caller.api.login(caller.email, password)


def through(api: Api, caller: Caller) -> Caller:
    """The same credentials, presented to another worker."""
    return replace(caller, api=api)


async def assert_alive(caller: Caller) -> None:
    """The access token is accepted. The refresh token is left alone: using it would spend it."""
    answer = await caller.get("auth/me")
    assert answer.status_code == 200, answer.text


async def assert_dead(caller: Caller, code: str = "token_revoked") -> None:
    """Neither of the two tokens is accepted."""
    problem = assert_problem(await caller.get("auth/me"), 401, code)
    assert problem["detail"]
    answer = await refresh(caller.api, caller.refresh_token)
    assert answer.status_code == 401, answer.text
