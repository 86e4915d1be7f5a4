"""Random calls about roles and privileges, each with the status that the model expects and what it brings about."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.rbac_model import Badge, Person, Role, Team, World, first

NAMES = [f"role {number}" for number in range(9)]
TEAM_CODES = [f"team:task{number}" for number in range(4)]
UNKNOWN = "team:unknown"
Body = dict[str, Any]


@dataclass
class Step:
    """One call. `subject`: whose password or address it sets; `change`: what it does to the model."""

    method: str
    path: str
    expected: int
    body: Body | None = None
    badge: Badge | None = None
    change: Callable[[Body], object] = field(default=lambda _: None, repr=False)
    subject: Person | None = None
    is_registration: bool = False


class Draw:
    """Whom and what a step is about. All comes from one generator: a step follows from its seed and the state."""

    def __init__(self, world: World, chance: Random) -> None:
        self.world = world
        self.chance = chance
        self.badge = self._actor()

    def _actor(self) -> Badge:
        alive = [badge for badge in self.world.badges if badge.is_alive]
        bosses = [badge for badge in alive if badge.is_superuser and not badge.is_key]
        dead = [badge for badge in self.world.badges if not badge.is_alive]
        groups = [group for group in (bosses, bosses, alive, alive, alive, dead) if group]
        weights = [1.0 if group is dead else 9.0 for group in groups]
        return self.chance.choice(self.chance.choices(groups, weights)[0])

    def _person(self) -> Person:
        if self.chance.random() < 0.15:
            return self.badge.owner
        return self.chance.choice([*self.world.people, Person("nobody@example.com", is_gone=True)])

    def _role(self) -> Role:
        return self.chance.choice([*self.world.roles, Role("nothing", is_gone=True)])

    def _some(self, things: Iterable[Any], most: int) -> list[Any]:
        pool = list(things)
        return self.chance.sample(pool, min(len(pool), self.chance.randint(0, most)))

    def _codes(self) -> list[str]:
        """Mostly what the actor holds, now and then something else, or what isn't there."""
        own, others = sorted(self.world.rights_of(self.badge)), sorted(self.world.codes)
        found = self._some(own, 4) + (self._some(others, 2) if self.chance.random() < 0.4 else [])
        return found + ([UNKNOWN] if self.chance.random() < 0.04 else [])

    def _modules(self) -> list[str]:
        unknown = ["unknown"] if self.chance.random() < 0.04 else []
        return self._some(self.world.modules, 2) + unknown

    def _roles(self, person: Person) -> list[Role]:
        """What somebody holds, more or less, and a few others."""
        kept = [role for role in self.world.roles if role in person.roles and self.chance.random() < 0.7]
        return list(dict.fromkeys(kept + self._some([*self.world.roles, Role("none", is_gone=True)], 2)))

    def _step(self, method: str, path: str, expected: int, **more: Any) -> Step:
        return Step(method, path, expected, badge=self.badge, **more)


class RoleSteps(Draw):
    """What is done to roles and to the team's privileges."""

    def create_role(self) -> Step:
        name, codes, modules = self.chance.choice(NAMES), self._codes(), self._modules()
        role = Role(name, codes=set(codes), modules=set(modules))
        door = self.world.door(self.badge, "roles:create", in_person=True)
        expected = first(
            (door, door),
            (422, "unknown" in modules or UNKNOWN in codes),
            (403, not self.world.may_grant(self.badge, role.granted)),
            (409, self.world.has_name(name)),
            201,
        )

        def change(made: Body) -> None:
            role.id = made["id"]
            self.world.roles.append(role)

        body = {"name": name, "codes": codes, "modules": modules}
        body["privileges"] = body.pop("codes")
        return self._step("POST", "roles", expected, body=body, change=change)

    def change_role(self) -> Step:
        role, name = self._role(), self.chance.choice(NAMES)
        edit = self.world.edit_role(self.badge, role, "roles:update")
        taken = role.is_system or self.world.has_name(name, besides=role)
        expected = first((edit, edit), (409, taken), 200)

        def change(_: Body) -> None:
            role.name = name

        return self._step("PATCH", f"roles/{role.id}", expected, body={"name": name}, change=change)

    def set_privileges(self) -> Step:
        role = self._role()
        codes = [code for code in sorted(role.codes) if self.chance.random() < 0.7] + self._codes()
        edit = self.world.edit_role(self.badge, role, "roles:update")
        new = set(codes) - role.codes
        lacks = not self.world.may_grant(self.badge, new)
        expected = first((edit, edit), (422, UNKNOWN in codes), (403, lacks), 200)

        def change(_: Body) -> None:
            role.codes = set(codes)

        path = f"roles/{role.id}/privileges"
        return self._step("PUT", path, expected, body={"codes": codes}, change=change)

    def set_modules(self) -> Step:
        role, modules = self._role(), self._modules()
        door = self.world.door(self.badge, "roles:update", in_person=True)
        edit = self.world.edit_role(self.badge, role, "roles:update")
        new = {f"{module}:read" for module in set(modules) - role.modules}
        lacks = not self.world.may_grant(self.badge, new)
        expected = first((door, door), (422, "unknown" in modules), (edit, edit), (403, lacks), 200)

        def change(_: Body) -> None:
            role.modules = set(modules)

        path = f"roles/{role.id}/modules"
        return self._step("PUT", path, expected, body={"modules": modules}, change=change)

    def delete_role(self) -> Step:
        role, hard = self._role(), self.chance.random() < 0.3
        edit = self.world.edit_role(self.badge, role, "roles:purge" if hard else "roles:delete", deleted=hard)
        holders = [person for person in self.world.people if person.is_live and role in person.roles]
        expected = first((edit, edit), (409, role.is_system or holders), 204)

        def change(_: Body) -> None:
            role.is_deleted = True
            for person in self.world.people:
                person.roles.discard(role)
            if hard:
                role.is_gone = True
                self.world.roles.remove(role)

        return self._step("DELETE", f"roles/{role.id}{'?hard=true' * hard}", expected, change=change)

    def restore_role(self) -> Step:
        role = self.chance.choice([role for role in self.world.roles if role.is_deleted] or [self._role()])
        door = self.world.door(self.badge, "roles:delete", in_person=True)
        expected = first((door, door), (404, not role.is_deleted), (409, self.world.has_name(role.name)), 200)

        def change(_: Body) -> None:
            role.is_deleted = False

        return self._step("POST", f"roles/{role.id}/restore", expected, change=change)

    def create_privilege(self) -> Step:
        code = self.chance.choice([*TEAM_CODES, self.chance.choice(self.world.declared)])
        door = self.world.door(self.badge, "privileges:create", in_person=True)
        expected = first((door, door), (409, code in self.world.codes), 201)

        def change(_: Body) -> None:
            self.world.team.setdefault(code, Team()).is_live = True

        return self._step("POST", "privileges", expected, body={"code": code}, change=change)

    def delete_privilege(self) -> Step:
        code, hard = self.chance.choice([*TEAM_CODES, "roles:read"]), self.chance.random() < 0.3
        team = self.world.team.get(code, Team())
        verb = "privileges:purge" if hard else "privileges:delete"
        door = self.world.door(self.badge, verb, in_person=True)
        is_system = code in self.world.declared
        is_there = is_system or team.is_live or (hard and team.deleted)
        expected = first((door, door), (404, not is_there), (409, is_system), 204)

        def change(_: Body) -> None:
            if not team.is_live:
                team.deleted -= 1
                return
            team.is_live, team.deleted = False, team.deleted + (not hard)
            for role in self.world.roles:
                role.codes.discard(code)

        return self._step("DELETE", f"privileges/{code}{'?hard=true' * hard}", expected, change=change)

    def restore_privilege(self) -> Step:
        deleted = [code for code, team in sorted(self.world.team.items()) if team.deleted]
        code = self.chance.choice(deleted or TEAM_CODES)
        team = self.world.team.get(code, Team())
        door = self.world.door(self.badge, "privileges:delete", in_person=True)
        expected = first((door, door), (404, not team.deleted), (409, team.is_live), 200)

        def change(_: Body) -> None:
            team.is_live, team.deleted = True, team.deleted - 1

        return self._step("POST", f"privileges/{code}/restore", expected, change=change)
