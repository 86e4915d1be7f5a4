"""What the kernel and lower modules need from above. `main` plugs the implementations in."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from app.auth.passwords import PasswordHasher
from app.auth.principal import Principal
from app.auth.tokens import AccessTokens
from app.core.job import Job
from app.core.mail import Mailer
from app.core.rate_limit import RateLimiter
from app.core.transaction import UnitOfWork
from app.core.versioned import VersionedCache


class Authenticator(Protocol):
    """Tells who presents a credential."""

    async def authenticate(self, token: str) -> Principal:
        """The caller of an access token. Raises a 401 `AppError` for what is not genuine or not alive (any more)."""

    async def authenticate_key(self, key: str) -> Principal:
        """The caller of an API key. Raises ApiKeyInvalid."""


class Sessions(Protocol):
    """Ends sessions, inside the transaction that gives the reason."""

    async def end_all(self, user_pk: int, reason: str, *, except_id: UUID | None = None) -> None:
        """Ends every session of a user, but for one if named, and every reset link that was mailed."""


class Grants(Protocol):
    """Takes privileges away from whoever holds them, inside the open transaction."""

    async def withdraw(self, privilege_pk: int) -> None:
        """Takes a privilege from every role."""


class Attempt(Protocol):
    """One try at a secret, let in."""

    async def fail(self) -> None:
        """Counts a failure, durably, before the refusal is answered. Needs that no transaction is open."""

    async def succeed(self) -> None:
        """Forgets the failures of the account; those of the address stay. Part of the open transaction."""


class Attempts(Protocol):
    """Slows guessing down. Every method raises RateLimited where a pause is under way, and Unavailable."""

    def at_login(
        self, email: str, is_known_here: Callable[[], Awaitable[bool]]
    ) -> AbstractAsyncContextManager[Attempt]:
        """A login to a canonical address. `is_known_here`: whether the account was used from this network before."""

    def at_password(self, user_id: UUID) -> AbstractAsyncContextManager[Attempt]:
        """A caller confirming their own password."""

    def at_refresh(self) -> AbstractAsyncContextManager[Attempt]:
        """A refresh token; counted for the client's address only."""

    def at_reset(self) -> AbstractAsyncContextManager[Attempt]:
        """A reset token; counted for the client's address only."""

    async def forgive(self, email: str, user_id: UUID) -> None:
        """Forgets the failures of an account whose owner has proved to be one. Part of the open transaction."""

    async def take_registration(self) -> None:
        """Counts a registration of the client's address."""

    async def take_forgotten(self) -> None:
        """Counts a request for a forgotten password of the client's address."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The security kernel of a running program. `mailer` and `limiter` are None where the settings say so.

    `reset_mails` sends what was asked for. `profiles` keeps accounts as their owners see them, under keys that
    contain the row's version.
    """

    hasher: PasswordHasher
    password_min_length: int
    tokens: AccessTokens
    authenticator: Authenticator
    sessions: Callable[[UnitOfWork], Sessions]
    grants: Callable[[UnitOfWork], Grants]
    attempts: Callable[[UnitOfWork], Attempts]
    mailer: Mailer | None
    reset_mails: Job
    limiter: RateLimiter | None
    profiles: VersionedCache[dict[str, Any]]
