"""Forgotten passwords: a request is kept, a job mails a link that works once, the link sets a new password.

The answer to a request is the same, after the same work, whoever was asked for: one row is written. Whether
anybody has the address is found out afterwards, in the background.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_urlsafe

from app.auth.ports import Kernel
from app.core.clock import now
from app.core.context import is_user
from app.core.errors import BadRequest, Unavailable
from app.core.logging import logger
from app.core.mail import Mail, Mailer, MailNotSent
from app.core.setting_types import Rate
from app.core.transaction import UnitOfWork
from app.modules.auth.models import PasswordReset
from app.modules.auth.repository_resets import ResetRepository
from app.modules.auth.service_throttle import ThrottleService
from app.modules.users.schemas import Account
from app.modules.users.service_accounts import AccountService

LINK_LIFE = timedelta(minutes=30)
_LEASE = timedelta(seconds=60)  # longer than a mail server is waited for
_RETRY = timedelta(seconds=20)
_MAX_ATTEMPTS = 8
_MAILS_OF_ACCOUNT = Rate(5, 3600)
_TEXT = """\
Somebody, probably you, has asked for a new password for {email}.

Open this link within {minutes} minutes to set one. It works once:

{link}

If it wasn't you, do nothing: the password stays as it is.
"""
_log = logger("activity")


class ResetService:
    """What clients ask for."""

    def __init__(self, uow: UnitOfWork, accounts: AccountService, kernel: Kernel) -> None:
        """Works with the accounts of the users module."""
        self.uow = uow
        self.resets = ResetRepository(uow)
        self.accounts = accounts
        self.attempts = kernel.attempts(uow)
        self.kernel = kernel

    async def request(self, email: str) -> None:
        """Keeps the request; whether anybody has this address plays no part. Raises RateLimited, Unavailable."""
        if self.kernel.mailer is None:
            raise Unavailable("This server can't send mail.", retry_after_seconds=3600)
        await self.attempts.take_forgotten()
        moment = now()
        async with self.uow.transaction():
            await self.resets.add(PasswordReset(email=email, created_at=moment, due_at=moment))
        self.kernel.reset_mails.wake()

    async def reset(self, token: str, password: str) -> None:
        """Sets a new password and ends every session. Raises BadRequest for a dead link, WeakPassword, and others.

        A password that is refused does not spend the link.
        """
        token_hash = _hashed(token)
        async with self.attempts.at_reset() as attempt:
            account = await self._owner(token_hash)
            if account is None:
                await attempt.fail()
                raise _dead_link()
        hashed = await self.accounts.hashed(password, account.email, account.full_name, "new_password")
        async with self.uow.transaction():
            if not await self.accounts.lock_unchanged(account) or await self._owner(token_hash) is None:
                raise _dead_link()
            is_user(account.id, "link")
            await self.accounts.set_password(account, hashed)
            await self.attempts.forgive(account.email, account.id)
        _log.info("auth.password_reset", user_id=str(account.id))

    async def _owner(self, token_hash: str) -> Account | None:
        pk = await self.resets.owner_of(token_hash, now())
        account = None if pk is None else await self.accounts.find_account_by_key(pk)
        return None if account is None or account.is_blocked else account


@dataclass(frozen=True, slots=True)
class ResetMails:
    """The job that mails links. Several workers share the work: each request is taken by one."""

    uow: UnitOfWork
    accounts: AccountService
    throttle: ThrottleService
    mailer: Mailer
    base_url: str

    async def send_next(self) -> bool:
        """Handles one request that is due; returns whether there was one."""
        resets, moment = ResetRepository(self.uow), now()
        if not await resets.has_due(moment):
            return False
        async with self.uow.transaction():
            row = await resets.take_due(moment, moment + _LEASE)
        if row is None or row.pk is None:
            return False
        mail = await self._drafted(row, row.pk)
        if mail is None:
            async with self.uow.transaction():
                await resets.remove(row.pk)
            return True
        await self._send(resets, row, row.pk, mail)
        return True

    async def _drafted(self, row: PasswordReset, pk: int) -> Mail | None:
        """The mail with a new link; None where there is nobody to write to, or they got enough mails already."""
        moment = now()
        if row.attempts > _MAX_ATTEMPTS or moment - row.created_at > LINK_LIFE:
            _log.warning("auth.reset_mail_given_up", attempts=row.attempts)
            return None
        token = token_urlsafe(32)
        async with self.uow.transaction():
            account = await self.accounts.find_account(row.email)
            if account is None or account.is_blocked or not await self.accounts.lock_unchanged(account):
                return None
            if row.attempts == 1 and await self.throttle.take(
                "reset-mail", str(account.id), _MAILS_OF_ACCOUNT
            ):
                _log.warning("auth.reset_mail_withheld", user_id=str(account.id))
                return None
            resets, expires_at = ResetRepository(self.uow), moment + LINK_LIFE
            if not await resets.become_link(pk, account.pk, _hashed(token), expires_at):
                return None  # ended since it was taken: by a new password, for one
        # In the fragment, which browsers send to nobody: no log and no Referer ever holds the token.
        link = f"{self.base_url}/reset-password#token={token}"
        minutes = int(LINK_LIFE.total_seconds() // 60)
        text = _TEXT.format(email=account.email, minutes=minutes, link=link)
        return Mail(to=account.email, subject="Set a new password", text=text)

    async def _send(self, resets: ResetRepository, row: PasswordReset, pk: int, mail: Mail) -> None:
        due_at, is_lost = None, False
        try:
            await self.mailer.send(mail)
        except MailNotSent as error:
            due_at, is_lost = now() + _RETRY * 2 ** (row.attempts - 1), not error.temporary
            _log.warning("auth.reset_mail_failed", temporary=error.temporary, reason=str(error))
        else:
            _log.info("auth.reset_mailed")
        async with self.uow.transaction():
            await (resets.remove(pk) if is_lost else resets.set_due(pk, due_at))


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _dead_link() -> BadRequest:
    return BadRequest("This link is not valid any more. Ask for a new one.")
