"""Access tokens built by hand, with nothing of the program's own code but its key."""

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

from app.core.keys import Keyring


class _Absent(Enum):
    LEFT_OUT = "left out"


LEFT_OUT = _Absent.LEFT_OUT


def encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(key: bytes, header: bytes, payload: bytes, digest: str = "sha256") -> str:
    """A compact JWS (RFC 7515 3.1) of exactly these bytes."""
    text = f"{encoded(header)}.{encoded(payload)}"
    return f"{text}.{encoded(hmac.digest(key, text.encode(), digest))}"


def _changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> bytes:
    merged = {name: value for name, value in {**members, **changes}.items() if value is not LEFT_OUT}
    return json.dumps(merged).encode()


@dataclass
class Forger:
    """Signs with the right key whatever it is told to."""

    secret: str
    user_id: UUID
    session_id: UUID
    version: int = 1

    @property
    def key(self) -> bytes:
        return Keyring([self.secret]).keys("access-token")[0]

    @property
    def header(self) -> dict[str, Any]:
        kid = hashlib.sha256(b"kid:" + self.key).hexdigest()[:16]
        return {"alg": "HS256", "typ": "at+jwt", "kid": kid}

    @property
    def claims(self) -> dict[str, Any]:
        moment = int(time.time())
        return {
            "iss": "tessera",
            "aud": "tessera-api",
            "sub": str(self.user_id),
            "sid": str(self.session_id),
            "jti": str(uuid4()),
            "iat": moment,
            "exp": moment + 900,
            "ver": self.version,
        }

    def token(
        self,
        *,
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
        digest: str = "sha256",
        key: bytes | None = None,
    ) -> str:
        """A genuine token but for these members of header and claims; `LEFT_OUT` removes one."""
        return signed(
            self.key if key is None else key,
            _changed(self.header, header or {}),
            _changed(self.claims, claims or {}),
            digest,
        )
