"""Signing secrets: what counts as weak, and one key for each purpose (HKDF, RFC 5869)."""

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from pathlib import Path
from secrets import token_urlsafe
from typing import Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MIN_BYTES = 32
MIN_DISTINCT = 8
PUBLISHED = (
    "changeme",
    "change-me",
    "change_me",
    "secret-key",
    "your-secret",
    "your_secret",
    "supersecret",
    "super-secret",
    "changethis",
    "insecure",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",  # FastAPI's tutorial
)

Purpose = Literal["access-token", "refresh-token", "cursor", "cache", "throttle"]


def weakness(secret: str) -> str | None:
    """Why a secret is refused in production, or None. Says nothing of the value itself."""
    if len(secret.encode()) < MIN_BYTES:
        return f"is shorter than {MIN_BYTES} bytes"
    if len(set(secret)) < MIN_DISTINCT:
        return f"has fewer than {MIN_DISTINCT} different characters"
    if any(known in secret.lower() for known in PUBLISHED):
        return "is a published or placeholder value"
    return None


def development_secret(folder: Path) -> str:
    """The secret kept in `folder/secret_key`, made at the first start. Two starting at once agree on one."""
    path = folder / "secret_key"
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".secret_key.{os.getpid()}"
    if not path.exists():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token_urlsafe(48))
        try:
            os.link(draft, path)  # fails where another process was first: its value is the one
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


class Keyring:
    """Derived keys of every secret, newest first: the first one signs, all of them verify."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """`secrets` must not be empty."""
        self._secrets = [secret.encode() for secret in secrets]
        self._derived: dict[Purpose, list[bytes]] = {}

    def keys(self, purpose: Purpose) -> list[bytes]:
        """32-byte keys for one purpose, newest first; a key of one purpose is useless for another."""
        if purpose not in self._derived:
            self._derived[purpose] = [
                HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)
                for secret in self._secrets
            ]
        return self._derived[purpose]


class Signer:
    """Short signed texts that come back from where others can write: cursors from clients, values from the cache."""

    SIZE = 16

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes of a purpose of its own."""
        self._key = key

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, hashlib.sha256)[: self.SIZE]

    def sign(self, payload: bytes) -> str:
        """URL-safe text of the payload and its MAC."""
        return base64.urlsafe_b64encode(self._mac(payload) + payload).rstrip(b"=").decode()

    def unsign(self, text: str) -> bytes | None:
        """The payload, or None if the text isn't ours to the last bit."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        mac, payload = raw[: self.SIZE], raw[self.SIZE :]
        if not hmac.compare_digest(mac, self._mac(payload)):
            return None
        # The decoder skips foreign characters: one spelling for one text.
        return payload if hmac.compare_digest(self.sign(payload).encode(), text.encode()) else None
