"""What the kernel and lower modules need from above. `main` plugs the implementations in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.auth.passwords import PasswordHasher
from app.auth.principal import Principal
from app.auth.tokens import AccessTokens
from app.core.transaction import UnitOfWork


class Authenticator(Protocol):
    """Tells who presents a token."""

    async def authenticate(self, token: str) -> Principal:
        """The caller. Raises a 401 `AppError` for what is not genuine, not alive, or not allowed any more."""


class Sessions(Protocol):
    """Ends sessions, inside the transaction that gives the reason."""

    async def end_all(self, user_pk: int, reason: str, *, except_id: UUID | None = None) -> None:
        """Ends every session of a user, but for one if named."""


class Grants(Protocol):
    """Takes privileges away from whoever holds them, inside the open transaction."""

    async def withdraw(self, privilege_pk: int) -> None:
        """Takes a privilege from every role."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The security kernel of a running program."""

    hasher: PasswordHasher
    tokens: AccessTokens
    authenticator: Authenticator
    sessions: Callable[[UnitOfWork], Sessions]
    grants: Callable[[UnitOfWork], Grants]
