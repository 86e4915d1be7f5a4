"""Who asks, and what they may."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from app.core.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request presents: an access token or an API key."""

    text: str
    is_key: bool


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A live role of a user."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user may, worked out from their live roles. A superuser passes every check; the list is for show."""

    roles: tuple[HeldRole, ...]
    is_superuser: bool
    privileges: frozenset[str]

    def narrowed_to(self, privileges: frozenset[str]) -> "Rights":
        """Only those of the privileges that are held: what a narrowed API key may. No superuser's any more."""
        return Rights(self.roles, is_superuser=False, privileges=self.privileges & privileges)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential is genuine and alive. `user_pk` is the integer key, for queries only.

    Of `session_id` and `api_key_id` one is set, as `method` says. `row_state` is what tells one state of the
    account's row from every other: its version, its last change, its last login.
    """

    user_id: UUID
    user_pk: int
    session_id: UUID | None
    rights: Rights
    method: Literal["jwt", "api_key"] = "jwt"
    api_key_id: UUID | None = None
    must_change_password: bool = False
    row_state: tuple[int, datetime | None, datetime | None] = (0, None, None)

    @property
    def is_superuser(self) -> bool:
        """Whether every check passes."""
        return self.rights.is_superuser

    @property
    def profile_key(self) -> str:
        """Names the account's row as it was when this request began: what is cached under it can't be stale."""
        return f"profile:{self.user_id}:{'/'.join(map(str, self.row_state))}"

    def can(self, privilege: str) -> bool:
        """Whether the caller holds a privilege; names match exactly."""
        return self.rights.is_superuser or privilege in self.rights.privileges

    def require(self, privilege: str) -> None:
        """Raises Forbidden, naming the privilege, unless the caller holds it."""
        if not self.can(privilege):
            raise Forbidden(required=privilege)

    def require_person(self) -> None:
        """Raises Forbidden for an API key: it manages no credentials and no rights, whatever its owner may."""
        if self.method == "api_key":
            raise Forbidden("An API key can't do this; log in.")

    def holds_all(self, privileges: frozenset[str]) -> bool:
        """Whether the caller holds every one of them: nobody gives what they lack."""
        return self.rights.is_superuser or privileges <= self.rights.privileges
