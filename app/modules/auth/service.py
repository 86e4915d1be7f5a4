"""Coming in and leaving: login, registration, logout."""

from uuid import UUID

from app.auth.passwords import Verdict
from app.auth.ports import Attempt, Kernel
from app.auth.principal import Credential, Principal
from app.core.clients import network_of
from app.core.clock import now
from app.core.context import current, is_user
from app.core.errors import (
    AccountBlocked,
    AppError,
    Forbidden,
    InvalidCredentials,
    RegistrationClosed,
    TokenInvalid,
    Unauthenticated,
    Unavailable,
)
from app.core.logging import logger
from app.core.transaction import UnitOfWork
from app.modules.auth.schemas import Me, Register, Tokens
from app.modules.auth.service_sessions import SessionService
from app.modules.users.schemas import Account, UserRead
from app.modules.users.service_accounts import AccountService

# The account may change between verifying and locking (another login's stronger hash, for one): then look again.
_LOGIN_ATTEMPTS = 3
_log = logger("activity")


class AuthService:
    """The conversation with those who come in and leave."""

    def __init__(
        self, uow: UnitOfWork, accounts: AccountService, sessions: SessionService, kernel: Kernel
    ) -> None:
        """Works with the accounts of the users module and with its own sessions."""
        self.uow = uow
        self.accounts = accounts
        self.sessions = sessions
        self.attempts = kernel.attempts(uow)
        self.kernel = kernel

    async def require_registration(self, *, is_open: bool) -> None:
        """Raises RegistrationClosed where nobody can register by themselves, RateLimited for who did so too often."""
        if not is_open:
            raise RegistrationClosed("Registration is closed on this server.")
        await self.attempts.take_registration()

    async def register(self, data: Register) -> UserRead:
        """A new account of one's own. Raises Conflict, WeakPassword."""
        user = await self.accounts.register(data)
        _log.info("auth.registered", user_id=str(user.id))
        return user

    async def login(self, email: str, password: str) -> Tokens:
        """Tokens of a new session. Raises InvalidCredentials, and AccountBlocked after the right password only.

        Unknown, wrong and hash-less take the same time: each of them verifies one hash, and is counted. Raises
        RateLimited for the right password too, while a pause is under way.
        """
        async with self.attempts.at_login(email, lambda: self._is_known_here(email)) as attempt:
            for _ in range(_LOGIN_ATTEMPTS):
                account, verdict = await self._verified(email, password, attempt)
                tokens = await self._opened(account, verdict.new_hash, attempt)
                if tokens is not None:
                    _log.info("auth.login", user_id=str(account.id))
                    return tokens
        raise Unavailable("The account is being changed at the moment.", retry_after_seconds=1)

    async def refresh(self, refresh_token: str) -> Tokens:
        """A new pair. Raises TokenInvalid, TokenExpired, TokenRevoked, TokenReused, RateLimited."""
        async with self.attempts.at_refresh() as attempt:
            try:
                return await self.sessions.refresh(refresh_token)
            except TokenInvalid as error:
                if (
                    type(error) is TokenInvalid
                ):  # one that ended or expired was genuine once: nobody guessed it
                    await attempt.fail()
                raise

    async def logout(self, credential: Credential | None, refresh_token: str | None) -> None:
        """Ends the session of either token, also of a dead one. Raises 401 for neither, Forbidden for a foreign one.

        An API key is no session: Forbidden.
        """
        claims = None
        if credential is not None and credential.is_key:
            (await self.kernel.authenticator.authenticate_key(credential.text)).require_person()
        elif credential is not None:
            try:
                claims = self.kernel.tokens.read(credential.text, allow_expired=True)
            except AppError:
                if not refresh_token:
                    raise
        if claims is not None:
            is_user(claims.user_id, "jwt", claims.session_id)
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
        return Me(
            user=await self.accounts.read_own(caller),
            method=caller.method,
            api_key_id=caller.api_key_id,
            session_id=caller.session_id,
            is_superuser=caller.is_superuser,
            roles=[role.name for role in caller.rights.roles],
            privileges=sorted(caller.rights.privileges),
        )

    async def _is_known_here(self, email: str) -> bool:
        """Whether the account has been used from the client's network; the same two queries where there is none."""
        account = await self.accounts.find_account(email)
        network = network_of(current().client_ip)
        return await self.sessions.is_known_network(0 if account is None else account.pk, network)

    async def _verified(self, email: str, password: str, attempt: Attempt) -> tuple[Account, Verdict]:
        """The account that this password belongs to. Raises InvalidCredentials, AccountBlocked."""
        account = await self.accounts.find_account(email)
        verdict = await self.kernel.hasher.verify(password, account.password_hash if account else None)
        if account is None or not verdict.matches or account.has_expired_password(now()):
            await attempt.fail()
            _log.info("auth.login_failed")
            raise InvalidCredentials("The e-mail address or the password is wrong.")
        if account.is_blocked:
            _log.info("auth.login_blocked", user_id=str(account.id))
            raise AccountBlocked("This account is blocked.")
        return account, verdict

    async def _opened(self, account: Account, new_hash: str | None, attempt: Attempt) -> Tokens | None:
        """Tokens of a new session; None where the account has changed since it was read."""
        moment = now()
        async with self.uow.transaction():
            if not await self.accounts.lock_unchanged(account):
                return None
            is_user(account.id, "password")
            await attempt.succeed()
            await self.accounts.note_login(account, moment, new_hash)
            return await self.sessions.open(account, moment)

    async def _end_refresh(self, refresh_token: str, owner: UUID | None) -> bool:
        ended = await self.sessions.end_by_refresh_token(refresh_token, owner)
        if ended is not None and not ended[1]:
            raise Forbidden("That refresh token belongs to somebody else.")
        return ended is not None
