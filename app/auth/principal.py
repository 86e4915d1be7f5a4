"""Who asks, and what they may."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from app.core.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user may, worked out from their live roles. A superuser may everything, without a list."""

    roles: tuple[str, ...]
    is_superuser: bool
    privileges: frozenset[str]


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential is genuine and alive. `user_pk` is the integer key, for queries only."""

    user_id: UUID
    user_pk: int
    session_id: UUID | None
    rights: Rights
    method: Literal["jwt", "api_key"] = "jwt"

    @property
    def is_superuser(self) -> bool:
        """Whether every check passes."""
        return self.rights.is_superuser

    def can(self, privilege: str) -> bool:
        """Whether the caller holds a privilege; names match exactly."""
        return self.rights.is_superuser or privilege in self.rights.privileges

    def require(self, privilege: str) -> None:
        """Raises Forbidden, naming the privilege, unless the caller holds it."""
        if not self.can(privilege):
            raise Forbidden(required=privilege)

    def holds_all(self, privileges: frozenset[str]) -> bool:
        """Whether the caller holds every one of them: nobody gives what they lack."""
        return self.rights.is_superuser or privileges <= self.rights.privileges
