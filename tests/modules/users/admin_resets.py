"""What the tests of administrators' resets say again and again."""

from tests.api import Api, Caller

NEW = "walrus drinks seven cold teas"
GIVEN = "otter plays eleven slow waltzes"
CHANGE = "users/me/change-password"


async def reset(admin: Caller, user: Caller, password: str | None = None) -> str:
    """Resets; the password that opens the account now."""
    body = {} if password is None else {"new_password": password}
    answer = await admin.post(f"users/{user.id}/reset-password", body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.json().get("temporary_password", password))


async def change(caller: Caller, current: str, new: str) -> int:
    return (await caller.post(CHANGE, {"current_password": current, "new_password": new})).status_code


def bound(api: Api, email: str, tokens: dict[str, str]) -> Caller:
    """Somebody who can't ask who they are."""
    return Caller(api, email, "", tokens["access_token"], tokens["refresh_token"])


async def login(api: Api, email: str, password: str) -> Caller:
    answer = await api.post("auth/login", {"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    assert answer.json()["must_change_password"] is True
    return bound(api, email, answer.json())
