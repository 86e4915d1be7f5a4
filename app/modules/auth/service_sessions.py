"""Sessions and refresh tokens: opened at login, rotated at each refresh, ended for many reasons.

Rotation with detection of reuse (RFC 9700 4.14.2). The successor of a token is derived from it, so that a
client whose answer was lost gets the very same successor again, and nothing secret needs to be stored.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from secrets import token_urlsafe
from uuid import UUID

from app.auth.principal import Principal
from app.auth.tokens import AccessTokens
from app.core.clients import network_of
from app.core.clock import now
from app.core.config import Settings
from app.core.context import current, is_user
from app.core.errors import AppError, TokenExpired, TokenInvalid, TokenReused, TokenRevoked
from app.core.listing import Listing, Where
from app.core.logging import logger
from app.core.transaction import UnitOfWork
from app.modules.auth.models import AuthSession, RefreshToken
from app.modules.auth.repository import OwnSessions, SessionRepository, stamps
from app.modules.auth.repository_resets import ResetRepository
from app.modules.auth.repository_throttle import TallyRepository
from app.modules.auth.schemas import SessionQuery, SessionRead, SessionSummary, Tokens
from app.modules.users.schemas import Account

MAX_REPLAYS = 100
MAX_SESSIONS = 50
_SESSION_DAYS = 90
_BATCH = 1000
KEEP_RESETS = timedelta(hours=2)
KEEP_TALLIES = timedelta(days=2)
_log = logger("activity")


class SessionService:
    """Implements the port `Sessions` too."""

    def __init__(self, uow: UnitOfWork, tokens: AccessTokens, settings: Settings) -> None:
        """Joins whatever transaction is open, but for `refresh`, which must commit its refusals."""
        self.uow = uow
        self.sessions = SessionRepository(uow)
        self.own = OwnSessions(uow)
        self._tokens = tokens
        self._settings = settings
        self._refresh_keys = settings.keyring.keys("refresh-token")
        self._refresh_life = timedelta(days=settings.refresh_token_days)

    async def open(self, account: Account, moment: datetime) -> Tokens:
        """A new session of the account; beyond `MAX_SESSIONS` the one unused for longest ends.

        Needs a transaction that holds the account's row.
        """
        context = current()
        row = AuthSession(
            user_pk=account.pk,
            auth_version=account.auth_version,
            created_at=moment,
            expires_at=moment + timedelta(days=max(_SESSION_DAYS, self._settings.refresh_token_days)),
            last_used_at=moment,
            ip=context.client_ip,
            user_agent=context.user_agent,
        )
        await self.sessions.add(row)
        text = token_urlsafe(32)
        await self._add_token(row, text, None, moment)
        if await self.sessions.end_surplus(account.pk, MAX_SESSIONS, "too_many"):
            _log.info("auth.session_displaced", user_id=str(account.id))
        return self._pair(account.id, row, text, moment, must_change=account.must_change_password)

    async def refresh(self, text: str) -> Tokens:
        """A new pair for a refresh token. Raises TokenInvalid, TokenExpired, TokenRevoked, TokenReused.

        A refusal that ends the session is committed before it is raised: so this never joins a transaction.
        """
        if self.uow.is_open:
            raise RuntimeError("a refresh must commit by itself")
        async with self.uow.transaction():
            outcome = await self._rotate(text)
        if isinstance(outcome, AppError):
            raise outcome
        return outcome

    async def end_by_refresh_token(self, text: str, user_id: UUID | None) -> tuple[UUID, bool] | None:
        """Ends the session of a token, spent or not; None if unknown. The user, and whether it was the caller's.

        With `user_id` another user's session is left alone. Needs a transaction.
        """
        token = await self.sessions.find_token(_hashed(text))
        locked = await self.sessions.lock_session(token.session_pk) if token is not None else None
        if locked is None:
            return None
        row, owner = locked
        if user_id is not None and owner != user_id:
            return owner, False
        await self.sessions.revoke(row, "logout")
        return owner, True

    async def end(self, id: UUID, reason: str) -> None:
        """Ends one session by its id, if it is there. Needs a transaction."""
        row = await self.sessions.find_by_id(id)
        if row is not None:
            await self.sessions.revoke(row, reason)

    async def end_all(self, user_pk: int, reason: str, *, except_id: UUID | None = None) -> None:
        """Ends every session of a user, but for one if named, and every mailed link. Needs a transaction."""
        await self.sessions.revoke_all(user_pk, reason, except_id)
        await ResetRepository(self.uow).remove_of(user_pk)

    async def page(self, query: SessionQuery, caller: Principal) -> Listing[SessionRead]:
        """The caller's own living sessions, each with whether it is the present one."""
        found = await self.own.page(query, SessionSummary, self._living(caller))
        current_id = str(caller.session_id)
        values = [{**value, "current": str(value["id"]) == current_id} for value in found.values]
        return Listing(SessionRead, values, query, found.total, found.count_limit, found.next_cursor)

    async def end_own(self, id: UUID, caller: Principal) -> None:
        """Ends one of the caller's own sessions, from the next request on. Raises NotFound."""
        async with self.uow.transaction():
            row = await self.own.find_own(id, self._living(caller))
            if row is None:
                raise self.own.not_found()
            await self.sessions.revoke(row, "ended")
        _log.info("auth.session_ended", session_id=str(id))

    async def is_known_network(self, user_pk: int, network: str) -> bool:
        """Whether the user has logged in from this network before, as far as sessions are kept."""
        return network in {network_of(address) for address in await self.sessions.addresses_of(user_pk)}

    async def clean_up(self, *, keep_days: int) -> dict[str, int]:
        """Removes what has been dead for `keep_days`, in small transactions; returns how many rows of each table.

        What is gone is as dead as before: a token or session that isn't there is refused like a revoked one.
        """
        moment = now() - timedelta(days=keep_days)
        return {
            "refresh_tokens": await self._in_batches(self.sessions.forget_tokens_before, moment),
            "sessions": await self._in_batches(self.sessions.forget_sessions_before, moment),
            # Kept for longer than any link lives, and than any window and pause: a shorter wish would end links
            # that are good still, and let guessing begin anew.
            "password_resets": await self._in_batches(
                ResetRepository(self.uow).forget_before, min(moment, now() - KEEP_RESETS)
            ),
            "throttle_tallies": await self._in_batches(
                TallyRepository(self.uow).forget_before, min(moment, now() - self._keep_tallies())
            ),
        }

    def _living(self, caller: Principal) -> Where:
        return self.own.living(caller.user_pk, now(), self._refresh_life)

    def _keep_tallies(self) -> timedelta:
        """Longer than whatever is counted: a shorter wish would let guessing, or registering, begin anew."""
        rate = self._settings.registration_rate
        return max(KEEP_TALLIES, 2 * timedelta(seconds=rate.seconds if rate else 0))

    async def _in_batches(self, forget: Callable[[datetime, int], Awaitable[int]], moment: datetime) -> int:
        total = 0
        while True:
            async with self.uow.transaction():
                removed = await forget(moment, _BATCH)
            total += removed
            if removed < _BATCH:
                return total

    async def _rotate(self, text: str) -> Tokens | AppError:
        token_hash = _hashed(text)
        token = await self.sessions.find_token(token_hash)
        locked = await self.sessions.lock_session(token.session_pk) if token is not None else None
        if token is None or locked is None:
            return TokenInvalid()
        row, user_id = locked
        moment = now()  # not before: waiting for the lock must not make a late retry look early
        stamp = (await stamps(self.uow, [row.id])).get(row.id)
        if stamp is None or not stamp.is_alive(moment):
            return TokenRevoked()
        if token.expires_at <= moment:
            return TokenExpired()
        is_user(user_id, "refresh", row.id)
        if await self.sessions.spend(token_hash, moment):
            successor = _successor(self._refresh_keys[0], text)
            await self._add_token(row, successor, token_hash, moment)
        else:
            retried = await self._retried(text, token_hash, moment)
            if retried is None:
                await self.sessions.revoke(row, "refresh_reuse")
                _log.warning("auth.refresh_reuse", user_id=str(user_id), session_id=str(row.id))
                return TokenReused()
            successor = retried
        if row.pk is not None:
            await self.sessions.touch(row.pk, moment)
        return self._pair(user_id, row, successor, moment, must_change=stamp.must_change_password)

    async def _retried(self, text: str, token_hash: str, moment: datetime) -> str | None:
        """The successor that was given out already, if this is an honest retry: soon, and before that was used."""
        token = await self.sessions.find_token(token_hash)
        child = await self.sessions.find_child(token_hash)
        if token is None or token.used_at is None or child is None or child.used_at is not None:
            return None
        if not self._is_in_grace(token, moment) or token.pk is None:
            return None
        await self.sessions.count_replay(token.pk)
        for key in self._refresh_keys:  # the key may have been rotated in between
            candidate = _successor(key, text)
            if _hashed(candidate) == child.token_hash:
                return candidate
        return None

    def _is_in_grace(self, token: RefreshToken, moment: datetime) -> bool:
        seconds = self._settings.refresh_grace_seconds
        if seconds == 0 or token.used_at is None:  # strict, also where another worker's clock is ahead
            return False
        return moment - token.used_at < timedelta(seconds=seconds) and token.replays < MAX_REPLAYS

    async def _add_token(self, row: AuthSession, text: str, parent: str | None, moment: datetime) -> None:
        if row.pk is None:
            raise RuntimeError("the session was not flushed")
        await self.sessions.add(
            RefreshToken(
                session_pk=row.pk,
                token_hash=_hashed(text),
                parent_hash=parent,
                created_at=moment,
                expires_at=min(moment + self._refresh_life, row.expires_at),
            )
        )

    def _pair(
        self, user_id: UUID, row: AuthSession, refresh_token: str, moment: datetime, *, must_change: bool
    ) -> Tokens:
        left = min(self._refresh_life, row.expires_at - moment)
        return Tokens(
            access_token=self._tokens.issue(user_id, row.id, row.auth_version),
            refresh_token=refresh_token,
            token_type="bearer",  # noqa: S106  RFC 6749 7.1
            expires_in=self._tokens.lifetime_seconds,
            refresh_expires_in=int(left.total_seconds()),
            must_change_password=must_change,
        )


def _hashed(text: str) -> str:
    """Tokens have 256 random bits, so that a plain digest can't be turned back."""
    return hashlib.sha256(text.encode()).hexdigest()


def _successor(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()
