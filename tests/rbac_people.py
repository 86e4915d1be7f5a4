"""Random calls about users and their credentials, each with the status that the model expects."""

from collections.abc import Callable

from tests.api import PASSWORD
from tests.rbac_model import Badge, Person, first
from tests.rbac_steps import UNKNOWN, Body, Draw, Step

ADDRESSES = [f"person{number}@example.com" for number in range(10)]


class PeopleSteps(Draw):
    """What administrators do to accounts."""

    def create_user(self) -> Step:
        email, roles = self.chance.choice(ADDRESSES), self._roles(Person("new@example.com"))
        by_default = self.chance.random() < 0.3
        default = [self.world.regular] if self.world.may_give(self.badge, self.world.regular) else []
        given = default if by_default else roles
        person = Person(email, PASSWORD, roles=set(given))
        door = self.world.door(self.badge, "users:create")
        assigns = roles and not by_default
        expected = first(
            (door, door),
            (403, assigns and self.world.door(self.badge, "users:assign_roles", in_person=True)),
            (409, self.world.has_email(email)),
            (422, not all(role.is_live for role in given)),
            (403, not all(self.world.may_give(self.badge, role) for role in given)),
            201,
        )
        body: Body = {"email": email, "password": PASSWORD}
        if not by_default:
            body["role_ids"] = [role.id for role in roles]
        return self._step("POST", "users", expected, body=body, change=self._arrival(person))

    def _arrival(self, person: Person) -> Callable[[Body], None]:
        def change(made: Body) -> None:
            person.id = made["id"]
            self.world.people.append(person)

        return change

    def register(self) -> Step:
        email = self.chance.choice(ADDRESSES)
        person = Person(email, PASSWORD, roles={self.world.regular})
        body = {"email": email, "password": PASSWORD}
        expected = 409 if self.world.has_email(email) else 201
        change = self._arrival(person)
        return Step("POST", "auth/register", expected, body, change=change, is_registration=True)

    def change_user(self) -> Step:
        person = self._person()
        touch = self.world.touch(self.badge, person, "users:update", deleted=False)
        if self.chance.random() < 0.3:
            body = {"full_name": f"Name {self.chance.randint(1, 9)}"}
            return self._step("PATCH", f"users/{person.id}", first((touch, touch), 200), body=body)
        email = self.chance.choice(ADDRESSES)
        moved = email != person.email
        over = moved and self.world.take_over(self.badge, person)
        taken = self.world.has_email(email, besides=person) or (moved and person is self.badge.owner)
        expected = first((touch, touch), (403, over), (409, taken), 200)

        def change(_: Body) -> None:
            person.email = email
            if moved:
                self.world.end_tokens(person)

        subject = person if moved else None
        more: Body = {"body": {"email": email}, "change": change, "subject": subject}
        return self._step("PATCH", f"users/{person.id}", expected, **more)

    def delete_user(self) -> Step:
        person, hard = self._person(), self.chance.random() < 0.25
        code = "users:purge" if hard else "users:delete"
        touch = self.world.touch(self.badge, person, code, deleted=None if hard else False)
        remove = self.world.remove(self.badge, person)
        expected = first((touch, touch), (remove, remove), 204)

        def change(_: Body) -> None:
            person.is_deleted = True
            self.world.end_tokens(person)
            if hard:
                person.is_gone = True
                self.world.people.remove(person)

        return self._step("DELETE", f"users/{person.id}{'?hard=true' * hard}", expected, change=change)

    def restore_user(self) -> Step:
        person = self.chance.choice([p for p in self.world.people if p.is_deleted] or [self._person()])
        touch = self.world.touch(self.badge, person, "users:delete", deleted=True)
        expected = first((touch, touch), (409, self.world.has_email(person.email)), 200)

        def change(_: Body) -> None:
            person.is_deleted = False

        return self._step("POST", f"users/{person.id}/restore", expected, change=change)

    def block_user(self) -> Step:
        person = self._person()
        touch = self.world.touch(self.badge, person, "users:block", deleted=False)
        remove = self.world.remove(self.badge, person)

        def change(_: Body) -> None:
            person.is_blocked = True
            self.world.end_tokens(person)

        expected = first((touch, touch), (remove, remove), 200)
        return self._step("POST", f"users/{person.id}/block", expected, change=change)

    def unblock_user(self) -> Step:
        person = self.chance.choice([p for p in self.world.people if p.is_blocked] or [self._person()])
        touch = self.world.touch(self.badge, person, "users:block", deleted=False)

        def change(_: Body) -> None:
            person.is_blocked = False

        return self._step("POST", f"users/{person.id}/unblock", first((touch, touch), 200), change=change)

    def reset_password(self) -> Step:
        person = self._person()
        door = self.world.door(self.badge, "users:reset_password", in_person=True)
        touch = self.world.touch(self.badge, person, "users:reset_password", deleted=False)
        over = self.world.take_over(self.badge, person)
        given = f"{PASSWORD} {self.chance.randint(1, 9999)}" if self.chance.random() < 0.5 else ""
        expected = first((door, door), (touch, touch), (409, self.badge.owner is person), (over, over), 200)

        def change(answer: Body) -> None:
            person.password, person.must_change = given or answer["temporary_password"], True
            self.world.end_tokens(person)

        body = {"new_password": given} if given else {}
        more: Body = {"body": body, "change": change, "subject": person}
        return self._step("POST", f"users/{person.id}/reset-password", expected, **more)

    def set_roles(self) -> Step:
        person = self._person()
        roles = self._roles(person)
        expected = self.world.set_roles(self.badge, person, roles)

        def change(_: Body) -> None:
            person.roles = set(roles)

        body = {"role_ids": [role.id for role in roles]}
        return self._step("PUT", f"users/{person.id}/roles", expected, body=body, change=change)


class OwnSteps(Draw):
    """What people do for themselves: coming in, passwords, API keys."""

    def log_in(self) -> Step:
        """Those first who have no living token."""
        inside = {badge.owner for badge in self.world.badges if badge.is_alive and not badge.is_key}
        outside = [person for person in self.world.people if person not in inside and person.is_live]
        email, password = self.chance.choice(
            [(person.email, person.password) for person in outside or self.world.people]
        )
        person = next((p for p in self.world.people if p.is_live and p.email == email), Person(email))

        def change(tokens: Body) -> None:
            self.world.badges.append(Badge(person, tokens["access_token"]))

        expected = first((401, person.password != password), (403, person.is_blocked), 200)
        body = {"email": email, "password": password}
        return Step("POST", "auth/login", expected, body, change=change)

    def change_password(self) -> Step:
        """Those first who must."""
        waiting = [badge for badge in self.world.badges if badge.is_alive and badge.owner.must_change]
        self.badge = self.chance.choice(waiting or [self.badge])
        person, new = self.badge.owner, f"{PASSWORD} {self.chance.randint(10_000, 99_999)}"
        door = self.world.door(self.badge, in_person=True, changing=True)

        def change(_: Body) -> None:
            person.password, person.must_change = new, False
            self.world.end_tokens(person, besides=self.badge)

        body = {"current_password": person.password, "new_password": new}
        expected = first((door, door), 204)
        return self._step("POST", "users/me/change-password", expected, body=body, change=change)

    def delete_me(self) -> Step:
        person = self.badge.owner
        door = self.world.door(self.badge, in_person=True)

        def change(_: Body) -> None:
            person.is_deleted = True
            self.world.end_tokens(person)

        expected = first((door, door), (409, self.world.is_last(person)), 204)
        body = {"password": person.password}
        return self._step("DELETE", "users/me", expected, body=body, change=change)

    def log_out_everywhere(self) -> Step:
        door = self.world.door(self.badge, in_person=True)

        def change(_: Body) -> None:
            self.world.end_tokens(self.badge.owner)

        return self._step("POST", "auth/logout-all", first((door, door), 204), change=change)

    def mint_key(self) -> Step:
        codes = None if self.chance.random() < 0.3 else self._codes()
        narrowing = None if codes is None else frozenset(codes)
        owner = self.badge.owner
        door = self.world.door(self.badge, in_person=True)
        lacks = not self.world.may_grant(self.badge, codes or ())
        expected = first((door, door), (422, UNKNOWN in (codes or ())), (403, lacks), 201)

        def change(made: Body) -> None:
            self.world.badges.append(Badge(owner, made["key"], key_id=made["id"], narrowing=narrowing))

        body: Body = {"name": "key"} if codes is None else {"name": "key", "privileges": codes}
        return self._step("POST", "auth/api-keys", expected, body=body, change=change)

    def revoke_key(self) -> Step:
        """One's own or somebody else's, by its id, by itself, or for good."""
        keys = [badge for badge in self.world.badges if badge.is_key]
        key = self.chance.choice(keys or [Badge(self.badge.owner, "nothing", key_id=Person("").id)])
        is_own = key in keys and key.owner is self.badge.owner and not key.is_removed
        door = self.world.door(self.badge, in_person=True)
        way = self.chance.randrange(3)

        def change(_: Body) -> None:
            key.is_dead, key.is_removed = True, way == 0

        method = ("DELETE", "POST", "POST")[way]
        path = ("auth/api-keys/{}", "auth/api-keys/{}/revoke", "auth/api-keys/revoke")[way]
        more: Body = {"change": change, "body": {"key": key.text} if way == 2 else None}
        return self._step(
            method, path.format(key.key_id), first((door, door), (404, not is_own), 204), **more
        )

    def look(self) -> Step:
        """Any list that asks for a privilege."""
        module = self.chance.choice(["users", "roles", "privileges"])
        door = self.world.door(self.badge, f"{module}:read")
        return self._step("GET", f"{module}?per_page=1", first((door, door), 200))
