"""Values of columns as the log keeps them: whatever they are, they become JSON that every reader reads alike."""

import enum
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from app.core.audit.values import (
    MAX_ROW_BYTES,
    MAX_VALUE_BYTES,
    REDACTED,
    fitted,
    is_secret_name,
    mask,
    plain,
)
from app.core.documents import Json
from tests.backend import Backend
from tests.conftest import FULL


class Colour(enum.Enum):
    """An enum of texts."""

    RED = "r"


class Size(enum.IntEnum):
    """An enum of numbers."""

    SMALL = 1


class Odd:
    """Nothing that JSON knows."""


def _view(raw: bytes) -> memoryview:
    return memoryview(raw)


ZONES = st.sampled_from([None, UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**300, max_value=10**301),
    st.floats(),
    st.text(st.characters(codec=None), max_size=30),
    st.binary(max_size=30),
    st.binary(max_size=30).map(bytearray),
    st.binary(max_size=30).map(_view),
    st.decimals(),
    st.uuids(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.datetimes(timezones=ZONES),
    st.sampled_from([*Colour, *Size, Odd(), Odd, object(), 1j, ...]),
)
NAMES = st.one_of(
    st.text(st.characters(codec=None), max_size=10), st.integers(), st.none(), st.just("api_key")
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(NAMES, inner, max_size=4),
        st.sets(st.one_of(st.integers(), st.text(max_size=3)), max_size=4),
    ),
    max_leaves=12,
)


def secrets_in(value: Any) -> list[Any]:
    """What stands under names of secrets, at any depth."""
    if isinstance(value, list):
        return [one for item in value for one in secrets_in(item)]
    if not isinstance(value, dict):
        return []
    own = [item for name, item in value.items() if is_secret_name(name)]
    return own + [one for item in value.values() for one in secrets_in(item)]


@given(VALUES)
def test_every_value_becomes_json_without_secrets(value: Any) -> None:
    made = plain(value)
    assert orjson.loads(orjson.dumps(made)) == made
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert plain(made) == made, "what is plain stays as it is"
    assert set(map(str, secrets_in(made))) <= {REDACTED, "None"}


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=12))
def test_every_image_is_cut_to_size(image: dict[str, Any]) -> None:
    made, _ = fitted({name: plain(value) for name, value in image.items()})
    assert len(orjson.dumps(made)) <= MAX_ROW_BYTES


DOCUMENTS = MetaData()
documents = Table(
    "documents", DOCUMENTS, Column("pk", Integer, primary_key=True), Column("body", Json, nullable=True)
)


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[AsyncConnection]:
    """A table with a column of the log's type."""
    engine = create_async_engine(backend.empty_database(), poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(DOCUMENTS.create_all)
        yield connection
    await engine.dispose()


EXAMPLES = [
    *(1e16, 1e23, 1e308, -1e308, 5e-324, -0.0, 0.1, 1.0, 2.0**53, 2.0**53 + 2, float("nan"), float("-inf")),
    *(
        2**53,
        2**53 + 1,
        -(2**63),
        10**5000,
        True,
        Decimal("10.10"),
        Decimal("NaN"),
        "\x00",
        "\ud800",
        "\U0001f600",
    ),
    *(
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        date.max,
        time.max,
        timedelta.max,
        {"b": 1, "a": {"": [None]}},
        [],
    ),
]


async def test_both_databases_give_back_what_they_were_given(store: AsyncConnection) -> None:
    """JSONB has numbers of its own: what it would change is a text before it comes there."""
    made: list[Any] = [plain(value) for value in EXAMPLES]
    drawn: list[Any] = []

    @settings(max_examples=1000 if FULL else 150, suppress_health_check=list(HealthCheck), database=None)
    @given(VALUES)
    def draw(value: Any) -> None:
        drawn.append(plain(value))

    draw()
    made = [[one] for one in (*made, *drawn)]  # a bare null would be the database's own
    await store.execute(insert(documents), [{"pk": pk, "body": body} for pk, body in enumerate(made)])
    found = (await store.execute(select(documents.c.body).order_by(documents.c.pk))).scalars().all()
    options = orjson.OPT_SORT_KEYS
    for given_, kept in zip(made, found, strict=True):
        assert orjson.dumps(kept, option=options) == orjson.dumps(given_, option=options)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("10.10"), "10.10"),
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05.000000Z"),  # noqa: DTZ001  naive is UTC
        (datetime(26, 1, 2, tzinfo=UTC), "0026-01-02T00:00:00.000000Z"),
        (datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))), "2026-01-01T22:00:00.000000Z"),
        (
            datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))),
            "9999-12-31T23:00:00.000000-05:00",
        ),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(hours=1, microseconds=1), "3600.000001"),
        (UUID("AAAAAAAA-0000-7000-8000-000000000000"), "aaaaaaaa-0000-7000-8000-000000000000"),
        (Colour.RED, "r"),
        (Size.SMALL, 1),
        (2**60, str(2**60)),
        (-(2**53), -(2**53)),
        (b"abc", {"$bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}),
        (float("inf"), "inf"),
        (1e22, "1e+22"),
        ({"Größe": {3, 1, 2}}, {"Größe": [1, 2, 3]}),
        (Odd(), {"$type": "Odd"}),
        ("a\x00b", "a\ufffdb"),
        (
            {"user": {"X_TOKEN": ["t"], "salt": None, "name": "n"}},
            {"user": {"X_TOKEN": REDACTED, "salt": None, "name": "n"}},
        ),
    ],
)
def test_forms(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_what_contains_itself_ends_somewhere() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert b"$type" in orjson.dumps(plain(value))


def test_a_mask_tells_only_whether_there_was_something() -> None:
    assert [mask(value) for value in ("", 0, b"x", ["a"], None)] == [REDACTED] * 4 + [None]


NAMED = ["api_key", "apiKey", "APIKey", "api-key", "apikey", "X_TOKEN", "x-token", "accessToken", "password2"]
NAMED += ["passwordHash", "Authorization", "session", "user_otp", "PIN", "clientSecret", "private_key", "jti"]
NAMED += ["tokens", "accessTokens", "passwords", "old_passwords", "api_keys", "apiKeys", "APIKeys", "secrets"]
NAMED += ["hashes", "password_hashes", "credentials", "PINs", "userPINs", "OTPs", "cookies", "sessions"]
UNNAMED = ["shipping", "pinned", "tokenizer", "hashtag", "key", "api", "keyApi", "compass", "author", ""]
UNNAMED += ["passing", "secretary", "privateer", "opinion", "monkey", "keys", "keysApi", "apis", "passes"]
UNNAMED += ["bypasses", "spins", "tokenizers", "secretaries", "rehashes", "hashtags", "HTTPServer", "IDs"]


@pytest.mark.parametrize("name", NAMED)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", UNNAMED)
def test_names_that_only_look_like_it(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("length", [MAX_VALUE_BYTES, MAX_VALUE_BYTES + 1])
@pytest.mark.parametrize("unit", ["a", "ä", "\x01"])
def test_long_values_are_told_by_size_digest_and_beginning(length: int, unit: str) -> None:
    raw = (unit.encode() * length)[:length]
    value = raw.decode(errors="ignore")
    raw = value.encode()
    made, was_cut = fitted({"body": value})
    assert was_cut is (len(raw) > MAX_VALUE_BYTES)
    if was_cut:
        digest = hashlib.sha256(raw).hexdigest()
        cut = {"$truncated": True, "bytes": len(raw), "sha256": digest, "head": value[:256]}
        assert made == {"body": cut}
    else:
        assert made == {"body": value}


@pytest.mark.parametrize("unit", ["a", "\x01", "\U0001f600"])
@pytest.mark.parametrize("columns", [2, 7, 8, 30])
def test_rows_are_cut_longest_values_first(columns: int, unit: str) -> None:
    """Characters that JSON writes in six bytes count as six."""
    lengths = [MAX_VALUE_BYTES // len(unit.encode()) - number for number in range(columns)]
    image: dict[str, Any] = {f"c{number}": unit * length for number, length in enumerate(lengths)}
    image |= {"short": "kept", "long": "x" * 100_000}
    made, was_cut = fitted(dict(image))
    assert was_cut
    assert len(orjson.dumps(made)) <= MAX_ROW_BYTES
    assert made["short"] == "kept"
    assert list(made) == list(image)
    whole = {name for name, value in made.items() if value == image[name]} - {"short"}
    assert whole == {f"c{number}" for number in range(columns - len(whole), columns)}
    for name in image.keys() - whole - {"short"}:
        raw = image[name].encode()
        assert made[name]["bytes"] == len(raw), (
            "the size and digest are the value's, however often it was cut"
        )
        assert made[name]["sha256"] == hashlib.sha256(raw).hexdigest()
