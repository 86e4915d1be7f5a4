"""API keys: how they are written, and what can be told of one without asking the database.

`<app>_<environment>_<12 characters public id>_<43 characters secret><6 characters checksum>`, all of it base 62.
The prefix lets secret scanners find a leaked key, the checksum lets us refuse a mistyped one for nothing.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass
from secrets import choice
from typing import Final

from app.core.config import Environment

APP: Final = "tessera"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LABELS = {Environment.DEVELOPMENT: "dev", Environment.TEST: "test", Environment.PRODUCTION: "live"}
_PUBLIC_LENGTH, _SECRET_LENGTH, _CHECK_LENGTH = 12, 43, 6  # 43 digits hold 256 bits
PREFIX_LENGTH: Final = len(APP) + len("_test_") + _PUBLIC_LENGTH
_SHAPE = re.compile(
    rf"({APP}_(?:dev|test|live)_[0-9A-Za-z]{{{_PUBLIC_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CHECK_LENGTH}}})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A well-formed key: `prefix` finds it, `digest` (SHA-256, 64 hexadecimal digits) proves it."""

    prefix: str
    digest: str


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key; `text` is shown once and kept nowhere."""

    text: str
    prefix: str
    digest: str
    last_four: str


def mint(environment: Environment) -> MintedKey:
    """A key that nobody has. Its secret has 256 random bits, so that a plain digest can't be turned back."""
    prefix = f"{APP}_{_LABELS[environment]}_{_random(_PUBLIC_LENGTH)}"
    body = f"{prefix}_{_random(_SECRET_LENGTH)}"
    text = body + _checksum(body)
    return MintedKey(text, prefix, _digest(text), text[-4:])


def parse(text: str) -> PresentedKey | None:
    """The parts of a key, or None for what can't be one: wrong form or checksum. Costs no look-up."""
    match = _SHAPE.fullmatch(text)
    if match is None or _checksum(text[:-_CHECK_LENGTH]) != match[3]:
        return None
    return PresentedKey(match[1], _digest(text))


def looks_like_key(credential: str) -> bool:
    """Whether a bearer credential is meant as an API key: access tokens never begin so."""
    return credential.startswith(f"{APP}_")


def _random(length: int) -> str:
    return "".join(choice(_DIGITS) for _ in range(length))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(text: str) -> str:
    """CRC-32 in base 62, most significant digit first."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
