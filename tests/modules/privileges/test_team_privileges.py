from tests.api import Api


async def test_superuser_holds_the_team_s_own_privileges_too(api: Api, unique: str) -> None:
    admin = await api.superuser()
    code = f"reports:{'x' + unique}"
    before = (await admin.get("auth/me")).json()["privileges"]
    assert code not in before
    assert (await admin.post("privileges", {"code": code})).status_code == 201
    assert set((await admin.get("auth/me")).json()["privileges"]) == {*before, code}
    roles = (await admin.get("roles?per_page=1000")).json()["items"]
    role_id = next(role["id"] for role in roles if role["is_superuser"])
    assert code in (await admin.get(f"roles/{role_id}")).json()["effective"]
    assert (await admin.delete(f"privileges/{code}")).status_code == 204
    assert (await admin.get("auth/me")).json()["privileges"] == before
