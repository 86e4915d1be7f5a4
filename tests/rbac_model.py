"""Who may what, told a second time and as plainly as possible: the reference that random steps are compared with.

Each method answers with the status that the API owes, and changes nothing; what a step brings about is written
into the model by the step itself, once the API has answered as it should.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import uuid4

GONE = 404


def first(*verdicts: tuple[int, object] | int) -> int:
    """The status of the first refusal whose reason holds; at the end a status that is due where none does."""
    for verdict in verdicts:
        if isinstance(verdict, int):
            return verdict
        if verdict[1]:
            return verdict[0]
    raise ValueError("the last verdict is what happens without a refusal")


@dataclass(eq=False)
class Role:
    """A role, with what it holds; `is_gone` for one that never existed or was removed for good."""

    name: str
    id: str = field(default_factory=lambda: str(uuid4()))
    codes: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    is_superuser: bool = False
    is_system: bool = False
    is_deleted: bool = False
    is_gone: bool = False

    @property
    def is_live(self) -> bool:
        return not (self.is_deleted or self.is_gone)

    @property
    def granted(self) -> set[str]:
        return self.codes | {f"{module}:read" for module in self.modules}


@dataclass(eq=False)
class Person:
    """An account, with the password that somebody knows."""

    email: str
    password: str = ""
    id: str = field(default_factory=lambda: str(uuid4()))
    roles: set[Role] = field(default_factory=set)
    is_blocked: bool = False
    is_deleted: bool = False
    is_gone: bool = False
    must_change: bool = False

    @property
    def is_live(self) -> bool:
        return not (self.is_deleted or self.is_gone)

    @property
    def is_superuser(self) -> bool:
        return any(role.is_superuser for role in self.roles if role.is_live)


@dataclass(eq=False)
class Badge:
    """A credential: an access token, or an API key with what narrows it."""

    owner: Person
    text: str
    key_id: str = ""
    narrowing: frozenset[str] | None = None
    is_dead: bool = False
    is_removed: bool = False

    @property
    def is_key(self) -> bool:
        return bool(self.key_id)

    @property
    def is_alive(self) -> bool:
        return not self.is_dead and self.owner.is_live and not self.owner.is_blocked

    @property
    def is_superuser(self) -> bool:
        return self.owner.is_superuser and self.narrowing is None


@dataclass
class Team:
    """A code of the team's own: whether it is live now, and how many deleted ones could come back."""

    is_live: bool = False
    deleted: int = 0


@dataclass
class World:
    """All that counts. `modules` can be assigned; `declared` codes come from modules and stay."""

    modules: list[str]
    declared: list[str]
    roles: list[Role]
    people: list[Person]
    team: dict[str, Team] = field(default_factory=dict)
    badges: list[Badge] = field(default_factory=list)

    @property
    def codes(self) -> set[str]:
        return {*self.declared, *(code for code, team in self.team.items() if team.is_live)}

    @property
    def regular(self) -> Role:
        return next(role for role in self.roles if role.name == "regular")

    def held_by(self, person: Person) -> set[str]:
        if person.is_superuser:
            return self.codes
        return set().union(*(role.granted for role in person.roles if role.is_live))

    def rights_of(self, badge: Badge) -> set[str]:
        held = self.held_by(badge.owner)
        return held if badge.narrowing is None else held & badge.narrowing

    def effective(self, role: Role) -> set[str]:
        return self.codes if role.is_superuser else role.granted

    def has_email(self, email: str, besides: Person | None = None) -> bool:
        return any(p.is_live and p.email == email and p is not besides for p in self.people)

    def has_name(self, name: str, besides: Role | None = None) -> bool:
        return any(r.is_live and r.name == name and r is not besides for r in self.roles)

    def end_tokens(self, person: Person, besides: Badge | None = None) -> None:
        for badge in self.badges:
            if badge.owner is person and not badge.is_key and badge is not besides:
                badge.is_dead = True

    # the rules

    def may(self, badge: Badge, code: str) -> bool:
        return badge.is_superuser or code in self.rights_of(badge)

    def may_grant(self, badge: Badge, codes: Iterable[str]) -> bool:
        return all(self.may(badge, code) for code in codes)

    def may_give(self, badge: Badge, role: Role) -> bool:
        return badge.is_superuser or (not role.is_superuser and self.may_grant(badge, role.granted))

    def reaches(self, badge: Badge, person: Person) -> bool:
        return self.may_grant(badge, self.held_by(person) - self.regular.granted)

    def is_above(self, badge: Badge, thing: Person | Role) -> bool:
        return thing.is_superuser and not badge.is_superuser

    def is_last(self, person: Person) -> bool:
        active = [p for p in self.people if p.is_superuser and p.is_live and not p.is_blocked]
        return active == [person]

    def door(self, badge: Badge, code: str = "", *, in_person: bool = False, changing: bool = False) -> int:
        """What the guard of a route answers; 0 lets in."""
        return first(
            (401, not badge.is_alive),
            (403, badge.owner.must_change and not badge.is_key and not changing),
            (403, in_person and badge.is_key),
            (403, code and not self.may(badge, code)),
            0,
        )

    def edit_role(self, badge: Badge, role: Role, code: str, *, deleted: bool = False) -> int:
        """Getting hold of a role to change it; `deleted`: soft-deleted ones count too."""
        door = self.door(badge, code, in_person=True)
        is_there = not role.is_gone and (deleted or role.is_live)
        return first((door, door), (GONE, not is_there), (403, self.is_above(badge, role)), 0)

    def touch(self, badge: Badge, person: Person, code: str, *, deleted: bool | None = False) -> int:
        """Getting hold of a user to change them; `deleted`: only deleted ones, or None for either."""
        door = self.door(badge, code)
        is_there = not person.is_gone and deleted in {None, person.is_deleted}
        return first((door, door), (GONE, not is_there), (403, self.is_above(badge, person)), 0)

    def remove(self, badge: Badge, person: Person) -> int:
        """What stands before blocking or deleting somebody one may touch."""
        return first((409, self.is_last(person)), (409, badge.owner is person), 0)

    def take_over(self, badge: Badge, person: Person) -> int:
        """What stands before setting somebody's password, or the address that it can be mailed to."""
        return first((403, badge.is_key), (403, not self.reaches(badge, person)), 0)

    def set_roles(self, badge: Badge, person: Person, roles: list[Role]) -> int:
        touch = self.touch(badge, person, "users:assign_roles") if not badge.is_key else 0
        door = self.door(badge, "users:assign_roles", in_person=True)
        held = {role for role in person.roles if role.is_live}
        loses = held - set(roles)
        strips = person.is_superuser and not any(role.is_superuser for role in roles)
        return first(
            (door, door),
            (touch, touch),
            (409, strips and self.is_last(person)),
            (409, loses and badge.owner is person),
            (422, not all(role.is_live for role in roles)),
            (403, not all(self.may_give(badge, role) for role in roles if role not in held)),
            200,
        )
