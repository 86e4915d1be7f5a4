"""Access tokens: the only module that touches python-jose, and it trusts nothing of it.

JWT as in RFC 9068 and RFC 8725: one algorithm, one issuer, typed, short. No rights inside: those come from
the database at each request, so that taking one away needs no new token.
"""

import hashlib
import json
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

from jose import jwt
from pydantic import BaseModel, ConfigDict, Field

from app.core.cache import MemoryCache
from app.core.errors import TokenExpired, TokenInvalid
from app.core.identifiers import uuid7
from app.core.keys import Keyring

ALGORITHM = "HS256"
TYPE = "at+jwt"
ISSUER = "tessera"
AUDIENCE = "tessera-api"
_MAX_LENGTH = 4096
_SHAPE = re.compile(r"([A-Za-z0-9_-]{1,200})\.([A-Za-z0-9_-]{1,3500})\.([A-Za-z0-9_-]{43})")
_LEEWAY_SECONDS = 5
_FUTURE_SECONDS = 60
_NO_TIME = 2**40  # larger numbers are no instants, and too large ones no floats
_OPTIONS = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti", "at_hash")}


class Claims(BaseModel):
    """What an access token says. Times are seconds since 1970 (RFC 7519 NumericDate)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    iss: Literal["tessera"]
    aud: Literal["tessera-api"]
    sub: str = Field(min_length=36, max_length=36)
    sid: str = Field(min_length=36, max_length=36)
    jti: str = Field(min_length=36, max_length=36)
    iat: int = Field(ge=0, lt=_NO_TIME)
    exp: int = Field(ge=0, lt=_NO_TIME)
    nbf: int | None = Field(default=None, ge=0, lt=_NO_TIME)
    ver: int

    @cached_property
    def user_id(self) -> UUID:
        """The account's public id."""
        return UUID(self.sub)

    @cached_property
    def session_id(self) -> UUID:
        """The session that the token belongs to."""
        return UUID(self.sid)


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"kid:" + key).hexdigest()[:16]


class AccessTokens:
    """Issues and reads access tokens. Genuine ones are remembered, since reading costs 30 us and looking up 1."""

    def __init__(self, keyring: Keyring, lifetime_minutes: int) -> None:
        """The newest key signs; every key of the ring is accepted."""
        keys = keyring.keys("access-token")
        self._keys = {_key_id(key): key for key in keys}
        self._signer = _key_id(keys[0])
        self.lifetime_seconds = lifetime_minutes * 60
        self._genuine = MemoryCache(max_entries=20_000)

    def issue(self, user_id: UUID, session_id: UUID, auth_version: int) -> str:
        """A new token, valid from now on."""
        issued = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "jti": str(uuid7()),
            "iat": issued,
            "exp": issued + self.lifetime_seconds,
            "ver": auth_version,
        }
        headers = {"typ": TYPE, "kid": self._signer}
        return str(jwt.encode(claims, self._keys[self._signer], algorithm=ALGORITHM, headers=headers))

    def read(self, token: str, *, allow_expired: bool = False) -> Claims:
        """The claims of a genuine token. Raises TokenInvalid, TokenExpired."""
        name = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        claims: Claims | None = self._genuine.peek(name)
        if claims is None:
            claims = self._verified(token)
            self._genuine.put(name, claims, max(1, claims.exp - time.time()))
        moment = time.time()
        if claims.iat > moment + _FUTURE_SECONDS or (claims.nbf or 0) > moment + _LEEWAY_SECONDS:
            raise TokenInvalid
        if not allow_expired and claims.exp + _LEEWAY_SECONDS < moment:
            raise TokenExpired
        return claims

    def _verified(self, token: str) -> Claims:
        match = _SHAPE.fullmatch(token) if len(token) <= _MAX_LENGTH else None
        if match is None or not all(_is_canonical(part) for part in match.groups()):
            raise TokenInvalid
        key = self._key_for(match[1])
        try:
            payload: dict[str, Any] = jwt.decode(token, key, algorithms=[ALGORITHM], options=_OPTIONS)
            claims = Claims.model_validate(payload)
            _ = claims.user_id, claims.session_id
        except (
            Exception
        ) as error:  # ValidationError, and: python-jose lets foreign exceptions out (python-jose#413)
            raise TokenInvalid from error
        return claims

    def _key_for(self, header_part: str) -> bytes:
        """The key that the header names, out of our own ring. Header members are allow-listed (RFC 8725 3.10)."""
        try:
            header = json.loads(_decoded(header_part))
        except ValueError as error:
            raise TokenInvalid from error
        if not isinstance(header, dict) or header.keys() != {"alg", "typ", "kid"}:
            raise TokenInvalid
        if header["alg"] != ALGORITHM or header["typ"] != TYPE or not isinstance(header["kid"], str):
            raise TokenInvalid
        key = self._keys.get(header["kid"])
        if key is None:
            raise TokenInvalid
        return key


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _is_canonical(part: str) -> bool:
    """One spelling for one token: the unused bits of the last character must be zero."""
    try:
        return urlsafe_b64encode(_decoded(part)).rstrip(b"=").decode() == part
    except ValueError:
        return False
