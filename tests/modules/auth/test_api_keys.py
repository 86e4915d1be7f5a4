"""The life of an API key: made, shown once, listed, revoked, deleted; and nobody else's business."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from app.core.cache import connect
from app.core.clock import now
from app.core.config import Environment
from app.core.entity import metadata
from tests.api import Api, Caller, KeyCaller, assert_problem
from tests.auth.test_api_keys import signed
from tests.backend import RunningApp

SUMMARY = {
    "id",
    "name",
    "prefix",
    "last_four",
    "created_at",
    "expires_at",
    "last_used_at",
    "revoked_at",
}
DETAIL = SUMMARY | {"privileges"}


async def make(caller: Caller, **body: Any) -> httpx2.Response:
    return await caller.post("auth/api-keys", {"name": "robot", **body})


async def kept(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    """The caller's keys, as the list shows them."""
    answer = await caller.get(f"auth/api-keys{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def works(key: KeyCaller) -> bool:
    """Whether the key opens; where it doesn't, it says why."""
    answer = await key.get("auth/me")
    if answer.status_code != 200:
        assert_problem(answer, 401, "api_key_invalid")
    return answer.is_success


# made, and shown once


async def test_new_key_is_told_in_full(api: Api) -> None:
    user = await api.user()
    answer = await make(user, name="  night build ")
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/api/v1/auth/api-keys/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert set(made) == DETAIL | {"key"}
    assert made["name"] == "night build"
    assert made["key"].startswith(f"{made['prefix']}_")
    assert made["key"].endswith(made["last_four"])
    assert len(made["last_four"]) == 4
    assert made["created_at"].endswith("Z")
    for name in ("expires_at", "last_used_at", "revoked_at", "privileges"):
        assert made[name] is None
    read = await user.get(answer.headers["location"])
    assert read.status_code == 200
    assert read.json() == {name: value for name, value in made.items() if name != "key"}


async def dump(app: RunningApp) -> str:
    """All that the database and the cache hold, as text."""
    found = []
    async with app.platform.database.writer.connect() as connection:
        for table in metadata.sorted_tables:
            found += [repr(tuple(row)) for row in await connection.execute(table.select())]
    if app.settings.cache_url:
        redis = connect(app.settings.cache_url)
        async for name in redis.scan_iter():
            is_text = await redis.type(name) == b"string"
            found.append(repr((name, await redis.get(name) if is_text else await redis.dump(name))))
        await redis.aclose()
    return "\n".join(found)


async def test_key_is_kept_nowhere(api: Api, app: RunningApp) -> None:
    user = await api.user()
    key = await user.with_key()
    assert await works(key)
    secret = key.key.split("_")[3]
    held = await dump(app)
    assert hashlib.sha256(key.key.encode()).hexdigest() in held
    for piece in (key.key, secret, secret[:43], secret[:20], secret[20:43]):
        assert piece not in held
    for path in ("auth/api-keys", f"auth/api-keys/{key.key_id}", "auth/me"):
        text = (await user.get(path)).text
        assert secret[:43] not in text
        assert hashlib.sha256(key.key.encode()).hexdigest() not in text


async def test_list_tells_how_keys_stand(api: Api) -> None:
    user = await api.user()
    used, revoked = await user.with_key(name="used"), await user.with_key(name="revoked")
    expires = (now() + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    await user.with_key(name="fresh", expires_at=expires)
    assert await works(used)
    assert (await user.post(f"auth/api-keys/{revoked.key_id}/revoke")).status_code == 204
    found = {key["name"]: key for key in await kept(user)}
    assert all(set(key) == SUMMARY for key in found.values())
    assert list(found) == ["fresh", "revoked", "used"]
    assert found["fresh"]["expires_at"] == expires
    for name, key in found.items():
        assert (key["last_used_at"] is not None) is (name == "used")
        assert (key["revoked_at"] is not None) is (name == "revoked")


async def test_body_is_checked(api: Api) -> None:
    user = await api.user()
    refused: list[object] = [{}, {"name": "a", "key": "mine"}, {"name": "a", "user_id": user.id}, []]
    for body in refused:
        assert_problem(await user.post("auth/api-keys", body), 422, "validation_error")
    assert await kept(user) == []


async def test_names_may_repeat(api: Api) -> None:
    user = await api.user()
    first, second = [(await make(user, name="same")).json() for _ in range(2)]
    assert first["id"] != second["id"]
    assert first["prefix"] != second["prefix"]


# revoked and deleted


async def test_revoked_key_stays_as_history_and_a_deleted_one_is_gone(api: Api) -> None:
    user = await api.user()
    revoked, deleted, alive = [await user.with_key() for _ in range(3)]
    assert (await user.post(f"auth/api-keys/{revoked.key_id}/revoke")).status_code == 204
    assert (await user.delete(f"auth/api-keys/{deleted.key_id}")).status_code == 204
    assert [await works(key) for key in (revoked, deleted, alive)] == [False, False, True]
    assert {key["id"] for key in await kept(user)} == {revoked.key_id, alive.key_id}
    assert (await user.get(f"auth/api-keys/{revoked.key_id}")).json()["revoked_at"] is not None
    for answer in (
        await user.get(f"auth/api-keys/{deleted.key_id}"),
        await user.delete(f"auth/api-keys/{deleted.key_id}"),
        await user.post(f"auth/api-keys/{deleted.key_id}/revoke"),
        await user.post("auth/api-keys/revoke", {"key": deleted.key}),
    ):
        assert "API key" in assert_problem(answer, 404, "not_found")["detail"]
    assert (await user.delete(f"auth/api-keys/{revoked.key_id}")).status_code == 204
    assert [key["id"] for key in await kept(user)] == [alive.key_id]


async def test_key_itself_is_enough_to_revoke_it(api: Api) -> None:
    user = await api.user()
    lost, other = await user.with_key(), await user.with_key()
    assert (await user.post("auth/api-keys/revoke", {"key": lost.key})).status_code == 204
    assert [await works(key) for key in (lost, other)] == [False, True]


async def test_revoking_may_be_repeated_and_the_first_time_counts(api: Api) -> None:
    user = await api.user()
    key = await user.with_key()
    path = f"auth/api-keys/{key.key_id}"
    assert (await user.post(f"{path}/revoke")).status_code == 204
    first = (await user.get(path)).json()["revoked_at"]
    for answer in (
        await user.post(f"{path}/revoke"),
        await user.post("auth/api-keys/revoke", {"key": key.key}),
        await user.post(f"{path}/revoke"),
    ):
        assert answer.status_code == 204
    assert (await user.get(path)).json()["revoked_at"] == first


async def test_whoever_ends_a_key_at_the_same_time_is_told_the_truth(api: Api) -> None:
    user = await api.user()
    for _ in range(5):
        key = await user.with_key()
        path = f"auth/api-keys/{key.key_id}"
        revoked = await asyncio.gather(*(user.post(f"{path}/revoke") for _ in range(6)))
        assert {answer.status_code for answer in revoked} == {204}
        mixed = [user.delete(path), user.post(f"{path}/revoke"), user.delete(path), user.delete(path)]
        deleted, again, *others = await asyncio.gather(*mixed)
        assert sorted(answer.status_code for answer in (deleted, *others)) == [204, 404, 404]
        assert again.status_code in {204, 404}
        assert not await works(key)


async def test_nobody_reaches_the_keys_of_others(api: Api) -> None:
    owner = await api.user()
    key, ghost = await owner.with_key(), str(uuid4())
    path = f"auth/api-keys/{key.key_id}"
    for stranger in (await api.user(), await api.superuser()):
        unknown = assert_problem(await stranger.get(f"auth/api-keys/{ghost}"), 404)["detail"]
        for answer in (
            await stranger.get(path),
            await stranger.post(f"{path}/revoke"),
            await stranger.delete(path),
            await stranger.post("auth/api-keys/revoke", {"key": key.key}),
        ):
            assert assert_problem(answer, 404, "not_found")["detail"] == unknown
        assert key.key_id not in {found["id"] for found in await kept(stranger)}
    assert await works(key)
    assert [found["revoked_at"] for found in await kept(owner)] == [None]


async def test_only_the_whole_key_revokes(api: Api) -> None:
    user = await api.user()
    key, other = await user.with_key(), await user.with_key()
    prefix, secret = key.key[:25], other.key[26:-6]
    assert key.key.startswith(f"{prefix}_")
    for text in (signed(f"{prefix}_{secret}"), key.key[:-1], prefix, key.key_id, key.key + " ", "x"):
        assert_problem(await user.post("auth/api-keys/revoke", {"key": text}), 404, "not_found")
    for body in (
        {},
        {"key": ""},
        {"key": None},
        {"key": "x" * 513},
        {"key": "a\x00"},
        {"key": key.key, "id": "x"},
    ):
        problem = assert_problem(await user.post("auth/api-keys/revoke", body), 422, "validation_error")
        assert key.key not in str(problem)
    assert_problem(await user.post("auth/api-keys/no-id/revoke"), 422, "validation_error")
    assert await works(key)


# listed


async def test_list_is_paged_and_sorted(api: Api) -> None:
    user = await api.user()
    day = now() + timedelta(days=1)
    for name, days in (("b", 2), ("c", None), ("a", 1), ("d", None)):
        expires = None if days is None else (day + timedelta(days=days)).isoformat()
        assert (await make(user, name=name, expires_at=expires)).status_code == 201
    for query, expected in (
        ("", "dacb"),
        ("?sort=created_at", "bcad"),
        ("?sort=name", "abcd"),
        ("?sort=-name", "dcba"),
        ("?sort=expires_at,name", "abcd"),
        ("?sort=-expires_at,name", "bacd"),
        ("?sort=last_used_at,-name", "dcba"),
        ("?per_page=2&sort=name", "ab"),
        ("?per_page=2&page=2&sort=name", "cd"),
        ("?per_page=2&page=3", ""),
    ):
        assert "".join(key["name"] for key in await kept(user, query)) == expected, query
    first = (await user.get("auth/api-keys?per_page=3&sort=name")).json()
    assert (first["total"], first["pages"], len(first["items"])) == (4, 2, 3)
    walked = await kept(user, f"?per_page=3&sort=name&cursor={first['next_cursor']}")
    assert [key["name"] for key in walked] == ["d"]
    stranger = await api.user()
    foreign = await stranger.get(f"auth/api-keys?per_page=3&sort=name&cursor={first['next_cursor']}")
    assert_problem(foreign, 400, "bad_request")


@pytest.mark.parametrize(
    "query", ["deleted=true", "deleted=false", "sort=prefix", "sort=key_hash", "q=x", "name=a"]
)
async def test_list_takes_no_other_question(api: Api, query: str) -> None:
    user = await api.user()
    assert_problem(await user.get(f"auth/api-keys?{query}"), 422, "validation_error")
    assert await kept(user) == []


async def test_keys_of_this_server_say_so(api: Api, app: RunningApp) -> None:
    assert app.settings.environment is Environment.TEST
    assert (await make(await api.user())).json()["key"].startswith("tessera_test_")
