"""Who the presented credential stands for."""

from tests.api import Api, assert_problem


async def test_plain_user(api: Api) -> None:
    user = await api.user("users:read", modules=["roles"])
    answer = await user.get("auth/me")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    me = answer.json()
    assert set(me) == {"user", "method", "api_key_id", "session_id", "is_superuser", "roles", "privileges"}
    assert (me["user"]["id"], me["user"]["email"]) == (user.id, user.email)
    assert (me["method"], me["is_superuser"]) == ("jwt", False)
    assert len(me["session_id"]) == 36
    assert me["privileges"] == ["roles:read", "users:read"]
    assert me["roles"] == [role["name"] for role in me["user"]["roles"]]
    assert not any("password" in name or name == "pk" for name in me["user"])


async def test_user_without_roles(api: Api) -> None:
    me = (await (await api.user()).get("auth/me")).json()
    assert (me["roles"], me["privileges"], me["is_superuser"]) == ([], [], False)


async def test_superuser_holds_every_declared_privilege(api: Api) -> None:
    admin = await api.superuser()
    me = (await admin.get("auth/me")).json()
    declared = (await admin.get("privileges", params={"per_page": 1000})).json()["items"]
    assert me["is_superuser"] is True
    assert set(me["privileges"]) == {privilege["code"] for privilege in declared}
    assert "users:read" in me["privileges"]


async def test_session_is_that_of_the_token(api: Api) -> None:
    user = await api.user()
    other = await api.login(user.email)
    ids = {(await caller.get("auth/me")).json()["session_id"] for caller in (user, user, other)}
    assert len(ids) == 2


async def test_nobody(api: Api) -> None:
    assert_problem(await api.get("auth/me"), 401, "unauthenticated")
    user = await api.user()
    assert_problem(await user.get("auth/me", params={"verbose": "1"}), 422, "validation_error")
    assert (await user.get("auth/me")).status_code == 200
