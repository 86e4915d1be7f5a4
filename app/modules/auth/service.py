"""Coming in and leaving: login, registration, logout."""

from uuid import UUID

from app.auth.passwords import PasswordHasher
from app.auth.principal import Principal
from app.auth.tokens import AccessTokens
from app.core.clock import now
from app.core.errors import (
    AccountBlocked,
    AppError,
    Forbidden,
    InvalidCredentials,
    RegistrationClosed,
    Unauthenticated,
)
from app.core.logging import logger
from app.core.module import Catalog
from app.core.transaction import UnitOfWork
from app.modules.auth.schemas import Me, Register, Tokens
from app.modules.auth.service_sessions import SessionService
from app.modules.users.schemas import UserRead
from app.modules.users.service_accounts import AccountService

_log = logger("activity")


class AuthService:
    """The conversation with those who come in and leave."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: AccountService,
        sessions: SessionService,
        hasher: PasswordHasher,
        tokens: AccessTokens,
        catalog: Catalog,
    ) -> None:
        """Works with the accounts of the users module and with its own sessions."""
        self.uow = uow
        self.accounts = accounts
        self.sessions = sessions
        self.hasher = hasher
        self.tokens = tokens
        self.catalog = catalog

    async def register(self, data: Register, *, is_open: bool) -> UserRead:
        """A new account of one's own. Raises RegistrationClosed, Conflict, WeakPassword."""
        if not is_open:
            raise RegistrationClosed("Registration is closed on this server.")
        user = await self.accounts.register(data)
        _log.info("auth.registered", user_id=str(user.id))
        return user

    async def login(self, email: str, password: str) -> Tokens:
        """Tokens of a new session. Raises InvalidCredentials, and AccountBlocked after the right password only.

        Unknown, wrong and hash-less take the same time: each of them verifies one hash.
        """
        account = await self.accounts.find_account(email)
        verdict = await self.hasher.verify(password, account.password_hash if account else None)
        if account is None or not verdict.matches:
            _log.info("auth.login_failed")
            raise InvalidCredentials("The e-mail address or the password is wrong.")
        if account.is_blocked:
            _log.info("auth.login_blocked", user_id=str(account.id))
            raise AccountBlocked("This account is blocked.")
        moment = now()
        async with self.uow.transaction():
            if not await self.accounts.lock_unchanged(account):
                raise InvalidCredentials("The account was changed in between.")
            await self.accounts.note_login(account, moment, verdict.new_hash)
            tokens = await self.sessions.open(account, moment)
        _log.info("auth.login", user_id=str(account.id))
        return tokens

    async def logout(self, access_token: str | None, refresh_token: str | None) -> None:
        """Ends the session of either token, also of a dead one. Raises 401 for neither, Forbidden for a foreign one."""
        claims = None
        if access_token:
            try:
                claims = self.tokens.read(access_token, allow_expired=True)
            except AppError:
                if not refresh_token:
                    raise
        async with self.uow.transaction():
            owner = claims.user_id if claims else None
            ended = await self._end_refresh(refresh_token, owner) if refresh_token else False
            if claims is not None:
                await self.sessions.end(claims.session_id, "logout")
            elif not ended:
                raise Unauthenticated("Logout needs an access token or a refresh token of the session.")
        _log.info("auth.logout")

    async def logout_all(self, caller: Principal) -> None:
        """Ends every session of the caller, on every worker from the next request on."""
        await self.accounts.end_everything(caller.user_id, "logout_all")
        _log.info("auth.logout_all")

    async def me(self, caller: Principal) -> Me:
        """Who the credential stands for, and what it may."""
        codes = set(self.catalog.privileges) if caller.is_superuser else caller.rights.privileges
        return Me(
            user=await self.accounts.read(caller.user_id),
            method=caller.method,
            session_id=caller.session_id,
            is_superuser=caller.is_superuser,
            roles=list(caller.rights.roles),
            privileges=sorted(codes),
        )

    async def _end_refresh(self, refresh_token: str, owner: UUID | None) -> bool:
        ended = await self.sessions.end_by_refresh_token(refresh_token, owner)
        if ended is not None and not ended[1]:
            raise Forbidden("That refresh token belongs to somebody else.")
        return ended is not None
