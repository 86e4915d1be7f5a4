"""No secret stays behind: what passes through the client of a test is looked for wherever it must not be.

Secrets are the passwords, tokens and keys that requests carry and that answers hand out. `tests.api` shows each
answer, `tests.backend` the database and the cache before a test's rows are removed, `tests.conftest` the log.
What a test also says in the open, as a name or in a path, is none of its secrets: it may come back.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import httpx2
import orjson
import pytest
import structlog
from redis.exceptions import RedisError
from sqlalchemy import (
    CompoundSelect,
    Dialect,
    LargeBinary,
    Select,
    Table,
    Text,
    TextClause,
    cast,
    func,
    literal,
    select,
    text,
    union_all,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core import logging as log
from app.core.audit.models import APPEND_ONLY
from app.core.cache import NAMESPACE, Cache, RedisCache
from app.core.entity import metadata
from app.core.platform import Platform

SENT = {"password", "current_password", "new_password", "token", "access_token", "refresh_token", "key"}
# Who hands out what; anywhere else the same member is a leak.
HANDED_OUT = (
    (re.compile(r"POST /api/v1/auth/(login|token|refresh)"), ("access_token", "refresh_token")),
    (re.compile(r"POST /api/v1/auth/api-keys"), ("key",)),
    (re.compile(r"POST /api/v1/users/[^/]+/reset-password"), ("temporary_password",)),
)
SHORTEST = 8
MOST = 300  # a test with more of them (races, long stories) is watched for the newest
_PASSWORD_HASH = b"$argon2"
_DIGEST = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{64}(?![0-9A-Za-z])")
# What proves the logs is hashes, and stands in tables as it is told.
_PROOF = re.compile(r"GET /api/v1/audit/(seals|segments)")
# Tests send these in the place of secrets; they are public names: ids, and how a key begins.
_PUBLIC = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|tessera_test_[0-9A-Za-z]{12}_?")
_EDGE = "\x1f|\x1f"  # no column holds that


class Leak(AssertionError):
    """A secret where it must not be."""


class Canaries:
    """The secrets of the present test."""

    def __init__(self) -> None:
        self.secrets: dict[str, frozenset[bytes]] = {}
        self.open: set[str] = set()
        self.digests: set[str] = set()
        self.lines: list[bytes] = []
        self._cached: set[bytes] = set()
        self._read: dict[tuple[str, str], int] = {}

    def forget(self) -> None:
        """Another test begins. What is in the cache already was looked at."""
        self.secrets.clear()
        self.open.clear()
        self.digests.clear()
        self.lines.clear()

    def remember(self, value: str) -> None:
        """A secret, from now on."""
        if len(value) < SHORTEST or value in self.secrets or _PUBLIC.fullmatch(value):
            return
        if not any(value in said for said in self.open):
            self.secrets[value] = _forms(value)
            if len(self.secrets) > MOST:
                del self.secrets[next(iter(self.secrets))]

    def say(self, value: str) -> None:
        """Something that is no secret of this test, whatever its name is elsewhere."""
        if len(value) >= SHORTEST and value not in self.open:
            self.open.add(value)
            for secret in [secret for secret in self.secrets if secret in value]:
                del self.secrets[secret]

    def found_in(self, text: bytes) -> str | None:
        """A secret that the text contains, or None."""
        return next((s for s, forms in self.secrets.items() if any(form in text for form in forms)), None)

    def see(self, answer: httpx2.Response, options: Mapping[str, Any]) -> None:
        """An answer of the app and what was sent for it. Raises Leak."""
        call = f"{answer.request.method} {answer.request.url.path}"
        self.say(answer.request.url.path)
        self._listen(options)
        fresh = self._handed_out(call, answer)
        text = b"\n".join([answer.content, *(value for _, value in answer.headers.raw)])
        for value in fresh:
            text = text.replace(value.encode(), b"", 1)
        credential = _credential(options)
        if credential and answer.status_code not in {400, 401}:
            self.remember(credential)
        if _PASSWORD_HASH in text:
            raise Leak(f"{call} answers with the hash of a password")
        found = self.found_in(text)
        if found is not None:
            raise Leak(f"{call} answers with a secret: {found}")
        if not _PROOF.fullmatch(call):
            self.digests.update(_DIGEST.findall(text.decode("utf-8", "replace")))
        for value in fresh:
            self.remember(value)

    def _listen(self, options: Mapping[str, Any]) -> None:
        """Remembers what a request carries: its members by their names."""
        members = [*_members(options.get("json")), *_members(options.get("data"))]
        content = options.get("content")
        if isinstance(content, (str, bytes)) and content[:1] in ("{", b"{"):
            with suppress(orjson.JSONDecodeError):
                members += _members(orjson.loads(content))
        for name, value in members:
            if name not in SENT:
                self.say(value)
        for name, value in members:
            if name in SENT:
                self.remember(value)

    def _handed_out(self, call: str, answer: httpx2.Response) -> list[str]:
        names = next((names for path, names in HANDED_OUT if path.fullmatch(call)), ())
        if not names or not answer.is_success or not answer.content:
            return []
        body = answer.json()
        return [body[name] for name in names if isinstance(body.get(name), str)]

    def check_log(self) -> None:
        """Whether a line of the test holds one of its secrets, also one that became known later. Raises Leak."""
        text = b"\n".join(self.lines)
        if (found := self.found_in(text)) is not None or _PASSWORD_HASH in text:
            found = found or _PASSWORD_HASH.decode()
            line = next(line for line in self.lines if any(form in line for form in _forms(found)))
            raise Leak(f"a line of the log holds a secret: {line.decode('utf-8', 'replace')}")

    async def left_behind(self, platform: Platform) -> list[Leak]:
        """What the database and the cache of an app hold that they must not; nothing where they are gone."""
        leaks = []
        try:
            async with platform.database.writer.connect() as connection:
                await self.check_tables(connection)
            await self.check_cache(platform.cache)
        except Leak as leak:
            leaks.append(leak)
        except (SQLAlchemyError, RedisError, OSError):  # the test was about losing them
            pass
        return leaks

    async def check_tables(self, connection: AsyncConnection) -> None:
        """Whether any column holds a secret in the clear, or what an answer gave away. Raises Leak."""
        rows = list((await connection.exec_driver_sql(_dump(connection.dialect))).scalars())
        for name in APPEND_ONLY:
            rows += await self._logged_since(connection, metadata.tables[name])
        text = "\n".join(rows)
        found = self.found_in(text.encode())
        if found is None:
            found = next((digest for digest in self.digests if digest in text), None)
        if found is not None:
            raise Leak(f"{_place(found, rows)} holds a secret: {found}")

    async def _logged_since(self, connection: AsyncConnection, table: Table) -> Sequence[str]:
        """What a log has gained since the last look: the tests before have filled it, too."""
        place = str(connection.engine.url), table.name
        behind = {"last": self._read.get(place, 0)}
        found = (await connection.execute(_gained(table, connection.dialect), behind)).all()
        if found:
            self._read[place] = max(id for _, id in found)
        return [told for told, _ in found]

    async def check_cache(self, cache: Cache) -> None:
        """Whether a key or a value of Redis holds a secret; values never change, so that each is read once."""
        if not isinstance(cache, RedisCache):
            return
        redis = cache._redis
        keys = [key async for key in redis.scan_iter(match=f"{NAMESPACE}*", count=1000)]
        fresh = [key for key in keys if key not in self._cached]
        values = await redis.mget(fresh) if fresh else []
        self._cached.update(fresh)
        for key, value in zip(fresh, values, strict=True):
            if (found := self.found_in(key + b"\n" + (value or b""))) is not None:
                raise Leak(f"the cache holds a secret under {key.decode()}: {found}")

    @contextmanager
    def watching_log(self) -> Iterator[None]:
        """Sees every line from INFO on, whatever the level is; what is below the level is not written."""
        patch, channel = pytest.MonkeyPatch(), log.Channel
        emit, emit_request = channel.emit, channel.emit_request
        make = structlog.make_filtering_bound_logger

        def watched(target: log.Channel, event: log.Event) -> None:
            self.lines.append(orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS))
            if target.takes_requests or event.get("level") not in {"info", "debug"}:
                emit(target, event)

        def watched_request(target: log.Channel, event: log.Event) -> None:
            self.lines.append(orjson.dumps(event, default=str))
            emit_request(target, event)

        for name in ("emit", "debug", "info", "warning", "error", "critical", "msg"):
            patch.setattr(channel, name, watched)
        patch.setattr(channel, "emit_request", watched_request)
        patch.setattr(structlog, "make_filtering_bound_logger", lambda level: make(min(int(level), 20)))
        yield
        patch.undo()


def _forms(secret: str) -> frozenset[bytes]:
    """How a text is written: plainly, as JSON, and as JSON in plain ASCII."""
    escaped = secret.encode("unicode_escape") if not secret.isascii() else secret.encode()
    plain = secret.encode("utf-8", "surrogatepass")
    return frozenset({plain, escaped, plain.replace(b"\\", b"\\\\").replace(b'"', b'\\"')})


def _members(value: object) -> list[tuple[str, str]]:
    """Every text in a body, with the name of its member."""
    if isinstance(value, Mapping):
        pairs = [(str(name), inner) for name, inner in value.items()]
        found = [(name, inner) for name, inner in pairs if isinstance(inner, str)]
        return found + [one for _, inner in pairs if not isinstance(inner, str) for one in _members(inner)]
    if isinstance(value, list | tuple):
        texts = [("", inner) for inner in value if isinstance(inner, str)]
        return texts + [one for inner in value if not isinstance(inner, str) for one in _members(inner)]
    return []


def _credential(options: Mapping[str, Any]) -> str:
    """What the headers of a request present."""
    headers = httpx2.Headers(options.get("headers") or {})
    text = headers.get("x-api-key") or headers.get("authorization", "").partition(" ")[2]
    return str(text).strip()


def _texts(table: Table) -> Select[Any]:
    """Every column of the table as text: one row for each row. Bytes are left out: they need not be a text."""
    parts: Any = literal(table.name, Text)
    for column in table.columns:
        is_text = not isinstance(column.type, LargeBinary)
        told = func.coalesce(cast(column, Text), literal("", Text)) if is_text else literal("", Text)
        parts = parts.concat(literal(_EDGE, Text)).concat(told)
    return select(parts).select_from(table)


@cache
def _dump(dialect: Dialect) -> str:
    """A statement for all tables but the logs. Written once."""
    tables = [_texts(table) for table in metadata.sorted_tables if table.name not in APPEND_ONLY]
    return _written(union_all(*tables), dialect)


@cache
def _gained(table: Table, dialect: Dialect) -> TextClause:
    """A statement for what a log has gained behind `:last`, with the ids. Written once."""
    told = _written(_texts(table).add_columns(table.c["id"]), dialect)
    return text(f"{told} WHERE {table.name}.id > :last")


def _written(statement: CompoundSelect[Any] | Select[Any], dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def _place(found: str, rows: Sequence[str]) -> str:
    """The table and the column where it stands."""
    forms = [form.decode() for form in _forms(found)]
    table, *values = next(row for row in rows if any(form in row for form in forms)).split(_EDGE)
    columns = [column.name for column in metadata.tables[table].columns]
    return next(
        f"{table}.{name}"
        for name, value in zip(columns, values, strict=True)
        if any(form in value for form in forms)
    )


CANARIES = Canaries()
