"""Passwords: what is accepted, and how it is hashed and verified without holding up the event loop."""

import asyncio
import re
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TypeVar

from passlib.context import CryptContext

from app.auth.compromised import is_compromised
from app.core.errors import CompromisedPassword, Invalid, Unavailable, WeakPassword
from app.core.logging import logger

T = TypeVar("T")
MAX_LENGTH = 128
PRODUCT = "tessera"
# OWASP's minimum for Argon2id: 19 MiB, two passes, one lane; 52 verifications a second on one core.
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
_WORKERS = 2
_MAX_WAITING = 64
_MAX_MEMORY_KIB, _MAX_PASSES, _MAX_LANES = 256 * 1024, 16, 16
_PARAMETERS = re.compile(r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$", re.ASCII)
_ACCEPTED_SCHEMES = ["argon2"]


def normalized(password: str) -> str:
    """The one form that is hashed (NIST SP 800-63B 3.1.1.2: NFKC before hashing, no other change)."""
    return unicodedata.normalize("NFKC", password)


def check_policy(
    password: str, *, min_length: int, email: str, full_name: str | None = None, field: str = "password"
) -> None:
    """Length, context, the list of known ones; no rules of composition. Raises WeakPassword, CompromisedPassword.

    Each carries one error, at `field`.
    """
    text = normalized(password)
    if len(text) < min_length:
        raise _refusal(WeakPassword, field, f"The password must have at least {min_length} characters.")
    if len(text) > MAX_LENGTH:
        raise _refusal(WeakPassword, field, f"The password must have at most {MAX_LENGTH} characters.")
    left = text.casefold()
    for word in sorted(_context_words(email, full_name), key=len, reverse=True):
        left = left.replace(word, "")
    if len(left) < min_length // 2:
        made_of = "the e-mail address, the name or the name of this product"
        raise _refusal(WeakPassword, field, f"The password is made of {made_of}.")
    if is_compromised(text):
        message = "The password is in the list of common and breached passwords."
        raise _refusal(CompromisedPassword, field, message)


def _context_words(email: str, full_name: str | None) -> set[str]:
    parts = re.split(r"[^\w]+", f"{email} {full_name or ''}".casefold())
    return {PRODUCT, email.casefold(), *(part for part in parts if len(part) > 3)}  # noqa: PLR2004


def _refusal(kind: type[Invalid], field: str, message: str) -> Invalid:
    return kind(message, errors=[{"loc": ["body", field], "code": kind.code, "message": message}])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password fits; `new_hash` is its hash with today's parameters where the stored one is weaker."""

    matches: bool
    new_hash: str | None = None


class PasswordHasher:
    """Argon2id in a small pool of threads with a bounded queue: memory and processors stay bounded."""

    def __init__(self) -> None:
        """Prepares the hash that stands in for unknown users, so that the first answer is as slow as any."""
        self._context = CryptContext(
            schemes=_ACCEPTED_SCHEMES,
            argon2__type="ID",
            argon2__memory_cost=MEMORY_KIB,
            argon2__time_cost=PASSES,
            argon2__parallelism=LANES,
        )
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="argon2")
        self._waiting = 0
        self._strength = (MEMORY_KIB, PASSES)
        # In the pool, not here: each thread that ever hashed keeps its 19 MiB.
        self._stand_in = self._pool.submit(self._context.hash, token_urlsafe()).result()

    async def hash(self, password: str) -> str:
        """The hash to store. Raises Unavailable when too many wait."""
        return await self._in_pool(lambda: self._context.hash(normalized(password)))

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Takes the same time whether or not there is a usable hash. Raises Unavailable when too many wait."""
        if stored is not None and not is_affordable(stored):
            logger("server").warning("auth.unusable_hash")
            stored = None
        return await self._in_pool(lambda: self._verify(normalized(password), stored))

    def _verify(self, text: str, stored: str | None) -> Verdict:
        if stored is not None and len(text) <= MAX_LENGTH:
            try:
                matches = self._context.verify(text, stored)
            except ValueError:  # damaged behind its parameters
                logger("server").warning("auth.unusable_hash")
            else:
                stronger = (
                    self._context.hash(text) if matches and _is_weaker(stored, self._strength) else None
                )
                return Verdict(matches, stronger)
        self._context.verify(text[:MAX_LENGTH], self._stand_in)
        return Verdict(matches=False)

    async def _in_pool(self, work: Callable[[], T]) -> T:
        if self._waiting >= _MAX_WAITING:
            raise Unavailable("Too many passwords are being checked at the moment.", retry_after_seconds=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def is_affordable(stored: str) -> bool:
    """Whether this is an Argon2id hash that verifies within bounds: a planted one must not eat the memory (CWE-400)."""
    found = _PARAMETERS.match(stored)
    if found is None:
        return False
    memory, passes, lanes = (int(number) for number in found.groups())
    return memory <= _MAX_MEMORY_KIB and passes <= _MAX_PASSES and lanes <= _MAX_LANES


def _is_weaker(stored: str, strength: tuple[int, int]) -> bool:
    """Whether memory or passes fall short; a stronger hash, brought from elsewhere, stays as it is."""
    found = _PARAMETERS.match(stored)
    return found is not None and (int(found[1]) < strength[0] or int(found[2]) < strength[1])
