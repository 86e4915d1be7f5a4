"""What a key may, until when, and how many there are: key and owner together, at the moment of use."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone

import pytest
import time_machine

from app.auth.principal import Principal
from app.core.clock import now
from app.core.context import RequestContext, current
from app.modules.auth.schemas import Me
from app.modules.auth.service import AuthService
from app.modules.auth.service_keys import MAX_KEYS
from tests.api import PASSWORD, Api, assert_problem
from tests.modules.auth.test_api_key_ends import at, held
from tests.modules.auth.test_api_keys import kept, make, works

Workers = tuple[Api, Api]


# until when


async def test_end_is_exact(api: Api, clock: time_machine.Traveller) -> None:
    user, end = await api.user(), now() + timedelta(minutes=1)
    key = await user.with_key(expires_at=end.isoformat())
    for seconds, is_alive in (
        (-1, True),
        (-0.000001, True),
        (0, False),
        (0.000001, False),
        (1, False),
        (-1, True),
    ):
        clock.move_to(end + timedelta(seconds=seconds), tick=False)
        assert await works(key) is is_alive, seconds


async def test_end_lies_ahead_and_within_a_century(api: Api, clock: time_machine.Traveller) -> None:
    user, moment = await api.user(), now()
    clock.move_to(moment, tick=False)
    instant, century = timedelta(microseconds=1), timedelta(days=36_525)
    for good in (moment + instant, moment + century - instant):
        assert (await make(user, expires_at=good.isoformat())).status_code == 201
    for bad in (
        moment - timedelta(days=1),
        moment - instant,
        moment,
        moment + century,
        datetime.max.replace(tzinfo=UTC),
    ):
        problem = assert_problem(await make(user, expires_at=bad.isoformat()), 422, "validation_error")
        assert problem["errors"][0]["loc"] == ["body", "expires_at"]
        assert problem["errors"][0]["code"] == "out_of_range"
    assert len(await kept(user)) == 2


@pytest.mark.parametrize(
    "text",
    ["2030-01-01T00:00:00", "2030-01-01", "tomorrow", "", 1_900_000_000, True, "0001-01-01T00:00:00+14:00"],
)
async def test_end_has_a_zone_and_is_a_text(api: Api, text: object) -> None:
    user = await api.user()
    problem = assert_problem(await make(user, expires_at=text), 422, "validation_error")
    assert problem["errors"][0]["loc"] == ["body", "expires_at"]
    assert await kept(user) == []


async def test_end_is_kept_in_utc(api: Api, clock: time_machine.Traveller) -> None:
    user = await api.user()
    end = (now() + timedelta(minutes=5)).replace(microsecond=123456)
    elsewhere = end.astimezone(timezone(timedelta(hours=5, minutes=45))).isoformat()
    assert elsewhere.endswith("+05:45")
    key = await user.with_key(expires_at=elsewhere)
    (found,) = await kept(user)
    assert found["expires_at"] == end.isoformat().replace("+00:00", "Z")
    clock.move_to(end, tick=False)
    assert not await works(key)


# what it may


async def test_key_may_what_its_owner_may_unless_it_is_narrowed(api: Api) -> None:
    user = await api.user("users:read", "roles:read", "system:read")
    for asked, expected in (
        (None, ["roles:read", "system:read", "users:read"]),
        (["users:read"], ["users:read"]),
        (["users:read", "roles:read", "users:read"], ["roles:read", "users:read"]),
        ([], []),
    ):
        key = await user.with_key(privileges=asked)
        assert await held(key) == expected
        shown = (await user.get(f"auth/api-keys/{key.key_id}")).json()["privileges"]
        assert shown == (None if asked is None else expected)
        for code, path in (("users:read", "users"), ("roles:read", "roles")):
            answer = await key.get(path)
            assert answer.status_code == (200 if code in expected else 403)
            assert answer.is_success or answer.json()["required"] == code


@pytest.mark.parametrize("narrowed", [None, ["users:read"]])
async def test_implicit_read_is_read_only(api: Api, narrowed: list[str] | None) -> None:
    user, other = await api.user(modules=["users"]), await api.user()
    key = await user.with_key(privileges=narrowed)
    for path in ("users", "users?q=user", f"users/{other.id}"):
        assert (await key.get(path)).status_code == 200
    for method, path, code in (
        ("GET", "users?deleted=true", "users:delete"),
        ("POST", "users", "users:create"),
        ("PATCH", f"users/{other.id}", "users:update"),
        ("DELETE", f"users/{other.id}", "users:delete"),
        ("DELETE", f"users/{other.id}?hard=true", "users:purge"),
        ("POST", f"users/{other.id}/restore", "users:delete"),
        ("POST", f"users/{other.id}/block", "users:block"),
    ):
        assert assert_problem(await key.call(method, path), 403, "forbidden")["required"] == code


async def test_key_asks_for_no_more_than_there_is_and_its_owner_holds(api: Api, unique: str) -> None:
    user, admin = await api.user("users:read"), await api.superuser()
    code = f"reports:x{unique}"
    await admin.post("privileges", {"code": code})
    lacking = assert_problem(await make(user, privileges=["users:read", code]), 403, "forbidden")
    assert lacking["required"] == code
    await admin.delete(f"privileges/{code}")
    for wrong in (code, "users:rea", "Users:Read", "users:*", "*", ""):
        problem = assert_problem(await make(user, privileges=["users:read", wrong]), 422, "validation_error")
        fault = problem["errors"][0]
        assert (fault["loc"], fault["code"]) == (["body", "privileges", 1], "unknown")
    refused: list[object] = ["users:read", [5], [None], ["x" * 128], ["a\x00"], ["users:read"] * 1001, {}]
    for bad in refused:
        assert_problem(await make(user, privileges=bad), 422, "validation_error")
    assert await kept(user) == []


async def test_narrowed_key_of_a_superuser_is_no_superuser(api: Api) -> None:
    admin, other = await api.superuser(), await api.user(role="superuser")
    whole, narrow = await admin.with_key(), await admin.with_key(privileges=["users:read", "users:block"])
    me = (await whole.get("auth/me")).json()
    assert me["is_superuser"] is True
    assert me["privileges"] == await held(admin)
    me = (await narrow.get("auth/me")).json()
    assert (me["is_superuser"], me["privileges"]) == (False, ["users:block", "users:read"])
    assert me["roles"] == ["superuser"]
    assert (await narrow.get("users")).status_code == 200
    assert assert_problem(await narrow.get("roles"), 403)["required"] == "roles:read"
    assert_problem(await narrow.post(f"users/{other.id}/block"), 403, "forbidden")
    assert (await whole.post(f"users/{other.id}/block")).status_code == 200


async def test_key_of_a_superuser_gives_no_role_and_moves_no_address(api: Api) -> None:
    """What looks like an account's affair would hand out rights: refused in the service, not by the route."""
    admin, user = await api.superuser(), await api.user()
    key = await admin.with_key()
    roles = (await admin.get("roles?per_page=100")).json()["items"]
    new = {"email": f"new-{user.email}", "password": PASSWORD}
    assert_problem(await key.post("users", {**new, "role_ids": [roles[0]["id"]]}), 403, "forbidden")
    assert (await key.post("users", new)).status_code == 201
    assert_problem(await key.patch(f"users/{user.id}", {"email": f"moved-{user.email}"}), 403, "forbidden")
    assert (await key.patch(f"users/{user.id}", {"full_name": "Ada"})).status_code == 200


async def test_rights_end_at_every_worker_and_come_back_with_the_owner_s(workers: Workers) -> None:
    here, there = workers
    admin, user = await here.superuser(), await here.user("users:read", modules=["roles"])
    role_ids = [role["id"] for role in (await user.get("users/me")).json()["roles"]]
    whole, narrow = await user.with_key(), await user.with_key(privileges=["users:read", "roles:read"])
    keys = [at(key, api) for key in (whole, narrow) for api in workers]
    path = f"users/{user.id}/roles"
    for _ in range(2):
        assert [await held(key) for key in keys] == [["roles:read", "users:read"]] * 4
        assert (await admin.put(path, {"role_ids": []})).status_code == 200
        assert [await held(key) for key in keys] == [[]] * 4
        assert (await admin.put(path, {"role_ids": role_ids})).status_code == 200
    assert (await admin.put(f"roles/{role_ids[0]}/modules", {"modules": []})).status_code == 200
    assert [await held(key) for key in keys] == [["users:read"]] * 4
    assert (await admin.put(f"roles/{role_ids[0]}/privileges", {"codes": ["system:read"]})).status_code == 200
    assert [await held(at(key, there)) for key in (whole, narrow)] == [["system:read"], []]


async def test_privilege_of_the_team_ends_in_keys_too(workers: Workers, unique: str) -> None:
    here, there = workers
    admin, user, code = await here.superuser(), await here.user(), f"reports:x{unique}"
    await admin.post("privileges", {"code": code})
    role = (await admin.post("roles", {"name": f"reporters {unique}", "privileges": [code]})).json()["id"]
    await admin.put(f"users/{user.id}/roles", {"role_ids": [role]})
    mine, theirs = await user.with_key(privileges=[code]), await admin.with_key(privileges=[code])
    keys = [at(key, there) for key in (mine, theirs)]
    assert [await held(key) for key in keys] == [[code], [code]]
    await admin.delete(f"privileges/{code}")
    assert [await held(key) for key in keys] == [[], []]
    await admin.post("privileges", {"code": code})
    assert [await held(key) for key in keys] == [
        [],
        [code],
    ]  # a superuser holds it again, the other one doesn't
    await admin.put(f"roles/{role}/privileges", {"codes": [code]})
    assert [await held(key) for key in keys] == [[code], [code]]


# who it stands for


async def test_key_stands_for_its_owner(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user, seen = await api.user("users:read", "roles:read"), []
    key, me = await user.with_key(privileges=["users:read"]), AuthService.me

    async def watching(self: AuthService, caller: Principal) -> Me:
        seen.append(RequestContext(**asdict(current())))
        return await me(self, caller)

    monkeypatch.setattr(AuthService, "me", watching)
    answer = await key.get("auth/me")
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["user"]["id"], told["method"]) == (user.id, "api_key")
    assert (told["api_key_id"], told["session_id"]) == (key.key_id, None)
    assert (told["privileges"], told["is_superuser"]) == (["users:read"], False)
    (context,) = seen
    assert (context.actor_type, str(context.actor_id)) == ("api_key", user.id)
    assert (str(context.api_key_id), context.session_id) == (key.key_id, None)
    by_session = (await user.get("auth/me")).json()
    assert (by_session["method"], by_session["api_key_id"]) == ("jwt", None)


# how many and how called


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 101, "a\x00", "a\nb", "a\x1bb", "a\u202eb", "a\u200bb", None, 5]
)
async def test_name_is_checked(api: Api, name: object) -> None:
    user = await api.user()
    problem = assert_problem(await make(user, name=name), 422, "validation_error")
    assert problem["errors"][0]["loc"] == ["body", "name"]
    assert (await make(user, name="x" * 100)).status_code == 201
    assert len(await kept(user)) == 1


async def test_only_keys_that_can_be_used_count(
    api: Api, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.modules.auth.service_keys.MAX_KEYS", 3)
    user, other = await api.user(), await api.user()
    first, second, _ = [await user.with_key() for _ in range(3)]
    assert "3 keys" in assert_problem(await make(user), 409, "conflict")["detail"]
    assert (await make(other)).status_code == 201
    await user.post(f"auth/api-keys/{first.key_id}/revoke")
    assert (await make(user, expires_at=(now() + timedelta(minutes=1)).isoformat())).status_code == 201
    assert_problem(await make(user), 409, "conflict")
    clock.shift(timedelta(minutes=1))
    assert (await make(user)).status_code == 201
    assert_problem(await make(user), 409, "conflict")
    await user.delete(f"auth/api-keys/{second.key_id}")
    assert (await make(user)).status_code == 201


async def test_crowd_makes_no_more_than_is_allowed(api: Api) -> None:
    user = await api.user()
    # Some are made at once too: so the connections are open, and the crowd below really meets.
    first = await asyncio.gather(*(make(user) for _ in range(10)))
    first += [await make(user) for _ in range(MAX_KEYS - 11)]
    assert {answer.status_code for answer in first} == {201}
    for free in (1, 5, 5):
        answers = await asyncio.gather(*(make(user) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [201] * free + [409] * (20 - free)
        assert len(await kept(user, "?per_page=100")) == MAX_KEYS
        for made in [first.pop() for _ in range(5)]:
            assert (await user.delete(f"auth/api-keys/{made.json()['id']}")).status_code == 204
