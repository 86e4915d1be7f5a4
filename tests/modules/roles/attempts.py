"""Every known way to get more than one was given: who is there, and what they try."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.api import PASSWORD, Api, Caller, KeyCaller

# What an ambitious administrator may; everything that matters is missing from it.
CLERK = (
    *(
        f"users:{verb}"
        for verb in ("read", "create", "update", "delete", "block", "reset_password", "assign_roles")
    ),
    *(f"roles:{verb}" for verb in ("read", "create", "update", "delete")),
    *(f"privileges:{verb}" for verb in ("read", "create", "update", "delete")),
)
MORE = "users:purge"
NEW = {"email": "new@example.com", "password": PASSWORD}


@dataclass
class Stage:
    """Who and what there is before the attempt."""

    api: Api
    boss: Caller
    clerk: Caller
    key: KeyCaller
    narrow: KeyCaller
    lowly: Caller
    purger: Caller
    fallen: str
    barred: str
    roles: dict[str, dict[str, Any]]

    def role(self, name: str) -> str:
        return str(self.roles[name]["id"])


Attempt = Callable[[Stage], Awaitable[httpx2.Response]]


def roles_of(target: Callable[[Stage], str], *names: str) -> Attempt:
    """Giving these roles to somebody."""
    return lambda s: s.clerk.put(f"users/{target(s)}/roles", {"role_ids": [s.role(name) for name in names]})


def own_role(method: str, path: str, body: Any) -> Attempt:
    """A change of the role that the clerk holds."""
    return lambda s: s.clerk.call(method, f"roles/{s.role('mine')}{path}", json=body)


def on(target: str, method: str, path: str, body: Any = None) -> Attempt:
    """A call about a user or a role of the stage; `target` is an attribute, or a role's name."""

    def attempt(s: Stage) -> Awaitable[httpx2.Response]:
        found = getattr(s, target, None) or s.roles[target]["id"]
        id = found if isinstance(found, str) else found.id
        return s.clerk.call(method, path.format(id), json=body)

    return attempt


def made_with(**body: Any) -> Attempt:
    """A role made out of this."""
    return lambda s: s.clerk.post("roles", {"name": "ladder", **body})


def by_key(method: str, path: str, body: Any = None) -> Attempt:
    """The same by an API key that isn't narrowed: it changes no rights, whoever owns it."""
    return lambda s: s.key.call(
        method, path.format(role=s.role("mine"), user=s.lowly.id, me=s.clerk.id), json=body
    )


SUPERUSER, USER = "roles/{}", "users/{}"
ATTEMPTS: dict[str, tuple[Attempt, int]] = {
    "superuser's role for oneself": (roles_of(lambda s: s.clerk.id, "base", "mine", "superuser"), 403),
    "superuser's role for a friend": (roles_of(lambda s: s.lowly.id, "superuser"), 403),
    "bigger role for oneself": (roles_of(lambda s: s.clerk.id, "base", "mine", "big"), 403),
    "bigger role for a friend": (roles_of(lambda s: s.lowly.id, "big"), 403),
    "administrators' role for a friend": (roles_of(lambda s: s.lowly.id, "admin"), 403),
    "superuser made anew": (lambda s: s.clerk.post("users", {**NEW, "role_ids": [s.role("superuser")]}), 403),
    "friend made with a bigger role": (
        lambda s: s.clerk.post("users", {**NEW, "role_ids": [s.role("big")]}),
        403,
    ),
    "more in one's own role": (own_role("PUT", "/privileges", {"codes": ["users:read", MORE]}), 403),
    "module in one's own role": (own_role("PUT", "/modules", {"modules": ["roles", "system"]}), 403),
    "more in everybody's role": (on("regular", "PUT", "roles/{}/privileges", {"codes": [MORE]}), 403),
    "role made with more": (made_with(privileges=[MORE]), 403),
    "role made with a module": (made_with(modules=["system"]), 403),
    "role made a superuser's": (made_with(is_superuser=True), 422),
    "role made the system's": (made_with(is_system=True), 422),
    "one's own role made a superuser's": (own_role("PATCH", "", {"is_superuser": True}), 422),
    "one's own role given more by PATCH": (own_role("PATCH", "", {"privileges": [MORE]}), 422),
    "privilege in capitals": (made_with(privileges=["USERS:PURGE"]), 422),
    "privilege with a space": (made_with(privileges=[" users:purge"]), 422),
    "privilege with a line's end": (made_with(privileges=["users:purge\n"]), 422),
    "privilege in full width": (made_with(privileges=["users：purge"]), 422),
    "privilege with a Cyrillic letter": (made_with(privileges=["users:рurge"]), 422),
    "every privilege": (made_with(privileges=["*"]), 422),
    "every privilege of a module": (made_with(privileges=["users:*"]), 422),
    "beginning of a privilege": (made_with(privileges=["users:"]), 422),
    "module in capitals": (made_with(modules=["System"]), 422),
    "module with a space": (made_with(modules=["system "]), 422),
    "module in the singular": (made_with(modules=["user"]), 422),
    "module with a Cyrillic letter": (made_with(modules=["sуstem"]), 422),
    "module as a privilege": (made_with(modules=[MORE]), 422),
    "superuser's role renamed": (on("superuser", "PATCH", SUPERUSER, {"name": "ours"}), 403),
    "superuser's role described": (on("superuser", "PATCH", SUPERUSER, {"description": "ours"}), 403),
    "superuser's role emptied": (on("superuser", "PUT", "roles/{}/privileges", {"codes": []}), 403),
    "superuser's role given a module": (
        on("superuser", "PUT", "roles/{}/modules", {"modules": ["users"]}),
        403,
    ),
    "superuser's role deleted": (on("superuser", "DELETE", SUPERUSER), 403),
    "superuser's role purged": (on("superuser", "DELETE", "roles/{}?hard=true"), 403),
    "superuser's role restored": (on("superuser", "POST", "roles/{}/restore"), 404),
    "everybody's role replaced by one's own": (own_role("PATCH", "", {"name": "regular"}), 409),
    "everybody's role out of the way": (on("regular", "PATCH", "roles/{}", {"name": "old"}), 409),
    "superuser's password": (on("boss", "POST", "users/{}/reset-password"), 403),
    "superuser's address": (on("boss", "PATCH", USER, {"email": "mine@example.com"}), 403),
    "superuser's name": (on("boss", "PATCH", USER, {"full_name": "Mine"}), 403),
    "superuser blocked": (on("boss", "POST", "users/{}/block"), 403),
    "superuser deleted": (on("boss", "DELETE", USER), 403),
    "superuser stripped": (on("boss", "PUT", "users/{}/roles", {"role_ids": []}), 403),
    "blocked superuser let in": (on("barred", "POST", "users/{}/unblock"), 403),
    "blocked superuser's password": (on("barred", "POST", "users/{}/reset-password"), 403),
    "blocked superuser stripped": (on("barred", "PUT", "users/{}/roles", {"role_ids": []}), 403),
    "deleted superuser brought back": (on("fallen", "POST", "users/{}/restore"), 403),
    "deleted superuser purged": (on("fallen", "DELETE", "users/{}?hard=true"), 403),
    "password of who may more": (
        on("purger", "POST", "users/{}/reset-password", {"new_password": PASSWORD}),
        403,
    ),
    "made-up password of who may more": (on("purger", "POST", "users/{}/reset-password"), 403),
    "address of who may more": (on("purger", "PATCH", USER, {"email": "mine@example.com"}), 403),
    "one's own password past the old one": (on("clerk", "POST", "users/{}/reset-password"), 409),
    "user made superuser by PATCH": (on("clerk", "PATCH", USER, {"is_superuser": True}), 422),
    "roles by PATCH": (on("clerk", "PATCH", USER, {"roles": []}), 422),
    "role_ids by PATCH": (on("clerk", "PATCH", USER, {"role_ids": []}), 422),
    "version of rights by PATCH": (on("clerk", "PATCH", USER, {"rights_version": 1}), 422),
    "hash by PATCH": (on("lowly", "PATCH", USER, {"password_hash": "x"}), 422),
    "role by one's own profile": (
        lambda s: s.clerk.patch("users/me", {"role_ids": [s.role("superuser")]}),
        422,
    ),
    "superuser by registration": (lambda s: s.api.post("auth/register", {**NEW, "is_superuser": True}), 422),
    "roles by registration": (
        lambda s: s.api.post("auth/register", {**NEW, "role_ids": [s.role("admin")]}),
        422,
    ),
    "key with more": (lambda s: s.clerk.post("auth/api-keys", {"name": "k", "privileges": [MORE]}), 403),
    "key for everything": (lambda s: s.clerk.post("auth/api-keys", {"name": "k", "privileges": ["*"]}), 422),
    "key of a superuser": (lambda s: s.clerk.post("auth/api-keys", {"name": "k", "is_superuser": True}), 422),
    "key of somebody else": (
        lambda s: s.clerk.post("auth/api-keys", {"name": "k", "user_id": s.boss.id}),
        422,
    ),
    "wider key by a narrow one": (lambda s: s.narrow.post("auth/api-keys", {"name": "k"}), 403),
    "key that makes roles": (by_key("POST", "roles", {"name": "ladder"}), 403),
    "key that fills roles": (by_key("PUT", "roles/{role}/privileges", {"codes": []}), 403),
    "key that gives modules": (by_key("PUT", "roles/{role}/modules", {"modules": []}), 403),
    "key that renames roles": (by_key("PATCH", "roles/{role}", {"name": "x"}), 403),
    "key that deletes roles": (by_key("DELETE", "roles/{role}"), 403),
    "key that gives roles": (by_key("PUT", "users/{user}/roles", {"role_ids": []}), 403),
    "key that makes privileges": (by_key("POST", "privileges", {"code": "team:task"}), 403),
    "key that sets passwords": (by_key("POST", "users/{user}/reset-password"), 403),
    "key that moves addresses": (by_key("PATCH", "users/{user}", {"email": "mine@example.com"}), 403),
    "key that moves its owner's address": (by_key("PATCH", "users/{me}", {"email": "mine@example.com"}), 403),
    "key that makes people with roles": (
        lambda s: s.key.post("users", {**NEW, "role_ids": [s.role("mine")]}),
        403,
    ),
    "narrow key beyond its width": (lambda s: s.narrow.post(f"users/{s.lowly.id}/block"), 403),
    "declared privilege made one's own": (lambda s: s.clerk.post("privileges", {"code": MORE}), 409),
    "declared privilege deleted": (lambda s: s.clerk.delete(f"privileges/{MORE}"), 409),
    "declared privilege described": (
        lambda s: s.clerk.patch(f"privileges/{MORE}", {"description": "x"}),
        409,
    ),
    "declared privilege restored": (lambda s: s.clerk.post(f"privileges/{MORE}/restore"), 404),
    "declared privilege in capitals": (lambda s: s.clerk.post("privileges", {"code": "Users:purge"}), 422),
    "purging with the right to delete": (on("lowly", "DELETE", "users/{}?hard=true"), 403),
    "purging, written otherwise": (on("lowly", "DELETE", "users/{}?hard=1"), 403),
    "purging, said twice": (on("lowly", "DELETE", "users/{}?hard=false&hard=true"), 403),
    "deleted users without the right": (lambda s: s.purger.get("users?deleted=true"), 403),
    "another method by header": (
        lambda s: s.purger.post(f"users/{s.lowly.id}", headers={"X-HTTP-Method-Override": "DELETE"}),
        405,
    ),
    "another method by query": (lambda s: s.lowly.get(f"users/{s.boss.id}?_method=DELETE"), 403),
    "another path by header": (
        lambda s: s.lowly.get(f"users/{s.boss.id}", headers={"X-Original-URL": "/api/v1/users/me"}),
        403,
    ),
    "another user by header": (lambda s: s.lowly.get("users", headers={"X-User-Id": s.boss.id}), 403),
    "two credentials at once": (lambda s: s.clerk.get("users", headers={"X-API-Key": s.key.key}), 400),
    "path with a slash more": (lambda s: s.lowly.get("users/"), 404),
    "path with a dot": (lambda s: s.lowly.get("users/me/../"), 404),
    "path in capitals": (lambda s: s.lowly.get("Users"), 404),
}
