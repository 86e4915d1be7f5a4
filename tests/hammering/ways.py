"""Every way of taking something away, and what it does to which credential."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.api import PASSWORD, Caller, KeyCaller
from tests.hammering.load import ALIVE, DEAD, FORBIDDEN, STRIPPED, Fate

NEW_PASSWORD = "another horse another battery"


@dataclass(frozen=True)
class Scene:
    """A user with two sessions and a key. `other` is the second session; `link` the token of a mailed link."""

    admin: Caller
    user: Caller
    other: Caller
    key: KeyCaller
    session_id: str
    role_id: str
    link: str = ""
    code: str = ""


@dataclass(frozen=True)
class Step:
    """One request of the actor; nobody's credential where none is needed."""

    by: Caller | None
    method: str
    path: str
    body: Any = None


@dataclass(frozen=True)
class Fates:
    """What becomes of each credential in use; None: it isn't. `rights`: what access token and key may do."""

    access: Fate
    refresh: Fate
    key: Fate
    other_access: Fate | None = None
    other_refresh: Fate | None = None
    rights: Fate | None = None


ACCOUNT_ENDS = Fates(access=DEAD, refresh=DEAD, key=DEAD, other_access=DEAD)
SESSIONS_END = Fates(access=DEAD, refresh=DEAD, key=ALIVE, other_access=DEAD)
ONE_SESSION_ENDS = Fates(access=DEAD, refresh=DEAD, key=ALIVE, other_access=ALIVE, other_refresh=ALIVE)
RIGHTS_END = Fates(access=ALIVE, refresh=ALIVE, key=ALIVE, rights=FORBIDDEN)
PRIVILEGE_IS_GONE = Fates(access=STRIPPED, refresh=ALIVE, key=STRIPPED)
KEY_ENDS = Fates(access=ALIVE, refresh=ALIVE, key=DEAD)


@dataclass(frozen=True)
class Way:
    """`step` takes away; the clock runs from its answer. `then` follows while everything is still in use."""

    fates: Fates
    step: Callable[[Scene], Step]
    then: Callable[[Scene], Step] | None = None
    modules: tuple[str, ...] = ()  # what the user's role grants, instead of a privilege
    takes_privilege: bool = False  # one of the team's own
    opens_link: bool = False


def _at_user(method: str, path: str = "", body: Any = None) -> Callable[[Scene], Step]:
    return lambda scene: Step(scene.admin, method, f"users/{scene.user.id}{path}", body)


def _at_role(method: str, path: str = "", body: Any = None) -> Callable[[Scene], Step]:
    return lambda scene: Step(scene.admin, method, f"roles/{scene.role_id}{path}", body)


def _move(scene: Scene) -> Step:
    return Step(scene.admin, "PATCH", f"users/{scene.user.id}", {"email": f"moved-{scene.user.email}"})


def _change_password(scene: Scene) -> Step:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return Step(scene.other, "POST", "users/me/change-password", body)


def _open_link(scene: Scene) -> Step:
    return Step(None, "POST", "auth/password/reset", {"token": scene.link, "new_password": NEW_PASSWORD})


WAYS = {
    "block": Way(ACCOUNT_ENDS, _at_user("POST", "/block")),
    "soft delete": Way(ACCOUNT_ENDS, _at_user("DELETE")),
    "hard delete": Way(ACCOUNT_ENDS, _at_user("DELETE", "?hard=true")),
    "own delete": Way(
        ACCOUNT_ENDS, lambda scene: Step(scene.other, "DELETE", "users/me", {"password": PASSWORD})
    ),
    "logout": Way(ONE_SESSION_ENDS, lambda scene: Step(scene.user, "POST", "auth/logout")),
    "logout-all": Way(SESSIONS_END, lambda scene: Step(scene.other, "POST", "auth/logout-all")),
    "session ended": Way(
        ONE_SESSION_ENDS, lambda scene: Step(scene.other, "DELETE", f"auth/sessions/{scene.session_id}")
    ),
    "own new password": Way(ONE_SESSION_ENDS, _change_password),
    "mailed reset": Way(SESSIONS_END, _open_link, opens_link=True),
    "admin reset": Way(SESSIONS_END, _at_user("POST", "/reset-password")),
    "new address": Way(SESSIONS_END, _move),
    "role taken": Way(RIGHTS_END, _at_user("PUT", "/roles", {"role_ids": []})),
    "role taken and deleted": Way(
        RIGHTS_END, _at_user("PUT", "/roles", {"role_ids": []}), then=_at_role("DELETE")
    ),
    "privilege taken": Way(RIGHTS_END, _at_role("PUT", "/privileges", {"codes": []})),
    "module taken": Way(RIGHTS_END, _at_role("PUT", "/modules", {"modules": []}), modules=("users",)),
    "privilege deleted": Way(
        PRIVILEGE_IS_GONE,
        lambda scene: Step(scene.admin, "DELETE", f"privileges/{scene.code}"),
        takes_privilege=True,
    ),
    "key revoked": Way(
        KEY_ENDS, lambda scene: Step(scene.user, "POST", f"auth/api-keys/{scene.key.key_id}/revoke")
    ),
    "key revoked by itself": Way(
        KEY_ENDS, lambda scene: Step(scene.user, "POST", "auth/api-keys/revoke", {"key": scene.key.key})
    ),
    "key deleted": Way(
        KEY_ENDS, lambda scene: Step(scene.user, "DELETE", f"auth/api-keys/{scene.key.key_id}")
    ),
}
