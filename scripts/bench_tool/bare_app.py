"""The physical limit: FastAPI, asyncpg and orjson with the same data queries, and nothing else.

No authentication, no privileges, no log, no checks: whatever an answer costs beyond this is what the
program's promises cost. Pool and garbage collector are as they come.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
from argon2 import PasswordHasher
from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel

DATABASE = "BENCH_DATABASE"
OWNER_PK = "BENCH_OWNER_PK"
POOL_SIZE = 10

_ONE = """
SELECT i.id, i.title, o.id AS owner_id, i.created_at, i.description, o.full_name, i.updated_at, i.version
FROM items i JOIN users o ON o.pk = i.owner_pk WHERE i.id = $1 AND i.deleted_at IS NULL"""
_TOTAL = "SELECT count(*) FROM items WHERE deleted_at IS NULL"
_PAGE = """
SELECT i.id, i.title, o.id AS owner_id, i.created_at FROM items i JOIN users o ON o.pk = i.owner_pk
WHERE i.deleted_at IS NULL ORDER BY i.created_at DESC, i.id DESC LIMIT $1"""
_USER = """
SELECT id, email, full_name, is_blocked, created_at, created_by, updated_at, updated_by, last_login_at, version,
  (SELECT coalesce(json_agg(json_build_object('id', r.id, 'name', r.name)), '[]')
   FROM user_roles h JOIN roles r ON r.pk = h.role_pk WHERE h.user_pk = users.pk) AS roles
FROM users WHERE id = $1 AND deleted_at IS NULL"""
_HASH = "SELECT id, password_hash FROM users WHERE lower(email) = lower($1) AND deleted_at IS NULL"
_INSERT = """
INSERT INTO items (id, title, description, search_text, owner_pk, created_at, updated_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $6, 1)"""

_hasher = PasswordHasher()
_threads = ThreadPoolExecutor(2)
_owner = int(os.environ.get(OWNER_PK, "1"))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ[DATABASE], min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_lifespan, openapi_url=None)


class NewItem(BaseModel):
    """The body of `create`."""

    title: str
    description: str | None = None


class Login(BaseModel):
    """The body of `login`."""

    email: str
    password: str


def _answer(value: Any, status: int = 200) -> Response:
    body = orjson.dumps(value, default=str, option=orjson.OPT_UTC_Z)
    return Response(body, status_code=status, media_type="application/json")


@app.get("/items/{item_id}")
async def read_item(item_id: UUID) -> Response:
    """One row by its public id."""
    row = await app.state.pool.fetchrow(_ONE, item_id)
    if row is None:
        raise HTTPException(404)
    item = dict(row)
    item["owner"] = {"id": item["owner_id"], "full_name": item.pop("full_name")}
    return _answer(item)


@app.get("/items")
async def list_items(per_page: int) -> Response:
    """The newest rows with the exact total."""
    async with app.state.pool.acquire() as connection:
        total = await connection.fetchval(_TOTAL)
        rows = await connection.fetch(_PAGE, per_page)
    return _answer({"items": [dict(row) for row in rows], "total": total})


@app.get("/users/{user_id}")
async def read_user(user_id: UUID) -> Response:
    """An account with its roles, in one query."""
    row = await app.state.pool.fetchrow(_USER, user_id)
    if row is None:
        raise HTTPException(404)
    return _answer({**row, "roles": orjson.Fragment(row["roles"])})


@app.post("/items")
async def create_item(data: NewItem) -> Response:
    """One committed row."""
    id, moment = uuid4(), datetime.now(UTC)
    text = f"{data.title} {data.description or ''}"
    await app.state.pool.execute(_INSERT, id, data.title, data.description, text, _owner, moment)
    return _answer({"id": id, "created_at": moment, **data.model_dump()}, 201)


@app.post("/login")
async def log_in(data: Login) -> Response:
    """One look-up and one verified password; no session, no token."""
    row = await app.state.pool.fetchrow(_HASH, data.email)
    if row is None:
        raise HTTPException(401)
    verify = asyncio.get_running_loop().run_in_executor
    await verify(_threads, _hasher.verify, row["password_hash"], data.password)
    return _answer({"id": row["id"]})
