"""What is stored about rights, read past the program, and what must hold of it whatever anybody did."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.entity import table_of
from app.modules.privileges.models import Privilege
from app.modules.roles.models import Role, RoleModule, RolePrivilege, UserRole
from app.modules.users.models import User

REGULAR = "regular"


@dataclass(frozen=True)
class Seen:
    """`held`: codes by user. `users` and `roles`: what counts of each row, by public id; last what a role grants."""

    held: dict[str, frozenset[str]]
    users: dict[str, tuple[Any, ...]]
    roles: dict[str, tuple[Any, ...]]
    superusers: frozenset[str]
    superuser_roles: frozenset[str]
    active_superusers: frozenset[str]
    regular: frozenset[str]


@dataclass(frozen=True)
class Actor:
    """Who made a call, as it stood before: what the credential may, and which restrictions it has."""

    id: str = ""
    may: frozenset[str] = frozenset()
    is_superuser: bool = False
    is_key: bool = False


async def look(engine: AsyncEngine) -> Seen:
    """Everything about rights, as it is committed."""
    user, role, privilege = table_of(User).c, table_of(Role).c, table_of(Privilege).c
    link, module, holder = table_of(RolePrivilege).c, table_of(RoleModule).c, table_of(UserRole).c
    state = (user.version, user.auth_version, user.rights_version, user.password_hash)
    async with engine.connect() as connection:
        users = (
            await connection.execute(select(user.pk, user.id, user.is_blocked, user.deleted_at, *state))
        ).all()
        columns = (role.pk, role.id, role.name, role.is_superuser, role.deleted_at, role.version)
        roles = (await connection.execute(select(*columns))).all()
        live = select(privilege.pk, privilege.code).where(privilege.deleted_at.is_(None))
        codes: dict[int, str] = {row.pk: row.code for row in await connection.execute(live)}
        links = (await connection.execute(select(link.role_pk, link.privilege_pk))).all()
        modules = (await connection.execute(select(module.role_pk, module.module))).all()
        holders = (await connection.execute(select(holder.user_pk, holder.role_pk))).all()
    grants: dict[int, set[str]] = {row.pk: set() for row in roles}
    for role_pk, privilege_pk in links:
        grants[role_pk] |= {codes[privilege_pk]} if privilege_pk in codes else set()
    for role_pk, name in modules:
        grants[role_pk].add(f"{name}:read")
    return _seen(users, roles, grants, holders, frozenset(codes.values()))


def _seen(users: Any, roles: Any, grants: dict[int, set[str]], holders: Any, codes: frozenset[str]) -> Seen:
    living = {row.pk: row for row in roles if row.deleted_at is None}
    of_user: dict[int, list[int]] = {row.pk: [] for row in users}
    for user_pk, role_pk in holders:
        of_user[user_pk] += [role_pk] if role_pk in living else []
    bosses = {row.pk for row in users if any(living[pk].is_superuser for pk in of_user[row.pk])}
    held = {
        str(row.id): codes if row.pk in bosses else frozenset().union(*(grants[pk] for pk in of_user[row.pk]))
        for row in users
    }
    active = {row.pk for row in users if row.deleted_at is None and not row.is_blocked}
    return Seen(
        held=held,
        users={str(row.id): tuple(row[2:]) for row in users},
        roles={str(row.id): (*row[2:], frozenset(grants[row.pk])) for row in roles},
        superusers=frozenset(str(row.id) for row in users if row.pk in bosses),
        superuser_roles=frozenset(str(row.id) for row in roles if row.is_superuser),
        active_superusers=frozenset(str(row.id) for row in users if row.pk in bosses & active),
        regular=frozenset().union(*(grants[row.pk] for row in living.values() if row.name == REGULAR)),
    )


def faults(before: Seen, after: Seen, actor: Actor, *, is_registration: bool, taken_over: str) -> list[str]:
    """What went wrong between two looks. `taken_over`: whose password or address the actor has set."""
    found = _standing_faults(after)
    if actor.is_superuser:
        return found
    found += _climbing(before, after, actor.may | (before.regular if is_registration else frozenset()))
    found += [f"became a superuser: {id}" for id in after.superusers - before.superusers]
    for id in before.superusers - {actor.id}:
        if after.users.get(id) != before.users[id]:
            found.append(f"a superuser was touched: {id}")
    if any(after.roles.get(id) != before.roles[id] for id in before.superuser_roles):
        found.append("the superuser role was touched")
    if taken_over and before.held.get(taken_over, frozenset()) - before.regular - actor.may:
        found.append(f"took over who may more: {taken_over}")
    if actor.is_key and after.roles != before.roles:
        found.append("a key changed rights")
    return found


def _climbing(before: Seen, after: Seen, may: frozenset[str]) -> list[str]:
    """What users and roles have now, had not before, and could not get from who did it."""
    gained = {
        id: after.held[id] - before.held.get(id, frozenset()) for id in after.held.keys() - after.superusers
    }
    nothing = (frozenset[str](),)
    given = {
        id: after.roles[id][-1] - before.roles.get(id, nothing)[-1]
        for id in after.roles.keys() - after.superuser_roles
    }
    return [
        *(f"gained what the granter lacks: {codes - may}" for codes in gained.values() if codes - may),
        *(f"a role gained what the granter lacks: {codes - may}" for codes in given.values() if codes - may),
    ]


def _standing_faults(seen: Seen) -> list[str]:
    found = []
    if len(seen.superuser_roles) != 1:
        found.append(f"{len(seen.superuser_roles)} superuser roles")
    if not seen.active_superusers:
        found.append("no active superuser is left")
    return found
