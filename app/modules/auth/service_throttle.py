"""Slows guessing down: failures are counted in the database, which all workers share and no cache can lose.

Two counts stand against a login: the account's and the client network's. A network from which the account has
been used before gets a count of its own, so that a stranger who keeps failing can't keep the owner out: there
only the first pause counts for both.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from app.auth.ports import Attempt
from app.auth.throttling import Rule, Tally, after_failure, pause_left
from app.auth.turnstile import Turnstile
from app.core.clients import network_of
from app.core.clock import now
from app.core.config import Settings
from app.core.context import current
from app.core.errors import RateLimited
from app.core.logging import logger
from app.core.setting_types import Rate
from app.core.transaction import UnitOfWork
from app.modules.auth.repository_throttle import TallyRepository

# A password takes two threads 20 ms: more places for one address would only judge older tallies.
_PLACES_OF_ADDRESS = 4
_log = logger("activity")


@dataclass(frozen=True, slots=True)
class _Count:
    """What is counted: for whom, under which rule."""

    key: str
    rule: Rule
    kind: str


class ThrottleService:
    """Implements the port `Attempts`."""

    def __init__(self, uow: UnitOfWork, settings: Settings, turnstile: Turnstile) -> None:
        """`turnstile` is the process's one."""
        self.uow = uow
        self.tallies = TallyRepository(uow)
        self._turnstile = turnstile
        self._secret = settings.keyring.keys("throttle")[0]
        self._registration_rate = settings.registration_rate
        window = timedelta(minutes=settings.login_window_minutes)
        self._account = Rule(settings.login_max_failures, window)
        self._address = Rule(settings.login_max_failures_per_address, window)

    @asynccontextmanager
    async def at_login(
        self, email: str, is_known_here: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Attempt]:
        """A login: one at a time for each account and process. Raises RateLimited, Unavailable."""
        network = _network()
        account = self._count("login", email, rule=self._account)
        own = self._count("login-known", email, network, rule=self._account)
        address = self._count("login-address", network, rule=self._address)
        async with self._turnstile.passing((account.key, 1), (address.key, _PLACES_OF_ADDRESS)):
            found, moment = await self.tallies.read([account.key, own.key, address.key]), now()
            _refuse(pause_left(found.get(address.key), address.rule, moment))
            left = pause_left(found.get(account.key), account.rule, moment)
            if left and await is_known_here():
                shared = _first_pause(found[account.key], account.rule, moment)
                left = max(pause_left(found.get(own.key), own.rule, moment), shared)
            _refuse(left)
            yield _LoginAttempt(self, account, own, address, found)

    def at_password(self, user_id: UUID) -> AbstractAsyncContextManager[Attempt]:
        """A caller confirming their own password."""
        return self._at(self._count("password", str(user_id), rule=self._account), places=1)

    def at_refresh(self) -> AbstractAsyncContextManager[Attempt]:
        """A refresh token. Whose it is, only a genuine one tells: the address alone is counted."""
        return self._at(self._count("refresh-address", _network(), rule=self._address))

    def at_reset(self) -> AbstractAsyncContextManager[Attempt]:
        """A reset token; the address alone is counted."""
        return self._at(self._count("reset-address", _network(), rule=self._address))

    async def forgive(self, email: str, user_id: UUID) -> None:
        """Forgets the failures of an account whose owner has proved to be one. Part of the open transaction."""
        await self.tallies.forget([self._key("login", email), self._key("password", str(user_id))])

    async def take_registration(self) -> None:
        """One registration of this address. Raises RateLimited."""
        await self._take_of_address("register")

    async def take_forgotten(self) -> None:
        """One request for a forgotten password of this address. Raises RateLimited."""
        await self._take_of_address("forgot")

    async def take(self, kind: str, name: str, rate: Rate) -> float:
        """Counts one more for `name`, unless that is over the rate; returns the seconds to wait, or 0."""
        window, key = timedelta(seconds=rate.seconds), self._key(kind, name)
        async with self.uow.transaction():
            row = await self.tallies.find_locked(key)
            moment = now()  # not before: who waited for the lock must not look earlier than who held it
            if row is None or not timedelta(0) <= moment - row.started_at < window:
                await self.tallies.keep(row, key, Tally(1, moment, moment))
            elif row.count >= rate.amount:
                return (row.started_at + window - moment).total_seconds()
            else:
                await self.tallies.keep(row, key, Tally(row.count + 1, row.started_at, moment))
        return 0.0

    async def count(self, counts: Sequence[_Count]) -> None:
        """One failure more for each. Commits, so that the refusal that follows can't undo it."""
        async with self.uow.transaction():
            for count in sorted(counts, key=lambda count: count.key):  # one order for all: no deadlocks
                row = await self.tallies.find_locked(count.key)
                before = Tally(row.count, row.started_at, row.last_at) if row is not None else None
                tally = after_failure(before, count.rule, now())
                await self.tallies.keep(row, count.key, tally)
                if tally.count == count.rule.limit:
                    _log.warning("auth.throttled", kind=count.kind, failures=tally.count)

    @asynccontextmanager
    async def _at(self, count: _Count, places: int | None = None) -> AsyncIterator[Attempt]:
        async with self._turnstile.passing(*([(count.key, places)] if places else [])):
            found = await self.tallies.read([count.key])
            _refuse(pause_left(found.get(count.key), count.rule, now()))
            yield _PlainAttempt(self, count, is_counted=bool(found) and places is not None)

    async def _take_of_address(self, kind: str) -> None:
        if self._registration_rate:
            _refuse(await self.take(kind, _network(), self._registration_rate))

    def _count(self, kind: str, *names: str, rule: Rule) -> _Count:
        return _Count(self._key(kind, *names), rule, kind)

    def _key(self, *names: str) -> str:
        """A keyed hash: the table tells nobody which addresses were tried."""
        return hmac.digest(self._secret, "\x00".join(names).encode(), hashlib.sha256).hex()


@dataclass(frozen=True, slots=True)
class _PlainAttempt:
    """One count."""

    throttle: ThrottleService
    what: _Count
    is_counted: bool

    async def fail(self) -> None:
        await self.throttle.count([self.what])

    async def succeed(self) -> None:
        if self.is_counted:
            await self.throttle.tallies.forget([self.what.key])


@dataclass(frozen=True, slots=True)
class _LoginAttempt:
    """A login that was let in."""

    throttle: ThrottleService
    account: _Count
    own: _Count
    address: _Count
    found: Mapping[str, Tally]

    async def fail(self) -> None:
        # The same work whoever was meant, so that it takes the same time.
        await self.throttle.count([self.account, self.own, self.address])

    async def succeed(self) -> None:
        # An address is not cleared by a password that fits: the guesser has an account too.
        if keys := [count.key for count in (self.account, self.own) if count.key in self.found]:
            await self.throttle.tallies.forget(keys)


def _network() -> str:
    return network_of(current().client_ip)


def _first_pause(tally: Tally, rule: Rule, moment: datetime) -> float:
    """What is left of the pause that would follow the last failure if it were the first one too many."""
    return pause_left(replace(tally, count=rule.limit), rule, moment)


def _refuse(seconds: float) -> None:
    if seconds > 0:
        raise RateLimited("Too many attempts. Wait, then try again.", retry_after_seconds=seconds)
