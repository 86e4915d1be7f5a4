"""One game: random steps over HTTP, and after each of them a look at what is stored and at what the API says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api import ADMIN, PASSWORD, Api
from tests.backend import RunningApp
from tests.rbac_model import Badge, Person, Role, World
from tests.rbac_people import ADDRESSES, OwnSteps, PeopleSteps
from tests.rbac_seen import Actor, Seen, faults, look
from tests.rbac_steps import RoleSteps, Step

# How often a failed game is played again to shorten it.
REPLAYS = 60
# Enough to try everything with, and much less than others hold.
CLERK = [
    *(f"users:{verb}" for verb in ("create", "update", "delete", "block", "reset_password", "assign_roles")),
    *(f"roles:{verb}" for verb in ("create", "update", "delete")),
]
STATUSES = {200, 201, 204, 401, 403, 404, 409, 422}


class Steps(RoleSteps, PeopleSteps, OwnSteps):
    """All kinds of steps; the number says how often each comes."""

    kinds: tuple[tuple[Callable[["Steps"], Step], int], ...] = (
        (RoleSteps.create_role, 6),
        (RoleSteps.change_role, 4),
        (RoleSteps.set_privileges, 10),
        (RoleSteps.set_modules, 5),
        (RoleSteps.delete_role, 5),
        (RoleSteps.restore_role, 3),
        (RoleSteps.create_privilege, 3),
        (RoleSteps.delete_privilege, 3),
        (RoleSteps.restore_privilege, 2),
        (PeopleSteps.create_user, 6),
        (PeopleSteps.register, 2),
        (PeopleSteps.change_user, 6),
        (PeopleSteps.set_roles, 14),
        (PeopleSteps.block_user, 4),
        (PeopleSteps.unblock_user, 5),
        (PeopleSteps.delete_user, 4),
        (PeopleSteps.restore_user, 4),
        (PeopleSteps.reset_password, 6),
        (OwnSteps.log_in, 12),
        (OwnSteps.change_password, 6),
        (OwnSteps.delete_me, 1),
        (OwnSteps.log_out_everywhere, 1),
        (OwnSteps.mint_key, 6),
        (OwnSteps.revoke_key, 2),
        (OwnSteps.look, 5),
    )

    def draw(self) -> Step:
        """The next step."""
        kinds, weights = zip(*self.kinds, strict=True)
        step: Step = self.chance.choices(kinds, weights)[0](self)
        return step


class Broken(Exception):
    """An invariant does not hold."""


@dataclass
class Play:
    """One sequence of steps on the empty system."""

    api: Api
    engine: AsyncEngine
    world: World
    seen: Seen
    trail: list[str] = field(default_factory=list)

    async def step(self, chance: Random) -> None:
        """Draws a step, takes it, and looks whether everything is as it must be. Raises Broken."""
        drawn = Steps(self.world, chance)
        step = drawn.draw()
        before, actor = self.seen, _actor(self.seen, step.badge)
        answer = await self._ask(step.method, step.path, step.badge, chance, json=step.body)
        who = "nobody" if step.badge is None else f"{step.badge.owner.email}{' (key)' * step.badge.is_key}"
        self.trail.append(f"{who}: {step.method} {step.path} {step.body or ''} -> {answer.status_code}")
        if answer.status_code not in STATUSES:
            raise Broken(f"answered {answer.status_code}")
        after = self.seen = await look(self.engine)
        subject = step.subject.id if step.subject and answer.is_success else ""
        found = faults(before, after, actor, is_registration=step.is_registration, taken_over=subject)
        if found:
            raise Broken("; ".join(found))
        if answer.status_code != step.expected:
            raise Broken(f"answered {answer.status_code}, the model {step.expected}: {answer.text}")
        if answer.is_success:
            step.change(answer.json() if answer.content else {})
        await self._compare(after, chance)

    async def _ask(
        self, method: str, path: str, badge: Badge | None, chance: Random, **options: Any
    ) -> httpx2.Response:
        """Keys come in either header."""
        headers = {}
        if badge is not None:
            in_own = badge.is_key and chance.random() < 0.5
            headers = {"X-API-Key": badge.text} if in_own else {"Authorization": f"Bearer {badge.text}"}
        return await self.api.call(method, path, headers=headers, **options)

    async def _compare(self, seen: Seen, chance: Random) -> None:
        """The database with the model, and both with what the API says."""
        for person in self.world.people:
            _same(f"stored rights of {person.email}", seen.held[person.id], self.world.held_by(person))
        for badge in {chance.choice(self.world.badges), chance.choice(self.world.badges)}:
            await self._compare_identity(badge, seen, chance)
        bosses = [b for b in self.world.badges if b.is_superuser and self.world.door(b) == 0 and not b.is_key]
        if bosses and chance.random() < 0.25:
            await self._compare_answers(bosses[0], chance)

    async def _compare_identity(self, badge: Badge, seen: Seen, chance: Random) -> None:
        answer = await self._ask("GET", "auth/me", badge, chance)
        _same("status of auth/me", answer.status_code, self.world.door(badge) or 200)
        if answer.status_code != 200:
            return
        me, held = answer.json(), seen.held[badge.owner.id]
        may = held if badge.narrowing is None else held & badge.narrowing
        _same(f"rights of {badge.owner.email}{' (key)' * badge.is_key}", me["privileges"], sorted(may))
        _same("superuser by auth/me", me["is_superuser"], badge.is_superuser)
        _same("roles by auth/me", me["roles"], sorted(r.name for r in badge.owner.roles if r.is_live))

    async def _compare_answers(self, boss: Badge, chance: Random) -> None:
        person = chance.choice([person for person in self.world.people if person.is_live])
        told = (await self._ask("GET", f"users/{person.id}/privileges", boss, chance)).json()
        _same("privileges as explained", {p["code"] for p in told["privileges"]}, self.world.held_by(person))
        _same("superuser as explained", told["is_superuser"], person.is_superuser)
        role = chance.choice([role for role in self.world.roles if role.is_live])
        read = (await self._ask("GET", f"roles/{role.id}", boss, chance)).json()
        _same("what a role grants", set(read["effective"]), self.world.effective(role))
        holders = [p for p in self.world.people if p.is_live and role in p.roles]
        _same("holders of a role", read["user_count"], len(holders))


def _same(what: str, told: object, owed: object) -> None:
    if told != owed:
        raise Broken(f"{what}: {told} instead of {owed}")


def _actor(seen: Seen, badge: Badge | None) -> Actor:
    """What the credential may by what is stored, not by what the model thinks."""
    if badge is None or not badge.is_alive:
        return Actor()
    id, narrowing = badge.owner.id, badge.narrowing
    may = seen.held[id] if narrowing is None else seen.held[id] & narrowing
    return Actor(id, may, id in seen.superusers and narrowing is None, badge.is_key)


async def begin(app: RunningApp, engine: AsyncEngine) -> Play:
    """The seeded system with four people: each of them would like to be more."""
    await app.reset()
    api, catalog = Api(app), app.platform.catalog
    boss = await api.superuser()
    roles = []
    for row in (await boss.get("roles")).json()["items"]:
        read = (await boss.get(f"roles/{row['id']}")).json()
        role = Role(read["name"], read["id"], set(read["privileges"]), set(read["modules"]))
        role.is_superuser, role.is_system = read["is_superuser"], True
        roles.append(role)
    named = {role.name: role for role in roles}
    first = Person(ADMIN[0], ADMIN[1], boss.id, {named["superuser"]})
    world = World(sorted(catalog.assignable), sorted(catalog.privileges), roles, [first])
    world.badges.append(Badge(first, boss.access_token))
    clerk = Role("clerk", codes=set(CLERK))
    clerk.id = (await boss.post("roles", {"name": "clerk", "privileges": CLERK})).json()["id"]
    roles.append(clerk)
    named["clerk"] = clerk
    for email, name in zip(ADDRESSES, ("admin", "regular", "superuser", "clerk"), strict=False):
        body = {"email": email, "password": PASSWORD, "role_ids": [named[name].id]}
        made = (await boss.post("users", body)).json()
        person = Person(email, PASSWORD, made["id"], {named[name]})
        world.people.append(person)
        world.badges.append(Badge(person, (await api.login(email)).access_token))
    return Play(api, engine, world, await look(engine))


async def play(app: RunningApp, engine: AsyncEngine, seed: int, steps: Sequence[int]) -> tuple[str, Play]:
    """Takes these steps of a seed; returns what broke with the last one taken, empty for nothing."""
    game = await begin(app, engine)
    for number in steps:
        try:
            await game.step(Random(f"{seed}:{number}"))
        except (Broken, AssertionError) as broken:
            return str(broken), game
    return "", game


async def shortened(app: RunningApp, engine: AsyncEngine, seed: int, steps: list[int]) -> list[int]:
    """Fewer of the steps, after which something is still broken: leaves out runs of them, long ones first."""
    replays, width = 0, len(steps) // 2
    while width and replays < REPLAYS:
        start = 0
        while start < len(steps) and replays < REPLAYS:
            fewer = steps[:start] + steps[start + width :]
            replays += 1
            if (await play(app, engine, seed, fewer))[0]:
                steps = fewer
            else:
                start += width
        width //= 2
    return steps
